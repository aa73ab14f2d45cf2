"""What the process of a device can be told to do, and that process: ``python -m litedelegates.deploy.stage_desk``."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from litedelegates.study.worker import Desk, serve


class StageDesk:
    """Holds the models of a device's stages and answers orders about them; each is a method."""

    def __init__(self) -> None:
        """Start with no model."""
        from litedelegates.deploy.loaded import LoadedStage

        self._stages: dict[str, LoadedStage] = {}
        orders = (self.begin, self.load, self.run)
        self._orders: dict[str, Callable[..., dict[str, Any]]] = {order.__name__: order for order in orders}

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a message says and return the answer."""
        arguments = dict(message)
        return self._orders[arguments.pop("do")](**arguments)

    def begin(self, inbox: int, outbox: int, cpus: list[int] | None) -> dict[str, Any]:
        """Open the memory through which arrays come and go, and stay on the cores given."""
        from litedelegates.shared_memory import Block

        if cpus is not None:
            os.sched_setaffinity(0, cpus)
        self._inbox, self._outbox = Block(inbox), Block(outbox)
        return {}

    def load(self, path: str, stage: dict[str, Any], exits: list[dict[str, Any]]) -> dict[str, Any]:
        """Load the model of a stage."""
        from litedelegates.deploy.loaded import LoadedStage
        from litedelegates.deploy.records import ExitRule, StageFile

        record = StageFile.from_json(stage)
        rules = [ExitRule.from_json(rule) for rule in exits]
        self._stages[record.file] = LoadedStage(Path(path), record, rules)
        return {}

    def run(self, file: str, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """Run a stage on what lies in the inbox; the outputs lie in the outbox then."""
        made, times, confidences = self._stages[file].run(self._inbox.read(inputs))
        return {"outputs": self._outbox.write(made), "times_us": times, "confidences": confidences}

    def close(self) -> None:
        """Free all models, before the process ends."""
        for stage in self._stages.values():
            stage.close()


def _make_desk() -> Desk:
    return StageDesk()


if __name__ == "__main__":
    serve(_make_desk)

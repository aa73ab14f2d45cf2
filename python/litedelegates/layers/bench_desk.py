"""What the process in which layers and models are timed can be told to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from litedelegates.engines import Session
from litedelegates.engines.inputs import random_feed
from litedelegates.layers.profile_words import pack_profile
from litedelegates.layers.records import Setting
from litedelegates.layers.sessions import open_setting, ran_of
from litedelegates.study.inputs import load_arrays
from litedelegates.study.words import pack


class BenchDesk:
    """Holds models side by side and answers orders about them; each is a method."""

    def __init__(self) -> None:
        """Start with no model."""
        self._sessions: dict[str, Session] = {}
        orders = (self.greet, self.load, self.run, self.profile, self.free)
        self._orders: dict[str, Callable[..., dict[str, Any]]] = {order.__name__: order for order in orders}

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a message says and return the answer."""
        arguments = dict(message)
        return self._orders[arguments.pop("do")](**arguments)

    def load(
        self,
        name: str,
        model: str,
        setting: dict[str, Any],
        seed: int,
        inputs: str | None = None,
        input_names: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Load a model under a name, with the inputs of a ``.npz`` in the order of their names, or random ones."""
        session = self._sessions[name] = open_setting(model, Setting.from_json(setting))
        given = None if inputs is None else dict(zip(input_names, load_arrays(inputs), strict=True))
        session.set_inputs(random_feed(session, seed) if given is None else given)
        return {"ran": ran_of(session)}

    def run(self, name: str, runs: int) -> dict[str, Any]:
        """Time runs of a model, back to back."""
        return {"samples": pack(self._sessions[name].time_runs(max_runs=runs))}

    def profile(self, name: str, runs: int) -> dict[str, Any]:
        """Return the times of the ops of a model as the engine runs them."""
        return pack_profile(self._sessions[name].profile(runs))

    def free(self, name: str) -> dict[str, Any]:
        """Free a model, if it was loaded."""
        if name in self._sessions:
            self._sessions.pop(name).close()
        return {}

    def greet(self) -> dict[str, Any]:
        """Do nothing, which shows that the process is there."""
        return {}

    def close(self) -> None:
        """Free all models, before the process ends."""
        for name in list(self._sessions):
            self.free(name)

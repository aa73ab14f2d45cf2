"""The process that inputs are tried in: ``python -m fuzz.worker`` obeys a `litedelegates.study.process.Worker`."""

from __future__ import annotations

import logging
import random
import traceback
import warnings
from collections.abc import Mapping
from typing import Any

from litedelegates.study.worker import serve


def mutant(target: str, number: int, with_real_models: bool) -> bytes:
    """Return the input with a number: the same each time, in any process."""
    from fuzz.mutations import mutate
    from fuzz.seeds import seeds
    from fuzz.targets import TARGETS

    rng = random.Random(f"{target} {number}")
    return mutate(TARGETS[target][1], rng.choice(seeds(target, with_real_models)), rng)


def attempt(target: str, data: bytes) -> dict[str, Any]:
    """Give an input to a target and say how that ended: "ran", "refused" by a typed error, or "escaped"."""
    from fuzz.targets import ALLOWED, TARGETS

    try:
        TARGETS[target][0](data)
    except ALLOWED as error:
        return {"end": "refused", "error": type(error).__name__}
    except MemoryError:
        return {"end": "refused", "error": "MemoryError"}
    except Exception as error:
        last = [frame for frame in traceback.extract_tb(error.__traceback__) if "litedelegates" in frame.filename]
        place = f"{last[-1].filename.rpartition('litedelegates/')[2]}:{last[-1].lineno}" if last else "the target"
        return {"end": "escaped", "error": f"{type(error).__name__} at {place}", "text": str(error)[:200]}
    return {"end": "ran"}


class Desk:
    """Tries inputs."""

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        target = message["target"]
        if message["do"] == "prepare":
            mutant(target, 0, message["real"])
            return {}
        return attempt(target, mutant(target, message["number"], message["real"]))

    def close(self) -> None:
        """Have nothing to free."""


def _make_desk() -> Desk:
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    return Desk()


if __name__ == "__main__":
    serve(_make_desk)

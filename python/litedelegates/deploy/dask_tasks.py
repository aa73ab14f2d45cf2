"""What runs on a Dask worker: models are kept there, arrays stay there until the next stage fetches them."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from litedelegates.deploy.loaded import LoadedStage
from litedelegates.deploy.records import ExitRule, StageFile
from litedelegates.engines import Array
from litedelegates.files import write_whole

_LOOKED_AT = 32  # latest entries of the log of transfers
_loaded: dict[str, LoadedStage] = {}
_lock = threading.Lock()


def load(key: str, stage: Mapping[str, Any], exits: Sequence[Mapping[str, Any]], content: bytes | None) -> bool:
    """Load the model of a stage under a key, and return whether it could be done without its content.

    Args:
        key: For `run`.
        stage: A `StageFile` as plain values.
        exits: Of `ExitRule` the same.
        content: The model; None to try whether it was sent here before.
    """
    from distributed import get_worker

    record = StageFile.from_json(stage)
    suffix = Path(record.file).suffix
    path = Path(get_worker().local_directory) / "litedelegates-models" / f"{record.sha256}{suffix}"
    if content is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, [content])
    elif not path.is_file():
        return False
    with _lock:
        if key not in _loaded:
            _loaded[key] = LoadedStage(path, record, [ExitRule.from_json(rule) for rule in exits])
    return True


def run(
    loaded: str, topic: str, number: str, inputs: Mapping[str, Array], source_keys: Sequence[str]
) -> dict[str, Array] | Array:
    """Run a stage and return its outputs by name, or its only one, which stay here; tell ``topic`` what it took.

    Args:
        loaded: The key of `load`.
        topic: Of the message, which is there before the outputs are announced.
        number: Of this run, for the message.
        inputs: By name.
        source_keys: By which Dask knows these inputs.
    """
    from distributed import get_worker

    worker = get_worker()
    made, times, confidences = _loaded[loaded].run(inputs)
    transfer_us, received = _transfers(worker.transfer_incoming_log, source_keys)
    worker.log_event(
        topic,
        {
            "number": number,
            "times_us": list(times),
            "confidences": confidences,
            "transfer_us": transfer_us,
            "received_nbytes": received,
        },
    )
    return made if len(made) > 1 else next(iter(made.values()))


def free(keys: Sequence[str]) -> None:
    """Free models."""
    with _lock:
        stages = [_loaded.pop(key) for key in keys if key in _loaded]
    for stage in stages:
        stage.close()


def make_bytes(nbytes: int) -> Array:
    """Return bytes that cannot be compressed."""
    return np.random.default_rng(0).integers(0, 256, nbytes, np.uint8)


def hand_on(topic: str, number: str, nbytes: int, seconds: float) -> Array:
    """Take some time, tell under ``topic`` that bytes are made, and return them, as `run` does what a stage makes."""
    from distributed import get_worker

    made = make_bytes(nbytes)
    time.sleep(seconds)
    get_worker().log_event(topic, {"number": number})
    return made


def receive(topic: str, number: str, data: Array, source_key: str) -> int:
    """Tell under ``topic`` how long data took to come here, and return how much it was."""
    from distributed import get_worker

    worker = get_worker()
    transfer_us, received = _transfers(worker.transfer_incoming_log, [source_key])
    worker.log_event(topic, {"number": number, "transfer_us": transfer_us, "received_nbytes": received})
    return data.nbytes


def _transfers(log: Any, keys: Sequence[str]) -> tuple[float, int]:
    """Return the microseconds and bytes of the transfers that brought some keys here, from Dask's own log."""
    wanted, seconds, nbytes = set(keys), 0.0, 0
    for place in range(1, min(len(log), _LOOKED_AT) + 1):
        entry = log[-place]
        if wanted & entry["keys"].keys():
            seconds += entry["stop"] - entry["start"]
            nbytes += entry["total"]
    return seconds * 1e6, nbytes

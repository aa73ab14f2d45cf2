"""Which delegates work on this machine, found out by running a small model on each."""

from __future__ import annotations

import enum
import functools
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

from litedelegates import errors
from litedelegates.delegates import chain
from litedelegates.errors import DelegateError, LiteDelegatesError
from litedelegates.isolated import python_command
from litedelegates.loading import load_session
from litedelegates.model import Model
from litedelegates.tensor_info import random_value

_PROBE_SECONDS = 60.0
_TRIAL_SECONDS = 120.0
_ANSWER = "ANSWER "
_TRY = "--try"


@dataclass(frozen=True)
class Availability:
    """Whether a delegate works here.

    Attributes:
        name: The delegate's name.
        is_available: A small model ran on it and its output was right. No small model is compiled for an Edge TPU: it
            is available when its library lists a device.
        reason: Why it is not available; empty when it is.
        detail: What it runs on, such as the name of the GPU, as far as the runtime tells; of an Edge TPU its library,
            version and devices.
    """

    name: str
    is_available: bool
    reason: str
    detail: str


@functools.cache
def availability(name: str) -> Availability:
    """Find out whether the delegate ``name`` works here.

    The small model runs in a process of its own: a broken driver may end it, and must not end the caller's.
    """
    found = _ask_worker([name], b"", _PROBE_SECONDS)
    if isinstance(found, str):
        return Availability(name, False, f"running a small model on it {found}", "")
    return Availability(name, not found["reason"], found["reason"], found["detail"])


def try_in_worker(
    model: Model,
    delegate_names: Sequence[str],
    options: dict[str, Any],
    num_threads: int | None,
    *,
    time_limit_s: float = _TRIAL_SECONDS,
) -> None:
    """Load a model on a chain of delegates and run it once, in a worker process: a library that crashes ends only that.

    Inputs are random where values can be made up, else zero. Options that are file descriptors stay behind.

    Args:
        model: What to try.
        delegate_names: The chain, in order, such as ("gpu", "xnnpack").
        options: Options of the delegates, each given to those that have it.
        num_threads: Threads of the CPU kernels.
        time_limit_s: Seconds within which the worker has to end.

    Raises:
        LiteDelegatesError: What loading or running raised in the worker, of the same class; `DelegateError` when the
            worker crashed or did not finish in time.
    """
    request = {
        "chain": list(delegate_names),
        "options": {key: value for key, value in options.items() if not key.endswith(("_fd", "_descriptor"))},
        "num_threads": num_threads,
    }
    head = json.dumps(request, default=_as_json).encode() + b"\n"
    found = _ask_worker([_TRY], head + model.file.bytes.tobytes(), time_limit_s)
    if isinstance(found, str):
        raise DelegateError(f"running {model.name} on {'+'.join(delegate_names)} in a worker process {found}")
    if found["error"]:
        raise getattr(errors, found["error"], DelegateError)(found["message"])


def _as_json(value: object) -> object:
    # What options may be beside plain values: enumerations, which are also taken by name, and paths.
    return value.name if isinstance(value, enum.Enum) else os.fspath(value)  # type: ignore[call-overload]


def _ask_worker(arguments: list[str], content: bytes, seconds: float) -> dict[str, str] | str:
    """Return what a worker of this module answers, or how it ended without an answer."""
    try:
        worker = subprocess.run(
            python_command("litedelegates.devices", *arguments),
            input=content,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"did not finish within {seconds:.0f} s"
    for line in worker.stdout.decode(errors="replace").splitlines():
        if line.startswith(_ANSWER):
            answer: dict[str, str] = json.loads(line.removeprefix(_ANSWER))
            return answer
    ending = f"signal {-worker.returncode}" if worker.returncode < 0 else f"exit status {worker.returncode}"
    stderr_tail = worker.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
    return f"ended the process ({ending}: {stderr_tail[0]})"


def available() -> tuple[Availability, ...]:
    """Return every delegate that this version knows, available or not, with the reason."""
    return tuple(availability(name) for name in ("none", "xnnpack", "gpu", "openvino", "edgetpu"))


def small_model() -> bytes:
    """Return a model with one ADD: sum = x + y, float32 of shape (1, 4)."""
    return resources.files("litedelegates").joinpath("data/add.tflite").read_bytes()


def probe(name: str) -> dict[str, str]:
    """Return ``{"reason": ..., "detail": ...}``; the reason is empty when the delegate works."""
    if name == "edgetpu":
        return _probe_edge_tpu()
    values = np.array([[1.0, -2.0, 3.5, 0.25]], np.float32)
    try:
        model = Model.load(small_model())
        session = load_session(model, chain(name, {}), num_threads=None)
        for index in model.subgraphs[0].inputs:
            session.set_tensor(index, values)
        session.invoke()
        output = session.get_tensor(model.subgraphs[0].outputs[0])
        ran = {placement.ran for placement in session.placement()}
        detail = session.device
        session.close()
    except LiteDelegatesError as error:
        return {"reason": str(error), "detail": ""}
    wanted = "builtin" if name == "none" else name
    if ran != {wanted}:
        return {"reason": f"it was asked for, and the op ran on {', '.join(sorted(ran))}", "detail": detail}
    if not np.allclose(output, 2 * values, rtol=1e-2):
        return {"reason": f"it computed {output} where {2 * values} is right", "detail": detail}
    return {"reason": "", "detail": detail}


def _probe_edge_tpu() -> dict[str, str]:
    from litedelegates.delegates.edgetpu_diagnosis import diagnose, say_devices
    from litedelegates.delegates.edgetpu_library import EdgeTpuLibrary

    try:
        library = EdgeTpuLibrary()
    except LiteDelegatesError as error:
        return {"reason": str(error), "detail": ""}
    detail = f"{library.path}, {library.version}"
    devices = library.devices()
    if not devices:
        return {"reason": f"{diagnose(library, '')} ({detail})", "detail": detail}
    return {"reason": "", "detail": f"{detail}: {say_devices(devices)}"}


def _try(content: bytes) -> dict[str, str]:
    """Do in this process what `try_in_worker` asks for."""
    head, _, model_content = content.partition(b"\n")
    request = json.loads(head)
    try:
        model = Model.load(model_content)
        session = load_session(model, chain(request["chain"], request["options"]), num_threads=request["num_threads"])
        session.allocate()
        rng = np.random.default_rng(0)
        for index in model.subgraphs[0].inputs:
            info = model.tensor_info(0, index, session.shape(index), None)
            if info.dtype.kind in "fiub" and info.element_type != "string":
                session.set_tensor(index, random_value(info, rng))
        session.invoke()
        for index in model.subgraphs[0].outputs:
            session.get_tensor(index)
        session.close()
    except LiteDelegatesError as error:
        return {"error": type(error).__name__, "message": str(error)}
    return {"error": "", "message": ""}


if __name__ == "__main__":
    found = _try(sys.stdin.buffer.read()) if sys.argv[1] == _TRY else probe(sys.argv[1])
    # The line is out before anything is torn down: the GPU's library may crash at exit, after everything went well.
    print(_ANSWER + json.dumps(found), flush=True)

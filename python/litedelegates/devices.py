"""Which delegates work on this machine, found out by running a small model on each."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from dataclasses import dataclass
from importlib import resources

import numpy as np

from litedelegates.delegates import chain
from litedelegates.errors import LiteDelegatesError
from litedelegates.isolated import python_command
from litedelegates.loading import load_session
from litedelegates.model import Model

_PROBE_SECONDS = 60.0


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
    try:
        probe = subprocess.run(
            python_command("litedelegates.devices", name),
            capture_output=True,
            text=True,
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Availability(name, False, f"a small model did not finish on it within {_PROBE_SECONDS:.0f} s", "")
    for line in probe.stdout.splitlines():
        if line.startswith("PROBE "):
            found = json.loads(line.removeprefix("PROBE "))
            return Availability(name, not found["reason"], found["reason"], found["detail"])
    ending = f"signal {-probe.returncode}" if probe.returncode < 0 else f"exit status {probe.returncode}"
    last_words = probe.stderr.strip().splitlines()[-1:] or ["no message"]
    return Availability(name, False, f"running a small model on it ended the process ({ending}: {last_words[0]})", "")


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


if __name__ == "__main__":
    print("PROBE " + json.dumps(probe(sys.argv[1])))

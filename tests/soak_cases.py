"""What is loaded, run and closed again and again: a model on each delegate, and on the official runtime's GPU."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import small_models
from litedelegates import EdgeTpu, External, Flex, Interpreter, Stable
from native_libraries import compile_cpp_library, compile_library

DIGITS = Path(__file__).parent.parent / "models/digits.tflite"
OFFICIAL_GPU = "gpu, official CompiledModel"


@dataclass(frozen=True)
class Case:
    """A model on a delegate.

    Attributes:
        model: Builds or reads the model.
        delegate: Makes what `Interpreter` is given, from the folder of the compiled libraries.
        warm_up: Cycles that come before those that count, at least; fewer where one takes tens of milliseconds.
        options: More arguments of `Interpreter`.
    """

    model: Callable[[], bytes]
    delegate: Callable[[Path], Any]
    warm_up: int = 600  # memory grows by a step of a megabyte somewhere in the first hundreds
    options: tuple[tuple[str, Any], ...] = ()


def arithmetic(folder: Path) -> str:
    return compile_library("arithmetic_delegate.c", folder / "libarithmetic.so")


def stable(folder: Path, *flags: str) -> str:
    return compile_library("stable_delegate.c", folder / f"libstable{len(flags)}.so", *flags)


def fake_edgetpu(folder: Path) -> EdgeTpu:
    os.environ["FAKE_EDGETPU_DEVICES"] = "pci=/dev/apex_0"
    return EdgeTpu(library=compile_library("fake_edgetpu.c", folder / "libedgetpu.so.1"))


CASES = {
    "none": Case(DIGITS.read_bytes, lambda folder: None),
    "none, classic route": Case(
        DIGITS.read_bytes, lambda folder: None, options=(("experimental_preserve_all_tensors", True),)
    ),
    "xnnpack": Case(DIGITS.read_bytes, lambda folder: "xnnpack"),
    "xnnpack, 2 threads": Case(DIGITS.read_bytes, lambda folder: "xnnpack", options=(("num_threads", 2),)),
    "external": Case(small_models.add, lambda folder: External(arithmetic(folder), options={"number": 3})),
    "stable, host's accessors": Case(small_models.add, lambda folder: Stable(stable(folder))),
    "stable, own accessors": Case(small_models.add, lambda folder: Stable(stable(folder, "-DCARRIES_ACCESSORS"))),
    "flex": Case(
        small_models.flex_op,
        lambda folder: Flex(compile_cpp_library("flex_delegate.cc", folder / "libtensorflowlite_flex.so")),
    ),
    "edgetpu, no device": Case(small_models.compiled_for_edge_tpu, fake_edgetpu),
    "external + stable + xnnpack": Case(
        small_models.partly_delegated,
        lambda folder: [External(arithmetic(folder)), Stable(stable(folder)), "xnnpack"],
    ),
    "gpu": Case(small_models.add, lambda folder: "gpu", warm_up=60),
    OFFICIAL_GPU: Case(small_models.add, lambda folder: "gpu", warm_up=60),
    "openvino": Case(small_models.add, lambda folder: "openvino", warm_up=60),
}


def inputs_for(interpreter: Interpreter, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [(rng.random(info.shape) * 100).astype(info.dtype) for info in interpreter.inputs]


def run(interpreter: Interpreter, inputs: Sequence[Any]) -> bytes:
    """Run once and return the outputs' bytes."""
    outputs = interpreter.run(*inputs)
    return b"".join(output.tobytes() for output in (outputs if isinstance(outputs, tuple) else (outputs,)))


def cycle_of(name: str, folder: Path) -> Callable[[], bool]:
    """Return what loads, runs and closes ``CASES[name]`` once and says whether the outputs are the first ones."""
    case = CASES[name]
    model = case.model()
    if name == OFFICIAL_GPU:
        return _cycle_of_official_gpu(model)
    delegate, options = case.delegate(folder), dict(case.options)
    with Interpreter(model, delegate=delegate, **options) as interpreter:
        inputs = inputs_for(interpreter)
        wanted = run(interpreter, inputs)

    def step() -> bool:
        with Interpreter(model, delegate=delegate, **options) as interpreter:
            return run(interpreter, inputs) == wanted

    return step


def garbage_of_a_cycle(name: str, folder: Path) -> int:
    """Load, run and close ``CASES[name]`` and return how many objects of that only the garbage collector frees."""
    step = cycle_of(name, folder)
    step()
    gc.collect()
    gc.disable()
    step()
    return gc.collect()


def _cycle_of_official_gpu(model: bytes) -> Callable[[], bool]:
    """Return the same cycle in ``ai_edge_litert`` alone; the standard error of this process is lost from here on."""
    from ai_edge_litert.compiled_model import CompiledModel, HardwareAccelerator

    with Interpreter(model) as interpreter:
        shapes = [info.shape for info in interpreter.inputs]
        size = int(np.prod(interpreter.outputs[0].shape))
    inputs = [np.full(shape, 3 + at, np.float32) for at, shape in enumerate(shapes)]
    # It writes 30 lines each time and has no option that stops it.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)

    def outputs() -> bytes:
        with CompiledModel.from_buffer(model, HardwareAccelerator.GPU) as compiled:
            if not compiled.is_fully_accelerated():
                raise RuntimeError("the official runtime did not use the GPU")
            buffers, results = compiled.create_input_buffers(0), compiled.create_output_buffers(0)
            for buffer, array in zip(buffers, inputs, strict=True):
                buffer.write(array)
            compiled.run_by_index(0, buffers, results)
            return bytes(results[0].read(size, np.float32).tobytes())

    wanted = outputs()
    return lambda: outputs() == wanted

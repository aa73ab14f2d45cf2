"""What the study of ResNet152V2 does, stage by stage; each stage returns what `resnet152v2.py` saves."""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import gpu_wait
import numpy as np
from harness import CACHED_MODELS, MODELS, Status
from litedelegates import Gpu, Interpreter, LiteDelegatesError, OpenVino, Xnnpack
from litedelegates.devices import availability
from litedelegates.engines import open_session
from litedelegates.graph import CutError, check, cut, join, load
from litedelegates.layers.matching import match_layers
from litedelegates.measure import Plan, interleave
from litedelegates.placement import summarize
from litedelegates.quantize import quantize_file
from resnet152v2_findings import Border, GpuWait, Timing

SOFTWARE_GPUS = ("swiftshader", "llvmpipe")
CALIBRATION_COUNT = 4
Recipe = tuple[str, dict[str, Any]]

# Precisions as the result calls them, and how `quantize` makes them; None is made by ONNX Runtime's own defaults.
LITERT: dict[str, Recipe] = {"float16": ("float16", {}), "dynamic": ("dynamic", {}), "int8": ("int8", {})}
ONNX: dict[str, Recipe | None] = {
    "float16": ("float16", {}),
    "dynamic, unsigned weights": ("dynamic", {"weight_type": "uint8"}),
    "dynamic, signed weights": ("dynamic", {"weight_type": "int8"}),
    "QDQ U8S8 per channel": ("int8", {"activation_type": "uint8"}),
    "QDQ S8S8 per tensor": None,
    "QOperator U8S8 per channel": ("int8", {"format": "qoperator", "activation_type": "uint8"}),
    "QOperator S8S8 per channel": ("int8", {"format": "qoperator", "activation_type": "int8"}),
}


def make_image(options: argparse.Namespace, count: int, seed: int) -> Any:
    """Return noise (count, 224, 224, 3): 0 to 1, or -1 to 1 as trained weights expect."""
    values = np.random.default_rng(seed).random((count, 224, 224, 3), np.float32)
    return values * 2 - 1 if options.weights else values


def file_of(folder: Path, engine: str, precision: str) -> Path:
    """Return where the model of an engine in a precision is."""
    name = precision.replace(", ", "-").replace(" ", "-")
    return folder / f"{name}{'.tflite' if engine == 'LiteRT' else '.onnx'}"


def make_files(options: argparse.Namespace, folder: Path, status: Status) -> dict[str, float]:
    """Write the network in both formats and every precision, and return the seconds that each quantization took."""
    folder.mkdir(parents=True, exist_ok=True)
    seconds: dict[str, float] = {}
    np.savez(folder / "calibration.npz", image=make_image(options, CALIBRATION_COUNT, options.seed))
    samples = [{"image": image[np.newaxis]} for image in make_image(options, CALIBRATION_COUNT, options.seed)]
    for engine, recipes in (("LiteRT", LITERT), ("ONNX Runtime", ONNX)):
        base = file_of(folder, engine, "float32")
        status.stage(f"resnet152v2: writing {base.name}")
        make_base(options, base)
        for precision, recipe in recipes.items():
            status.stage(f"resnet152v2: {engine}, {precision}")
            begin, target = time.monotonic(), file_of(folder, engine, precision)
            if recipe is None:
                quantize_by_default(base, target, samples)
            else:
                kind, more = recipe
                calibration = samples if kind == "int8" else None
                quantize_file(base, target, kind, calibration, allow_float32_ops=True, progress=False, **more)
            seconds[f"{engine}, {precision}"] = time.monotonic() - begin
    return seconds


def make_base(options: argparse.Namespace, target: Path) -> None:
    """Write the float32 model; that with the default weights is taken from the cache where it is there."""
    cached = CACHED_MODELS / f"resnet152v2{target.suffix}"
    if options.weights is None and options.seed == 0 and cached.is_file():
        target.unlink(missing_ok=True)
        target.symlink_to(cached.resolve())
        return
    command = [sys.executable, str(MODELS / "make_resnet152v2.py"), "--out", str(target), "--seed", str(options.seed)]
    command += ["--onnx"] if target.suffix == ".onnx" else []
    command += ["--weights", str(options.weights)] if options.weights else []
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def quantize_by_default(source: Path, target: Path, samples: list[dict[str, Any]]) -> None:
    """Quantize as ONNX Runtime does when nothing is said: QDQ, int8 activations and weights, a scale a tensor."""
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left = iter(samples)

        def get_next(self) -> dict[str, Any] | None:
            return next(self._left, None)

    quantize_static(str(source), str(target), Reader())


def make_delegates(options: argparse.Namespace) -> dict[str, Any]:
    """Return LiteRT's kernels by the name that the result gives them."""
    delegates: dict[str, Any] = {
        "built-in kernels": None,
        "XNNPACK": Xnnpack(num_threads=options.threads),
        "OpenVINO": OpenVino(num_threads=options.threads),
    }
    gpu = availability("gpu")
    if gpu.is_available and (options.software_gpu or not is_software(gpu.detail)):
        delegates["GPU"] = Gpu()
    return delegates


def is_software(device: str) -> bool:
    """Return whether a GPU is played by a program on the CPU."""
    return any(name in device.lower() for name in SOFTWARE_GPUS)


def time_whole(options: argparse.Namespace, folder: Path, status: Status) -> tuple[list[Timing], Any]:
    """Time every configuration of the whole network in one interleaved run; return also its samples."""
    made: dict[str, Timing] = {}
    timers: dict[str, Any] = {}
    feed = {"image": make_image(options, 1, options.seed + 1)}
    # OpenVINO computes in bfloat16 where the CPU can, unless it is told not to.
    exact = OpenVino(num_threads=options.threads, precision_loss_allowed=False)
    configurations: list[tuple[str, str, str, dict[str, Any]]] = [
        ("LiteRT", kernels, precision, {"delegate": delegate})
        for kernels, delegate in {**make_delegates(options), "OpenVINO without loss": exact}.items()
        for precision in (("float32",) if delegate is exact else ("float32", *LITERT))
    ]
    configurations += [("ONNX Runtime", "its CPU kernels", precision, {}) for precision in ("float32", *ONNX)]
    with contextlib.ExitStack() as stack:
        for engine, kernels, precision, how in configurations:
            one = Timing(engine, kernels, precision)
            status.stage(f"resnet152v2: loading {one.name}")
            path, begin = file_of(folder, engine, precision), time.monotonic()
            try:
                threads = None if how.get("delegate") is not None else options.threads
                session = stack.enter_context(contextlib.closing(open_session(path, num_threads=threads, **how)))
                session.set_inputs(feed)
            except LiteDelegatesError as error:
                made[one.name] = replace(one, failure=str(error).splitlines()[0])
                continue
            interpreter = getattr(session, "interpreter", None)
            ran = "CPUExecutionProvider" if interpreter is None else summarize(interpreter.placement)
            seconds = time.monotonic() - begin
            made[one.name] = replace(one, file_nbytes=path.stat().st_size, load_s=seconds, ran=ran)
            timers[one.name] = lambda runs, session=session: session.time_runs(min_runs=runs, max_runs=runs).sum(axis=1)
        plan = make_plan(options)
        found = interleave(timers, plan, keep_going=True, progress=status.rounds("resnet152v2: the whole network"))
    for timed in found.timed:
        blocks = [(block / 1e6).tolist() for block in timed.blocks_ns]
        made[timed.name] = replace(made[timed.name], blocks_ms=blocks, failure=timed.failure or "")
    return list(made.values()), found.conditions


def make_plan(options: argparse.Namespace) -> Plan:
    """Return rounds of 10 runs until there are as many as asked for; a block ends after a second, though."""
    if options.quick:
        return Plan(0, min_rounds=6, max_rounds=6, block_seconds=0.1, max_runs_per_block=2, warmup_seconds=0)
    rounds = max(6, round(options.runs / 10))
    how = {"block_seconds": 0.9, "max_runs_per_block": 10, "discard_runs": 1, "seed": options.seed}
    return Plan(0, min_rounds=rounds, max_rounds=rounds, **how)


def compare_formats(folder: Path) -> dict[str, float]:
    """Return how many layers of the .tflite have the same one in the .onnx, and how far their outputs differ."""
    first, second = (load(file_of(folder, engine, "float32")) for engine in ("LiteRT", "ONNX Runtime"))
    pairs = match_layers(first, second)
    same = [pair for pair in pairs if pair.is_matched and "values" in pair.evidence]
    return {
        "matched": sum(len(pair.first) for pair in same),
        "layers": sum(len(pair.first) for pair in pairs),
        "largest_difference": max((pair.difference or 0.0 for pair in same), default=0.0),
    }


def cut_borders(folder: Path) -> list[Border]:
    """Cut the network in the middle in each precision, and look at what travels and whether the parts fit."""
    whole = load(file_of(folder, "LiteRT", "float32"))
    legal = [place for place in whole.cuts if not place.refusal and place.nbytes is not None]
    middle = min(
        (place for place in legal if 0.4 < place.position / len(whole.ops) < 0.6), key=lambda place: place.nbytes or 0
    )
    name = middle.after.name
    rest = cut(whole, at=middle.position)[1]
    found = []
    for precision in ("float32", *LITERT):
        graph = load(file_of(folder, "LiteRT", precision))
        first, second = cut(graph, tensors=[tensor.name for tensor in middle.tensors])
        tensors = [f"{tensor.name}: {tensor.element_type}{_scale(tensor)}" for tensor in first.outputs]
        mixed = ""
        if precision != "float32":
            try:
                join([first, rest])
                mixed = "they can be joined"
            except CutError as error:
                mixed = f"refused: {error}"
        nbytes = sum(tensor.nbytes or 0 for tensor in first.outputs)
        equal = check([first, second], graph, runs=1).equal
        found.append(Border(precision, name, tensors, nbytes, equal, mixed))
    return found


def _scale(tensor: Any) -> str:
    own = tensor.quantization
    return "" if own is None else f", scale {own.scales[0]:.4g}, zero point {own.zero_points[0]}"


def look_at_gpu(options: argparse.Namespace, folder: Path, status: Status) -> GpuWait:
    """Time a small network on the GPU with and without waiting, and see what runs where nobody names a delegate."""
    with Interpreter(file_of(folder, "LiteRT", "float32")) as interpreter:
        ran = summarize(interpreter.placement)
    found_here = availability("gpu")
    if not found_here.is_available:
        return GpuWait(reason=found_here.reason, default_ran=ran)
    status.stage("resnet152v2: a small network on the GPU")
    model = MODELS / "digits.tflite"
    small = argparse.Namespace(model=model, seed=options.seed, seconds=3, quick=options.quick)
    try:
        found, _ = gpu_wait.measure(small, status)
        medians = {name: found[name].median_ns / 1e6 for name in ("official, no wait", "official, read", "reported")}
    except (LiteDelegatesError, ValueError) as error:
        return GpuWait(reason=f"{found_here.detail}: {error}", default_ran=ran)
    with Interpreter(model, delegate="gpu") as interpreter:
        interpreter.allocate_tensors()
        parts = np.median(interpreter.time_runs(min_runs=20, max_runs=20), axis=0) / 1e6
    return GpuWait(
        device=found_here.detail,
        is_software=is_software(found_here.detail),
        model=model.name,
        median_ms={
            "not waited for": medians["official, no wait"],
            "until the result is read": medians["official, read"],
        },
        parts_ms=dict(zip(("upload", "run", "read-back"), map(float, parts), strict=True)),
        default_ran=ran,
    )

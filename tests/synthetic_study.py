"""Studies written by a script through the store: known times, errors and failures, without running a model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from litedelegates.study import BlockRecord, Cell, Outcome, Store

MACHINE = {
    "cpu_model": "AMD EPYC",
    "board": None,
    "architecture": "x86_64",
    "cores": 2,
    "cores_online": 2,
    "memory_mb": 8326,
    "memory_available_mb": 6100,
    "governor": None,
    "frequency_mhz": 2445.0,
    "max_frequency_mhz": None,
    "temperature_c": None,
    "load_average": 0.41,
    "system": "Debian GNU/Linux 12 (bookworm)",
    "kernel": "6.1.0",
    "python": "3.11.2",
}
VERSIONS = {"litedelegates": "0.1.0", "ai-edge-litert": "2.3.0", "numpy": "2.4.6"}
NETWORK = ("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "ADD", "MEAN", "FULLY_CONNECTED", "SOFTMAX")
# Microseconds of float32 on the built-in kernels, and how many times as fast the others are.
MODELS = {"digits": 376.0, "face_detection_short": 2900.0, "hand_landmarks": 21400.0}
FACTORS = {
    ("float32", "none"): 1.0,
    ("float16", "none"): 1.002,
    ("int8", "none"): 2.9,
    ("float32", "xnnpack"): 5.3,
    ("float16", "xnnpack"): 5.35,
    ("dynamic", "xnnpack"): 8.2,
    ("int8", "xnnpack"): 14.0,
    ("float32", "gpu"): 0.08,
}
ERRORS = {"float32": 3e-7, "float16": 4.1e-4, "dynamic": 0.017, "int8": 0.043}


def cell(model: str, precision: str, delegate: str, threads: int = 1, **options: Any) -> Cell:
    """Return a cell whose model has the digest of its name."""
    digest = hashlib.sha256(model.encode()).hexdigest()
    return Cell(f"models/{model}.tflite", digest, precision, delegate, threads, options)


def write_study(
    path: Path,
    models: Mapping[str, float] = MODELS,
    threads: Sequence[int] = (1, 2),
    *,
    slower: Mapping[str, float] | None = None,
    machine: Mapping[str, Any] = MACHINE,
    rounds: int = 24,
    runs: int = 30,
    seed: int = 0,
    accuracy: bool = True,
) -> Path:
    """Write a study of ``models`` (microseconds of the reference by name); ``slower`` multiplies the times by label."""
    random = np.random.default_rng(seed)
    with Store.create(path, {"models": list(models), "threads": list(threads), "seconds": 20}) as store:
        session = store.add_session(machine, VERSIONS, ["litedelegates", "bench", *models])
        for model, base_us in models.items():
            for count in threads:
                base = cell(model, "float32", "none", count)
                drift = np.exp(np.cumsum(random.normal(0, 0.006, rounds)))
                for (precision, delegate), factor in FACTORS.items():
                    one = cell(model, precision, delegate, count)
                    store.add_cell(one, base)
                    us = base_us / (factor if count == 1 or delegate == "gpu" else factor * 1.7)
                    us *= (slower or {}).get(one.label, 1.0)
                    _add_blocks(store, one, us, drift, runs, session.index, random)
                    store.set_outcome(_outcome(one, base, us, model == "digits" and accuracy))
                broken = cell(model, "int8", "gpu", count)
                store.add_cell(broken, base)
                reason = "the worker was killed by signal 11 (SIGSEGV) while it loaded the model"
                store.set_outcome(Outcome(broken.key, "crashed", reason, session=session.index))
        store.end_session(session.index, "finished")
    return path


def _add_blocks(
    store: Store,
    one: Cell,
    us: float,
    drift: np.ndarray[Any, Any],
    runs: int,
    session: int,
    random: np.random.Generator,
) -> None:
    for index, level in enumerate(drift):
        noise = random.lognormal(0, 0.012, runs) + (random.random(runs) < 0.03) * random.exponential(0.25, runs)
        run = us * 1000 * level * noise
        samples = np.stack([run * 0.01 + 300, run * 0.98, run * 0.01 + 250], axis=1).astype(np.int64)
        group = f"{one.model_sha256[:8]} {one.threads}"
        store.add_block(BlockRecord(one.key, group, index, 0, samples, samples[:2], 1.7e9 + index, index, session))


def _outcome(one: Cell, base: Cell, us: float, labelled: bool) -> Outcome:
    names = NETWORK * 6
    builtin = {"none": range(len(names)), "gpu": range(38, len(names))}.get(one.delegate, range(41, len(names)))
    ops = tuple((0, i, name, "builtin" if i in builtin else one.delegate) for i, name in enumerate(names))
    placement: dict[str, int] = {}
    for *_, ran in ops:
        placement[ran] = placement.get(ran, 0) + 1
    error = ERRORS[one.precision] * (1 if one.key != base.key else 0)
    gpu = one.delegate == "gpu"
    slow = {"kind": "software gpu wait", "severity": "warning", "text": "Read-back took longer than the run itself."}
    return Outcome(
        one.key,
        "ok",
        session=1,
        load_ns=int(us * 900 + (3e8 if gpu else 2e5)),
        first_run_ns=int(us * 1800),
        run_bytes={"float32": 233_000, "float16": 121_000, "dynamic": 68_000, "int8": 73_000}[one.precision],
        route="compiled",
        device="SwiftShader Device (Subzero)" if gpu else "",
        placement=placement,
        ops=ops,
        options_in_effect={"xnnpack": {"num_threads": one.threads}} if one.delegate == "xnnpack" else {},
        memory={"before": 41_000_000, "loaded": 52_000_000, "first_run": 55_000_000, "peak": 58_500_000},
        energy={"unavailable": "this machine has no meter"},
        error={"max_abs": error * 12, "rmse": error * 2, "relative": error, "reference": base.key, "inputs": "given"},
        accuracy=(0.997 if one.precision == "float32" else 0.9985 if one.precision != "int8" else 0.995)
        if labelled
        else None,
        conditions=(slow,) if gpu else (),
    )

"""What a worker can be told to do."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from litedelegates.border import dequantize_array
from litedelegates.files import file_changed, read_same
from litedelegates.interpreter import Interpreter
from litedelegates.measure import delegate_epsilon, is_steady, output_precisions, read_memory
from litedelegates.model import Model
from litedelegates.reference import take_reference
from litedelegates.study.delegates import make_chain
from litedelegates.study.inputs import load_arrays, output_arrays, save_arrays, stacks_of
from litedelegates.study.words import Samples, pack

MAX_RUNS_PER_BLOCK = 100_000
KEPT_WARMUP_RUNS = 1000
PATIENCE = 3  # times the warm-up's seconds, for times that do not settle


class Desk:
    """Holds the model of a cell and answers orders about it; each method is an order."""

    def __init__(self) -> None:
        """Start with no model."""
        self._interpreter: Interpreter | None = None
        self._inputs: str | None = None
        self._seed, self._bound = 0, 0.0
        self._orders: dict[str, Callable[..., dict[str, Any]]] = {
            order.__name__: order
            for order in (
                self.load,
                self.first_run,
                self.warm_up,
                self.run,
                self.outputs,
                self.reference,
                self.accuracy,
                self.profile,
                self.quantize,
            )
        }

    def close(self) -> None:
        """Free the model in order: a device that is left in the middle may not be there for the next."""
        if self._interpreter is not None:
            self._interpreter.close()
            self._interpreter = None

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a message says and return the answer."""
        arguments = dict(message)
        return self._orders[arguments.pop("do")](**arguments)

    def load(
        self,
        model: str,
        sha256: str,
        delegate: str,
        threads: int,
        options: dict[str, Any],
        inputs: str | None,
        seed: int,
    ) -> dict[str, Any]:
        """Load a model and set the first sample."""
        before = _resident()
        verified = _verified(model, sha256)
        self._interpreter = Interpreter(verified, make_chain(delegate, options), num_threads=threads)
        interpreter = self._interpreter
        interpreter.allocate_tensors()
        loaded = _resident()
        self._inputs, self._seed = inputs, seed
        lost = delegate_epsilon(delegate.split("+"), options)
        self._bound = max((part.bound for part in output_precisions(verified, lost)), default=0.0)
        self._set_first_sample()
        placement = interpreter.placement
        counts: dict[str, int] = {}
        for record in placement:
            counts[record.ran] = counts.get(record.ran, 0) + 1
        return {
            "load_ns": interpreter.load_ns,
            "route": interpreter.route.name,
            "device": interpreter.device or None,
            "placement": counts,
            "ops": [[record.subgraph, record.op_index, record.op_name, record.ran] for record in placement],
            "options_in_effect": interpreter.options_in_effect,
            "memory": {"before": before, "loaded": loaded},
        }

    def first_run(self) -> dict[str, Any]:
        """Time one run."""
        samples = self._loaded.time_runs(max_runs=1)
        return {"first_run_ns": int(samples.sum()), "memory": {"first_run": _resident()}}

    def warm_up(self, seconds: float, runs: int, block_seconds: float) -> dict[str, Any]:
        """Run until the time is over and the times have settled, and size the blocks by the last stretch."""
        begin, count = time.perf_counter(), 1
        stretches = [self._total_ns(max(1, runs))]
        steady = False
        while (passed := time.perf_counter() - begin) < seconds or (not steady and passed < PATIENCE * seconds):
            stretches.append(self._total_ns(count))
            count = min(count * 2, 4096)
            steady = len(stretches) > 3 and is_steady(stretches)
        per_run_ns = max(1.0, float(np.median(stretches[-1])))
        warmup = np.concatenate(stretches)
        return {
            "is_steady": steady or seconds == 0,
            "warmup_ns": warmup[:KEPT_WARMUP_RUNS].tolist(),
            "warmup_runs": len(warmup),
            "runs_per_block": min(max(1, int(block_seconds * 1e9 / per_run_ns)), MAX_RUNS_PER_BLOCK),
            "per_run_ns": per_run_ns,
        }

    def run(self, runs: int, discard: int) -> dict[str, Any]:
        """Time a block."""
        cpu = time.process_time_ns()
        samples = np.asarray(self._loaded.time_runs(max_runs=discard + runs))
        cpu = time.process_time_ns() - cpu
        return {
            "samples": pack(samples[discard:]),
            "discarded": pack(samples[:discard]),
            "cpu_ns": cpu,
            "memory": {"peak": _peak()},
        }

    def outputs(self, inputs: str | None, seed: int, count: int, target: str) -> dict[str, Any]:
        """Run samples and write the outputs, real values, to a file."""
        rows = [output_arrays(self._loaded, sample) for sample in stacks_of(self._loaded, inputs, seed, count)]
        self._set_first_sample()
        save_arrays(target, [np.stack(column) for column in zip(*rows, strict=True)])
        return {"samples": len(rows), "bound": self._bound}

    def reference(
        self, model: str, sha256: str, inputs: str | None, seed: int, count: int, target: str
    ) -> dict[str, Any]:
        """Write what the outputs for samples should be, real values, to a file; say which kernels disagree."""
        verified = _verified(model, sha256)
        with Interpreter(verified, None) as interpreter:
            samples = list(stacks_of(interpreter, inputs, seed, count))
            indices = [info.index for info in interpreter.inputs]
            found = take_reference(verified, [dict(zip(indices, row, strict=True)) for row in samples])
            infos = interpreter.outputs
        rows = [
            [dequantize_array(value, info) for value, info in zip(row, infos, strict=True)] for row in found.outputs
        ]
        save_arrays(target, [np.stack(column) for column in zip(*rows, strict=True)])
        return {"samples": len(rows), "doubt": found.doubt, "is_certain": found.is_certain}

    def accuracy(self, inputs: str, labels: str) -> dict[str, Any]:
        """Return the share of samples whose largest output is their label."""
        (wanted,) = (array.ravel() for array in load_arrays(labels))
        found = [
            int(np.argmax(output_arrays(self._loaded, sample)[0]))
            for sample in stacks_of(self._loaded, inputs, 0, None)
        ]
        self._set_first_sample()
        if len(found) != len(wanted):
            raise ValueError(f"{inputs} holds {len(found)} samples and {labels} {len(wanted)} labels")
        return {"accuracy": math.fsum(a == b for a, b in zip(found, wanted.tolist(), strict=True)) / len(found)}

    def profile(self, runs: int) -> dict[str, Any]:
        """Return the times of each op, in the order they ran."""
        found = self._loaded.profile(runs)
        ops = [{"name": op.name, "ran": op.ran, "op_index": op.op_index, "us": op.samples_us} for op in found.ops]
        return {"ops": ops, "runs": found.runs, "note": found.note}

    def quantize(
        self,
        model: str,
        sha256: str,
        target: str,
        precision: str,
        calibration: str | None,
        allow_float32_ops: bool,
    ) -> dict[str, Any]:
        """Write a quantized copy of a model."""
        from litedelegates.quantize import quantize_file

        Path(target).parent.mkdir(parents=True, exist_ok=True)
        content = read_same(model, sha256)
        record = quantize_file(
            content, target, precision, calibration, allow_float32_ops=allow_float32_ops, progress=False
        )
        return {"record": asdict(record)}

    def _total_ns(self, runs: int) -> Samples:
        return np.asarray(self._loaded.time_runs(max_runs=runs).sum(axis=1), dtype=np.int64)

    def _set_first_sample(self) -> None:
        """Set what is timed: the same for every cell of a model."""
        (sample,) = stacks_of(self._loaded, self._inputs, self._seed, 1)
        for info, value in zip(self._loaded.inputs, sample, strict=True):
            self._loaded.set_tensor(info.index, value)

    @property
    def _loaded(self) -> Interpreter:
        if self._interpreter is None:
            raise ValueError("no model is loaded")
        return self._interpreter


def _verified(model: str, sha256: str) -> Model:
    """Return a model whose bytes, as they are run, have a digest; a file that is written over later shows it."""
    verified = Model.load(model)
    if (now := hashlib.sha256(verified.file.bytes.data).hexdigest()) != sha256:
        raise file_changed(model, sha256, now)
    return verified


def _resident() -> int:
    found = read_memory()
    return 0 if found is None else found.resident_bytes


def _peak() -> int:
    found = read_memory()
    return 0 if found is None else found.peak_bytes

"""How fast the devices of `split.py` are now, beside what they were when the layers were studied."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from litedelegates import Interpreter, Xnnpack
from split_network import CORES

_WARMUP = 2


class Drift:
    """Runs the whole float32 model on the core of each device, in turn with whatever else is measured."""

    def __init__(self, model: Path, runs: int) -> None:
        """Measure what later runs are compared with; right after the study that it stands for."""
        self._interpreter = Interpreter(model, delegate=Xnnpack(num_threads=1))
        random = np.random.default_rng(0)
        self._feed = [
            random.random([max(size, 1) for size in detail.shape], np.float32) for detail in self._interpreter.inputs
        ]
        self.forget()
        for _ in range(_WARMUP):
            self.sample()
        self.forget()
        for _ in range(runs):
            self.sample()
        self._then = self._medians()
        self.forget()

    def forget(self) -> None:
        """Start again to compare."""
        self._samples: dict[str, list[float]] = {device: [] for device in CORES}

    def sample(self) -> None:
        """Run the model once on each core."""
        cores = os.sched_getaffinity(0)
        try:
            for device, core in CORES.items():
                os.sched_setaffinity(0, {core})  # of this thread, the only one that computes
                begin = time.perf_counter()
                self._interpreter.run(*self._feed)
                self._samples[device].append(time.perf_counter() - begin)
        finally:
            os.sched_setaffinity(0, cores)

    def now(self) -> dict[str, float]:
        """Return by device what a run took since `forget`, over what it took at the beginning."""
        return {device: seconds / self._then[device] for device, seconds in self._medians().items()}

    def _medians(self) -> Mapping[str, float]:
        return {device: statistics.median(samples) for device, samples in self._samples.items()}

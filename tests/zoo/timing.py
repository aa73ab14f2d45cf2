"""How much faster a model is than another in an engine that judges, timed in turn: python -m zoo.timing MODEL OTHER."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from statistics import median

from zoo.engines import KERNELS, open_engine, random_values
from zoo.trial import emit

BLOCKS = 20
SECONDS = 3.0
# The 6th smallest and largest of 20 values enclose the median with 95.9 % (binomial).
_OUTSIDE = 5


def time_in_turn(model: Path, other: Path) -> None:
    """Emit the time of ``model`` over that of ``other``: the median over blocks, and its interval."""
    engines = [open_engine(path, model.suffix, KERNELS[model.suffix][1]) for path in (model, other)]
    values = random_values(engines[0].inputs, 0)
    begin = time.perf_counter()
    for engine in engines:
        for _ in range(3):
            engine.run(values)
    runs = max(1, round(SECONDS / BLOCKS / ((time.perf_counter() - begin) / 3)))
    ratios = []
    for _ in range(BLOCKS):
        times: list[list[float]] = [[], []]
        for _ in range(runs):
            for engine, own in zip(engines, times, strict=True):
                begin = time.perf_counter()
                engine.run(values)
                own.append(time.perf_counter() - begin)
        ratios.append(median(times[0]) / median(times[1]))
    ratios.sort()
    emit(ratio=median(ratios), low=ratios[_OUTSIDE], high=ratios[-1 - _OUTSIDE], runs=runs * BLOCKS)


if __name__ == "__main__":
    time_in_turn(Path(sys.argv[1]), Path(sys.argv[2]))

"""The energy that the machine takes meanwhile, where it has a meter; else why not."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

from litedelegates.measure.energy_meters import Meter, find_meters
from litedelegates.measure.kernel_files import ROOT


@dataclass(frozen=True)
class Energy:
    """What was taken in a stretch of time, by everything that the meter covers and not by one process alone.

    Attributes:
        joules: Energy; None when it could not be told.
        seconds: The stretch.
        sources: The meters, added up.
        unavailable: Why there is no figure; None if there is one.
    """

    joules: float | None
    seconds: float
    sources: tuple[str, ...]
    unavailable: str | None

    @property
    def watts(self) -> float | None:
        """Mean power."""
        return None if self.joules is None or self.seconds <= 0 else self.joules / self.seconds


class EnergyMeter:
    """Measures the energy of a ``with`` block.

    A counter of energy is read at both ends. A sensor of power is read again and again by a thread, which takes a
    little of a CPU: use it around a stretch of its own and not around the samples that are reported.

    Attributes:
        energy: What was found; there after the block.
    """

    def __init__(self, root: Path = ROOT, every_seconds: float = 0.05) -> None:
        """Find the meters under ``root`` and read sensors of power every ``every_seconds``."""
        self._meters, self._reason = find_meters(root)
        self._every = every_seconds
        self.energy: Energy | None = None

    def __enter__(self) -> EnergyMeter:
        self._stop = threading.Event()
        self._failed: str | None = None
        self._counters = [(meter, meter.read()) for meter in self._meters if meter.kind == "energy"]
        self._powers: list[Meter] = [meter for meter in self._meters if meter.kind == "power"]
        self._curve: list[tuple[float, float]] = []
        self._begin = time.perf_counter()
        self._thread = threading.Thread(target=self._sample, daemon=True) if self._powers else None
        if self._thread is not None:
            self._note()
            self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._note()
        seconds = time.perf_counter() - self._begin
        names = tuple(meter.name for meter in self._meters)
        microjoules = self._counted() + self._integrated()
        reason = self._reason or self._failed
        self.energy = Energy(None if reason else microjoules / 1e6, seconds, names, reason)

    def _counted(self) -> float:
        total = 0
        for meter, first in self._counters:
            last = meter.read()
            if first is None or last is None:
                self._failed = f"{meter.name} could not be read any more"
                continue
            if last < first and meter.wraps_at_uj is None:
                self._failed = f"{meter.name} went back from {first} to {last} microjoules"
            total += last - first if last >= first else last - first + (meter.wraps_at_uj or 0)
        return float(total)

    def _integrated(self) -> float:
        """Return the area under the power, by trapezoids."""
        pairs = zip(self._curve, self._curve[1:], strict=False)
        return sum((later - now) * (power + next_power) / 2 for (now, power), (later, next_power) in pairs)

    def _sample(self) -> None:
        while not self._stop.wait(self._every):
            self._note()

    def _note(self) -> None:
        total = 0
        for meter in self._powers:
            microwatts = meter.read()
            if microwatts is None:
                self._failed = f"{meter.name} could not be read any more"
                return
            total += microwatts
        self._curve.append((time.perf_counter(), float(total)))

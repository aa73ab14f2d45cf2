"""What was wrong with the machine while it measured: said beside the figure, which may mislead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from litedelegates.measure.machine_state import MachineState
from litedelegates.measure.statistics import Floats, as_samples, find_dependence

Kind: TypeAlias = Literal[
    "governor", "busy", "stolen", "quota", "throttled", "hot", "frequency", "drift", "not steady", "not waited"
]
Severity: TypeAlias = Literal["note", "warning"]

BUSY_SHARE = 0.05  # of all CPUs
STOLEN_SHARE = 0.01
LOW_FREQUENCY = 0.9  # of the highest one
DEGREES_TO_TRIP = 5.0
DRIFT = 0.05
RASPBERRY_PI_FLAGS = {0: "the supply voltage is too low", 1: "the clock is capped", 2: "the CPU is throttled"}


@dataclass(frozen=True)
class Condition:
    """Something that a reader of the figures has to know.

    Attributes:
        kind: A word for programs.
        severity: A "warning" puts the figures in doubt, a "note" explains them.
        text: A sentence for people.
    """

    kind: Kind
    severity: Severity
    text: str


def check_before(state: MachineState) -> list[Condition]:
    """Return what should be put right before a measurement begins."""
    return [*_check_governor(state), *_check_load(state), *_check_flags(state)]


def check_between(before: MachineState, after: MachineState) -> list[Condition]:
    """Return what happened while it was measured, from the state right before and right after."""
    return [
        *_check_governor(after),
        *_check_others(before, after),
        *_check_throttling(before, after),
        *_check_temperature(after),
        *_check_frequency(before, after),
    ]


def find_drift(values: ArrayLike, least: float = DRIFT) -> Condition | None:
    """Return a warning when a series grows or falls from its first to its last third, by more than it scatters.

    A drift that meets all configurations does not touch their ratios, but it does touch every single latency. The
    values scatter by their MAD within each third; four standard errors of the difference have to be exceeded, which
    neighbours that depend on each other make larger.

    Args:
        values: For instance the medians of the blocks, in the order in which they were made.
        least: The smallest change to tell, as a share.

    Raises:
        SampleError: There are no samples, or one is not finite.
    """
    series = as_samples(values)
    third = len(series) // 3
    if third < 4:
        return None
    first, last = series[:third], series[-third:]
    begin, end = float(np.median(first)), float(np.median(last))
    change = end / begin - 1 if begin > 0 else 0.0
    if abs(change) <= least or abs(end - begin) <= 4 * float(np.hypot(_error(first), _error(last))):
        return None
    word = "longer" if change > 0 else "shorter"
    text = f"runs took {abs(change):.0%} {word} at the end than at the beginning: the single latencies drift"
    return Condition("drift", "warning", f"{text}; ratios of the same rounds hold")


def find_unwaited(parts_ns: ArrayLike, wall_ns: float | None = None) -> list[Condition]:
    """Return whether the time of a run is that until the result was there.

    Args:
        parts_ns: Upload, run and read-back of each run, shape (runs, 3), nanoseconds.
        wall_ns: Time around all of these runs together, where it was taken.

    Raises:
        ValueError: The array has another shape.
    """
    parts = np.asarray(parts_ns, dtype=np.float64)
    if parts.ndim != 2 or parts.shape[1] != 3 or not len(parts):
        raise ValueError(f"the parts have the shape {parts.shape}; (runs, 3) is wanted: upload, run, read-back")
    found = []
    total = float(parts.sum())
    if wall_ns is not None and total < 0.8 * wall_ns:
        share = total / wall_ns
        text = f"the samples hold {share:.0%} of the time that passed around them: something was not waited for"
        found.append(Condition("not waited", "warning", text))
    _, run, read = np.median(parts, axis=0)
    if read > run and read > 0.3 * np.median(parts.sum(axis=1)) and read > 100_000:
        share = float(np.median(parts[:, 2] / np.maximum(1, parts.sum(axis=1))))
        text = f"the run returns before the result is there: {share:.0%} of the time is spent in reading it back, "
        found.append(Condition("not waited", "note", text + "so the time of the run alone is no latency"))
    return found


def find_unsteady(is_steady: bool, warmup_ns: Sequence[int] | ArrayLike) -> Condition | None:
    """Return a warning when the warm-up ended before the times had settled."""
    if is_steady:
        return None
    runs = len(np.asarray(warmup_ns))
    return Condition("not steady", "warning", f"the times had not settled after {runs} runs of warm-up")


def _check_governor(state: MachineState) -> Iterator[Condition]:
    others = [governor for governor in state.governors if governor != "performance"]
    if others:
        advice = "sudo cpupower frequency-set -g performance"
        text = f"the governor is {' and '.join(others)}, so the clock follows the load ({advice})"
        yield Condition("governor", "warning", text)


def _check_load(state: MachineState) -> Iterator[Condition]:
    if state.load_average is not None and state.load_average > 0.5 * state.cpus:
        text = f"{state.load_average:.1f} processes wanted to run in the last minute on {state.cpus} CPUs"
        yield Condition("busy", "note", text)


def _check_others(before: MachineState, after: MachineState) -> Iterator[Condition]:
    available = (after.at_s - before.at_s) * after.cpus
    if available <= 0:
        return
    if before.busy_s is not None and after.busy_s is not None:
        # The kernel counts in steps of 10 ms, and each of the four figures may be one off.
        others = after.busy_s - before.busy_s - (after.own_s - before.own_s) - 0.04
        if others > BUSY_SHARE * available:
            text = f"other processes took {others / available:.0%} of the CPU time of {after.cpus} CPUs meanwhile"
            yield Condition("busy", "warning", text)
    if before.stolen_s is not None and after.stolen_s is not None:
        stolen = after.stolen_s - before.stolen_s - 0.02
        if stolen > STOLEN_SHARE * available:
            text = f"the hypervisor gave {stolen / available:.1%} of the CPU time to other machines meanwhile"
            yield Condition("stolen", "warning", text)
    if (waits := _grown(before.quota_waits, after.quota_waits)) > 0:
        text = f"the CPU quota of this container was used up {waits} times meanwhile"
        yield Condition("quota", "warning", text)


def _check_throttling(before: MachineState, after: MachineState) -> Iterator[Condition]:
    if (events := _grown(before.throttle_events, after.throttle_events)) > 0:
        yield Condition("throttled", "warning", f"CPUs were slowed down for heat {events} times meanwhile")
    yield from _check_flags(after)
    # Bits 16 to 18 stay set until the board starts anew, so only a new one happened meanwhile.
    new = (after.firmware_flags or 0) & ~(before.firmware_flags or 0)
    for bit, text in RASPBERRY_PI_FLAGS.items():
        now = (after.firmware_flags or 0) >> bit & 1
        if before.firmware_flags is not None and new >> (16 + bit) & 1 and not now:
            yield Condition("throttled", "warning", f"meanwhile, for a time: {text}")


def _check_flags(state: MachineState) -> Iterator[Condition]:
    for bit, text in RASPBERRY_PI_FLAGS.items():
        if (state.firmware_flags or 0) >> bit & 1:
            yield Condition("throttled", "warning", f"{text}, says the firmware of the board")


def _check_temperature(state: MachineState) -> Iterator[Condition]:
    if state.temperature_c is None or state.trip_c is None:
        return
    if state.temperature_c > state.trip_c - DEGREES_TO_TRIP:
        text = (
            f"it is {state.temperature_c:.0f} degrees C; from {state.trip_c:.0f} on the kernel slows the machine down"
        )
        yield Condition("hot", "warning", text)


def _check_frequency(before: MachineState, after: MachineState) -> Iterator[Condition]:
    # Idle CPUs are slow by design; the quickest one after the last run is the one that ran.
    if not after.frequencies_mhz:
        return
    now = max(after.frequencies_mhz)
    highest = max(filter(None, [after.max_frequency_mhz, *before.frequencies_mhz, now]))
    if now < LOW_FREQUENCY * highest:
        yield Condition("frequency", "warning", f"the quickest CPU ran at {now:.0f} MHz and could run at {highest:.0f}")


def _grown(before: int | None, after: int | None) -> int:
    return 0 if before is None or after is None else after - before


def _error(samples: Floats) -> float:
    """Return the standard error of the median of a stretch of a series, its dependence included."""
    mad = float(np.median(np.abs(samples - np.median(samples))))
    return 1.2533 * 1.4826 * mad * float(np.sqrt(find_dependence(samples) / len(samples)))

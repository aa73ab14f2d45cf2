"""The times of layers where they are: the profile of the whole model, mapped back to its layers."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import asdict, replace

from litedelegates.delegates.base import GPU, NPU
from litedelegates.engines import Array
from litedelegates.engines.records import EngineProfile
from litedelegates.errors import OptionError, RunError
from litedelegates.layers.placing import place
from litedelegates.layers.prefixes import MOST_PREFIXES, prefix_differences
from litedelegates.layers.records import InPlace, Setting
from litedelegates.layers.sessions import check_delegate
from litedelegates.layers.sessions_apart import Apart, ApartSession
from litedelegates.layers.sums import TOLERANCE
from litedelegates.layers.variants import Variant
from litedelegates.measure import Interleaved, Plan, interleave
from litedelegates.study.delegates import make_chain, parse_delegate

# Rounds of runs without a profiler; fewer give no 95 % interval of their median.
ROUNDS = 6
# Profiles taken between them, each on a copy of the model loaded anew. ONNX Runtime names what it puts in differently
# each time, so that only one of its profiles can be read.
PROFILES = {"tflite": 3, "onnx": 1}
# The rounds are to be completed.
NO_END = 1e9


def in_place(
    variant: Variant,
    setting: Setting,
    *,
    runs: int = 50,
    seconds: float = 1.0,
    seed: int = 0,
    inputs: Mapping[str, Array] | None = None,
    most_prefixes: int = MOST_PREFIXES,
    time_limit: float = 60.0,
    memory_limit: int | None = None,
) -> InPlace:
    """Return the times of the layers of a whole model, from the engine's profiler.

    The latency of the model without a profiler is measured in rounds, and profiled runs lie between the rounds, so that
    both see the same machine. A GPU or NPU cannot be profiled per op: there the layers between two cuts get the
    difference of the times of the model up to either (`prefix_differences`).

    All of it runs in a process of its own, so that a delegate that crashes or hangs ends that one alone.

    Args:
        variant: The model.
        setting: How to run it.
        runs: Profiled runs.
        seconds: Time of the runs without a profiler, warm-up not counted.
        seed: Of the inputs that are made up.
        inputs: The arrays to run on, by input name; by default random ones.
        most_prefixes: Where only differences are possible: more cuts than this are refused, as each is a model to load.
        time_limit: Seconds that a load, or a stretch of runs, may take; runs get more where those before were slow.
        memory_limit: Bytes of memory at which the process is ended; by default most of what is free now.

    Raises:
        OptionError: There is no such delegate or provider, or ``runs`` is below 1.
        UnsupportedError: Differences would take too many cuts.
        RunError: The model cannot be loaded, run or profiled so, or brought the process down; says why.
        CellFailed: No process can be started.
    """
    check_delegate(setting.delegate, variant.graph.format)
    if runs < 1:
        raise OptionError(f"runs={runs}: at least one run is needed")
    if variant.graph.format == "tflite" and _has_no_profile(setting.delegate):
        return prefix_differences(
            variant,
            setting,
            seconds=seconds,
            seed=seed,
            inputs=inputs,
            most=most_prefixes,
            time_limit=time_limit,
            memory_limit=memory_limit,
        )
    with Apart(time_limit, memory_limit) as apart:
        session = apart.load(variant.path, setting, seed, inputs)
        timed, profile = _measure(session, apart.pid, runs, PROFILES[variant.graph.format], seconds, seed)
    whole = timed["whole"]
    interval = whole.median_interval_ns()
    parts = tuple(place(variant, profile))
    notes = [profile.note] if profile.note else []
    unmapped = sum(part.role == "unmapped" for part in parts)
    if unmapped:
        notes.append(f"{unmapped} of {len(parts)} parts could not be mapped to a layer.")
    found = InPlace(
        setting,
        parts,
        whole.median_ns / 1e3,
        None if interval is None else interval.low / 1e3,
        None if interval is None else interval.high / 1e3,
        statistics.median(profile.whole_us) if profile.whole_us else None,
        conditions=tuple(asdict(condition) for condition in timed.conditions),
    )
    share = found.total_us / (whole.median_ns / 1e3)
    if abs(share - 1) > TOLERANCE:
        why = "the profiler itself takes time" if share > 1 else "the rest is spent between them"
        notes.append(
            f"The parts sum to {share:.0%} of the time without a profiler: {why}, or the machine was disturbed."
        )
    return replace(found, note=" ".join(notes))


def _has_no_profile(delegate: str) -> bool:
    return any(entry.hardware in (GPU, NPU) for entry in make_chain(*parse_delegate(delegate)))


def _measure(
    session: ApartSession, pid: int, runs: int, most: int, seconds: float, seed: int
) -> tuple[Interleaved, EngineProfile]:
    """Time a session, which a process runs, and profile it up to ``most`` times between the rounds, evenly spread."""
    count = max(1, min(most, runs))
    shares = {ROUNDS * (2 * k + 1) // (2 * count): runs * (k + 1) // count - runs * k // count for k in range(count)}
    profiles: list[EngineProfile] = []

    def profile_between(found: Interleaved) -> None:
        if found.rounds in shares:
            profiles.append(session.profile(shares[found.rounds]))

    plan = Plan(max_seconds=NO_END, min_rounds=ROUNDS, max_rounds=ROUNDS, block_seconds=seconds / ROUNDS, seed=seed)
    timers = {"whole": lambda n: session.time_runs(max_runs=n)}
    timed = interleave(timers, plan, progress=profile_between, pids=[pid])
    return timed, _joined(profiles)


def _joined(profiles: list[EngineProfile]) -> EngineProfile:
    """Return several profiles of one model as one."""
    first = profiles[0]
    for other in profiles[1:]:
        if [op.name for op in other.ops] != [op.name for op in first.ops]:
            raise RunError("the engine ran other ops when the model was loaded again: their times cannot be joined")
    together = zip(*(profile.ops for profile in profiles), strict=True)
    ops = (replace(same[0], samples_us=tuple(us for op in same for us in op.samples_us)) for same in together)
    whole_us = tuple(us for profile in profiles for us in profile.whole_us)
    notes = dict.fromkeys(profile.note for profile in profiles if profile.note)
    return EngineProfile(tuple(ops), sum(p.runs for p in profiles), whole_us, " ".join(notes), first.optimized)

"""Times of layers on what cannot be profiled: the model up to a cut takes longer than up to the cut before."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from litedelegates.engines import Array
from litedelegates.errors import UnsupportedError
from litedelegates.graph import Graph, cut
from litedelegates.layers.records import InPlace, PartTiming, Role, Setting
from litedelegates.layers.sessions_apart import Apart, ApartSession
from litedelegates.layers.variants import Variant
from litedelegates.measure import Plan, Timer, interleave

# Each is loaded, and all at once, so that they can be timed in turn.
MOST_PREFIXES = 40
_ROUNDS = 6
_NO_END = 1e9
_WHOLE = "whole"


def prefix_differences(
    variant: Variant,
    setting: Setting,
    *,
    seconds: float = 1.0,
    seed: int = 0,
    inputs: Mapping[str, Array] | None = None,
    most: int = MOST_PREFIXES,
    time_limit: float = 60.0,
    memory_limit: int | None = None,
) -> InPlace:
    """Return estimates of the times of layers, from models that end after each cut, timed in turn.

    A difference may be below zero: the tensor that has to be read back at one cut is smaller than at the one before.

    Args:
        variant: The model.
        setting: How to run it.
        seconds: Time of the runs of each prefix.
        seed: Of the inputs that are made up.
        inputs: The arrays to run on, by input name; by default random ones.
        most: More cuts than this are refused.
        time_limit: As in `in_place.in_place`, like the next.
        memory_limit: Bytes of memory at which the process is ended.

    Raises:
        UnsupportedError: There are more cuts than ``most``.
        RunError: A prefix cannot be loaded or run, or brought the process down; says why.
        CellFailed: No process can be started.
    """
    positions = [place.position for place in variant.graph.cuts if place.refusal is None]
    if len(positions) > most:
        raise UnsupportedError(
            f"{setting.delegate} cannot be profiled per op, and the differences between prefixes would need "
            f"{len(positions)} models on it at once, more than {most}: use the times of the layers alone, or allow more"
        )
    with (
        tempfile.TemporaryDirectory(prefix="litedelegates.", ignore_cleanup_errors=True) as folder,
        Apart(time_limit, memory_limit) as apart,
    ):
        timers: dict[str, Timer] = {}
        for position in positions:
            path = Path(folder) / f"{position}.{variant.graph.format}"
            cut(variant.graph, at=position)[0].save(path)
            timers[str(position)] = _timer(apart.load(str(path), setting, seed, inputs))
        timers[_WHOLE] = _timer(apart.load(variant.path, setting, seed, inputs))
        plan = Plan(max_seconds=_NO_END, min_rounds=_ROUNDS, max_rounds=_ROUNDS, block_seconds=seconds / _ROUNDS)
        timed = interleave(timers, plan, pids=[apart.pid])
    whole = timed[_WHOLE]
    interval = whole.median_interval_ns()
    blocks = {name: np.array([np.median(block) for block in timed[name].blocks_ns]) / 1e3 for name in timers}
    return InPlace(
        setting,
        tuple(_parts(variant, setting, positions, blocks)),
        whole.median_ns / 1e3,
        None if interval is None else interval.low / 1e3,
        None if interval is None else interval.high / 1e3,
        is_estimate=True,
        note=(
            f"{setting.delegate} cannot be profiled per op. These are differences between the times of the model up to "
            "one cut and up to the cut before, each with its own upload and read-back; what is below zero was cheaper "
            "to read back."
        ),
        conditions=tuple(asdict(condition) for condition in timed.conditions),
    )


def _timer(session: ApartSession) -> Timer:
    return lambda runs: session.time_runs(max_runs=runs)


def _parts(variant: Variant, setting: Setting, positions: list[int], blocks: Mapping[str, Array]) -> list[PartTiming]:
    ends = [(str(position), position) for position in positions] + [(_WHOLE, len(variant.graph.ops))]
    before = np.zeros(len(blocks[_WHOLE]))
    parts, start = [], 0
    for name, end in ends:
        layers = _layers(variant.graph, variant, start, end)
        label = f"ops {start} to {end - 1}"
        samples = tuple(float(us) for us in blocks[name] - before)
        role: Role = "layer" if layers else "unmapped"
        parts.append(PartTiming(label, setting.delegate, role, layers, samples, "difference of prefixes"))
        before, start = blocks[name], end
    return parts


def _layers(graph: Graph, variant: Variant, start: int, end: int) -> tuple[int, ...]:
    owners = [variant.owners[op.index] for op in graph.ops[start:end] if op.index in variant.owners]
    computed = dict.fromkeys(layer for owner in owners if owner.role == "layer" for layer in owner.layers)
    return tuple(computed or dict.fromkeys(layer for owner in owners for layer in owner.layers))

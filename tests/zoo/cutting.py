"""Cut a model at five places and run the parts one after the other: python -m zoo.cutting MODEL.

The parts and the whole run in an engine that judges, on kernels that are the same for an op wherever it stands, so that
the outputs have to be equal bit for bit. Where the batch is open, at batch 1 and 3.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.engines import KERNELS, is_open, open_engine, random_values
from zoo.trial import BATCHES, describe, distance, emit

PLACES = 5


def spread(positions: Sequence[int], count: int) -> list[int]:
    """Return ``count`` of the positions, evenly spread; all where there are not more."""
    if len(positions) <= count:
        return list(positions)
    return [positions[round((place + 0.5) * len(positions) / count - 0.5)] for place in range(count)]


def cut_all(path: Path) -> None:
    from litedelegates.graph import load

    graph = load(path)
    legal = [place.position for place in graph.cuts if place.refusal is None]
    refusals = [place.refusal for place in graph.cuts if place.refusal is not None]
    emit(ops=len(graph.ops), legal=len(legal), refusals=sorted(set(refusals))[:20])
    kernels = KERNELS[path.suffix][0]
    whole = open_engine(path, path.suffix, kernels)
    batches = BATCHES if any(map(is_open, whole.inputs)) else BATCHES[:1]
    feeds = [random_values(whole.inputs, 200 + batch, batch) for batch in batches]
    wanted = []
    for feed in feeds:
        try:
            wanted.append(whole.run(feed))
        except Exception:  # this batch does not run as a whole either
            break
    if not wanted:
        emit(error="the whole does not run")
        return
    places = [[place] for place in spread(legal, PLACES)]
    for place in [*places, *([[place for (place,) in places]] if len(places) > 1 else [])]:
        emit(at=place, doing=True)
        emit(at=place, **_try(graph, place, path.suffix, kernels, feeds[: len(wanted)], wanted))


def _try(graph: Any, at: list[int], suffix: str, kernels: str, feeds: list[Any], wanted: list[Any]) -> dict[str, Any]:
    from litedelegates import LiteDelegatesError
    from litedelegates.graph import cut

    try:
        parts = cut(graph, at=at)
        contents = [part.to_bytes() for part in parts]
    except LiteDelegatesError as error:
        return {"status": "refused", "reason": describe(error)}
    except Exception as error:
        return {"status": "error", "reason": describe(error)}
    try:
        engines = [open_engine(content, suffix, kernels) for content in contents]
        distances = []
        for feed, values in zip(feeds, wanted, strict=True):
            known = dict(zip(graph.input_names, feed, strict=True))
            for part, engine in zip(parts, engines, strict=True):
                given = engine.run([known[name] for name in part.input_names])
                known.update(zip(part.output_names, given, strict=True))
            distances += [_distance(known[name], value) for name, value in zip(graph.output_names, values, strict=True)]
    except Exception as error:
        return {"status": "does not run", "reason": describe(error)}
    worst = max(distances)
    return {"status": "equal" if worst == 0 else "wrong", "distance": min(1e9, worst), "batches": len(feeds)}


def _distance(value: Any, wanted: Any) -> float:
    """Return 0 where every bit is the same."""
    same = value.dtype == wanted.dtype and value.shape == wanted.shape and value.tobytes() == wanted.tobytes()
    return (
        0.0
        if same or np.array_equal(value, wanted, equal_nan=value.dtype.kind == "f")
        else max(1e-30, distance(value, wanted))
    )


if __name__ == "__main__":
    cut_all(Path(sys.argv[1]))

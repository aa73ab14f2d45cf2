"""Inputs that go through a pipeline together, and their outputs taken apart again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from litedelegates.deploy.records import Manifest
from litedelegates.engines import Array
from litedelegates.errors import OptionError


def check_batch(batch: int, manifest: Manifest) -> None:
    """Raise unless inputs can be gathered.

    Raises:
        OptionError: ``batch`` is below 1, or the models have a fixed first dimension or early exits.
    """
    if batch < 1:
        raise OptionError(f"batch={batch}: it must be at least 1")
    if batch == 1:
        return
    if manifest.exits:
        raise OptionError(f"batch={batch}: inputs leave early one by one, so they cannot be gathered")
    for stage in (*manifest.stages, *manifest.fallback):
        for port in (*stage.inputs, *stage.outputs):
            if not port.shape or port.shape[0] != -1:
                raise OptionError(
                    f"batch={batch}: {port.name!r} of stage {stage.number} has the shape {list(port.shape)}, whose "
                    "first dimension is not open; deploy a model with an open one, or leave batch at 1"
                )


def gather(feeds: Iterable[Mapping[str, Array]], batch: int) -> Iterator[tuple[dict[str, Array], list[int]]]:
    """Yield up to ``batch`` inputs as one, and how many rows each of them has; waits until there are so many."""
    waiting: list[Mapping[str, Array]] = []
    for feed in feeds:
        waiting.append(feed)
        if len(waiting) == batch:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(feeds: Sequence[Mapping[str, Array]]) -> tuple[dict[str, Array], list[int]]:
    if len(feeds) == 1:
        return dict(feeds[0]), [1]
    rows = [len(next(iter(feed.values()))) for feed in feeds]
    return {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]}, rows


def split(outputs: Mapping[str, Array], rows: Sequence[int]) -> Iterator[dict[str, Array]]:
    """Yield the outputs of each input that `gather` put together."""
    if len(rows) == 1:
        yield dict(outputs)
        return
    ends = np.cumsum(rows)[:-1]
    parts = {name: np.split(values, ends) for name, values in outputs.items()}
    for number in range(len(rows)):
        yield {name: values[number] for name, values in parts.items()}

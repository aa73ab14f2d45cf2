"""The samples that errors are taken over, and their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from litedelegates.engines import Array
from litedelegates.engines.inputs import random_value
from litedelegates.engines.records import PortInfo
from litedelegates.errors import OptionError
from litedelegates.graph import Graph
from litedelegates.model import numpy_dtype
from litedelegates.quantize.calibration_files import load_samples

Feed: TypeAlias = "dict[str, Array]"


class SamplesError(OptionError):
    """The samples or labels given do not fit the model."""


@dataclass(frozen=True, eq=False)
class Samples:
    """What errors are taken over.

    Attributes:
        feeds: Samples, by input name.
        labels: The label of each; None where there are none.
    """

    feeds: list[Feed]
    labels: list[Any] | None = None

    @classmethod
    def load(cls, graph: Graph, inputs: str | None, labels: str | None, count: int, seed: int) -> Samples:
        """Return what `load_feeds` and `load_labels` read.

        Raises:
            SamplesError: A file does not fit the model.
            OptionError: Values cannot be made up for an input.
            OSError: A file cannot be read.
        """
        feeds = load_feeds(graph, inputs, count, seed)
        return cls(feeds, None if labels is None else load_labels(labels, feeds))


def input_infos(graph: Graph) -> list[PortInfo]:
    """Return what a model takes."""
    return [PortInfo(graph.public_name(t), t.shape or (), t.element_type) for t in graph.inputs]


def load_feeds(graph: Graph, path: str | None, count: int, seed: int = 0) -> list[Feed]:
    """Return up to ``count`` samples by input name, batch axis included; random ones where there is no file.

    Args:
        graph: The model that takes them.
        path: A ``.npy`` (one input) or ``.npz`` (by name), the samples along the first axis.
        count: How many at most.
        seed: Of random samples.

    Raises:
        SamplesError: The file does not fit the inputs, or holds no sample.
        OptionError: Values cannot be made up for an input.
        OSError: The file cannot be read.
    """
    infos = input_infos(graph)
    if path is None:
        rng = np.random.default_rng(seed)
        return [{info.name: random_value(info, rng) for info in infos} for _ in range(count)]
    stacks = _stacks(infos, path)
    columns = {info.name: _samples(stacks[info.name], info, path, count) for info in infos}
    held = min(map(len, columns.values()), default=0)
    if not held:
        raise SamplesError(f"{path} holds no sample")
    return [{name: samples[index] for name, samples in columns.items()} for index in range(held)]


def load_labels(path: str, feeds: Sequence[Mapping[str, Array]]) -> list[Any]:
    """Return the label of each sample, or the labels of each row where a sample is a batch of several.

    Raises:
        SamplesError: There are too few, or they are no integers.
        OSError: The file cannot be read.
    """
    loaded = load_samples(path)
    if not isinstance(loaded, np.ndarray) or loaded.dtype.kind not in "iu":
        raise SamplesError(f"{path}: labels are one array of integers, a .npy")
    rows = max((len(array) for array in feeds[0].values() if array.ndim), default=1)
    labels = loaded.ravel()
    if len(labels) < len(feeds) * rows:
        raise SamplesError(f"{path} holds {len(labels)} labels; there are {len(feeds) * rows} samples")
    return [label if rows > 1 else int(label[0]) for label in labels[: len(feeds) * rows].reshape(-1, rows)]


def _stacks(infos: Sequence[PortInfo], path: str) -> Mapping[str, Array]:
    loaded = load_samples(path)
    if isinstance(loaded, str):
        raise SamplesError(f"{path} {loaded}")
    if isinstance(loaded, np.ndarray):
        loaded = {"": loaded}
    if len(infos) == 1 and len(loaded) == 1:
        return {infos[0].name: next(iter(loaded.values()))}
    missing = [info.name for info in infos if info.name not in loaded]
    if missing:
        found = ", ".join(name or "one without a name" for name in loaded)
        raise SamplesError(f"{path} has no array named {', '.join(missing)}; it has {found}: use a .npz by input name")
    return loaded


def _samples(stack: Array, info: PortInfo, path: str, count: int) -> list[Array]:
    dtype, takes = numpy_dtype(info.element_type), f"input {info.name!r} takes {info.shape} {info.element_type}"
    if stack.dtype != dtype and not stack.dtype.kind == dtype.kind == "f":
        raise SamplesError(f"{path}: a sample is {stack.dtype}; {takes}: scale it as the model was trained")
    if stack.ndim == len(info.shape) and stack.ndim:  # the samples are rows of batches
        rows = max(info.shape[0], 1)
        found = [stack[start : start + rows] for start in range(0, len(stack) - rows + 1, rows)][:count]
    else:
        found = list(stack[:count]) if stack.ndim else []
    for sample in found[:1]:
        fits = all(have == want or want < 0 for have, want in zip(sample.shape, info.shape, strict=False))
        if sample.ndim != len(info.shape) or not fits:
            raise SamplesError(
                f"{path}: a sample has the shape {sample.shape}; {takes}. The first axis of the file counts the samples"
            )
    return [np.asarray(sample, dtype, order="C") for sample in found]  # keeps rank 0

"""What the tensors of a graph hold on a probe input, as samples that do not depend on the layout.

Inner tensors are made outputs some megabytes at a time, so that never all of them are in memory.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from litedelegates.engines import open_session
from litedelegates.errors import OptionError
from litedelegates.graph import Graph, Tensor, expose
from litedelegates.graph.cuts import untransportable

Array: TypeAlias = "np.ndarray[Any, Any]"
Shape: TypeAlias = tuple[int, ...]
PLACES = 4096  # of a tensor's values that are kept: equal by chance at as many places does not happen
WINDOW_NBYTES = 64 << 20


@dataclass(frozen=True)
class Probe:
    """Values of a tensor at evenly spread places, in each layout that it may have.

    Attributes:
        samples: By shape without sizes of 1: the values as they lie, and with the second axis moved to the end as in
            files with channels last.
    """

    samples: Mapping[Shape, tuple[Array, ...]]

    @classmethod
    def of(cls, values: Array) -> Probe:
        """Return the probe of a tensor's values."""
        found: dict[Shape, tuple[Array, ...]] = {}
        for layout in (values, np.moveaxis(values, 1, -1)) if values.ndim > 2 else (values,):
            shape = tuple(size for size in layout.shape if size != 1)
            places = np.linspace(0, values.size - 1, min(values.size, PLACES)).astype(np.int64)
            found[shape] = (*found.get(shape, ()), layout.reshape(-1)[places].astype(np.float64))
        return cls(found)

    def difference(self, other: Probe) -> float:
        """Return the root mean square of the differences over that of the values, in the layouts that fit best.

        inf where no layouts fit, and where the values say nothing: they are all the same, or not finite.
        """
        return min(
            (
                _difference(own, others)
                for shape in self.samples
                for own in self.samples[shape]
                for others in other.samples.get(shape, ())
            ),
            default=np.inf,
        )


def _difference(own: Array, others: Array) -> float:
    if not (np.isfinite(own).all() and np.isfinite(others).all()) or np.ptp(own) == 0:
        return float(np.inf)
    return float(np.sqrt(np.mean((own - others) ** 2) / np.mean(own**2)))


def probe(graph: Graph, tensors: Iterable[Tensor], feed: Mapping[str, Array]) -> dict[Tensor, Probe]:
    """Run a model on the kernels that each op has by itself, and return what some of its tensors hold.

    Raises:
        RunError: The model cannot run on this input.
        MissingExtraError: The engine is not installed.
    """
    found: dict[Tensor, Probe] = {}
    with tempfile.TemporaryDirectory(prefix="litedelegates-", ignore_cleanup_errors=True) as folder:
        path = os.fspath(Path(folder) / f"probe.{graph.format}")
        for window in _windows(tensors):
            exposed = expose(graph, window)
            exposed.save(path)
            names = {exposed.public_name(tensor): tensor for tensor in window}
            with closing(open_session(path, same_kernels=True)) as session:
                for name, values in session.run(feed).items():
                    if name in names and values.size and values.dtype.kind in "fiu":
                        found[names[name]] = Probe.of(_real(values, names[name]))
    return found


def random_feed(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """Return uniform values from 0 to 1 for the floating-point inputs of a graph; sizes left open are 1.

    Raises:
        OptionError: An input takes something else, which only the caller can know.
    """
    random = np.random.default_rng(seed)
    for tensor in graph.inputs:
        if tensor.element_type != "float32" or tensor.shape is None:
            raise OptionError(
                f"input {graph.public_name(tensor)!r} takes {tensor.element_type}: give values for it, feeds={{...}}"
            )
    return {
        graph.public_name(tensor): random.random([max(1, size) for size in tensor.shape or ()], np.float32)
        for tensor in graph.inputs
    }


def fit_feed(graph: Graph, values: Iterable[Array]) -> dict[str, Array]:
    """Return values in the order of the inputs as a feed of this graph, turned to channels first where it has them.

    Raises:
        OptionError: They are not as many as its inputs, or one does not fit in any layout.
    """
    given = list(values)
    if len(given) != len(graph.inputs):
        raise OptionError(f"{len(given)} inputs are given for the {len(graph.inputs)} of {graph!r}")
    return {graph.public_name(tensor): _fit(tensor, value) for tensor, value in zip(graph.inputs, given, strict=True)}


def _fit(tensor: Tensor, value: Array) -> Array:
    turns: list[Callable[[Array], Array]] = [lambda array: array]
    if value.ndim > 2:
        turns += [lambda array: np.moveaxis(array, -1, 1), lambda array: np.moveaxis(array, 1, -1)]
    for turn in turns:
        turned = turn(value)
        sizes = tensor.shape or turned.shape
        if len(sizes) == turned.ndim and all(a in (-1, b) for a, b in zip(sizes, turned.shape, strict=True)):
            return np.ascontiguousarray(turned)
    raise OptionError(f"an input of shape {value.shape} does not fit {tensor.name!r}, which takes {tensor.shape}")


def _windows(tensors: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    window: list[Tensor] = []
    nbytes = 0
    for tensor in tensors:
        if untransportable(tensor) or tensor.element_type == "unknown":
            continue
        size = tensor.nbytes or 1 << 20  # sizes that are left open are mostly a batch of 1
        if window and nbytes + size > WINDOW_NBYTES:
            yield window
            window, nbytes = [], 0
        window.append(tensor)
        nbytes += size
    if window:
        yield window


def _real(values: Array, tensor: Tensor) -> Array:
    """Return the real values of a tensor that is quantized as a whole."""
    found = tensor.quantization
    if found is None or len(found.scales) != 1:
        return values
    return (values.astype(np.float64) - found.zero_points[0]) * found.scales[0]

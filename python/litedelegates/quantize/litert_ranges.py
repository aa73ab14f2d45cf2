"""The range of every activation of a ``.tflite`` over calibration samples, bodies of loops and branches included."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from litedelegates.errors import QuantizationError
from litedelegates.graph.tflite.tree import Tree, serialize, tensor_data, type_name
from litedelegates.official_output import official_output_logged
from litedelegates.quantize.progress import track

# A tensor as (number of its subgraph, index in it).
Place: TypeAlias = tuple[int, int]
Samples: TypeAlias = "Sequence[Mapping[str, NDArray[Any]]]"

# Masks of attention add -10,000 (BERT), -65504, -1e9 or the lowest float32 to what softmax should not see.
MASK = -9.9e3
# Between the mask and the other values lies a gap: none is a tenth to a hundredth of it. Activations that are merely
# large have none.
_GAP = 10.0
# What float32 holds no further: an infinity, or the sum of two masks. No kernel tells such values apart.
_FINITE = 3e38


@dataclass(frozen=True)
class Range:
    """The smallest and largest value of a tensor.

    Attributes:
        low: The smallest; of a tensor with a mask, that of the other values.
        high: The largest.
        mask: The value of the mask, where the tensor holds one beside values that are very much smaller; an integer
            of 8 or 16 bits cannot hold both.
    """

    low: float
    high: float
    mask: float | None = None


def find_ranges(
    tree: Tree, samples: Mapping[str, Samples], *, num_threads: int, progress: bool | None
) -> dict[Place, Range]:
    """Return the range of every float32 tensor that is computed when ``samples`` are run.

    The runtime notes the ranges itself, on XNNPACK's kernels, and without keeping tensors. Only those that hold a mask
    are looked at once more.

    Args:
        tree: A float32 model; unchanged when this returns.
        samples: By key of the signature, each sample by input name.
        num_threads: Threads of the kernels.
        progress: Whether to show a bar.

    Raises:
        QuantizationError: The model does not run on the samples; carries the runtime's words.
    """
    from ai_edge_litert import _pywrap_tfl_calibration as recorder

    with _every_tensor_seen(tree) as content, _failures_told():
        found: dict[Place, list[float]] = {}
        with _Runner(
            content,
            num_threads,
            experimental_disable_delegate_node_fusion=True,
            experimental_force_delegate_node_profiling=True,
        ) as runner:
            rows = [(key, sample) for key, rows in samples.items() for sample in rows]
            for key, sample in track(rows, "calibrating", progress):
                graph = runner.prepare(key, sample)
                for name, seen in recorder.InvokeWithCalibration(runner.handle, graph).items():
                    place = _place(name)
                    if place is None:
                        continue
                    low, high = found.setdefault(place, [np.inf, -np.inf])
                    found[place] = [min(low, seen.min), max(high, seen.max)]
                runner.reset()
        reals = {place: pair for place, pair in found.items() if type_name(_tensor(tree, place)) == "FLOAT32"}
        wide = [place for place, (low, high) in reals.items() if not (low > MASK and high < _FINITE)]
        ranges = {place: Range(low, high) for place, (low, high) in reals.items() if place not in wide}
        if wide:
            ranges |= _look_again(content, samples, {place: reals[place] for place in wide}, num_threads)
    return ranges


def _look_again(
    content: bytes, samples: Mapping[str, Samples], wide: Mapping[Place, Sequence[float]], num_threads: int
) -> dict[Place, Range]:
    """Return the ranges of tensors that reach very far, from their values."""
    inner: dict[Place, list[float]] = {place: [np.inf, -np.inf] for place in wide}
    gap_is_empty = dict.fromkeys(wide, True)
    with _Runner(content, num_threads, experimental_preserve_all_tensors=True) as runner:
        for key, rows in samples.items():
            for sample in rows:
                graph = runner.run(key, sample)
                for place in wide:
                    values = runner.value(place) if place[0] == graph else None
                    if values is not None:
                        _note(values, wide[place][0], inner[place], gap_is_empty, place)
                runner.reset()
    return {place: _range(wide[place], inner[place], gap_is_empty[place]) for place in wide}


def _note(
    values: NDArray[Any], lowest: float, inner: list[float], gap_is_empty: dict[Place, bool], place: Place
) -> None:
    others = values[(np.abs(values) < _FINITE) & (values > lowest / _GAP)]
    gap_is_empty[place] &= not bool((others < max(lowest, -_FINITE) / _GAP**2).any())
    if others.size:
        inner[:] = [min(inner[0], float(others.min())), max(inner[1], float(others.max()))]


def _range(wide: Sequence[float], inner: Sequence[float], gap_is_empty: bool) -> Range:
    low, high = max(wide[0], -_FINITE), min(wide[1], _FINITE)
    if inner[0] > inner[1]:  # not seen, as in the body of a loop, or nothing but the mask
        return Range(low, high, low if low <= MASK else None)
    if low <= MASK and gap_is_empty and (inner[0] != 0 or inner[1] != 0 or wide[0] == -np.inf):
        return Range(inner[0], inner[1], wide[0])
    return Range(low, inner[1] if wide[1] > _FINITE else high)


class _Runner:
    """The official interpreter on one model, run by signature."""

    def __init__(self, content: bytes, num_threads: int, **options: Any) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with warnings.catch_warnings(), official_output_logged():
            warnings.simplefilter("ignore")  # that keeping all tensors takes memory
            self._interpreter = Interpreter(model_content=content, num_threads=num_threads, **options)
        self._signatures = self._interpreter._get_full_signature_list()
        self._core = self._interpreter._interpreter
        self.handle = self._interpreter._native_handle()

    def __enter__(self) -> _Runner:
        return self

    def __exit__(self, *_: object) -> None:
        del self._core, self.handle, self._interpreter

    def prepare(self, key: str, sample: Mapping[str, NDArray[Any]]) -> int:
        """Set the inputs of a signature and return the number of its subgraph."""
        graph: int = self._core.GetSubgraphIndexFromSignature(key)
        inputs = self._signatures[key]["inputs"]
        for name, value in sample.items():
            self._core.ResizeInputTensor(inputs[name], np.array(value.shape, np.int32), False, graph)
        with official_output_logged():
            self._core.AllocateTensors(graph)
        for name, value in sample.items():
            self._core.SetTensor(inputs[name], value, graph)
        return graph

    def run(self, key: str, sample: Mapping[str, NDArray[Any]]) -> int:
        """Run a sample and return the number of the signature's subgraph."""
        graph = self.prepare(key, sample)
        self._core.Invoke(graph)
        return graph

    def value(self, place: Place) -> NDArray[Any] | None:
        """Return the value of a tensor; None where the runtime does not keep it."""
        with contextlib.suppress(ValueError):
            value: NDArray[Any] = self._core.GetTensor(place[1], place[0])
            return value
        return None

    def reset(self) -> None:
        """Give variables their first values."""
        self._interpreter.reset_all_variables()


@contextlib.contextmanager
def _failures_told() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError, KeyError) as error:
        raise QuantizationError(
            f"the model does not run on the calibration samples: {' '.join(str(error).split())}"
        ) from error


@contextlib.contextmanager
def _every_tensor_seen(tree: Tree) -> Iterator[bytes]:
    """Yield the model with tensors named by their place, and with what is read by nothing as outputs.

    Kernels do not compute what is not read, and constants cannot be outputs.
    """
    names = [[tensor.name for tensor in graph.tensors] for graph in tree.subgraphs]
    outputs = [list(graph.outputs) for graph in tree.subgraphs]
    roots = {signature.subgraphIndex for signature in tree.signatureDefs}
    try:
        for number, graph in enumerate(tree.subgraphs):
            for index, tensor in enumerate(graph.tensors):
                tensor.name = f"{number}/{index}"
            if number in roots:
                graph.outputs = outputs[number] + unread(tree, graph)
        yield serialize(tree)
    finally:
        for graph, own, ends in zip(tree.subgraphs, names, outputs, strict=True):
            graph.outputs = ends
            for tensor, name in zip(graph.tensors, own, strict=True):
                tensor.name = name


def unread(tree: Tree, graph: Any) -> list[int]:
    """Return the float32 tensors that an op of ``graph`` computes, and that are neither read nor outputs."""
    used = {index for op in graph.operators for index in op.inputs} | set(graph.outputs)
    made = dict.fromkeys(index for op in graph.operators for index in op.outputs if index >= 0)
    return [
        index
        for index in made
        if index not in used
        and type_name(graph.tensors[index]) == "FLOAT32"
        and tensor_data(tree, graph.tensors[index]) is None
    ]


def _place(name: str) -> Place | None:
    graph, slash, index = name.partition("/")
    return (int(graph), int(index)) if slash and graph.isdecimal() and index.isdecimal() else None  # else: a scratch


def _tensor(tree: Tree, place: Place) -> Any:
    return tree.subgraphs[place[0]].tensors[place[1]]

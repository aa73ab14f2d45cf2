"""Judges whether outputs differ from a reference by no more than the precision they were computed in explains.

Two kernels that are both right still differ: they add up in another order and round elsewhere. Relative to the norm of
the output, n roundings to a spacing ``eps`` make an error of about ``sqrt(n) eps``, because they add up like a random
walk (N. J. Higham and T. Mary, "A New Approach to Probabilistic Rounding Error Analysis", SIAM J. Sci. Comput. 41,
2019). The bound is ``eps sqrt(max(n, 1/eps))`` with n ops that hand such numbers on: at least ``sqrt(eps)``, what 1/eps
roundings make (8 million in float32, 1,000 in half precision), or half of the digits. Wrong kernels are far beyond:
they leave out an addend or saturate.

An output that is quantized is also explained by a root mean square error of one quantization step: the exact value lies
within half a step of both integers when only the last op rounds. Elements that are zero in both say nothing and are
left out, so that a thousand zeros beside the one wrong probability do not hide it. The steps of the ops before are
counted by ``eps``, which for 8 bits is 2**-7.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from litedelegates import _core
from litedelegates.border import Quantization
from litedelegates.measure.error import ErrorSums, real_values
from litedelegates.model import Model, Subgraph

Array: TypeAlias = "np.ndarray[Any, Any]"

# Spacing of the numbers of a type, relative to its largest ones for integers.
EPSILON: Mapping[str, float] = {
    "float64": 2.0**-52,
    "float32": 2.0**-23,
    "float16": 2.0**-10,
    "bfloat16": 2.0**-7,
    "int16": 2.0**-15,
    "int8": 2.0**-7,
    "uint8": 2.0**-7,
    "int4": 2.0**-3,
    "uint4": 2.0**-3,
    "int2": 2.0**-1,
}
HALF = EPSILON["float16"]
# One step of root mean square error, see above.
_STEPS = 1.0
# Kernels of float ops that quantize their input to 8 bits where the weights are integers.
_HYBRID_OPS = frozenset(
    {
        "BATCH_MATMUL",
        "BIDIRECTIONAL_SEQUENCE_LSTM",
        "BIDIRECTIONAL_SEQUENCE_RNN",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "FULLY_CONNECTED",
        "LSTM",
        "RNN",
        "SVDF",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        "UNIDIRECTIONAL_SEQUENCE_RNN",
    }
)
# Ops that pass the steps of a quantized tensor on.
_STEP_KEEPERS = frozenset({"DEQUANTIZE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE"})


@dataclass(frozen=True)
class Precision:
    """What a tensor was computed in.

    Attributes:
        epsilon: Relative spacing of the coarsest numbers that its ops hand on, see `EPSILON`.
        step: Quantization step of its real values; None where they are not quantized as a whole.
        quantization: How its integers stand for real values; None where it holds what it says.
        ops: How many ops of the model hand such numbers on.
    """

    epsilon: float
    step: float | None = None
    quantization: Quantization | None = None
    ops: int = 0

    @property
    def bound(self) -> float:
        """The relative error that it explains."""
        return error_bound(self.epsilon, self.ops)


@dataclass(frozen=True)
class Agreement:
    """How outputs compare with a reference: the output that is farthest beyond its bound.

    Attributes:
        output: Its position.
        relative_error: ``norm(y - x) / norm(x)`` over its real values in all samples, ``x`` being the reference; of
            integers without a scale and booleans, the share that differs. inf where no figure can be formed.
        bound: What its precision explains.
        steps: Root mean square of ``y - x`` in quantization steps, over the elements that are not zero in both; None
            where it has no step.
    """

    output: int
    relative_error: float
    bound: float
    steps: float | None

    @property
    def is_explained(self) -> bool:
        """Whether the precision explains the difference."""
        return self.relative_error <= self.bound or (self.steps is not None and self.steps <= _STEPS)

    def __str__(self) -> str:
        steps = "" if self.steps is None else f", {self.steps:.3g} quantization steps"
        return (
            f"output {self.output} differs by {self.relative_error:.2g} of its norm{steps}; its precision explains "
            f"{self.bound:.2g}{'' if self.steps is None else ' or one step'}"
        )


def error_bound(epsilon: float, ops: int = 0) -> float:
    """Return the relative error that roundings to ``epsilon`` in so many ops explain: ``eps sqrt(max(n, 1/eps))``."""
    return epsilon * math.sqrt(max(ops, 1 / epsilon))


def compare(
    reference: Sequence[Sequence[Array]], outputs: Sequence[Sequence[Array]], precisions: Sequence[Precision]
) -> Agreement:
    """Return how outputs agree with a reference.

    Args:
        reference: For each sample the outputs as they should be.
        outputs: The same as they are.
        precisions: Of each output, see `output_precisions`.
    """
    found = [
        _compare(index, [row[index] for row in reference], [row[index] for row in outputs], precision)
        for index, precision in enumerate(precisions)
    ]
    return max(found, key=_severity, default=Agreement(0, 0.0, 0.0, None))


def output_precisions(model: Model, lost: float = 0.0) -> list[Precision]:
    """Return the precision of each output of a model.

    Args:
        model: The model.
        lost: Epsilon of what a delegate computes in where that is coarser, see `delegate_epsilon`.
    """
    return tensor_precisions(model, model.subgraphs[0].outputs, lost)


def tensor_precisions(model: Model, tensors: Iterable[int], lost: float = 0.0) -> list[Precision]:
    """Return the precision of tensors of the first subgraph, taken to be that of the coarsest op of the model."""
    spacings = [_epsilon(subgraph, op) for subgraph in model.subgraphs for op in subgraph.operators]
    epsilon = max([lost, EPSILON["float32"], *spacings])
    ops = sum(max(spacing, lost) == epsilon for spacing in spacings)
    graph = model.subgraphs[0]
    producers = {output: op for op in graph.operators for output in op.outputs}
    return [Precision(epsilon, *_step(graph, producers, index), ops) for index in tensors]


def delegate_epsilon(names: Iterable[str], options: Mapping[str, Any]) -> float:
    """Return the relative spacing of what delegates may compute in, where it is coarser than the model's own.

    A GPU and OpenVINO choose half precision themselves where ``precision_loss_allowed`` is unset.

    Args:
        names: Of the delegates of a chain.
        options: Theirs, by name.
    """
    found = [0.0]
    allowed, precision = options.get("precision_loss_allowed"), options.get("precision")
    for name in names:
        full = allowed is False or str(getattr(precision, "name", precision)).upper() == "FP32"
        if name == "openvino" and not full:
            found.append(EPSILON["bfloat16"])
        elif (name == "gpu" and not full) or allowed:
            found.append(HALF)
    return max(found)


def _compare(index: int, reference: Sequence[Array], outputs: Sequence[Array], precision: Precision) -> Agreement:
    bound = precision.bound
    pairs = list(zip(reference, outputs, strict=True))
    if any(x.shape != y.shape or x.dtype != y.dtype for x, y in pairs):
        return Agreement(index, math.inf, bound, None)
    if precision.quantization is not None or all(x.dtype.kind in "fc" or x.dtype.name == "bfloat16" for x, _ in pairs):
        relative, rmse = _figures(pairs, precision.quantization)
        return Agreement(index, relative, bound, None if precision.step is None else rmse / precision.step)
    elements = sum(x.size for x, _ in pairs)
    different = sum(int(np.count_nonzero(x != y)) for x, y in pairs)
    # An index or a mask falls the other way where values are as near to each other as their error is large.
    return Agreement(index, different / elements if elements else 0.0, bound, None)


def _figures(pairs: Iterable[tuple[Array, Array]], quantization: Quantization | None) -> tuple[float, float]:
    sums = ErrorSums()
    for x, y in pairs:
        real_x, real_y = (_as_reals(array, quantization) for array in (x, y))
        counts = (real_x != 0) | (real_y != 0)
        sums.add(real_x[counts], real_y[counts])
    figures = sums.result()
    if figures.sqnr_db is None or figures.rmse is None:  # nothing to compare
        return 0.0, 0.0
    return 10.0 ** (-figures.sqnr_db / 20), figures.rmse


def _as_reals(array: Array, quantization: Quantization | None) -> Array:
    if array.dtype.kind == "c":
        array = np.stack([array.real, array.imag])
    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    return real_values(array, quantization)


def _severity(agreement: Agreement) -> tuple[bool, float]:
    ratio = agreement.relative_error / agreement.bound if agreement.bound else agreement.relative_error
    return not agreement.is_explained, ratio


def _epsilon(graph: Subgraph, op: _core.Operator) -> float:
    """Return the epsilon of the coarsest numbers that an op of a subgraph computes."""
    found = EPSILON["float32"]
    for tensor in (graph.tensors[index] for index in op.outputs if index >= 0):
        # Integers without a scale are counts and indices: exact.
        if tensor.element_type in ("float16", "bfloat16") or tensor.scales:
            found = max(found, EPSILON.get(tensor.element_type, 0.0))
    if op.type in _HYBRID_OPS:
        read = [graph.tensors[index].element_type for index in op.inputs if index >= 0]
        if "float32" in read and any(name in ("int8", "uint8", "int4", "int2") for name in read):
            found = max(found, EPSILON["int8"])
    return found


def _step(graph: Subgraph, producers: Mapping[int, Any], index: int) -> tuple[float | None, Quantization | None]:
    """Return the quantization step of a tensor's real values, and how to make them of it."""
    own = _quantization(graph, index)
    if own is not None:
        return own.scales[0], own
    while index in producers and producers[index].type in _STEP_KEEPERS:
        index = producers[index].inputs[0]
        found = _quantization(graph, index)
        if found is not None:
            return found.scales[0], None
    return None, None


def _quantization(graph: Subgraph, index: int) -> Quantization | None:
    tensor = graph.tensors[index]
    if tensor.element_type not in EPSILON or tensor.element_type.startswith("float") or len(tensor.scales) != 1:
        return None
    zero_points = tuple(tensor.zero_points) or (0,)
    return Quantization((tensor.scales[0],), (zero_points[0],)) if tensor.scales[0] > 0 else None

"""One model for each op, shape, activation and type that a delegate may take: what `compare_ops.py` runs.

A trial says what an op reads and with which options; the shapes of what it writes are asked of the official
Interpreter, which allocates the model once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter as Official  # type: ignore[import-untyped, unused-ignore]
from ai_edge_litert.interpreter import OpResolverType
from small_models_builder import OPTIONAL, GraphBuilder, ModelBuilder, Op, Quantization, Type, pack_int4, schema

ACTIVATIONS = {"none": 0, "relu": 1, "relu_n1_to_1": 2, "relu6": 3}
VALID, SAME = 1, 0
UNARY = (
    *("ABS", "CEIL", "COS", "ELU", "EXP", "FLOOR", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOG", "LOGISTIC"),
    *("LOG_SOFTMAX", "L2_NORMALIZATION", "NEG", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "ROUND"),
    *("RSQRT", "SIGN", "SIN", "SOFTMAX", "SQRT", "SQUARE", "TANH", "ZEROS_LIKE"),
)
BINARY = (
    *("ADD", "SUB", "MUL", "DIV", "ATAN2", "FLOOR_DIV", "FLOOR_MOD", "MAXIMUM", "MINIMUM", "POW"),
    *("SQUARED_DIFFERENCE",),
)
COMPARISON = ("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL")
REDUCTION = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ANY", "REDUCE_ALL")
SHAPES = ((1, 8, 8, 4), (1, 5, 7, 3), (2, 5, 6, 3), (1, 6), (3, 5), (2, 3, 5), (7,), (), (1, 2, 3, 4, 5))
_POSITIVE = ("LOG", "RSQRT", "SQRT", "POW", "FLOOR_DIV", "FLOOR_MOD", "DIV")


@dataclass(frozen=True)
class In:
    """An input of the model: random values of a range."""

    shape: tuple[int, ...]
    low: float = -3.0
    high: float = 3.0
    dtype: str = "float32"
    quantization: Quantization | None = None

    def values(self, rng: np.random.Generator) -> np.ndarray[Any, Any]:
        """Return random values, other for each call."""
        if self.dtype == "bool":
            return rng.integers(0, 2, self.shape).astype(bool)
        if np.dtype(self.dtype).kind in "iu":
            return rng.integers(int(self.low), int(self.high), self.shape, endpoint=True).astype(self.dtype)
        return rng.uniform(self.low, self.high, self.shape).astype(self.dtype)


@dataclass(frozen=True)
class Const:
    """A constant of the model."""

    values: Any
    quantization: Quantization | None = None
    int4: bool = False


@dataclass(frozen=True)
class Out:
    """What the op writes; the shape is the op's to tell."""

    element_type: int = Type.FLOAT32
    quantization: Quantization | None = None


class Before:
    """The first output of the op before."""


Read = In | Const | Before | None  # None is an optional input that is left out


@dataclass(frozen=True)
class Step:
    """An op of a trial.

    Attributes:
        op: Its name in the schema.
        dequantized: Positions of constants that a DEQUANTIZE op widens before the op reads them.
    """

    op: str
    reads: tuple[Read, ...]
    options: Any = None
    writes: tuple[Out, ...] = (Out(),)
    version: int = 1
    dequantized: tuple[int, ...] = ()


class Trial:
    """A model of one op, or of some that follow each other.

    Attributes:
        op: The ops' names in the schema.
        name: The ops with what tells the trial from others: shapes, options.
        steps: The ops in order; the last writes the outputs.
        reference: What to compare with in place of the built-in kernels' outputs of the same model.
    """

    def __init__(
        self,
        op: str,
        what: str,
        reads: tuple[Read, ...],
        options: Any = None,
        writes: tuple[Out, ...] = (Out(),),
        *,
        version: int = 1,
        dequantized: tuple[int, ...] = (),
        then: tuple[Step, ...] = (),
        reference: Trial | None = None,
    ) -> None:
        self.reference = reference
        self.steps = (Step(op, reads, options, writes, version, dequantized), *then)
        self.op = " ".join(step.op for step in self.steps)
        self.name = f"{self.op} {what}"

    def inputs(self, seed: int) -> list[np.ndarray[Any, Any]]:
        """Return values for the inputs."""
        rng = np.random.default_rng(seed)
        return [part.values(rng) for step in self.steps for part in step.reads if isinstance(part, In)]

    def build(self) -> bytes:
        """Return the model."""
        official = Official(
            model_content=self._build({}),
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        official.allocate_tensors()
        details = official.get_tensor_details()
        return self._build({detail["name"]: tuple(int(n) for n in detail["shape"]) for detail in details})

    def _build(self, shapes: Mapping[str, tuple[int, ...]]) -> bytes:
        model = ModelBuilder()
        graph = model.graph()
        before = OPTIONAL
        for number, step in enumerate(self.steps):
            reads = [self._read(graph, part, f"{number}.{at}", before) for at, part in enumerate(step.reads)]
            for at in step.dequantized:
                part = step.reads[at]
                wide = graph.tensor(f"wide{number}.{at}", np.shape(part.values) if isinstance(part, Const) else ())
                graph.op(Op.DEQUANTIZE, [reads[at]], [wide], options("Dequantize"), version=3)
                reads[at] = wide
            write = graph.output if step is self.steps[-1] else graph.tensor
            names = [f"y{number}.{at}" for at in range(len(step.writes))]
            writes = [
                write(name, shapes.get(name, ()), out.element_type, quantization=out.quantization)
                for name, out in zip(names, step.writes, strict=True)
            ]
            graph.op(getattr(Op, step.op), reads, writes, step.options, version=step.version)
            before = writes[0]
        return model.to_bytes()

    @staticmethod
    def _read(graph: GraphBuilder, part: Read, name: str, before: int) -> int:
        if part is None:
            return OPTIONAL
        if isinstance(part, Before):
            return before
        if isinstance(part, In):
            return graph.input(f"x{name}", part.shape, getattr(Type, part.dtype.upper()), part.quantization)
        if part.int4:
            shape, data = np.shape(part.values), pack_int4(part.values)
            return graph.tensor(f"c{name}", shape, Type.INT4, quantization=part.quantization, data=data)
        return graph.constant(f"c{name}", part.values, part.quantization)


def options(name: str, **values: Any) -> Any:
    """Return an options table of the schema with these fields."""
    table = getattr(schema, name + "OptionsT")()
    for key, value in values.items():
        if not hasattr(table, key):
            raise AttributeError(f"{name}Options has no {key}")
        setattr(table, key, value)
    return table


def normal(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """Return float32 values around zero."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def integers(*values: int) -> Const:
    """Return a constant of int32."""
    return Const(np.array(values, np.int32))


def trials() -> Iterator[Trial]:
    """Return every trial, in float32 and then with integers."""
    for make in (
        *(_unary, _binary, _activations, _comparisons, _reductions, _convolutions, _dense, _pools, _resizing),
        *(_rearranging, _padding, _slicing, _gathering, _selecting, _casts, _weights, _quantized, _others, _pairs),
    ):
        yield from make()


def _unary() -> Iterator[Trial]:
    for op, shape in itertools.product(UNARY, SHAPES):
        low = 0.1 if op in _POSITIVE else -3.0
        table = {
            "GELU": options("Gelu"),
            "LEAKY_RELU": options("LeakyRelu", alpha=0.3),
            "SOFTMAX": options("Softmax", beta=1.0),
        }.get(op)
        yield Trial(op, f"{shape}", (In(shape, low),), table)
    for shape, axis in (((3, 5), 1), ((3, 5), 0), ((2, 3, 5), 1), ((2, 3, 5), 2), ((7,), 0)):
        yield Trial("CUMSUM", f"{shape} axis {axis}", (In(shape), integers(axis)), options("Cumsum"))
    for shape in SHAPES[:3]:
        yield Trial("GELU", f"{shape} approximate", (In(shape),), options("Gelu", approximate=True))
        yield Trial("SOFTMAX", f"{shape} beta 2", (In(shape),), options("Softmax", beta=2.0))
        yield Trial("LEAKY_RELU", f"{shape} alpha -0.5", (In(shape),), options("LeakyRelu", alpha=-0.5))
        yield Trial("LEAKY_RELU", f"{shape} alpha 1.5", (In(shape),), options("LeakyRelu", alpha=1.5))
        for size in (shape[-1:], (1, 1, shape[-1]), shape[1:], (1, 1, 1)):
            yield Trial("PRELU", f"{shape} alpha {size}", (In(shape), Const(normal(*size))))
        yield Trial("PRELU", f"{shape} alpha is an input", (In(shape), In((1, 1, shape[-1]))))
        yield Trial(
            "LOCAL_RESPONSE_NORMALIZATION",
            f"{shape}",
            (In(shape),),
            options("LocalResponseNormalization", radius=2, bias=1.0, alpha=0.1, beta=0.5),
        )
        for axis in (0, 1, 3, -1):
            for exclusive, reverse in itertools.product((False, True), repeat=2):
                yield Trial(
                    "CUMSUM",
                    f"{shape} axis {axis}{' exclusive' * exclusive}{' reverse' * reverse}",
                    (In(shape), integers(axis)),
                    options("Cumsum", exclusive=exclusive, reverse=reverse),
                )


def _binary_options(op: str, activation: int = 0) -> Any:
    if op in ("ADD", "SUB", "MUL", "DIV"):
        return options(op.title(), fusedActivationFunction=activation)
    return {
        "MAXIMUM": options("MaximumMinimum"),
        "MINIMUM": options("MaximumMinimum"),
        "POW": options("Pow"),
        "FLOOR_DIV": options("FloorDiv"),
        "FLOOR_MOD": options("FloorMod"),
        "SQUARED_DIFFERENCE": options("SquaredDifference"),
        "ATAN2": options("ATan2"),
    }[op]


def _binary() -> Iterator[Trial]:
    for op in BINARY:
        low = 0.1 if op in _POSITIVE else -3.0
        table = _binary_options(op)
        for shape in SHAPES:
            yield Trial(op, f"{shape} {shape}", (In(shape, low), In(shape, low)), table)
            scalar = Const(np.float32(1.5))
            yield Trial(op, f"{shape} scalar", (In(shape, low), scalar), table)
            yield Trial(op, f"scalar {shape}", (scalar, In(shape, low)), table)
            same = Const(np.abs(normal(*shape)) + np.float32(0.5))
            yield Trial(op, f"{shape} constant {shape}", (In(shape, low), same), table)
            yield Trial(op, f"constant {shape} {shape}", (same, In(shape, low)), table)
            if len(shape) > 1:
                row = Const(np.abs(normal(shape[-1])) + 0.5)
                yield Trial(op, f"{shape} row", (In(shape, low), row), table)
                yield Trial(op, f"row {shape}", (row, In(shape, low)), table)
        for left, right in (
            ((1, 4, 5, 3), (1, 1, 1, 3)),
            ((1, 1, 1, 3), (1, 4, 5, 3)),
            ((1, 4, 5, 3), (1, 4, 5, 1)),
            ((1, 4, 5, 1), (1, 4, 5, 3)),
            ((1, 4, 5, 3), (1, 1, 5, 1)),
            ((1, 4, 1, 3), (1, 1, 5, 3)),
            ((2, 4, 5, 3), (1, 4, 5, 3)),
            ((2, 1, 5, 3), (1, 4, 5, 1)),
            ((1, 4, 5, 3), (5, 3)),
            ((1, 4, 5, 3), (1,)),
            ((1, 4, 5, 3), (1, 1, 1, 1)),
            ((2, 4, 5, 3), (2, 1, 1, 1)),
            ((1, 4, 5, 3), ()),
            ((2, 5), (1, 5)),
            ((2, 5), (2, 1)),
            ((2, 5), (5,)),
            ((2, 3, 5), (3, 1)),
            ((2, 3, 5), (2, 1, 5)),
            ((1, 2, 3, 4, 5), (5,)),
        ):
            yield Trial(op, f"{left} and {right}", (In(left, low), In(right, low)), table)
            constant = Const(np.abs(normal(*right)) + 0.5)
            yield Trial(op, f"{left} and constant {right}", (In(left, low), constant), table)
            yield Trial(op, f"constant {right} and {left}", (constant, In(left, low)), table)
    for shape in SHAPES:
        yield Trial("ADD_N", f"{shape} of 3", (In(shape), In(shape), In(shape)), options("AddN"))
    for activation in ACTIVATIONS:
        for op, right in itertools.product(("ADD", "SUB", "MUL", "DIV"), ("same", "row", "scalar")):
            shape = (1, 5, 6, 3)
            other = {"same": In(shape, 0.1), "row": Const(normal(3) + 3), "scalar": Const(np.float32(2.5))}[right]
            table = _binary_options(op, ACTIVATIONS[activation])
            yield Trial(op, f"fused {activation}, {right}", (In(shape, -9, 9), other), table)


def _activations() -> Iterator[Trial]:
    """Every op with a fused activation, with bias and without.

    The built-in kernels and XNNPACK leave out a fused TANH or SIGN_BIT of convolutions: nothing to compare with.
    """
    for activation, code in ACTIVATIONS.items():
        shape = (1, 8, 8, 4)
        fused = {"fusedActivationFunction": code}
        for bias, padding, stride in itertools.product((True, False), (SAME, VALID), (1, 2)):
            said = f"fused {activation}{', bias' * bias}, padding {padding}, stride {stride}"
            strides = {"padding": padding, "strideW": stride, "strideH": stride, **fused}
            yield Trial(
                "CONV_2D",
                said,
                (In(shape, -9, 9), Const(normal(6, 3, 3, 4)), Const(normal(6) * 3) if bias else None),
                options("Conv2D", dilationWFactor=1, dilationHFactor=1, **strides),
            )
            yield Trial(
                "DEPTHWISE_CONV_2D",
                said,
                (In(shape, -9, 9), Const(normal(1, 3, 3, 4)), Const(normal(4) * 3 if bias else normal(4) * 0)),
                options("DepthwiseConv2D", depthMultiplier=1, dilationWFactor=1, dilationHFactor=1, **strides),
            )
            size = 8 * stride + (3 - stride if padding == VALID else 0)
            yield Trial(
                "TRANSPOSE_CONV",
                said,
                (
                    integers(1, size, size, 6),
                    Const(normal(6, 3, 3, 4)),
                    In(shape, -9, 9),
                    *((Const(normal(6) * 3),) if bias else ()),
                ),
                options("TransposeConv", **strides),
                version=4 if code else 3 if bias else 1,
            )
        for bias, keep in itertools.product((True, False), repeat=2):
            for shape in ((1, 8, 8, 4), (2, 4), (2, 3, 4)):
                yield Trial(
                    "FULLY_CONNECTED",
                    f"{shape} fused {activation}{', bias' * bias}{', keeps dimensions' * keep}",
                    (In(shape, -9, 9), Const(normal(6, 4)), Const(normal(6) * 3) if bias else None),
                    options("FullyConnected", keepNumDims=keep, **fused),
                    version=5 if keep else 1,
                )
        shape = (1, 8, 8, 4)
        for axis in (1, 2, 3, -1):
            yield Trial(
                "CONCATENATION",
                f"axis {axis} fused {activation}",
                (In(shape, -9, 9), In(shape, -9, 9)),
                options("Concatenation", axis=axis, **fused),
            )
        for op in ("MAX_POOL_2D", "AVERAGE_POOL_2D", "L2_POOL_2D"):
            # Below zero, where what is not there would be the largest.
            pool = options("Pool2D", padding=SAME, strideW=1, strideH=1, filterWidth=2, filterHeight=2, **fused)
            yield Trial(op, f"below zero, fused {activation}", (In(shape, -9, -1),), pool)
            pool = options("Pool2D", strideW=2, strideH=2, filterWidth=2, filterHeight=2, **fused)
            yield Trial(op, f"fused {activation}", (In(shape, -9, 9),), pool)
        yield Trial("L2_NORMALIZATION", f"fused {activation}", (In(shape, -9, 9),), options("L2Norm", **fused))


def _comparisons() -> Iterator[Trial]:
    boolean = (Out(Type.BOOL),)
    for op, shape in itertools.product(COMPARISON, SHAPES):
        table = options(op.title().replace("_", ""))
        pair = (In(shape, 0, 2, "int32"), In(shape, 0, 2, "int32"))
        yield Trial(op, f"int32 {shape}", pair, table, boolean)
        yield Trial(op, f"float32 {shape}", (In(shape), In(shape)), table, boolean)
        yield Trial(op, f"float32 {shape} scalar", (In(shape), Const(np.float32(0.5))), table, boolean)
    for op, shape in itertools.product(("LOGICAL_AND", "LOGICAL_OR"), SHAPES):
        yield Trial(op, f"{shape}", (In(shape, dtype="bool"), In(shape, dtype="bool")), None, boolean)
    for shape in SHAPES:
        yield Trial("LOGICAL_NOT", f"{shape}", (In(shape, dtype="bool"),), None, boolean)


def _reductions() -> Iterator[Trial]:
    for op, (shape, axes), keep in itertools.product(
        REDUCTION,
        (
            ((1, 5, 6, 3), (1,)),
            ((1, 5, 6, 3), (2,)),
            ((1, 5, 6, 3), (3,)),
            ((1, 5, 6, 3), (1, 2)),
            ((1, 5, 6, 3), (2, 3)),
            ((1, 5, 6, 3), (1, 2, 3)),
            ((2, 5, 6, 3), (0,)),
            ((2, 5, 6, 3), (0, 1, 2, 3)),
            ((2, 5, 6, 3), (-1,)),
            ((3, 5), (1,)),
            ((3, 5), (0,)),
            ((2, 3, 5), (1,)),
            ((2, 3, 5), (2,)),
            ((7,), (0,)),
        ),
        (True, False),
    ):
        boolean = op in ("REDUCE_ANY", "REDUCE_ALL")
        yield Trial(
            op,
            f"{shape} over {axes}{', keeps' * keep}",
            (In(shape, 0.5 if op == "REDUCE_PROD" else -3, 1.5, "bool" if boolean else "float32"), integers(*axes)),
            options("Reducer", keepDims=keep),
            (Out(Type.BOOL),) if boolean else (Out(),),
        )
    for op, shape in itertools.product(("ARG_MAX", "ARG_MIN"), SHAPES[:6]):
        for axis in sorted({0, 1, len(shape) - 1, -1}):
            table = options(op.title().replace("_", ""), outputType=Type.INT32)
            reads = (In(shape, -3, -1), Const(np.int32(axis)))
            yield Trial(op, f"below zero {shape} axis {axis}", reads, table, (Out(Type.INT32),))
    for op, shape in itertools.product(("REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "MEAN"), SHAPES[:6]):
        sign = 1 if op == "REDUCE_MIN" else -1
        reads = (In(shape, *sorted((sign, 3 * sign))), integers(-1))
        yield Trial(op, f"of one sign {shape} over the last", reads, options("Reducer", keepDims=True))
    for shape, k in (((1, 8), 3), ((2, 3, 8), 2), ((1, 9), 3), ((2, 3, 9), 2), ((9,), 9)):
        both = (Out(), Out(Type.INT32))
        yield Trial("TOPK_V2", f"{shape} {k}", (In(shape), Const(np.int32(k))), options("TopKV2"), both)


def _convolutions() -> Iterator[Trial]:
    for shape, filters, dilation, padding, stride in (
        ((1, 8, 8, 4), (4, 3, 3, 2), 1, SAME, 1),
        ((1, 8, 8, 8), (8, 3, 3, 2), 1, SAME, 1),
        ((1, 8, 8, 8), (8, 1, 1, 4), 1, VALID, 1),
        ((1, 8, 8, 16), (16, 3, 3, 4), 1, SAME, 2),
        ((1, 8, 8, 16), (32, 3, 3, 8), 1, SAME, 1),
        ((1, 8, 8, 6), (6, 3, 3, 1), 1, SAME, 1),
        ((1, 8, 8, 6), (12, 3, 3, 1), 1, SAME, 1),
        ((1, 8, 8, 8), (4, 3, 3, 4), 1, SAME, 1),
        ((1, 8, 8, 12), (6, 3, 3, 4), 1, SAME, 1),
        ((1, 8, 8, 8), (6, 3, 3, 4), 1, SAME, 1),
        ((1, 8, 8, 12), (4, 3, 3, 6), 1, SAME, 1),
        ((1, 8, 8, 16), (8, 1, 1, 8), 1, SAME, 1),
        ((2, 8, 8, 16), (8, 3, 3, 8), 1, SAME, 1),
        ((1, 8, 8, 3), (5, 1, 1, 3), 1, VALID, 1),
        ((1, 7, 9, 5), (7, 2, 4, 5), 1, SAME, 1),
        ((1, 9, 9, 3), (4, 3, 3, 3), 2, SAME, 1),
        ((1, 9, 9, 3), (4, 3, 3, 3), 3, VALID, 1),
        ((1, 9, 9, 3), (4, 5, 5, 3), 1, SAME, 3),
        ((1, 1, 20, 4), (8, 1, 5, 4), 1, SAME, 1),
        ((1, 20, 1, 4), (8, 5, 1, 4), 1, SAME, 1),
        ((2, 8, 8, 4), (4, 3, 3, 4), 1, SAME, 1),
        ((3, 8, 8, 3), (5, 3, 3, 3), 1, VALID, 2),
    ):
        table = options(
            "Conv2D",
            padding=padding,
            strideW=stride,
            strideH=stride,
            dilationWFactor=dilation,
            dilationHFactor=dilation,
        )
        groups = shape[3] // filters[3]
        said = f"{shape} with {filters}, stride {stride}, dilation {dilation}" + f", {groups} groups" * (groups > 1)
        weights = normal(*filters) / np.float32(np.sqrt(np.prod(filters[1:])))
        yield Trial("CONV_2D", said, (In(shape), Const(weights), Const(normal(filters[0]))), table)
        if dilation == 1 and groups == 1:
            yield Trial("CONV_2D", f"{said}, weights are an input", (In(shape), In(filters), None), table)
    unequal = options("Conv2D", padding=SAME, strideW=1, strideH=2, dilationWFactor=1, dilationHFactor=1)
    weights = Const(normal(4, 3, 3, 3) / 5)
    yield Trial("CONV_2D", "strides 2 and 1", (In((1, 8, 8, 3)), weights, Const(normal(4))), unequal)
    for multiplier, dilation, padding, stride, shape in (
        (1, 1, SAME, 1, (1, 8, 8, 4)),
        (1, 1, SAME, 2, (1, 9, 7, 3)),
        (2, 1, SAME, 1, (1, 8, 8, 3)),
        (4, 1, SAME, 1, (1, 8, 8, 1)),
        (3, 1, VALID, 2, (1, 8, 8, 5)),
        (1, 2, SAME, 1, (1, 9, 9, 4)),
        (2, 2, VALID, 1, (1, 9, 9, 3)),
        (1, 1, SAME, 1, (2, 8, 8, 4)),
    ):
        table = options(
            "DepthwiseConv2D",
            padding=padding,
            strideW=stride,
            strideH=stride,
            dilationWFactor=dilation,
            dilationHFactor=dilation,
            depthMultiplier=multiplier,
        )
        width = shape[3] * multiplier
        said = f"{shape} multiplier {multiplier}, stride {stride}, dilation {dilation}"
        yield Trial("DEPTHWISE_CONV_2D", said, (In(shape), Const(normal(1, 3, 3, width)), Const(normal(width))), table)
    for shape, filters, stride, padding in (
        ((1, 4, 4, 4), (6, 2, 2, 4), 2, SAME),
        ((1, 5, 3, 3), (5, 4, 4, 3), 2, SAME),
        ((1, 4, 4, 3), (5, 5, 5, 3), 1, SAME),
        ((1, 4, 4, 3), (5, 3, 3, 3), 3, VALID),
        ((1, 4, 4, 3), (5, 2, 2, 3), 3, SAME),
        ((2, 4, 4, 3), (5, 3, 3, 3), 2, SAME),
    ):
        size = [shape[i] * stride + (max(filters[i] - stride, 0) if padding == VALID else 0) for i in (1, 2)]
        table = options("TransposeConv", padding=padding, strideW=stride, strideH=stride)
        reads = (integers(shape[0], *size, filters[0]), Const(normal(*filters)), In(shape), Const(normal(filters[0])))
        yield Trial("TRANSPOSE_CONV", f"{shape} with {filters}, stride {stride}", reads, table, version=3)
    cube = {"padding": SAME, "strideD": 1, "strideW": 1, "strideH": 1}
    dilations = {"dilationDFactor": 1, "dilationWFactor": 1, "dilationHFactor": 1}
    reads = (In((1, 4, 5, 6, 3)), Const(normal(2, 3, 3, 3, 4)), Const(normal(4)))
    yield Trial("CONV_3D", "4 x 5 x 6", reads, options("Conv3D", **cube, **dilations))


def _dense() -> Iterator[Trial]:
    for shape, width in itertools.product(((1, 16), (2, 3, 16), (1, 1, 1, 16), (1, 2, 2, 16), (16,)), (1, 3, 8)):
        for keep in (True, False):
            table = options("FullyConnected", keepNumDims=keep)
            reads = (In(shape), Const(normal(width, 16)), Const(normal(width)))
            said = f"{shape} to {width}{', keeps dimensions' * keep}"
            yield Trial("FULLY_CONNECTED", said, reads, table, version=5 if keep else 1)
    for shape in ((1, 2, 2, 4), (2, 2, 2, 4), (1, 4, 4), (2, 4, 4)):
        reads = (In(shape), Const(normal(3, 16)), Const(normal(3)))
        yield Trial("FULLY_CONNECTED", f"{shape} flattened", reads, options("FullyConnected"))
    reads_two = (In((2, 16)), In((8, 16)), None)
    yield Trial("FULLY_CONNECTED", "weights are an input", reads_two, options("FullyConnected"))
    yield Trial(
        "FULLY_CONNECTED", "rows of 8 split", (In((2, 8)), Const(normal(3, 16)), None), options("FullyConnected")
    )
    for left, right in (
        ((2, 3), (3, 4)),
        ((2, 2, 3), (2, 3, 4)),
        ((1, 2, 5, 3), (1, 2, 3, 4)),
        ((2, 2, 5, 3), (2, 2, 3, 4)),
        ((2, 2, 5, 3), (1, 2, 3, 4)),
        ((2, 2, 5, 3), (3, 4)),
        ((1, 5, 3), (2, 3, 4)),
    ):
        for turn_left, turn_right in itertools.product((False, True), repeat=2):
            first = (*left[:-2], left[-1], left[-2]) if turn_left else left
            second = (*right[:-2], right[-1], right[-2]) if turn_right else right
            table = options("BatchMatMul", adjX=turn_left, adjY=turn_right)
            said = f"{first} {second}{' left turned' * turn_left}{' right turned' * turn_right}"
            yield Trial("BATCH_MATMUL", said, (In(first), In(second)), table)
            yield Trial("BATCH_MATMUL", f"{said}, constant", (In(first), Const(normal(*second))), table)


def _pools() -> Iterator[Trial]:
    for op, padding in itertools.product(("MAX_POOL_2D", "AVERAGE_POOL_2D", "L2_POOL_2D"), (SAME, VALID)):
        for shape, size, stride in (
            ((1, 8, 8, 4), (2, 2), (2, 2)),
            ((1, 7, 9, 3), (3, 3), (2, 2)),
            ((1, 7, 9, 3), (3, 2), (1, 3)),
            ((1, 7, 7, 3), (7, 7), (1, 1)),
            ((2, 6, 6, 5), (3, 3), (1, 1)),
        ):
            table = options(
                "Pool2D",
                padding=padding,
                filterHeight=size[0],
                filterWidth=size[1],
                strideH=stride[0],
                strideW=stride[1],
            )
            yield Trial(op, f"{shape} size {size} stride {stride} padding {padding}", (In(shape),), table)


def _resizing() -> Iterator[Trial]:
    for op, shape, size in itertools.product(
        ("ResizeBilinear", "ResizeNearestNeighbor"),
        ((1, 4, 5, 3), (1, 1, 1, 3), (2, 4, 4, 5)),
        ((8, 10), (3, 2), (9, 11), (4, 4), (1, 1)),
    ):
        for align, half in ((False, False), (True, False), (False, True)):
            table = options(op, alignCorners=align, halfPixelCenters=half)
            code = {"ResizeBilinear": "RESIZE_BILINEAR"}.get(op, "RESIZE_NEAREST_NEIGHBOR")
            said = f"{shape} to {size}{' aligned' * align}{' half pixels' * half}"
            yield Trial(code, said, (In(shape), integers(*size)), table, version=3)


def _rearranging() -> Iterator[Trial]:
    for shape, to in (
        ((1, 4, 6, 2), (1, 48)),
        ((1, 4, 6, 2), (48,)),
        ((1, 4, 6, 2), (1, 6, 4, 2)),
        ((1, 4, 6, 2), (1, 2, 2, 12)),
        ((2, 4, 6, 2), (2, 48)),
        ((2, 4, 6, 2), (4, 4, 3, 2)),
        ((2, 4, 6, 2), (1, 4, 6, 4)),
        ((6, 4), (2, 3, 4)),
        ((6, 4), (1, 2, 3, 4)),
        ((1, 4, 6, 2), (1, 2, 2, 6, 2)),
        ((1, 2, 2, 6, 2), (1, 4, 6, 2)),
    ):
        yield Trial("RESHAPE", f"{shape} to {to}", (In(shape), integers(*to)), options("Reshape", newShape=list(to)))
    for shape, order in (
        *(((2, 3, 4, 5), order) for order in itertools.permutations(range(4))),
        *(((2, 3, 4), order) for order in itertools.permutations(range(3))),
        ((3, 4), (1, 0)),
        ((1, 2, 3, 4, 5), (0, 2, 1, 4, 3)),
    ):
        yield Trial("TRANSPOSE", f"{shape} {order}", (In(shape), integers(*order)), options("Transpose"))
    for shape, axes in (((1, 4, 1, 3), (0,)), ((1, 4, 1, 3), (2,)), ((1, 4, 1, 3), (0, 2)), ((1, 4, 3), ())):
        table = options("Squeeze", squeezeDims=list(axes))
        yield Trial("SQUEEZE", f"{shape} {axes}", (In(shape),), table)
    for shape, axis in (((4, 3), 0), ((4, 3), 1), ((4, 3), -1), ((2, 4, 3), 1)):
        yield Trial("EXPAND_DIMS", f"{shape} {axis}", (In(shape), Const(np.int32(axis))), options("ExpandDims"))
    for shape, block in (((1, 4, 6, 8), 2), ((2, 6, 6, 9), 3), ((1, 6, 6, 9), 3), ((2, 4, 4, 4), 2), ((1, 2, 2, 4), 2)):
        yield Trial("DEPTH_TO_SPACE", f"{shape} {block}", (In(shape),), options("DepthToSpace", blockSize=block))
        yield Trial("SPACE_TO_DEPTH", f"{shape} {block}", (In(shape),), options("SpaceToDepth", blockSize=block))
    pads = Const(np.array([[0, 0], [0, 0]], np.int32))
    more = Const(np.array([[1, 1], [0, 2]], np.int32))
    for shape in ((1, 4, 6, 3), (2, 4, 6, 3)):
        table = options("SpaceToBatchND")
        yield Trial("SPACE_TO_BATCH_ND", f"{shape}", (In(shape), integers(2, 2), pads), table)
        yield Trial("SPACE_TO_BATCH_ND", f"{shape} padded", (In(shape), integers(2, 2), more), table)
    for crops, said in ((pads, ""), (Const(np.array([[1, 0], [0, 1]], np.int32)), " cropped")):
        table = options("BatchToSpaceND")
        yield Trial("BATCH_TO_SPACE_ND", f"(4, 3, 2, 3){said}", (In((4, 3, 2, 3)), integers(2, 2), crops), table)
        yield Trial("BATCH_TO_SPACE_ND", f"(8, 3, 2, 3){said}", (In((8, 3, 2, 3)), integers(2, 2), crops), table)
    for shape in ((1, 4, 6, 3), (2, 4, 6, 3), (6, 3), (2, 5, 3)):
        for axis in range(len(shape)):
            two = (In(shape), In(shape))
            yield Trial("CONCATENATION", f"two {shape} axis {axis}", two, options("Concatenation", axis=axis))
            three = (*two, Const(normal(*shape)))
            yield Trial(
                "CONCATENATION", f"with a constant {shape} axis {axis}", three, options("Concatenation", axis=axis)
            )
            five = (In(shape),) * 5
            yield Trial("CONCATENATION", f"five {shape} axis {axis}", five, options("Concatenation", axis=axis))
            yield Trial("PACK", f"{shape} axis {axis}", two, options("Pack", axis=axis, valuesCount=2))
            count = shape[axis]
            yield Trial(
                "UNPACK",
                f"{shape} axis {axis}",
                (In(shape),),
                options("Unpack", num=count, axis=axis),
                (Out(),) * count,
            )
            if count % 2 == 0:
                reads = (Const(np.int32(axis)), In(shape))
                yield Trial("SPLIT", f"{shape} axis {axis}", reads, options("Split", numSplits=2), (Out(), Out()))
            if count > 2:
                reads = (In(shape), integers(1, count - 1), Const(np.int32(axis)))
                yield Trial("SPLIT_V", f"{shape} axis {axis}", reads, options("SplitV", numSplits=2), (Out(), Out()))
            yield Trial("REVERSE_V2", f"{shape} axis {axis}", (In(shape), integers(axis)), options("ReverseV2"))
            times = [1] * len(shape)
            times[axis] = 3
            yield Trial("TILE", f"{shape} {times}", (In(shape), integers(*times)), options("Tile"))
    for shape, to in (((1, 1, 1, 3), (1, 4, 5, 3)), ((1, 4, 1, 1), (1, 4, 5, 3)), ((3,), (4, 3)), ((1, 3), (2, 3))):
        yield Trial("BROADCAST_TO", f"{shape} to {to}", (In(shape), integers(*to)), options("BroadcastTo"))
    lengths = Const(np.array([2, 4], np.int32))
    table = options("ReverseSequence", seqDim=1, batchDim=0)
    yield Trial("REVERSE_SEQUENCE", "(2, 5, 3)", (In((2, 5, 3)), lengths), table)


def _padding() -> Iterator[Trial]:
    for shape, pads in (
        ((1, 5, 6, 3), ((0, 0), (1, 1), (1, 1), (0, 0))),
        ((1, 5, 6, 3), ((0, 0), (0, 2), (3, 0), (0, 0))),
        ((1, 5, 6, 3), ((0, 0), (0, 0), (0, 0), (1, 2))),
        ((1, 5, 6, 4), ((0, 0), (0, 0), (0, 0), (0, 4))),
        ((1, 5, 6, 3), ((1, 1), (0, 0), (0, 0), (0, 0))),
        ((2, 5, 6, 3), ((0, 0), (1, 0), (0, 1), (0, 0))),
        ((5, 6), ((1, 1), (0, 2))),
        ((2, 5, 6), ((0, 0), (1, 1), (0, 2))),
    ):
        widths = Const(np.array(pads, np.int32))
        yield Trial("PAD", f"{shape} {pads}", (In(shape), widths), options("Pad"))
        for value in (0.0, -9.0, 0.5, float("-inf")):
            reads = (In(shape), widths, Const(np.float32(value)))
            yield Trial("PADV2", f"{shape} {pads} with {value:g}", reads, options("PadV2"))
        for mode, said in ((0, "reflect"), (1, "symmetric")):
            yield Trial("MIRROR_PAD", f"{shape} {pads} {said}", (In(shape), widths), options("MirrorPad", mode=mode))


def _slicing() -> Iterator[Trial]:
    for shape, begin, size in (
        ((1, 5, 6, 4), (0, 1, 2, 0), (1, 3, 3, 4)),
        ((1, 5, 6, 4), (0, 0, 0, 1), (1, 5, 6, 2)),
        ((1, 5, 6, 4), (0, 1, 0, 0), (-1, -1, -1, -1)),
        ((3, 5, 6, 4), (1, 0, 0, 0), (2, 5, 6, 4)),
        ((5, 6), (1, 2), (3, 3)),
        ((2, 5, 6), (1, 1, 2), (1, 3, 3)),
    ):
        yield Trial(
            "SLICE", f"{shape} {begin} {size}", (In(shape), integers(*begin), integers(*size)), options("Slice")
        )
    for shape, begin, end, step, masks in (
        ((1, 5, 6, 4), (0, 1, 2, 0), (1, 4, 5, 4), (1, 1, 1, 1), {}),
        ((1, 5, 6, 4), (0, 0, 0, 0), (1, 5, 6, 4), (1, 2, 2, 1), {}),
        ((1, 5, 6, 4), (0, 1, 0, 1), (1, 5, 6, 4), (1, 3, 2, 2), {}),
        ((1, 5, 6, 4), (0, 4, 5, 3), (1, -6, -7, -5), (1, -1, -1, -1), {}),
        ((1, 5, 6, 4), (0, -3, -4, 0), (1, -1, -1, 4), (1, 1, 1, 1), {}),
        ((1, 5, 6, 4), (0, 1, 0, 0), (0, 3, 0, 0), (1, 1, 1, 1), {"beginMask": 13, "endMask": 13}),
        ((1, 5, 6, 4), (0, 1, 0, 0), (1, 2, 6, 4), (1, 1, 1, 1), {"shrinkAxisMask": 2}),
        ((1, 5, 6, 4), (0, 1, 0, 0), (1, 2, 6, 4), (1, 1, 1, 1), {"shrinkAxisMask": 3}),
        ((1, 5, 6, 4), (0, 0, 0, 2), (1, 5, 6, 3), (1, 1, 1, 1), {"shrinkAxisMask": 8}),
        ((3, 5, 6, 4), (1, 0, 0, 0), (3, 5, 6, 4), (1, 1, 1, 1), {}),
        ((4, 5, 6, 4), (0, 0, 0, 0), (4, 5, 6, 4), (2, 1, 1, 1), {}),
        ((5, 6), (1, 2), (4, 6), (1, 2), {}),
        ((2, 5, 6), (0, 1, 2), (2, 4, 6), (1, 1, 2), {}),
        ((2, 5, 6), (1, 0, 0), (2, 5, 6), (1, 1, 1), {"shrinkAxisMask": 1}),
    ):
        table = options("StridedSlice", **masks)
        reads = (In(shape), integers(*begin), integers(*end), integers(*step))
        yield Trial("STRIDED_SLICE", f"{shape} {begin} {end} {step} {masks or ''}", reads, table)
    reads = (In((1, 5, 6, 4)), In((1, 2, 3, 4)), integers(0, 1, 2, 0))
    yield Trial("DYNAMIC_UPDATE_SLICE", "(1, 5, 6, 4)", reads, options("DynamicUpdateSlice"))


def _gathering() -> Iterator[Trial]:
    for shape in ((1, 5, 6, 4), (2, 5, 6, 4), (7, 3), (9,), (2, 5, 3)):
        for axis in range(len(shape)):
            table = options("Gather", axis=axis)
            chosen = np.random.default_rng(0).integers(0, shape[axis], 3).astype(np.int32)
            yield Trial("GATHER", f"{shape} axis {axis}", (In(shape), Const(chosen)), table)
            index = In((3,), 0, shape[axis] - 1, "int32")
            yield Trial("GATHER", f"{shape} axis {axis}, indices are an input", (In(shape), index), table)
            yield Trial("GATHER", f"{shape} axis {axis}, one index", (In(shape), Const(np.int32(chosen[0]))), table)
    at = Const(np.array([[0, 1], [2, 0]], np.int32))
    yield Trial("GATHER_ND", "(3, 4)", (In((3, 4)), at), options("GatherNd"))
    yield Trial("GATHER_ND", "(3, 4, 5)", (In((3, 4, 5)), at), options("GatherNd"))
    index = In((3,), 0, 6, "int32")
    yield Trial("EMBEDDING_LOOKUP", "(7, 4)", (index, Const(normal(7, 4))))
    reads = (In((5,), 0, 6, "int32"), Const(np.int32(7)), Const(np.float32(1)), Const(np.float32(0)))
    yield Trial("ONE_HOT", "7 classes", reads, options("OneHot", axis=-1))
    yield Trial("ONE_HOT", "axis 0", reads, options("OneHot", axis=0))
    other = (*reads[:2], Const(np.float32(3)), Const(np.float32(-1)))
    yield Trial("ONE_HOT", "of 3 and -1", other, options("OneHot", axis=-1))
    at = Const(np.array([[1], [3]], np.int32))
    yield Trial("SCATTER_ND", "(5, 3)", (at, In((2, 3)), integers(5, 3)), options("ScatterNd"))


def _selecting() -> Iterator[Trial]:
    for shape in SHAPES:
        three = (In(shape, dtype="bool"), In(shape), In(shape))
        yield Trial("SELECT", f"{shape}", three, options("Select"))
        yield Trial("SELECT_V2", f"{shape}", three, options("SelectV2"))
        scalars = (three[0], In(shape), Const(np.float32(-9)))
        yield Trial("SELECT_V2", f"{shape} or a scalar", scalars, options("SelectV2"))
    wide = (In((1, 5, 1, 1), dtype="bool"), In((1, 5, 6, 3)), In((1, 5, 6, 3)))
    yield Trial("SELECT_V2", "broadcast condition", wide, options("SelectV2"))


def _casts() -> Iterator[Trial]:
    for source, target in itertools.product(("float32", "int32", "bool"), repeat=2):
        if source == target:
            continue
        codes = {"float32": Type.FLOAT32, "int32": Type.INT32, "bool": Type.BOOL}
        table = options("Cast", inDataType=codes[source], outDataType=codes[target])
        for shape in ((1, 5, 6, 3), (7,)):
            reads = (In(shape, -3, 3, source),)
            yield Trial("CAST", f"{shape} {source} to {target}", reads, table, (Out(codes[target]),))


def _per_channel(weights: np.ndarray[Any, Any], axis: int, top: int = 127) -> tuple[np.ndarray[Any, Any], Quantization]:
    others = tuple(i for i in range(weights.ndim) if i != axis)
    scales = np.abs(weights).max(others) / top
    shape = [1] * weights.ndim
    shape[axis] = -1
    stored = np.rint(weights / scales.reshape(shape)).astype(np.int8)
    return stored, Quantization([float(scale) for scale in scales], [0] * len(scales), axis)


def _weights() -> Iterator[Trial]:
    """float32 ops with float16 or integer weights."""
    strides = {"padding": SAME, "strideW": 1, "strideH": 1}
    dilations = {"dilationWFactor": 1, "dilationHFactor": 1}
    for op, shape, axis, table, version in (
        ("CONV_2D", (6, 3, 3, 4), 0, options("Conv2D", **strides, **dilations), 5),
        (
            "DEPTHWISE_CONV_2D",
            (1, 3, 3, 4),
            3,
            options("DepthwiseConv2D", depthMultiplier=1, **strides, **dilations),
            6,
        ),
        ("FULLY_CONNECTED", (6, 4), 0, options("FullyConnected", keepNumDims=True), 9),
        ("TRANSPOSE_CONV", (6, 2, 2, 4), 0, options("TransposeConv", padding=SAME, strideW=2, strideH=2), 3),
    ):
        weights = normal(*shape)
        width = shape[axis]
        first = In((1, 8, 8, 4))
        bias = Const(normal(width))
        size = integers(1, 16, 16, 6)

        def reads(
            part: Const, op: str = op, first: In = first, bias: Const = bias, size: Const = size
        ) -> tuple[Read, ...]:
            return (size, part, first, bias) if op == "TRANSPOSE_CONV" else (first, part, bias)

        half = reads(Const(weights.astype(np.float16)))
        yield Trial(op, "float16 weights", half, table, version=3 if op == "TRANSPOSE_CONV" else 1, dequantized=(1,))
        stored, scales = _per_channel(weights, axis)
        whole = np.abs(weights).max() / 127
        one = Const(np.rint(weights / whole).astype(np.int8), Quantization([float(whole)], [0]))
        wide = stored * np.float32(scales.scales).reshape([-1 if at == axis else 1 for at in range(weights.ndim)])
        for part, said, true in (
            (Const(stored, scales), "per channel", wide),
            (one, "per tensor", one.values * np.float32(whole)),
        ):
            # The built-in kernels round the activations to 8 bits here, and read past a scale that is alone.
            exact = Trial(op, "", reads(Const(true)), table, version=3 if op == "TRANSPOSE_CONV" else 1)
            behind = f"int8 weights {said} behind DEQUANTIZE"
            version_behind = 3 if op == "TRANSPOSE_CONV" else 1
            yield Trial(op, behind, reads(part), table, dequantized=(1,), version=version_behind, reference=exact)
            if op != "TRANSPOSE_CONV":
                yield Trial(op, f"int8 weights {said}", reads(part), table, version=version, reference=exact)
        if op in ("CONV_2D", "FULLY_CONNECTED"):
            stored, scales = _per_channel(weights, axis, 7)
            shape_of_scales = [-1 if at == axis else 1 for at in range(weights.ndim)]
            exact = Trial(op, "", reads(Const(stored * np.float32(scales.scales).reshape(shape_of_scales))), table)
            four = reads(Const(stored, scales, int4=True))
            yield Trial(op, "int4 weights per channel", four, table, version=version, reference=exact)


def _quantized() -> Iterator[Trial]:
    """Whole int8 and uint8 ops."""
    for dtype, zero in (("int8", -3), ("uint8", 125)):
        element_type = getattr(Type, dtype.upper())
        low, high = (-128, 127) if dtype == "int8" else (0, 255)

        def q(scale: float, zero_point: int = zero) -> Quantization:
            return Quantization([scale], [zero_point])

        def source(
            shape: tuple[int, ...], scale: float = 0.04, low: int = low, high: int = high, dtype: str = dtype
        ) -> In:
            return In(shape, low, high, dtype, q(scale))

        def out(scale: float, zero_point: int = zero, element_type: int = element_type) -> tuple[Out, ...]:
            return (Out(element_type, q(scale, zero_point)),)

        shape = (1, 6, 6, 4)
        for activation in ("none", "relu", "relu6"):
            code = ACTIVATIONS[activation]
            fused = {"fusedActivationFunction": code}
            said = f"{dtype} fused {activation}"
            for op, scale in (("ADD", 0.08), ("SUB", 0.08), ("MUL", 0.2)):
                table = _binary_options(op, code)
                yield Trial(op, said, (source(shape), source(shape, 0.05)), table, out(scale), version=2)
            for op in ("MAX_POOL_2D", "AVERAGE_POOL_2D"):
                table = options("Pool2D", strideW=2, strideH=2, filterWidth=2, filterHeight=2, **fused)
                yield Trial(op, said, (source(shape),), table, out(0.04), version=2)
            table = options("Concatenation", axis=3, **fused)
            yield Trial("CONCATENATION", said, (source(shape), source(shape)), table, out(0.04), version=2)
            strides = {"padding": SAME, "strideW": 1, "strideH": 1, **fused}
            dilations = {"dilationWFactor": 1, "dilationHFactor": 1}
            for op, size, axis, table in (
                ("CONV_2D", (6, 3, 3, 4), 0, options("Conv2D", **strides, **dilations)),
                (
                    "DEPTHWISE_CONV_2D",
                    (1, 3, 3, 4),
                    3,
                    options("DepthwiseConv2D", depthMultiplier=1, **strides, **dilations),
                ),
                ("FULLY_CONNECTED", (6, 4), 0, options("FullyConnected", keepNumDims=True, **fused)),
                (
                    "TRANSPOSE_CONV",
                    (6, 2, 2, 4),
                    0,
                    options("TransposeConv", padding=SAME, strideW=2, strideH=2, **fused),
                ),
            ):
                weights = normal(*size)
                if dtype == "int8":
                    stored, scales = _per_channel(weights, axis)
                else:
                    whole = float(np.abs(weights).max() / 127)
                    stored = np.clip(np.rint(weights / whole) + 128, 1, 255).astype(np.uint8)
                    scales = Quantization([whole], [128])
                steps = np.asarray(scales.scales) * 0.04
                bias = Const(
                    np.rint(normal(size[axis]) / steps).astype(np.int32),
                    Quantization([float(step) for step in steps], [0] * len(steps)),
                )
                first = source(shape)
                reads: tuple[Read, ...] = (first, Const(stored, scales), bias)
                version = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 5, "TRANSPOSE_CONV": 3}[op]
                if op == "TRANSPOSE_CONV":
                    reads = (integers(1, 12, 12, 6), reads[1], first, bias)
                    version = 4 if code else 3
                yield Trial(op, said, reads, table, out(0.2), version=version)
        for op, scale, zero_point, table in (
            ("LOGISTIC", 1 / 256, low, None),
            ("TANH", 1 / 128, 0 if dtype == "int8" else 128, None),
            ("SOFTMAX", 1 / 256, low, options("Softmax", beta=1.0)),
            ("HARD_SWISH", 0.04, zero, None),
            ("RELU", 0.04, zero, None),
            ("RELU6", 0.04, zero, None),
            ("LEAKY_RELU", 0.04, zero, options("LeakyRelu", alpha=0.3)),
            ("ELU", 0.04, zero, None),
            ("ABS", 0.04, zero, None),
            ("EXP", 0.5, zero, None),
            ("RSQRT", 0.04, zero, None),
        ):
            yield Trial(op, dtype, (source(shape),), table, out(scale, zero_point), version=2)
        for op, table, more in (
            ("PAD", options("Pad"), Const(np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))),
            ("RESHAPE", options("Reshape", newShape=[1, 144]), integers(1, 144)),
            ("TRANSPOSE", options("Transpose"), integers(0, 2, 1, 3)),
            ("RESIZE_BILINEAR", options("ResizeBilinear"), integers(9, 9)),
            ("RESIZE_NEAREST_NEIGHBOR", options("ResizeNearestNeighbor"), integers(9, 9)),
            ("TILE", options("Tile"), integers(1, 2, 1, 1)),
        ):
            yield Trial(op, dtype, (source(shape), more), table, out(0.04), version=2)
        for op in ("MEAN", "SUM", "REDUCE_MAX"):
            reads = (source(shape), integers(1, 2))
            yield Trial(
                op, dtype, reads, options("Reducer", keepDims=True), out(0.04 if op != "SUM" else 0.5), version=2
            )
        for op in ("MAXIMUM", "MINIMUM"):
            yield Trial(op, dtype, (source(shape), source(shape)), options("MaximumMinimum"), out(0.04), version=2)
        yield Trial("QUANTIZE", f"float32 to {dtype}", (In(shape),), options("Quantize"), out(0.04))
        yield Trial(
            "QUANTIZE", f"{dtype} to other steps", (source(shape),), options("Quantize"), out(0.07, zero + 2), version=2
        )
        yield Trial("DEQUANTIZE", f"{dtype} to float32", (source(shape),), options("Dequantize"), version=2)
        yield Trial("PRELU", dtype, (source(shape), Const(np.full((1, 1, 4), 50, dtype), q(0.01, 0))), None, out(0.04))


def _others() -> Iterator[Trial]:
    for shape in SHAPES:
        yield Trial("SHAPE", f"{shape}", (In(shape),), options("Shape", outType=Type.INT32), (Out(Type.INT32),))
        for op in ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "FLOOR_DIV", "FLOOR_MOD"):
            pair = (In(shape, 1, 9, "int32"), In(shape, 1, 9, "int32"))
            yield Trial(op, f"int32 {shape}", pair, _binary_options(op), (Out(Type.INT32),))
        for op in ("ABS", "NEG"):
            yield Trial(op, f"int32 {shape}", (In(shape, -9, 9, "int32"),), None, (Out(Type.INT32),))
    yield Trial("FILL", "(2, 3)", (integers(2, 3), In(())), options("Fill"))
    reads = (In((5, 3)), Const(np.array([0, 0, 1, 2, 2], np.int32)))
    yield Trial("SEGMENT_SUM", "(5, 3)", reads, options("SegmentSum"))
    table = options("MatrixDiag")
    yield Trial("MATRIX_DIAG", "(2, 3)", (In((2, 3)),), table)
    table = options("FakeQuant", min=-2.0, max=2.0, numBits=8)
    yield Trial("FAKE_QUANT", "(1, 5, 6, 3)", (In((1, 5, 6, 3)),), table)


def _followers(channels: int) -> dict[str, Step]:
    """Return ops that a compiler may merge with the op before, by what they are called here."""
    strides = {"padding": VALID, "strideW": 1, "strideH": 1}
    same = {"padding": SAME, "strideW": 1, "strideH": 1}
    dilations = {"dilationWFactor": 1, "dilationHFactor": 1}
    conv = (Before(), Const(normal(5, 3, 3, channels) / 4), Const(normal(5)))
    depthwise = (Before(), Const(normal(1, 3, 3, channels)), Const(normal(channels)))
    pool = {"filterWidth": 3, "filterHeight": 3}
    row, scalar = Const(normal(channels) + 3), Const(np.float32(2.5))
    table = {
        "CONV_2D": Step("CONV_2D", conv, options("Conv2D", **strides, **dilations)),
        "CONV_2D same": Step("CONV_2D", conv, options("Conv2D", **same, **dilations)),
        "DEPTHWISE_CONV_2D": Step(
            "DEPTHWISE_CONV_2D", depthwise, options("DepthwiseConv2D", depthMultiplier=1, **strides, **dilations)
        ),
        "DEPTHWISE_CONV_2D same": Step(
            "DEPTHWISE_CONV_2D", depthwise, options("DepthwiseConv2D", depthMultiplier=1, **same, **dilations)
        ),
        "MAX_POOL_2D": Step("MAX_POOL_2D", (Before(),), options("Pool2D", **strides, **pool)),
        "AVERAGE_POOL_2D": Step("AVERAGE_POOL_2D", (Before(),), options("Pool2D", **strides, **pool)),
        "FULLY_CONNECTED": Step(
            "FULLY_CONNECTED",
            (Before(), Const(normal(5, channels)), Const(normal(5))),
            options("FullyConnected", keepNumDims=True),
            version=5,
        ),
        "RELU": Step("RELU", (Before(),)),
        "RELU6": Step("RELU6", (Before(),)),
        "HARD_SWISH": Step("HARD_SWISH", (Before(),)),
        "LEAKY_RELU": Step("LEAKY_RELU", (Before(),), options("LeakyRelu", alpha=0.3)),
        "PRELU": Step("PRELU", (Before(), Const(normal(1, 1, channels)))),
        "LOGISTIC": Step("LOGISTIC", (Before(),)),
        "ABS": Step("ABS", (Before(),)),
        "MEAN": Step("MEAN", (Before(), integers(1, 2)), options("Reducer", keepDims=True)),
        "SOFTMAX": Step("SOFTMAX", (Before(),), options("Softmax", beta=1.0)),
        "CONCATENATION": Step("CONCATENATION", (Before(), Before()), options("Concatenation", axis=3)),
        "RESIZE_BILINEAR": Step("RESIZE_BILINEAR", (Before(), integers(9, 9)), options("ResizeBilinear"), version=3),
    }
    for op in ("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "POW"):
        for part, said in ((row, "row"), (scalar, "scalar")):
            table[f"{op} {said}"] = Step(op, (Before(), part), _binary_options(op))
            table[f"{said} {op}"] = Step(op, (part, Before()), _binary_options(op))
        table[f"{op} itself"] = Step(op, (Before(), Before()), _binary_options(op))
    return table


def _pairs() -> Iterator[Trial]:
    """Ops that a compiler merges: padding, sums and products before and after convolutions, activations."""
    shape = (1, 8, 8, 4)
    widths = Const(np.array([[0, 0], [1, 1], [2, 0], [0, 0]], np.int32))
    deep = Const(np.array([[0, 0], [0, 0], [0, 0], [0, 4]], np.int32))
    for said, step in _followers(4).items():
        for value in (None, 0.0, -9.0):
            reads = (In(shape), widths) if value is None else (In(shape), widths, Const(np.float32(value)))
            op = "PAD" if value is None else "PADV2"
            what = "" if value is None else f"of {value:g} "
            yield Trial(op, f"{what}before {said}", reads, options("Pad" if value is None else "PadV2"), then=(step,))
        yield Trial("MIRROR_PAD", f"before {said}", (In(shape), widths), options("MirrorPad", mode=0), then=(step,))
        for op, part in itertools.product(("ADD", "SUB", "MUL", "DIV"), (Const(normal(4) + 3), Const(np.float32(2.5)))):
            what = "row" if np.ndim(part.values) else "scalar"
            yield Trial(op, f"{what} before {said}", (In(shape), part), _binary_options(op), then=(step,))
        yield Trial("RELU", f"before {said}", (In(shape),), then=(step,))
        yield Trial(
            "MEAN",
            f"before {said}",
            (In((1, 8, 8, 4)), integers(3)),
            options("Reducer", keepDims=True),
            then=(_followers(1)[said],),
        )
        table = options("Transpose")
        yield Trial("TRANSPOSE", f"before {said}", (In(shape), integers(0, 2, 1, 3)), table, then=(step,))
        table = options("Conv2D", padding=SAME, strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1)
        reads = (In(shape), Const(normal(4, 3, 3, 4) / 4), Const(normal(4)))
        yield Trial("CONV_2D", f"before {said}", reads, table, then=(step,))
        none = (In(shape), Const(normal(4, 3, 3, 4) / 4), None)
        yield Trial("CONV_2D", f"without bias before {said}", none, table, then=(step,))
        reads = (In(shape), Const(normal(4, 4)), Const(normal(4)))
        table = options("FullyConnected", keepNumDims=True)
        yield Trial("FULLY_CONNECTED", f"before {said}", reads, table, version=5, then=(step,))
    for said, step in _followers(8).items():
        yield Trial("PAD", f"of channels before {said}", (In(shape), deep), options("Pad"), then=(step,))
        two = (In(shape), In(shape))
        yield Trial("CONCATENATION", f"before {said}", two, options("Concatenation", axis=3), then=(step,))
        zeros = (In(shape), Const(np.zeros(shape, np.float32)))
        yield Trial("CONCATENATION", f"with zeros before {said}", zeros, options("Concatenation", axis=3), then=(step,))

"""What a trial of an op is: what the op reads and with which options, and the model made of that.

The shapes of what an op writes are asked of the official Interpreter, which allocates the model once. The trials
themselves are in the files `op_trials_*.py`, and `compare_ops.py` runs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter as Official  # type: ignore[import-untyped, unused-ignore]
from ai_edge_litert.interpreter import OpResolverType
from small_models_builder import OPTIONAL, GraphBuilder, ModelBuilder, Op, Quantization, Type, pack_int4, schema

ACTIVATIONS = {"none": 0, "relu": 1, "relu_n1_to_1": 2, "relu6": 3}
VALID, SAME = 1, 0
SHAPES = ((1, 8, 8, 4), (1, 5, 7, 3), (2, 5, 6, 3), (1, 6), (3, 5), (2, 3, 5), (7,), (), (1, 2, 3, 4, 5))


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

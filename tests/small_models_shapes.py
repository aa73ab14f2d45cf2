"""Models that compute the shapes they use from the shape of their input, as converters write them for an open batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from small_models_builder import GraphBuilder, ModelBuilder, Op, Type, schema

Chain = Callable[[GraphBuilder, int], int]


def ints(graph: GraphBuilder, name: str, values: Any) -> int:
    """Add an int32 constant."""
    return graph.constant(name, np.array(values, np.int32))


def shape_of(graph: GraphBuilder, tensor: int, rank: int) -> int:
    """Add a SHAPE op and return its output."""
    shape = graph.tensor("shape", (rank,), Type.INT32)
    options = schema.ShapeOptionsT()
    options.outType = Type.INT32
    graph.op(Op.SHAPE, [tensor], [shape], options)
    return shape


def sliced(graph: GraphBuilder, tensor: int, index: int, name: str = "size") -> int:
    """Add the STRIDED_SLICE that takes one size out of a shape, as a scalar."""
    size = graph.tensor(name, (), Type.INT32)
    options = schema.StridedSliceOptionsT()
    options.shrinkAxisMask = 1
    bounds = [ints(graph, f"{name}_{what}", [value]) for what, value in (("from", index), ("to", index + 1), ("by", 1))]
    graph.op(Op.STRIDED_SLICE, [tensor, *bounds], [size], options)
    return size


def packed(graph: GraphBuilder, tensors: Sequence[int], name: str = "packed") -> int:
    """Add the PACK that makes a shape out of sizes."""
    shape = graph.tensor(name, (len(tensors),), Type.INT32)
    options = schema.PackOptionsT()
    options.valuesCount = len(tensors)
    graph.op(Op.PACK, tensors, [shape], options)
    return shape


def computed_reshape(features: int = 12) -> bytes:
    """RESHAPE of (batch, 3, 4) to (batch, features), then FULLY_CONNECTED to 5 with RELU."""
    model = ModelBuilder()
    graph = model.graph()
    x = graph.input("x", (-1, 3, 4))
    shape = packed(graph, [sliced(graph, shape_of(graph, x, 3), 0), ints(graph, "features", features)])
    flat = graph.tensor("flat", (-1, features))
    graph.op(Op.RESHAPE, [x, shape], [flat])  # without options, in whose place OpenVINO would take an empty shape
    weights = graph.constant("weights", np.linspace(-1, 1, 5 * features, dtype=np.float32).reshape(5, features))
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = schema.ActivationFunctionType.RELU
    y = graph.output("y", (-1, 5))
    graph.op(Op.FULLY_CONNECTED, [flat, weights, -1], [y], options)
    model.signature("serving_default", graph, {"values": x}, {"scores": y})  # not the names of the tensors
    return model.to_bytes()


def of_shape(chain: Chain, shape: Sequence[int], element_type: int = Type.INT32) -> bytes:
    """A chain of ops on the shape of ``x``, and an ADD of ``z``, so that what was folded is seen in the output."""
    model = ModelBuilder()
    graph = model.graph()
    x = graph.input("x", (-1, 4, 6, 2))
    z = graph.input("z", shape, element_type)
    result = chain(graph, shape_of(graph, x, 4))
    graph.op(Op.ADD, [result, z], [graph.output("y", shape, element_type)], schema.AddOptionsT())
    # The batch as a size of a tensor: without one there is nothing to fold for.
    flat = packed(graph, [sliced(graph, shape_of(graph, x, 4), 0), ints(graph, "features", 48)])
    graph.op(Op.RESHAPE, [x, flat], [graph.output("flat", (-1, 48))], schema.ReshapeOptionsT())
    return model.to_bytes()


def two_open_signatures() -> bytes:
    """Two signatures that flatten their inputs, one of them doubled."""
    model = ModelBuilder()
    for name in ("flat", "doubled"):
        graph = model.graph(name)
        x = graph.input("x", (-1, 2, 3))
        shape = packed(graph, [sliced(graph, shape_of(graph, x, 3), 0), ints(graph, "features", 6)])
        y = graph.output("y", (-1, 6))
        if name == "flat":
            graph.op(Op.RESHAPE, [x, shape], [y], schema.ReshapeOptionsT())
        else:
            flat = graph.tensor("flat", (-1, 6))
            graph.op(Op.RESHAPE, [x, shape], [flat], schema.ReshapeOptionsT())
            graph.op(Op.ADD, [flat, flat], [y], schema.AddOptionsT())
        model.signature(name, graph, {"x": x}, {"y": y})
    return model.to_bytes()


def loop(*, grows: bool) -> bytes:
    """WHILE for three rounds over (batch, 3): doubled in each, or with a row of the input appended."""
    model = ModelBuilder()
    main, condition, body = model.graph(), model.graph("condition"), model.graph("body")
    options = schema.WhileOptionsT()
    options.condSubgraphIndex, options.bodySubgraphIndex = condition.index, body.index
    x = main.input("x", (-1, 3))
    zero = ints(main, "zero", 0)
    main.op(Op.WHILE, [zero, x], [main.tensor("round", (), Type.INT32), main.output("y", (-1, 3))], options)
    round_, _ = condition.input("round", (), Type.INT32), condition.input("x", (-1, 3))
    condition.op(
        Op.LESS, [round_, ints(condition, "three", 3)], [condition.output("go", (), Type.BOOL)], schema.LessOptionsT()
    )
    round_, x = body.input("round", (), Type.INT32), body.input("x", (-1, 3))
    following, y = body.output("round", (), Type.INT32), body.output("y", (-1, 3))
    body.op(Op.ADD, [round_, ints(body, "one", 1)], [following], schema.AddOptionsT())
    if grows:
        body.op(Op.CONCATENATION, [x, x], [y], schema.ConcatenationOptionsT())
    else:
        # A shape that the body computes itself, and that is the same in every round.
        shape = packed(body, [sliced(body, shape_of(body, x, 2), 0), ints(body, "three", 3)])
        same = body.tensor("same", (-1, 3))
        body.op(Op.RESHAPE, [x, shape], [same], schema.ReshapeOptionsT())
        body.op(Op.ADD, [same, same], [y], schema.AddOptionsT())
    return model.to_bytes()


def branches(*, differ: bool) -> bytes:
    """IF the condition holds x doubled, else x, or with ``differ`` x twice."""
    model = ModelBuilder()
    main, then, otherwise = model.graph(), model.graph("then"), model.graph("else")
    options = schema.IfOptionsT()
    options.thenSubgraphIndex, options.elseSubgraphIndex = then.index, otherwise.index
    inputs = [main.input("condition", (1,), Type.BOOL), main.input("x", (-1, 3))]
    main.op(Op.IF, inputs, [main.output("y", (-1, 3))], options)
    x = then.input("x", (-1, 3))
    then.op(Op.ADD, [x, x], [then.output("y", (-1, 3))], schema.AddOptionsT())
    x = otherwise.input("x", (-1, 3))
    if differ:
        otherwise.op(Op.CONCATENATION, [x, x], [otherwise.output("y", (-1, 3))], schema.ConcatenationOptionsT())
    else:
        otherwise.op(Op.RELU, [x], [otherwise.output("y", (-1, 3))])
    return model.to_bytes()


def shape_is_an_output() -> bytes:
    """The shape that a RESHAPE takes is an output of the model too."""
    model = ModelBuilder()
    graph = model.graph()
    x = graph.input("x", (-1, 3, 4))
    size = sliced(graph, shape_of(graph, x, 3), 0)
    shape = graph.output("new_shape", (2,), Type.INT32)
    options = schema.PackOptionsT()
    options.valuesCount = 2
    graph.op(Op.PACK, [size, ints(graph, "features", 12)], [shape], options)
    graph.op(Op.RESHAPE, [x, shape], [graph.output("y", (-1, 12))], schema.ReshapeOptionsT())
    return model.to_bytes()


def examples() -> tuple[bytes, ...]:
    """Return one of each."""
    return (
        computed_reshape(),
        two_open_signatures(),
        loop(grows=False),
        loop(grows=True),
        branches(differ=False),
        branches(differ=True),
        shape_is_an_output(),
    )

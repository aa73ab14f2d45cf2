"""A ``ModelProto`` as a graph that tells how its nodes hang together, and nothing of the values.

ONNX Runtime writes its optimized model with the large values in a file that is not kept; `graph.load` would want them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from litedelegates.engines.onnxruntime.naming import all_graphs
from litedelegates.errors import UnsupportedError
from litedelegates.graph import Graph, Op, Tensor
from litedelegates.graph.fixed import FixedOps
from litedelegates.graph.model import Format


class _NoFile:
    """The source of a graph that cannot be written."""

    format: Format = "onnx"

    def chunks(self, graph: Graph) -> Iterator[bytes | memoryview]:
        raise UnsupportedError(f"{graph.name}: only the structure of this model was kept, so it cannot be written")

    def save(self, graph: Graph, path: str) -> None:
        self.chunks(graph)


def skeleton(model: Any) -> Graph:
    """Return the main graph of a ``ModelProto``; shapes and types of what nodes make are not known."""
    proto = model.graph
    tensors: dict[str, Tensor] = {}
    for stored in proto.initializer:
        tensors[stored.name] = Tensor(stored.name, tuple(stored.dims), "unknown", is_constant=True)

    def tensor(name: str) -> Tensor | None:
        return tensors.setdefault(name, Tensor(name, None, "unknown")) if name else None

    inputs = [made for value in proto.input if value.name not in tensors and (made := tensor(value.name)) is not None]
    fixed = FixedOps()
    ops = []
    for index, node in enumerate(proto.node):
        reads, makes = tuple(map(tensor, node.input)), tuple(map(tensor, node.output))
        captures = tuple(made for name in _captured(node) if (made := tensors.get(name)) is not None)
        is_fixed = fixed.add(node.op_type, (*reads, *captures), makes, next(_inner_graphs(node), None) is not None)
        ops.append(Op(index, node.op_type, node.name, reads, makes, captures, is_fixed=is_fixed))
    outputs = [made for value in proto.output if (made := tensor(value.name)) is not None]
    return Graph(_NoFile(), ops, tensors.values(), inputs, outputs, name=proto.name)


def _captured(node: Any) -> list[str]:
    """Return the names that the graphs inside a node read; those that they make are not known outside."""
    return [name for graph in _inner_graphs(node) for inner in graph.node for name in inner.input if name]


def _inner_graphs(node: Any) -> Iterator[Any]:
    """Yield the graphs that a node runs, and those that their nodes run."""
    for attribute in node.attribute:
        for graph in [attribute.g] if attribute.HasField("g") else attribute.graphs:
            yield from all_graphs(graph)

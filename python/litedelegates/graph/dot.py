"""A graph as a drawing: the language of Graphviz."""

from __future__ import annotations

from collections.abc import Iterator

from litedelegates.graph.model import Graph
from litedelegates.graph.parts import Op, Tensor


def to_dot(graph: Graph) -> str:
    """Return the graph in Graphviz's language: ops as boxes, tensors as arrows with shape and bytes, no constants."""
    return "\n".join(_lines(graph)) + "\n"


def _lines(graph: Graph) -> Iterator[str]:
    yield f"digraph {_quoted(graph.name)} {{"
    yield '  node [shape=box, style=filled, fillcolor=white, fontname="sans-serif"];'
    yield '  edge [fontname="sans-serif", fontsize=10];'
    for place, tensor in enumerate(graph.inputs):
        yield f'  "in{place}" [shape=ellipse, label={_quoted(graph.public_name(tensor))}];'
        yield from (_arrow(f"in{place}", f"op{reader.index}", tensor) for reader in graph.readers(tensor))
    for op in graph.ops:
        colour = ", fillcolor=lightgrey" if op.is_fixed or op.computes_shape else ""
        yield f'  "op{op.index}" [label={_quoted(f"{op.index} {op.type}")}, tooltip={_quoted(op.name)}{colour}];'
        yield from _arrows(graph, op)
    for place, tensor in enumerate(graph.outputs):
        maker = graph.producer(tensor)
        yield f'  "out{place}" [shape=ellipse, label={_quoted(graph.public_name(tensor))}];'
        if maker is not None:
            yield _arrow(f"op{maker.index}", f"out{place}", tensor)
    yield "}"


def _arrows(graph: Graph, op: Op) -> Iterator[str]:
    for tensor in op.makes:
        for reader in graph.readers(tensor):
            yield _arrow(f"op{op.index}", f"op{reader.index}", tensor)


def _arrow(start: str, end: str, tensor: Tensor) -> str:
    shape = "?" if tensor.shape is None else "x".join("?" if size < 0 else str(size) for size in tensor.shape)
    size = "" if tensor.nbytes is None else f", {tensor.nbytes} B"
    label = _quoted(f"{tensor.element_type} {shape}{size}")
    return f'  "{start}" -> "{end}" [label={label}, tooltip={_quoted(tensor.name)}];'


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'

"""The nodes of an ONNX model under names that say which is which, whatever graph they are in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from litedelegates.engines.onnxruntime.extras import require_onnx
from litedelegates.errors import InvalidModelError


def read_without_data(source: str | bytes) -> Any:
    """Return the ``ModelProto`` of a path or content; data in files beside it stays there.

    Raises:
        InvalidModelError: It is no ONNX model.
        MissingExtraError: The package onnx is not installed.
    """
    onnx = require_onnx()
    try:
        if isinstance(source, bytes):
            return onnx.load_model_from_string(source)
        return onnx.load(source, load_external_data=False)
    except Exception as error:  # protobuf has classes of its own in each of its versions
        raise InvalidModelError(f"cannot read the ONNX model: {error}") from error


def all_graphs(graph: Any) -> Iterator[Any]:
    """Yield a graph and the graphs that its nodes run, such as the branches of an If, level by level."""
    graphs = [graph]
    for entry in graphs:
        yield entry
        for node in entry.node:
            for attribute in node.attribute:
                graphs += [attribute.g] if attribute.HasField("g") else list(attribute.graphs)


def has_data_files(model: Any) -> bool:
    """Return whether values of a model are in files beside it."""
    external = require_onnx().TensorProto.EXTERNAL
    return any(tensor.data_location == external for graph in all_graphs(model.graph) for tensor in graph.initializer)


def name_nodes(model: Any) -> bool:
    """Give every node a name of its own, also those inside nodes and functions; return whether any name changed.

    The engine names a node without one by its type and a number that no file holds, and says nothing of the graph that
    a node is in.
    """
    changed, taken = False, set[str]()
    for graph in (inner for outer in (model.graph, *model.functions) for inner in all_graphs(outer)):
        for node in graph.node:
            wanted = node.name or next(filter(None, node.output), node.op_type)
            name, number = wanted, 1
            while name in taken:
                number += 1
                name = f"{wanted}_{number}"
            changed |= name != node.name
            node.name = name
            taken.add(name)
    return changed

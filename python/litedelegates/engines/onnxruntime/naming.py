"""The nodes of an ONNX model under names that say which is which, whatever graph they are in."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from litedelegates.errors import InvalidModelError, MissingExtraError


def require_onnx() -> Any:
    """Return the module ``onnx``.

    Raises:
        MissingExtraError: It is not installed; says what to install.
    """
    try:
        return importlib.import_module("onnx")
    except ImportError as error:
        raise MissingExtraError(
            f"reading ONNX models needs the package onnx ({error}): pip install 'litedelegates[onnx]'"
        ) from error


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


def all_nodes(graph: Any) -> Iterator[Any]:
    """Yield the nodes of a graph, and after each those of the graphs inside it."""
    for node in graph.node:
        yield node
        for inner in inner_graphs(node):
            yield from all_nodes(inner)


def inner_graphs(node: Any) -> Iterator[Any]:
    """Yield the graphs that a node runs, such as the branches of an If."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def number_graphs(graph: Any) -> Iterator[tuple[int, Any]]:
    """Yield each node with the number of its graph: 0 for the outermost, those inside counted as they come."""
    graphs = [graph]
    for number, entry in enumerate(graphs):
        for node in entry.node:
            yield number, node
            graphs.extend(inner_graphs(node))


def name_nodes(model: Any) -> bool:
    """Give every node a name of its own, also those inside nodes and functions; return whether any name changed.

    The engine names a node without one by its type and a number that no file holds, and says nothing of the graph that
    a node is in.
    """
    changed, taken = False, set[str]()
    for graph in (model.graph, *model.functions):
        for node in all_nodes(graph):
            wanted = node.name or next(filter(None, node.output), node.op_type)
            name, number = wanted, 1
            while name in taken:
                number += 1
                name = f"{wanted}_{number}"
            changed |= name != node.name
            node.name = name
            taken.add(name)
    return changed


def folder_of(source: str | bytes) -> str | None:
    """Return where a model's data files are; None for content, which has none."""
    return None if isinstance(source, bytes) else str(Path(source).absolute().parent)

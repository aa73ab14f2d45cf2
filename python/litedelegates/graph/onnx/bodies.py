"""The graphs inside nodes: bodies of loops, branches of conditions, and the functions of a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

# What a node calls: domain, type and overload.
FunctionKey: TypeAlias = tuple[str, str, str]


def bodies(node: Any) -> Iterator[Any]:
    """Yield the graphs in a node's attributes."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def inner_tensors(node: Any) -> Iterator[Any]:
    """Yield the tensors in a node's attributes and in its bodies, however deep."""
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
    for body in bodies(node):
        yield from body.initializer
        for inner in body.node:
            yield from inner_tensors(inner)


def captured_names(node: Any) -> tuple[str, ...]:
    """Return the names that a node's bodies read from the graph around it, each once."""
    return tuple(dict.fromkeys(name for body in bodies(node) for name in _free_names(body)))


def _free_names(body: Any) -> Iterator[str]:
    own = _own_names(body)
    for node in body.node:
        for name in (*node.input, *captured_names(node)):
            if name and name not in own:
                yield name
        own.update(node.output)
    yield from (value.name for value in body.output if value.name not in own)


def _own_names(body: Any) -> set[str]:
    own = {value.name for value in (*body.input, *body.initializer)}
    return own | {sparse.values.name for sparse in body.sparse_initializer}


def rename(node: Any, names: Mapping[str, str]) -> None:
    """Change what a node's bodies read from the graph around it."""
    for body in bodies(node):
        own = _own_names(body) | {name for inner in body.node for name in inner.output}
        outer = {old: new for old, new in names.items() if old not in own}
        for inner in body.node:
            for index, name in enumerate(inner.input):
                inner.input[index] = outer.get(name, name)
            rename(inner, outer)
        for value in body.output:
            value.name = outer.get(value.name, value.name)


def called_functions(nodes: Iterable[Any], known: Mapping[FunctionKey, Any]) -> dict[FunctionKey, None]:
    """Return which local functions some nodes call, and those that these call, in the order they are met."""
    found: dict[FunctionKey, None] = {}
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        key = function_key(node)
        if key in known and key not in found:
            found[key] = None
            waiting += known[key].node
        for body in bodies(node):
            waiting += body.node
    return found


def function_key(node: Any) -> FunctionKey:
    """Return what a node calls."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    return domain, node.op_type, getattr(node, "overload", "")

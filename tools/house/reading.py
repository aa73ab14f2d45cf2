"""Reads the modules of the package, and the programs beside it, without running them: imports, names, lengths."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from house.tables import FACE, PACKAGE

PROGRAMS = ("benchmarks", "tools")  # folders beside the package that import it


@dataclass(frozen=True)
class Import:
    """A line that imports a module of the package.

    Attributes:
        target: The module, dotted, without the package's name; ``FACE`` for the package itself.
        names: What is imported from it by name.
        line: Number of the line.
    """

    target: str
    names: tuple[str, ...]
    line: int

    @property
    def room(self) -> str:
        """The room that the module lies in."""
        return self.target.split(".")[0]


@dataclass(frozen=True)
class Name:
    """A name that a reader meets: its line, and whether it is a type, a field or parameter, or another definition."""

    name: str
    line: int
    kind: Literal["type", "field", "other"]


@dataclass(frozen=True)
class Module:
    """A file of Python.

    Attributes:
        name: Dotted, without the package's name; ``FACE`` for the package itself.
        path: As the reader would type it.
        is_door: Whether it is the ``__init__`` of a folder.
        lines: Its length.
        imports: Of modules of the package, wherever they stand.
        names: Public names: types, functions, methods, constants, fields and parameters.
        offers: What it offers: ``__all__``, or where there is none, what it defines.
        loose_records: Lines with a ``dict[str, Any]``, one for each.
    """

    name: str
    path: str
    is_door: bool
    lines: int
    imports: tuple[Import, ...]
    names: tuple[Name, ...]
    offers: frozenset[str]
    loose_records: tuple[int, ...]

    @property
    def room(self) -> str:
        """The room that it lies in."""
        return self.name.split(".")[0]

    @property
    def folder(self) -> str:
        """The name of the package that it lies in, empty at the top; a door lies in its own."""
        if self.name == FACE:
            return ""
        return self.name if self.is_door else self.name.rpartition(".")[0]


@dataclass(frozen=True)
class House:
    """Everything that was read: the package's modules by name, and the programs beside it."""

    modules: Mapping[str, Module]
    programs: tuple[Module, ...]


def read_house(root: Path) -> House:
    """Return the package under ``root/python`` and the programs that import it."""
    package = root / "python" / PACKAGE
    files = {name_of(file, package): file for file in sorted(package.rglob("*.py"))}
    sources = {name: read_source(file) for name, file in files.items()}
    known = {name: top_names(sources[name].tree, name) if is_door(file) else set() for name, file in files.items()}
    known |= {name_of(stub, package): set() for stub in package.rglob("*.pyi")}
    modules = {name: read_module(name, file, sources[name], root, known) for name, file in files.items()}
    programs = [file for folder in PROGRAMS for file in sorted((root / folder).rglob("*.py"))]
    return House(
        modules,
        tuple(read_module("", file, read_source(file), root, known) for file in programs),
    )


def is_door(file: Path) -> bool:
    """Return whether a file is the door of its folder."""
    return file.name == "__init__.py"


def name_of(file: Path, package: Path) -> str:
    """Return the name of a module, without the package's."""
    parts = file.relative_to(package).with_suffix("").parts
    return ".".join(parts[:-1] if is_door(file) and len(parts) > 1 else parts)


@dataclass(frozen=True)
class Source:
    """A file, parsed, and its length in lines."""

    tree: ast.Module
    lines: int


def read_source(file: Path) -> Source:
    """Return a file as a tree."""
    text = file.read_text()
    return Source(ast.parse(text, str(file)), len(text.splitlines()))


def read_module(name: str, file: Path, source: Source, root: Path, known: Mapping[str, set[str]]) -> Module:
    """Return a module as its text tells of it; ``known`` has the names at the top of each door."""
    folder = (PACKAGE, *file.relative_to(root / "python" / PACKAGE).parent.parts) if name else ()
    tree = source.tree
    nodes = list(ast.walk(tree))
    return Module(
        name,
        str(file.relative_to(root)),
        is_door(file),
        source.lines,
        tuple(imports_of(nodes, folder, known)),
        tuple(names_of(tree)),
        frozenset(listed(tree) or (found.name for found in definitions(tree) if is_public(found.name))),
        tuple(node.lineno for node in nodes if isinstance(node, ast.Subscript) and is_loose_record(node)),
    )


def is_loose_record(node: ast.Subscript) -> bool:
    """Return whether a subscript is ``dict[str, Any]``."""
    return isinstance(node.value, ast.Name) and node.value.id == "dict" and ast.unparse(node) == "dict[str, Any]"


def imports_of(nodes: Iterable[ast.AST], folder: tuple[str, ...], known: Mapping[str, set[str]]) -> Iterator[Import]:
    """Yield each import of a module of the package, wherever it stands: in functions and for types alone too."""
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                first, _, rest = alias.name.partition(".")
                if first == PACKAGE:
                    yield Import(rest or FACE, (), node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = list(folder[: len(folder) - node.level + 1]) if node.level else []
            first, _, module = ".".join([*base, *([node.module] if node.module else [])]).partition(".")
            if first == PACKAGE:
                for target, names in parted(module or FACE, [alias.name for alias in node.names], known).items():
                    yield Import(target, tuple(names), node.lineno)


def parted(module: str, names: Iterable[str], known: Mapping[str, set[str]]) -> dict[str, list[str]]:
    """Return what ``from module import names`` imports: submodules, and names of the module where it has them."""
    found: dict[str, list[str]] = {}
    for name in names:
        inside = name if module == FACE else f"{module}.{name}"
        if inside in known and name not in known.get(module, ()):
            found.setdefault(inside, [])
        else:
            found.setdefault(module, []).append(name)
    return found


def top_names(tree: ast.Module, package: str) -> set[str]:
    """Return the names that the door of a package has at its top, its submodules left out."""
    own = PACKAGE if package == FACE else f"{PACKAGE}.{package}"
    found = {name.name for name in definitions(tree)} | set(listed(tree))
    for node in top_statements(tree.body):
        if isinstance(node, ast.ImportFrom) and node.module not in (None, own):
            found |= {alias.asname or alias.name for alias in node.names}
    return found


def top_statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements at the top of a module, under conditions too."""
    for node in body:
        yield node
        if isinstance(node, ast.If):
            yield from top_statements([*node.body, *node.orelse])


def listed(tree: ast.Module) -> list[str]:
    """Return the names in ``__all__``."""
    return [
        item.value
        for node in tree.body
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]
        for item in ast.walk(node.value)
        if isinstance(item, ast.Constant) and isinstance(item.value, str)
    ]


def is_public(name: str) -> bool:
    """Return whether a name is for others."""
    return not name.startswith("_")


def names_of(tree: ast.Module) -> Iterator[Name]:
    """Yield the public names of a module: at its top, and of its public classes and functions."""
    yield from (name for name in definitions(tree) if is_public(name.name))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and is_public(node.name):
            yield from members(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and is_public(node.name):
            yield from parameters(node)


def members(node: ast.ClassDef) -> Iterator[Name]:
    """Yield the public fields and methods of a class, with the parameters of the methods."""
    for line in node.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and is_public(line.target.id):
            yield Name(line.target.id, line.lineno, "field")
        elif isinstance(line, ast.FunctionDef | ast.AsyncFunctionDef):
            if is_public(line.name):
                yield Name(line.name, line.lineno, "other")
            if is_public(line.name) or line.name in ("__init__", "__call__"):
                yield from parameters(line)


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Name]:
    """Yield the public parameters of a function."""
    for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
        if is_public(argument.arg):
            yield Name(argument.arg, argument.lineno, "field")


def definitions(tree: ast.Module) -> Iterator[Name]:
    """Yield what a module defines at its top: classes, functions, constants and names of types."""
    for node in top_statements(tree.body):
        if isinstance(node, ast.ClassDef):
            yield Name(node.name, node.lineno, "type")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Name(node.name, node.lineno, "other")
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    yield Name(target.id, node.lineno, "type" if looks_like_a_type(target.id) else "other")


def looks_like_a_type(name: str) -> bool:
    """Return whether a name is written as types are: ``Array``, not ``array`` and not ``ARRAYS``."""
    return name[:1].isupper() and name != name.upper() and "_" not in name

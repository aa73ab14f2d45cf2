"""Check that the package's imports go down only.

A module may import its own floor and the floors before it in ``FLOORS``; imports inside functions count too.
``__init__`` stands for the package itself, its public face.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "litedelegates"
ROOT = Path(__file__).resolve().parent.parent / "python" / PACKAGE
FACE = "__init__"
FLOORS = (
    "errors",
    "files",
    "isolated",
    "free_memory",
    "arrays",
    "words",
    "tables",
    "notebook",
    "_core",
    "runtime",
    "official_output",
    "run_lock",
    "tensor_info",
    "model",
    "delegates",
    "placement",
    "routes",
    "shared_memory",
    "loading",
    "border",
    "details",
    "op_details",
    "official_wrapper",
    "drop_in",
    "profile",
    "isolated_protocol",
    "isolated_worker",
    "isolated_session",
    "devices",
    "measure",
    "reference",
    "auto",
    "official_arguments",
    "interop",
    "interpreter",
    "engines",
    "graph",
    "quantize",
    "study",
    "layers",
    "plan",
    "deploy",
    "report",
    "coral",
    FACE,
    "cli",
    "__main__",
)


@dataclass(frozen=True)
class Import:
    """A line of a module that imports a module of the package."""

    file: Path
    line: int
    target: str  # dotted, without the package's name; empty for the package itself


def main() -> None:
    """Print every import that goes up and exit with 1 if there is one."""
    files = sorted(ROOT.rglob("*.py"))
    complaints = [complaint for file in files for complaint in check(file)]
    for complaint in complaints:
        print(complaint)
    if complaints:
        sys.exit(1)
    print(f"floors: {len(files)} modules import downwards only")


def check(file: Path) -> Iterator[str]:
    """Yield a sentence for each import of ``file`` that its floor does not allow."""
    floor = floor_of(file)
    if floor not in FLOORS:
        yield f"{shown(file)}: {floor} has no floor; add it to FLOORS in tools/check_floors.py"
        return
    for found in imports(file):
        target = found.target.split(".")[0] or FACE
        where = f"{shown(file)}:{found.line}"
        if target not in FLOORS:
            yield f"{where}: imports {target}, which has no floor; add it to FLOORS in tools/check_floors.py"
        elif FLOORS.index(target) > FLOORS.index(floor):
            shown_target = "the package itself" if target == FACE else target
            yield f"{where}: {floor} imports {shown_target}, which is above it"


def floor_of(file: Path) -> str:
    """Return the floor of a module: the first part of its name."""
    return file.relative_to(ROOT).with_suffix("").parts[0]


def imports(file: Path) -> Iterator[Import]:
    """Yield each import of a module of the package, wherever in ``file`` it is."""
    folder = [PACKAGE, *file.relative_to(ROOT).parent.parts]
    for node in ast.walk(ast.parse(file.read_text(), str(file))):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = folder[: len(folder) - node.level + 1] if node.level else []
            module = ".".join([*base, *(node.module.split(".") if node.module else [])])
            # "from package import name" means a submodule where there is one of that name.
            targets = [f"{module}.{alias.name}" if module == PACKAGE else module for alias in node.names]
        else:
            continue
        for target in dict.fromkeys(targets):
            first, _, rest = target.partition(".")
            if first == PACKAGE:
                yield Import(file, node.lineno, rest if is_module(rest) else "")


def is_module(name: str) -> bool:
    """Return whether the first part of ``name`` is a module of the package."""
    first = name.split(".")[0]
    return first in FLOORS or (bool(first) and ((ROOT / first).is_dir() or (ROOT / f"{first}.py").is_file()))


def shown(file: Path) -> str:
    """Return the path of ``file`` as the reader would type it."""
    return str(file.relative_to(ROOT.parent.parent))


if __name__ == "__main__":
    main()

"""Compare the stub of the extension with what pybind11-stubgen makes of the installed one; ``--write`` rewrites it."""

from __future__ import annotations

import difflib
import subprocess
import sys
import tempfile
from pathlib import Path

MODULE = "litedelegates._core"
# Every class refuses to be made by it (bare_new.cc), which is nothing to type.
REFUSED_NEW = "    @staticmethod\n    def __new__(*args, **kwargs):\n        ...\n"
STUB = Path(__file__).resolve().parent.parent / "python" / "litedelegates" / "_core.pyi"


def main() -> None:
    """Compare, or write with ``--write``; exit with 1 where they differ."""
    if sys.argv[1:] not in ([], ["--write"]):
        sys.exit(f"usage: {sys.argv[0]} [--write]")
    made = generate()
    if sys.argv[1:] == ["--write"]:
        STUB.write_text(made)
        print(f"stub: wrote {shown()}")
        return
    if not STUB.is_file():
        sys.exit(f"{shown()} does not exist; make it: make stub")
    difference = difflib.unified_diff(
        STUB.read_text().splitlines(), made.splitlines(), shown(), "the installed extension", lineterm=""
    )
    if lines := list(difference):
        print("\n".join(lines))
        sys.exit(f"{shown()} is not that of the extension; rewrite it: make stub")
    print(f"stub: {shown()} is that of the extension")


def generate() -> str:
    """Return the stub of the installed extension."""
    with tempfile.TemporaryDirectory() as folder:
        # Run outside the checkout, so that the installed package is the one that is found.
        command = [sys.executable, "-m", "pybind11_stubgen", MODULE, "--output-dir", folder, "--exit-code"]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        made = Path(folder, *MODULE.split(".")).with_suffix(".pyi")
        if result.returncode != 0 or not made.is_file():
            sys.exit(f"pybind11-stubgen failed on {MODULE}:\n{result.stdout}{result.stderr}")
        return same_for_every_python(made.read_text())


def same_for_every_python(stub: str) -> str:
    """Return the stub for type checkers: as Python 3.10 and 3.11 give it, which they take for every version."""
    stub = stub.replace(REFUSED_NEW, "")
    if "collections.abc.Buffer" not in stub:
        return stub
    stub = stub.replace("collections.abc.Buffer", "typing_extensions.Buffer")
    return stub.replace("import typing\n", "import typing\nimport typing_extensions\n", 1)


def shown() -> str:
    """Return the path of the stub as the reader would type it."""
    return str(STUB.relative_to(STUB.parents[2]))


if __name__ == "__main__":
    main()

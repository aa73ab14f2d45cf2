"""Give the same delegates to our Interpreter and to another official one, and compare: run by ``make interop``.

    python tools/check_other_interpreters.py tensorflow | tflite_runtime

The other interpreter's package has to be installed beside this one. Builds the delegates of ``tests/native``.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from litedelegates import External, Interpreter, Stable, load_delegate

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "python/litedelegates/data/add.tflite"
ONES = np.ones((1, 4), np.float32)


def main() -> None:
    """Compare, print a line for each delegate, and exit with 1 where outputs differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", choices=["tensorflow", "tflite_runtime"])
    package = parser.parse_args().package
    other = find_interpreter(package)
    differ = False
    with tempfile.TemporaryDirectory() as folder:
        external = build("offset_delegate.c", Path(folder) / "external.so")
        stable_host = build("stable_delegate.c", Path(folder) / "stable_host.so")
        stable_own = build("stable_delegate.c", Path(folder) / "stable_own.so", "-DCARRIES_ACCESSORS")
        settings = {"xnnpack_settings": {"num_threads": 3}}
        for options in (
            External(external, options={"offset": "100"}),
            Stable(stable_host, settings=settings),
            Stable(stable_own, settings=settings),
        ):
            theirs, ops = run(other, load_delegate(options))
            ours = Interpreter(MODEL, delegate=options).run(ONES, ONES)
            is_right = np.array_equal(ours, theirs) and "DELEGATE" in ops and not np.array_equal(ours, 2 * ONES)
            differ |= not is_right
            print(f"{'ok  ' if is_right else 'FAIL'} {package}: {type(options).__name__} {ours[0]} {theirs[0]} {ops}")
    sys.exit(1 if differ else 0)


def find_interpreter(package: str) -> Any:
    """Return the class of the other interpreter."""
    if package == "tensorflow":
        return importlib.import_module("tensorflow").lite.Interpreter
    return importlib.import_module("tflite_runtime.interpreter").Interpreter


def build(source: str, target: Path, *flags: str) -> str:
    """Compile a delegate of the tests and return its path."""
    command = ["cc", "-shared", "-fPIC", "-O1", "-pthread", *flags, "-o", target, ROOT / "tests/native" / source]
    subprocess.run(command, check=True)
    return str(target)


def run(interpreter_class: Any, delegate: Any) -> tuple[Any, list[str]]:
    """Return the other interpreter's output and the names of its nodes."""
    interpreter = interpreter_class(model_path=str(MODEL), experimental_delegates=[delegate])
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], ONES)
    interpreter.invoke()
    output = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return output, [node["op_name"] for node in interpreter._get_ops_details()]


if __name__ == "__main__":
    main()

"""Models with TensorFlow ops; each in a process of its own, because a loaded Flex delegate serves all that follow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import small_models
from litedelegates import CompileError, DelegateError, Flex, Interpreter

SOURCE = Path(__file__).parent / "native/flex_delegate.cc"
WANTED = "[0.0, 0.52, 0.843, 1.0]"

_RUN = """
import sys
import numpy as np
from litedelegates import Flex, Interpreter
model, library = sys.stdin.buffer.read(), sys.argv[1]
x = np.array([[0, 0.5, 1, 4]], np.float32)
for chain in ([Flex(library), "xnnpack"], "xnnpack", [Flex(), None]):
    for preserve in (False, True):
        interpreter = Interpreter(model, delegate=chain, experimental_preserve_all_tensors=preserve)
        y = interpreter.run(x)
        print(interpreter.route.name, [round(float(value), 3) for value in y[0]])
        if not preserve:
            print(interpreter.placement[0].ran)
"""


def build(folder: Path, *flags: str) -> str:
    target = folder / "libtensorflowlite_flex.so"
    subprocess.run(["c++", "-std=c++17", "-shared", "-fPIC", "-O1", "-Wall", *flags, "-o", target, SOURCE], check=True)
    return str(target)


def test_flex_ops_run_on_the_library_that_was_given(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", _RUN, build(tmp_path)],
        input=small_models.flex_op(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr.decode()
    once = [f"compiled {WANTED}", "TfLiteFlexDelegate", f"classic {WANTED}"]
    assert result.stdout.decode().splitlines() == once * 3


def test_without_flex_the_ops_are_named_and_what_to_give() -> None:
    with pytest.raises(CompileError, match=r"TensorFlow ops \(FlexErf\).*tensorflowlite_flex.*Flex\("):
        Interpreter(small_models.flex_op())
    with pytest.raises(CompileError, match="FlexErf"):
        Interpreter(small_models.flex_op(), delegate=None, experimental_preserve_all_tensors=True)


def test_a_library_that_is_not_there_or_not_flex_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DelegateError, match=r"nowhere\.so"):
        Interpreter(small_models.flex_op(), delegate=Flex(tmp_path / "nowhere.so"))
    with pytest.raises(DelegateError, match="does not export TF_AcquireFlexDelegate"):
        Interpreter(small_models.add(), delegate=[Flex(build(tmp_path, "-DLACKS_SYMBOL"))])
    with pytest.raises(DelegateError, match="libtensorflowlite_flex"):
        Flex().load()

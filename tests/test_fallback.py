"""``fallback=True``: a delegate that cannot be used is left out, and said to be."""

from __future__ import annotations

import numpy as np
import pytest
import small_models
from litedelegates import (
    CompileError,
    DelegateError,
    EdgeTpu,
    External,
    Interpreter,
    InvalidModelError,
    OptionError,
    Xnnpack,
)
from native_libraries import compile_library

ONES = np.ones((1, 4), np.float32)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    return compile_library("arithmetic_delegate.c", tmp_path_factory.mktemp("native") / "libarithmetic.so")


def test_without_it_the_first_failure_raises(library: str) -> None:
    with pytest.raises(CompileError, match="cannot prepare"):
        Interpreter(small_models.add(), delegate=[External(library, options={"fail": "prepare"}), Xnnpack()])


def test_a_delegate_that_cannot_be_created_is_left_out() -> None:
    missing = External("/nowhere/libmissing.so")
    interpreter = Interpreter(small_models.add(), delegate=[missing, Xnnpack()], fallback=True)
    assert interpreter.run(ONES, ONES).tolist() == [[2.0] * 4]
    ((delegate, reason),) = interpreter.skipped
    assert delegate is missing and "there is no such file" in reason
    assert interpreter.delegates == (Xnnpack(),)
    (record,) = interpreter.placement
    assert (record.asked, record.ran) == ("external+xnnpack", "xnnpack")


def test_a_delegate_that_cannot_prepare_is_the_one_left_out(library: str) -> None:
    good, bad = External(library), External(library, options={"fail": "prepare"})
    interpreter = Interpreter(small_models.add(), delegate=[good, bad, Xnnpack()], fallback=True)
    assert interpreter.delegates == (good, Xnnpack())
    ((delegate, reason),) = interpreter.skipped
    assert delegate is bad and "the arithmetic delegate cannot prepare" in reason
    assert [record.ran for record in interpreter.placement] == ["ArithmeticDelegate"]


def test_each_of_several_has_its_own_reason(library: str) -> None:
    bad = [External("/nowhere/libmissing.so"), External(library, options={"fail": "prepare"}), EdgeTpu(library="/x.so")]
    interpreter = Interpreter(small_models.add(), delegate=[*bad, Xnnpack()], fallback=True)
    assert [skipped.delegate for skipped in interpreter.skipped] == bad
    says = ["no such file", "cannot prepare", "not compiled for the Edge TPU"]
    assert all(part in skipped.reason for part, skipped in zip(says, interpreter.skipped, strict=True))


def test_nothing_is_left_out_where_all_works() -> None:
    assert Interpreter(small_models.add(), fallback=True).skipped == ()


def test_faults_that_are_not_the_delegates_still_raise(library: str) -> None:
    with pytest.raises(OptionError):
        Interpreter(small_models.add(), delegate="xnnpack", num_threds=2, fallback=True)
    with pytest.raises(InvalidModelError):
        Interpreter(b"no model", delegate=External(library), fallback=True)
    with pytest.raises(DelegateError, match="full delegation"):
        Interpreter(
            small_models.add(), delegate=External("/nowhere/lib.so"), fallback=True, require_full_delegation=True
        )
    with pytest.raises(CompileError, match="MyCustomOp"):
        Interpreter(small_models.custom_op(), delegate=[External(library), Xnnpack()], fallback=True)

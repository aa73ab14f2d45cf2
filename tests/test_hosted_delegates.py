"""Delegates that the official ``load_delegate`` loaded, in front of ours."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import small_models
from ai_edge_litert.interpreter import load_delegate
from litedelegates import CompileError, DelegateError, Hosted, Interpreter, RunError, Xnnpack
from native_libraries import compile_library

ONES = np.ones((1, 4), np.float32)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    return compile_library("offset_delegate.c", tmp_path_factory.mktemp("native") / "liboffset_delegate.so")


@pytest.fixture
def delegate(library: str) -> Any:
    return load_delegate(library, {"offset": "100"})


def test_an_official_delegate_takes_its_ops_before_xnnpack(delegate: Any) -> None:
    interpreter = Interpreter(model_content=small_models.add(), experimental_delegates=[delegate])
    for _ in range(3):
        assert interpreter.run(ONES, ONES).tolist() == [[102.0] * 4]
    (record,) = interpreter.placement
    assert record.ran == "OffsetDelegate" and record.asked == "hosted+xnnpack"


def test_it_can_be_put_anywhere_in_a_chain(delegate: Any) -> None:
    hosted = Hosted.from_official(delegate)
    first = Interpreter(small_models.add(), delegate=[hosted, Xnnpack()])
    after = Interpreter(small_models.add(), delegate=[Xnnpack(), hosted])
    assert [record.ran for record in (*first.placement, *after.placement)] == ["OffsetDelegate", "xnnpack"]
    assert first.run(ONES, ONES).tolist() == [[102.0] * 4]
    assert after.run(ONES, ONES).tolist() == [[2.0] * 4]


def test_it_lives_as_long_as_the_interpreter_that_uses_it(library: str) -> None:
    interpreter = Interpreter(
        small_models.add(), experimental_delegates=[load_delegate(library, {"offset": "1"})], delegate=None
    )
    assert interpreter.run(ONES, ONES).tolist() == [[3.0] * 4]


def test_it_works_on_the_classic_route_too(delegate: Any) -> None:
    interpreter = Interpreter(
        small_models.add(), experimental_delegates=[delegate], experimental_preserve_all_tensors=True, delegate=None
    )
    assert interpreter.route.name == "classic"
    assert interpreter.run(ONES, ONES).tolist() == [[102.0] * 4]


def test_a_delegate_that_cannot_prepare_says_why(library: str) -> None:
    with pytest.raises(CompileError, match="the offset delegate cannot prepare"):
        Interpreter(small_models.add(), experimental_delegates=[load_delegate(library, {"fail": "prepare"})])


def test_a_delegate_that_fails_at_run_time_says_why(library: str) -> None:
    interpreter = Interpreter(small_models.add(), experimental_delegates=[load_delegate(library, {"fail": "invoke"})])
    for _ in range(3):
        with pytest.raises(RunError, match="told to fail"):
            interpreter.run(ONES, ONES)


def test_two_interpreters_in_two_threads_run_at_the_same_time(library: str) -> None:
    """Each run waits inside its kernel until the other one is in its own."""
    interpreters = [
        Interpreter(small_models.add(), experimental_delegates=[load_delegate(library, {"meet": "1"})])
        for _ in range(2)
    ]
    with ThreadPoolExecutor(2) as pool:
        outputs = [pool.submit(interpreter.run, ONES, ONES) for interpreter in interpreters]
        assert [output.result(timeout=60).tolist() for output in outputs] == [[[2.0] * 4]] * 2


def test_what_is_no_delegate_is_refused() -> None:
    with pytest.raises(DelegateError, match="load_delegate"):
        Interpreter(small_models.add(), experimental_delegates=["libsomething.so"])

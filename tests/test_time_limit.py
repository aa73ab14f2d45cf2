"""Runs that are stopped: by a time limit, by Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest
import small_models
from litedelegates import Interpreter, OptionError, RunError, RunTimeoutError, UnsupportedError
from small_models_builder import ModelBuilder, Op

ENDLESS = np.array([-(2**31)], np.int32)  # the count from which the loop of `while_loop` starts; it takes minutes
X = np.ones((1, 4), np.float32)
LENGTH = 1 << 20


def chain_of_slow_ops(count: int) -> bytes:
    """Make a model of TANH after TANH of a million values, some milliseconds each."""
    model = ModelBuilder()
    graph = model.graph()
    tensor = graph.input("x", (1, LENGTH))
    for index in range(count):
        last = index == count - 1
        following = graph.output("y", (1, LENGTH)) if last else graph.tensor(f"t{index}", (1, LENGTH))
        graph.op(Op.TANH, [tensor], [following])
        tensor = following
    return model.to_bytes()


def assert_loop_is_right(interpreter: Interpreter) -> None:
    count, y = interpreter.run(np.array([3], np.int32), X)
    assert count.tolist() == [5]
    assert y.tolist() == [[4, 4, 4, 4]]


@pytest.mark.parametrize("delegate", [None, "xnnpack"])
@pytest.mark.parametrize("ran_before", [False, True], ids=["first run", "later run"])
def test_a_loop_is_stopped_and_the_interpreter_works_afterwards(delegate: str | None, ran_before: bool) -> None:
    """A first run goes through the runtime, later ones kernel by kernel."""
    interpreter = Interpreter(small_models.while_loop(), delegate=delegate)
    if ran_before:
        assert_loop_is_right(interpreter)
        assert_loop_is_right(interpreter)
    for _ in range(2):
        begin = time.perf_counter()
        with pytest.raises(RunTimeoutError, match="time limit"):
            interpreter.run(ENDLESS, X, time_limit_s=0.1)
        assert 0.05 < time.perf_counter() - begin < 5
        assert_loop_is_right(interpreter)


def test_a_time_limit_is_an_error_of_the_kinds_that_callers_catch() -> None:
    interpreter = Interpreter(small_models.while_loop(), delegate=None)
    for kind in (RunError, TimeoutError):
        with pytest.raises(kind):
            interpreter.run(ENDLESS, X, time_limit_s=0.05)


@pytest.mark.measures
def test_a_plan_of_several_kernels_is_stopped_between_two() -> None:
    model = chain_of_slow_ops(100)
    x = np.full((1, LENGTH), 0.5, np.float32)
    interpreter = Interpreter(model, delegate=None)
    wanted = interpreter.run(x)
    begin = time.perf_counter()
    np.testing.assert_array_equal(interpreter.run(x, time_limit_s=600), wanted)
    whole_s = time.perf_counter() - begin
    begin = time.perf_counter()
    with pytest.raises(RunTimeoutError):
        interpreter.run(x, time_limit_s=whole_s / 10)
    assert time.perf_counter() - begin < whole_s / 2
    np.testing.assert_array_equal(interpreter.run(x), wanted)


@pytest.mark.measures
def test_what_a_delegate_took_as_one_is_not_stopped_inside() -> None:
    interpreter = Interpreter(chain_of_slow_ops(60))
    x = np.full((1, LENGTH), 0.5, np.float32)
    wanted = interpreter.run(x)
    assert {record.partition for record in interpreter.placement} == {0}
    whole_s = interpreter.time_runs(max_runs=3).sum(axis=1).min() / 1e9
    interpreter._session.invoke_within(whole_s / 2)
    np.testing.assert_array_equal(interpreter.get_tensor(interpreter.outputs[0].index), wanted)


def test_a_time_limit_that_is_over_before_the_run_begins_stops_it() -> None:
    interpreter = Interpreter(small_models.scale_by_two())
    for _ in range(3):
        interpreter.run(X)
        with pytest.raises(RunTimeoutError):
            interpreter._session.invoke_within(0)


@pytest.mark.measures
def test_waiting_for_another_thread_counts() -> None:
    interpreter = Interpreter(small_models.while_loop(), delegate=None)
    stopped: list[BaseException] = []

    def run() -> None:
        with pytest.raises(RunTimeoutError) as raised:
            interpreter.run(ENDLESS, X, time_limit_s=1)
        stopped.append(raised.value)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.2)
    begin = time.perf_counter()
    with pytest.raises(RunTimeoutError, match="another thread"):
        interpreter.run(np.array([3], np.int32), X, time_limit_s=0.1)
    assert time.perf_counter() - begin < 0.7
    thread.join()
    assert len(stopped) == 1
    assert_loop_is_right(interpreter)


@pytest.mark.parametrize("limit", [5, 1e12, float("inf")])
def test_a_time_limit_that_is_not_reached_changes_nothing(limit: float) -> None:
    interpreter = Interpreter(small_models.scale_by_two())
    for _ in range(3):
        assert interpreter.run(X, time_limit_s=limit).tolist() == [[2, 2, 2, 2]]


@pytest.mark.parametrize("limit", [0, -1, float("nan"), True, "1"])
def test_a_time_limit_that_is_no_time_is_refused(limit: object) -> None:
    with pytest.raises(OptionError, match="time_limit_s"):
        Interpreter(small_models.scale_by_two()).run(X, time_limit_s=limit)  # type: ignore[arg-type]


def test_the_classic_route_says_that_it_cannot_stop_a_run() -> None:
    interpreter = Interpreter(small_models.svdf())
    assert interpreter.route.name == "classic"
    with pytest.raises(UnsupportedError, match="isolated=True"):
        interpreter.run(*(np.zeros(info.shape, info.dtype) for info in interpreter.inputs), time_limit_s=1)


@pytest.mark.parametrize("ran_before", [False, True], ids=["first run", "later run"])
def test_a_signal_handler_that_raises_stops_a_run(ran_before: bool) -> None:
    """As Ctrl-C does, whose handler raises KeyboardInterrupt; and a handler that uses the model does not wait."""
    interpreter = Interpreter(small_models.while_loop(), delegate=None)
    if ran_before:
        assert_loop_is_right(interpreter)
    inside: list[str] = []

    def handle(*_: object) -> None:
        try:
            interpreter.run(np.array([3], np.int32), X)
        except RunError as error:
            inside.append(str(error))
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handle)
    try:
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            interpreter.run(ENDLESS, X)
        timer.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(inside) == 1
    assert "in the middle of a run" in inside[0]
    assert_loop_is_right(interpreter)

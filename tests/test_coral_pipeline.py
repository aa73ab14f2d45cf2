"""Pipelines: order, queues, ends and failures."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sized
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import small_models
from ai_edge_litert.interpreter import Interpreter as Official
from litedelegates import Interpreter, RunError
from litedelegates.coral.pipeline.pipelined_model_runner import PipelinedModelRunner
from litedelegates.coral.pipeline.stage import Bounded

SEGMENTS = (small_models.segment(("x",), "a"), small_models.segment(("a",), "b"), small_models.segment(("b", "x"), "y"))
SECONDS = 20.0


def x(value: float) -> dict[str, Any]:
    return {"x": np.full((1, 4), value, np.float32)}


def wrapped(model: bytes, meet: Any) -> Interpreter:
    """An interpreter that calls ``meet`` with its inputs' first value before each run."""
    interpreter = Interpreter(model)
    invoke = interpreter.invoke

    def run() -> None:
        meet(float(interpreter.get_tensor(interpreter.get_input_details()[0]["index"])[0, 0]))
        invoke()

    interpreter.invoke = run  # type: ignore[method-assign]
    return interpreter


def wait_for(values: Sized, count: int) -> None:
    """Wait until there are ``count`` values, and a little longer for one too many."""
    deadline = time.monotonic() + SECONDS
    while len(values) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)


@pytest.fixture
def runners() -> Iterator[list[PipelinedModelRunner]]:
    made: list[PipelinedModelRunner] = []
    yield made
    for runner in made:
        runner.close()


@pytest.mark.parametrize("cls", [Interpreter, Official])
def test_results_come_in_order_and_none_at_the_end(cls: Any) -> None:
    interpreters = [cls(model_content=model) for model in SEGMENTS]
    runner = PipelinedModelRunner(interpreters)
    assert runner.interpreters() == interpreters
    for value in range(50):
        runner.push(x(value))
    runner.push({})
    for value in range(50):
        result = runner.pop()
        assert result is not None and list(result) == ["y"]
        np.testing.assert_array_equal(result["y"], np.full((1, 4), 2 * value + 3, np.float32))
    assert runner.pop() is None and runner.pop() is None
    runner.push({})
    with pytest.raises(RuntimeError, match="ended"):
        runner.push(x(1))


def test_a_single_segment_is_a_pipeline_too() -> None:
    runner = PipelinedModelRunner([Interpreter(SEGMENTS[0])])
    runner.push(x(1))
    runner.push({})
    result = runner.pop()
    assert result is not None and result["a"].tolist() == [[2.0] * 4]
    assert runner.pop() is None


def test_inputs_may_be_written_to_after_push(runners: list[PipelinedModelRunner]) -> None:
    runners.append(PipelinedModelRunner([Interpreter(SEGMENTS[0])]))
    array = np.zeros((1, 4), np.float32)
    for value in range(20):
        array[:] = value
        runners[0].push({"x": array})
    results = [runners[0].pop() for _ in range(20)]
    assert [result["a"][0, 0] for result in results if result] == [value + 1 for value in range(20)]


def test_segments_run_at_the_same_time(runners: list[PipelinedModelRunner]) -> None:
    """The first segment's second run and the second one's first wait for each other."""
    barrier = threading.Barrier(2, timeout=SECONDS)
    first = wrapped(SEGMENTS[0], lambda value: barrier.wait() if value == 1 else None)
    second = wrapped(SEGMENTS[1], lambda value: barrier.wait() if value == 1 else None)  # it gets 0 + 1
    runners.append(PipelinedModelRunner([first, second]))
    runners[0].push(x(0))
    runners[0].push(x(1))
    results = [runners[0].pop() for _ in range(2)]
    assert [result["b"][0, 0] for result in results if result] == [2, 3]


def test_push_waits_while_the_input_queue_is_full(runners: list[PipelinedModelRunner]) -> None:
    go = threading.Event()
    runners.append(PipelinedModelRunner([wrapped(SEGMENTS[0], lambda value: go.wait(SECONDS))]))
    runners[0].set_input_queue_size(2)
    with ThreadPoolExecutor(1) as pool:
        pushed: list[int] = []

        def push_all() -> None:
            for value in range(5):
                runners[0].push(x(value))
                pushed.append(value)

        pushing = pool.submit(push_all)
        wait_for(pushed, 3)
        assert not pushing.done() and len(pushed) == 3  # one runs, two wait
        go.set()
        pushing.result(SECONDS)
    results = [runners[0].pop() for _ in range(5)]
    assert [result["a"][0, 0] for result in results if result] == [1, 2, 3, 4, 5]


def test_segments_wait_while_the_output_queue_is_full(runners: list[PipelinedModelRunner]) -> None:
    ran: list[float] = []
    runners.append(PipelinedModelRunner([wrapped(SEGMENTS[0], ran.append)]))
    runners[0].set_output_queue_size(2)
    for value in range(6):
        runners[0].push(x(value))
    wait_for(ran, 3)
    assert ran == [0, 1, 2]  # two results wait, one holds the segment
    runners[0].set_output_queue_size(100)
    assert len([runners[0].pop() for _ in range(6)]) == 6
    assert ran == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("size", [0, -1])
def test_a_queue_holds_at_least_one(runners: list[PipelinedModelRunner], size: int) -> None:
    runners.append(PipelinedModelRunner([Interpreter(SEGMENTS[0])]))
    with pytest.raises(ValueError, match="at least 1"):
        runners[0].set_input_queue_size(size)
    with pytest.raises(ValueError, match="at least 1"):
        runners[0].set_output_queue_size(size)


def test_a_failure_surfaces_at_pop_and_the_next_results_follow(runners: list[PipelinedModelRunner]) -> None:
    def fail(value: float) -> None:
        if value == 2:
            raise OSError("the cable was pulled")

    runners.append(PipelinedModelRunner([wrapped(SEGMENTS[0], fail), Interpreter(SEGMENTS[1])]))
    for value in (1, 2, 3):
        runners[0].push(x(value))
    runners[0].push({})
    first = runners[0].pop()
    with pytest.raises(RunError, match=r"takes x failed: the cable was pulled") as failed:
        runners[0].pop()
    assert isinstance(failed.value.__cause__, OSError)
    third = runners[0].pop()
    assert first is not None and first["b"][0, 0] == 3 and third is not None and third["b"][0, 0] == 5
    assert runners[0].pop() is None


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"y": np.ones((1, 4), np.float32)}, "expected the inputs x; got y"),
        ({"x": np.ones((1, 4))}, "float32, not float64"),
        ({"x": [[1.0] * 4]}, "float32, not list"),
    ],
)
def test_push_refuses_what_is_not_the_inputs(
    runners: list[PipelinedModelRunner], inputs: dict[str, Any], message: str
) -> None:
    runners.append(PipelinedModelRunner([Interpreter(SEGMENTS[0])]))
    with pytest.raises(ValueError, match=message):
        runners[0].push(inputs)


def test_segments_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        PipelinedModelRunner([])
    with pytest.raises(ValueError, match="interpreter 1 has the inputs b"):
        PipelinedModelRunner([Interpreter(SEGMENTS[0]), Interpreter(SEGMENTS[2])])


def test_closing_stops_the_threads_and_wakes_who_waits() -> None:
    runner = PipelinedModelRunner([Interpreter(SEGMENTS[0])])
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(runner.pop)
        runner.close()
        runner.close()
        assert waiting.result(SECONDS) is None
    assert not any(thread.is_alive() for thread in runner._threads)


def test_a_runner_that_is_dropped_leaves_no_threads() -> None:
    runner = PipelinedModelRunner([Interpreter(SEGMENTS[0])])
    runner.push(x(1))
    threads = runner._threads
    del runner
    gc.collect()
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()


def test_a_program_that_forgets_to_end_a_pipeline_ends() -> None:
    code = """
import numpy as np, sys
from litedelegates import Interpreter
from litedelegates.coral.pipeline.pipelined_model_runner import PipelinedModelRunner
runner = PipelinedModelRunner([Interpreter(sys.stdin.buffer.read())])
for _ in range(100):
    runner.push({"x": np.ones((1, 4), np.float32)})
"""
    done = subprocess.run([sys.executable, "-c", code], input=SEGMENTS[0], timeout=60, capture_output=True, check=True)
    assert done.stderr == b""


def test_a_closed_queue_takes_and_gives_nothing() -> None:
    queue = Bounded(1)
    queue.put({})
    queue.close()
    queue.put({})
    assert queue.get() is None

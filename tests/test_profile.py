"""Per-op times of models with loops and branches."""

from __future__ import annotations

import time

import numpy as np
import pytest
import small_models
from litedelegates import Interpreter, _core

X = np.array([[0.5, -1, 2, 0]], np.float32)
LOOP_INPUTS = (np.array([0], np.int32), X)
BRANCH_INPUTS = (np.array([True]), X)


def median_run_us(interpreter: Interpreter, inputs: tuple[np.ndarray, ...]) -> float:
    times = []
    for _ in range(200):
        begin = time.perf_counter_ns()
        interpreter.run(*inputs)
        times.append(time.perf_counter_ns() - begin)
    return float(np.median(times)) / 1e3


@pytest.mark.measures
@pytest.mark.parametrize(
    ("content", "inputs", "name"),
    [(small_models.while_loop(), LOOP_INPUTS, "WHILE"), (small_models.if_then_else(), BRANCH_INPUTS, "IF")],
    ids=["loop", "branch"],
)
def test_an_op_that_runs_subgraphs_takes_no_longer_than_the_model(
    content: bytes, inputs: tuple[np.ndarray, ...], name: str
) -> None:
    """The runtime's profiler counts its own work inside such an op: some 200 us where the op takes 3."""
    interpreter = Interpreter(content, delegate=None)
    interpreter.run(*inputs)
    found = interpreter.profile(runs=30)
    (op,) = (op for op in found.ops if op.subgraph == 0)
    assert (op.name, op.ran, op.op_index, len(op.samples_us)) == (name, "builtin", 0, 30)
    assert 0 < op.median_us < 2 * median_run_us(interpreter, inputs)
    assert found.note == ""
    assert {inner.subgraph for inner in found.ops} > {0}
    assert found.total_us == op.median_us


def test_a_profile_says_which_times_are_too_long_where_kernels_cannot_be_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_core.Runner, "time_kernels", lambda _: [])
    interpreter = Interpreter(small_models.while_loop(), delegate=None)
    interpreter.run(*LOOP_INPUTS)
    assert "WHILE (op 0 of subgraph 0)" in interpreter.profile(runs=2).note


def test_kernels_are_timed_one_by_one_in_the_order_of_the_plan_and_the_outputs_are_right() -> None:
    interpreter = Interpreter(small_models.add_chain(), delegate=None)
    inputs = [np.ones(info.shape, info.dtype) for info in interpreter.inputs]
    wanted = interpreter.run(*inputs)
    session = interpreter._session
    times_ns = session.runner.time_kernels()  # type: ignore[attr-defined]
    assert len(times_ns) == len(interpreter.placement)
    assert all(0 < ns < 1e9 for ns in times_ns)
    np.testing.assert_array_equal(interpreter.get_tensor(interpreter.outputs[0].index), wanted)

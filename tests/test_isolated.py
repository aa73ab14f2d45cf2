"""``Interpreter(..., isolated=True)``: the same results, from a worker process that may end at any time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_models
from litedelegates import (
    CompileError,
    External,
    Gpu,
    Hosted,
    Interpreter,
    InvalidModelError,
    RunError,
    RunTimeoutError,
    Stable,
    UnsupportedError,
    WorkerCrashedError,
    Xnnpack,
)
from litedelegates.isolated_protocol import decode, encode
from litedelegates.isolated_session import IsolatedSession
from litedelegates.profile import OpTiming
from litedelegates.shared_memory import Block
from small_models import CASES, Case

HERE = Path(__file__).parent
DIGITS = HERE.parent / "models/digits.tflite"
ENDLESS = np.array([-(2**31)], np.int32)
X = np.ones((1, 4), np.float32)
RUNNABLE = [case for case in CASES.values() if case.obstacle is None]


def worker_pid(interpreter: Interpreter) -> int:
    session = interpreter._session
    assert isinstance(session, IsolatedSession)
    assert session.pid is not None
    return session.pid


def has_ended(pid: int) -> bool:
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.02)
    return False


def assert_same(got: Any, wanted: Any) -> None:
    assert type(got) is type(wanted)
    for mine, right in zip(got, wanted, strict=True) if isinstance(wanted, tuple) else [(got, wanted)]:
        assert mine.shape == right.shape
        np.testing.assert_array_equal(mine, right)


@pytest.mark.parametrize("case", RUNNABLE, ids=lambda case: case.name)
def test_it_gives_what_the_model_gives_in_this_process(case: Case) -> None:
    content, inputs = case.build(), case.inputs(np.random.default_rng(0))
    with Interpreter(content) as here, Interpreter(content, isolated=True) as isolated:
        assert isolated.route.name == here.route.name
        for attribute in ("inputs", "outputs", "placement", "device", "options_in_effect", "delegates"):
            assert str(getattr(isolated, attribute)) == str(getattr(here, attribute)), attribute
        for _ in range(2):
            assert_same(isolated.run(*inputs), here.run(*inputs))


def test_the_steps_of_the_official_interpreter_work() -> None:
    with Interpreter(DIGITS) as here, Interpreter(DIGITS, isolated=True) as isolated:
        image = np.random.default_rng(0).random((2, 8, 8, 1), np.float32)
        found = []
        for interpreter in (here, isolated):
            index = interpreter.get_input_details()[0]["index"]
            interpreter.resize_tensor_input(index, [2, 8, 8, 1])
            interpreter.allocate_tensors()
            interpreter.set_tensor(index, image)
            interpreter.invoke()
            output = interpreter.get_output_details()[0]
            found.append((output["shape"].tolist(), interpreter.get_tensor(output["index"])))
            np.testing.assert_array_equal(interpreter.get_tensor(index), image)
            np.testing.assert_array_equal(interpreter.view(output["index"]), found[-1][1])
        assert found[0][0] == found[1][0] == [2, 10]
        np.testing.assert_array_equal(found[1][1], found[0][1])


def test_signature_runners_and_asynchronous_runs_work() -> None:
    with Interpreter(DIGITS) as here, Interpreter(DIGITS, isolated=True) as isolated:
        image = np.random.default_rng(0).random((1, 8, 8, 1), np.float32)
        wanted = here.get_signature_runner()(image=image)
        got = isolated.get_signature_runner()(image=image)
        assert got.keys() == wanted.keys()
        np.testing.assert_array_equal(got["logits"], wanted["logits"])
        np.testing.assert_array_equal(isolated.run_async(image).result(20), here.run(image))
        assert isolated.time_runs(max_runs=4).shape == (4, 3)
        assert isolated.profile(3).runs == 3


def test_a_worker_that_is_killed_is_an_error_here_and_the_next_call_starts_another() -> None:
    with Interpreter(DIGITS, isolated=True) as interpreter:
        image = np.random.default_rng(0).random((1, 8, 8, 1), np.float32)
        wanted = interpreter.run(image)
        first = worker_pid(interpreter)
        os.kill(first, signal.SIGKILL)
        time.sleep(0.1)
        np.testing.assert_array_equal(interpreter.run(image), wanted)
        assert worker_pid(interpreter) != first


def test_a_crash_in_the_middle_of_a_run_names_the_signal() -> None:
    with Interpreter(small_models.while_loop(), delegate=None, isolated=True) as interpreter:
        interpreter.run(np.array([3], np.int32), X)
        threading.Timer(0.3, os.kill, (worker_pid(interpreter), signal.SIGSEGV)).start()
        with pytest.raises(WorkerCrashedError, match="SIGSEGV") as raised:
            interpreter.run(ENDLESS, X)
        assert raised.value.signal == signal.SIGSEGV
        assert isinstance(raised.value, RunError)
        with pytest.raises(ValueError, match="not computed"):
            interpreter.get_tensor(interpreter.outputs[0].index)
        count, y = interpreter.run(np.array([3], np.int32), X)
        assert (count.tolist(), y.tolist()) == ([5], [[4, 4, 4, 4]])


@pytest.mark.parametrize("classic", [False, True], ids=["compiled route", "classic route"])
def test_a_time_limit_stops_a_model_on_either_route(classic: bool) -> None:
    interpreter = Interpreter(
        small_models.while_loop(), delegate=None, isolated=True, experimental_preserve_all_tensors=classic
    )
    assert interpreter.route.name == ("classic" if classic else "compiled")
    with interpreter:
        first = worker_pid(interpreter)
        begin = time.perf_counter()
        with pytest.raises(RunTimeoutError):
            interpreter.run(ENDLESS, X, time_limit_s=0.2)
        assert time.perf_counter() - begin < 5
        count, y = interpreter.run(np.array([3], np.int32), X, time_limit_s=20)
        assert (count.tolist(), y.tolist()) == ([5], [[4, 4, 4, 4]])
        # On the compiled route the run stops by itself, and the model stays loaded.
        assert (worker_pid(interpreter) == first) is not classic


def test_ctrl_c_ends_the_worker_in_the_middle_of_a_run() -> None:
    with Interpreter(small_models.while_loop(), delegate=None, isolated=True) as interpreter:
        first = worker_pid(interpreter)
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            interpreter.run(ENDLESS, X)
        assert has_ended(first)
        assert interpreter.run(np.array([3], np.int32), X)[0].tolist() == [5]


def test_resized_inputs_and_their_values_are_there_in_the_next_worker() -> None:
    with Interpreter(DIGITS, isolated=True) as interpreter:
        (info,) = interpreter.inputs
        image = np.random.default_rng(0).random((3, 8, 8, 1), np.float32)
        interpreter.resize_tensor_input(info.index, image.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(info.index, image)
        interpreter.invoke()
        wanted = interpreter.get_tensor(interpreter.outputs[0].index)
        assert wanted.shape == (3, 10)
        os.kill(worker_pid(interpreter), signal.SIGKILL)
        time.sleep(0.1)
        interpreter.invoke()
        np.testing.assert_array_equal(interpreter.get_tensor(interpreter.outputs[0].index), wanted)


def test_closing_ends_the_worker_and_so_does_the_end_of_the_caller() -> None:
    interpreter = Interpreter(DIGITS, isolated=True)
    first = worker_pid(interpreter)
    interpreter.close()
    assert has_ended(first)
    with pytest.raises(ValueError, match="closed"):
        interpreter.run(np.zeros((1, 8, 8, 1), np.float32))
    program = (
        "import os, sys; from litedelegates import Interpreter; "
        f"print(Interpreter({str(DIGITS)!r}, isolated=True)._session.pid); sys.stdout.flush(); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert has_ended(int(killed.stdout))


def test_a_child_process_gets_a_worker_of_its_own() -> None:
    with Interpreter(DIGITS, isolated=True) as interpreter:
        image = np.random.default_rng(0).random((1, 8, 8, 1), np.float32)
        wanted = interpreter.run(image)
        first = worker_pid(interpreter)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                signal.alarm(30)
                same = np.array_equal(interpreter.run(image), wanted)
                code = 7 if same and worker_pid(interpreter) != first else 2
                interpreter.close()
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        np.testing.assert_array_equal(interpreter.run(image), wanted)
        assert worker_pid(interpreter) == first


def test_errors_are_those_of_an_interpreter_in_this_process() -> None:
    with pytest.raises(InvalidModelError):
        Interpreter(b"no model", isolated=True)
    with pytest.raises(CompileError, match="unresolved custom op"):
        Interpreter(small_models.custom_op(), isolated=True)
    with pytest.raises(UnsupportedError, match="isolated"):
        Interpreter(DIGITS, delegate=Hosted(address=1), isolated=True)
    with Interpreter(DIGITS, isolated=True) as interpreter:
        with pytest.raises(ValueError, match="the model takes float32"):
            interpreter.run(np.zeros((1, 8, 8, 1), np.int32))
        with pytest.raises(ValueError, match="the model takes float32"):
            interpreter.run(np.zeros((1, 8, 9, 1), np.float32))
        with pytest.raises(ValueError, match="no input"):
            interpreter.view(3)


def test_a_delegate_that_does_not_work_is_left_out_as_in_this_process() -> None:
    with Interpreter(
        DIGITS, delegate=[External("/no/such.so"), "xnnpack"], fallback=True, isolated=True
    ) as interpreter:
        assert [skipped.delegate for skipped in interpreter.skipped] == [External("/no/such.so")]
        assert interpreter.delegates == (Xnnpack(),)
        assert interpreter.run(np.zeros((1, 8, 8, 1), np.float32)).shape == (1, 10)


@pytest.mark.parametrize(
    "message",
    [
        None,
        [1, 2.5, "text", True, None],
        (1, (2, "x")),
        {1: (2, 3), "key": b"bytes"},
        Gpu(priority="high", precision_loss_allowed=True),
        Xnnpack(num_threads=2),
        External("lib.so", options={"a": 1, "b": True}),
        Stable("lib.so"),
        (OpTiming("ADD", "builtin", 1, None, (1,), (1.0, 2.0)),),
    ],
    ids=str,
)
def test_a_message_comes_out_as_it_went_in(message: object) -> None:
    memory = Block()
    assert decode(encode(message, memory), memory) == message
    memory.close()


@pytest.mark.parametrize("error", [ValueError("a"), CompileError("b"), UnsupportedError("c"), MemoryError("d")])
def test_an_error_comes_out_as_it_went_in(error: Exception) -> None:
    memory = Block()
    got = decode(encode(error, memory), memory)
    assert (type(got), str(got)) == (type(error), str(error))
    memory.close()


def test_arrays_of_a_message_are_copies_in_shared_memory() -> None:
    memory = Block()
    arrays = [np.arange(6, dtype=np.int8).reshape(2, 3), np.array(3, np.float32), np.array([b"a", b""], dtype=object)]
    got = decode(encode(arrays, memory), memory)
    for mine, right in zip(got, arrays, strict=True):
        assert mine.dtype == right.dtype
        np.testing.assert_array_equal(mine, right)
    encode([np.full((2, 3), 9, np.int8)], memory)
    np.testing.assert_array_equal(got[0], arrays[0])
    memory.close()

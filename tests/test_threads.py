"""Interpreters in several threads."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import small_models
from litedelegates import Interpreter, RunError

DIGITS = Path(__file__).parent.parent / "models/digits.tflite"


def test_python_goes_on_while_a_model_runs() -> None:
    """With the GIL held during a run, the other thread could not count while the native loop is in it."""
    interpreter = Interpreter(DIGITS, delegate=None)
    counted_during: list[int] = []
    count = 0
    done = threading.Event()

    def run() -> None:
        before = count
        interpreter.time_runs(max_runs=10**9, max_seconds=0.5)
        counted_during.append(count - before)
        done.set()

    thread = threading.Thread(target=run)
    thread.start()
    while not done.wait(0.001):
        count += 1
    thread.join()
    assert counted_during[0] > 20


def test_many_interpreters_in_many_threads_give_right_results() -> None:
    images = np.random.default_rng(0).random((24, 1, 8, 8, 1), np.float32)
    reference = Interpreter(DIGITS)
    wanted = [reference.run(image) for image in images]

    def work(image: np.ndarray) -> np.ndarray:
        with Interpreter(DIGITS, delegate="xnnpack") as own:
            for _ in range(5):
                output = own.run(image)
            return output

    with ThreadPoolExecutor(4) as pool:
        for got, right in zip(pool.map(work, images), wanted, strict=True):
            np.testing.assert_array_equal(got, right)


def test_one_interpreter_shared_by_threads_survives() -> None:
    interpreter = Interpreter(small_models.scale_by_two())
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.inputs[0].index, np.ones((1, 4), np.float32))

    def invoke(_: int) -> None:
        for _ in range(200):
            interpreter.invoke()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(invoke, range(4)))
    assert interpreter.get_tensor(interpreter.outputs[0].index).tolist() == [[2, 2, 2, 2]]


def test_runs_of_threads_that_share_an_interpreter_do_not_mix() -> None:
    interpreter = Interpreter(DIGITS)
    images = np.random.default_rng(0).random((8, 1, 8, 8, 1), np.float32)
    wanted = [interpreter.run(image) for image in images]
    runner = interpreter.get_signature_runner()
    (name,) = runner.get_input_details()
    (output,) = runner.get_output_details()

    def work(number: int) -> int:
        wrong = 0
        for _ in range(200):
            got = interpreter.run(images[number]) if number % 2 else runner(**{name: images[number]})[output]
            wrong += not np.array_equal(got, wanted[number])
        return wrong

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [0] * 8


def test_an_array_whose_conversion_runs_the_same_interpreter_gets_the_right_output() -> None:
    interpreter = Interpreter(small_models.add())
    one, two = np.ones((1, 4), np.float32), np.full((1, 4), 2, np.float32)

    class Lazy:
        def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
            return np.asarray(interpreter.run(one, one))

    assert interpreter.run(two, Lazy()).tolist() == [[4, 4, 4, 4]]


def test_a_run_inside_a_run_of_the_same_thread_raises_and_does_not_wait_for_itself() -> None:
    interpreter = Interpreter(small_models.scale_by_two())
    x = np.ones((1, 4), np.float32)
    seen: list[str] = []

    class Target(np.ndarray):
        def __array_function__(self, function: object, types: object, arguments: object, named: object) -> None:
            with pytest.raises(RunError, match="in the middle of a run") as raised:
                interpreter.run(x)
            seen.append(str(raised.value))

    interpreter.run(x, out=np.zeros((1, 4), np.float32).view(Target))
    assert len(seen) == 1
    assert interpreter.run(x).tolist() == [[2, 2, 2, 2]]


def test_an_interpreter_is_free_after_a_run_that_raised() -> None:
    interpreter = Interpreter(small_models.scale_by_two())
    for _ in range(3):
        with pytest.raises(ValueError, match="shape"):
            interpreter.run(np.ones((3, 3), np.float32))
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(interpreter.run, np.ones((1, 4), np.float32)).result(10).tolist() == [[2, 2, 2, 2]]


def test_closing_waits_for_the_run_of_another_thread() -> None:
    interpreter = Interpreter(DIGITS, delegate=None)
    interpreter.run(np.zeros((1, 8, 8, 1), np.float32))
    runs: list[int] = []
    thread = threading.Thread(target=lambda: runs.append(len(interpreter.time_runs(max_runs=10**9, max_seconds=0.3))))
    thread.start()
    time.sleep(0.1)
    interpreter.close()
    assert runs and runs[0] > 0
    thread.join()

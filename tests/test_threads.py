"""Interpreters in several threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import small_models
from litedelegates import Interpreter

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

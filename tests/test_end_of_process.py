"""Forks, daemon threads at the end of a program, objects that were never made: a process lives or ends in order."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from litedelegates import _core

HERE = Path(__file__).parent


def run_program(text: str) -> subprocess.CompletedProcess[str]:
    """Run a program that may import what tests share."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)],
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


DAEMONS = """
import threading, time
import numpy as np
import small_models
from litedelegates import Interpreter

x = np.ones((1, 4), np.float32)
{before}

def work():
    while True:
        {step}

for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.2)
print("end of the program")
"""


@pytest.mark.parametrize(
    ("before", "step"),
    [
        ("it = Interpreter(small_models.scale_by_two())", "it.run(x)"),
        ("it = Interpreter(small_models.scale_by_two())", "it.time_runs(max_runs=100)"),
        ("pass", "Interpreter(small_models.scale_by_two()).run(x)"),
        (
            "it = Interpreter(small_models.while_loop(), delegate=None)",
            "it.run(np.array([-(2**31)], np.int32), x)",
        ),
        (
            "it = Interpreter(small_models.svdf()); assert it.route.name == 'classic'",
            "it.run(*(np.zeros(info.shape, info.dtype) for info in it.inputs))",
        ),
    ],
    ids=["runs", "timed runs", "loads", "an endless loop", "classic route"],
)
def test_a_program_ends_in_order_while_daemon_threads_run_models(before: str, step: str) -> None:
    for _ in range(3):
        ended = run_program(DAEMONS.format(before=before, step=step))
        assert (ended.returncode, ended.stdout) == (0, "end of the program\n"), ended.stderr


def test_a_child_process_runs_what_its_parent_loaded() -> None:
    ended = run_program("""
        import os, signal, sys
        import numpy as np
        import small_models
        from litedelegates import Interpreter

        x = np.ones((1, 4), np.float32)
        it = Interpreter(small_models.scale_by_two())
        assert it.run_async(x).result().tolist() == [[2, 2, 2, 2]]
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            assert it.run_async(x).result().tolist() == [[2, 2, 2, 2]]
            assert it.run(3 * x).tolist() == [[6, 6, 6, 6]]
            it.close()
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert it.run_async(x).result().tolist() == [[2, 2, 2, 2]]
    """)
    assert ended.returncode == 0, ended.stderr


def test_a_child_process_that_was_forked_in_the_middle_of_a_run_says_so_and_can_load_the_model_anew() -> None:
    ended = run_program("""
        import os, signal, sys, threading, time
        import numpy as np
        import small_models
        from litedelegates import Interpreter, RunError, RunTimeoutError

        def run_long():
            try:
                it.run(np.array([-(2**31)], np.int32), x, time_limit_s=2)
            except RunTimeoutError:
                pass

        x = np.ones((1, 4), np.float32)
        it = Interpreter(small_models.while_loop(), delegate=None)
        thread = threading.Thread(target=run_long)
        thread.start()
        time.sleep(0.2)
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            try:
                it.run(np.array([3], np.int32), x)
            except RunError as error:
                assert "forked in the middle of a run" in str(error)
                it.close()
                anew = Interpreter(small_models.while_loop(), delegate=None)
                assert anew.run(np.array([3], np.int32), x)[1].tolist() == [[4, 4, 4, 4]]
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        thread.join()
        assert it.run(np.array([3], np.int32), x)[1].tolist() == [[4, 4, 4, 4]]
    """)
    assert ended.returncode == 0, ended.stderr


CLASSES = [value for value in vars(_core).values() if isinstance(value, type)]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_no_class_of_the_native_core_gives_an_object_with_nothing_in_it(kind: type) -> None:
    base = kind.__mro__[-2]  # pybind11's
    for make in (lambda: kind.__new__(kind), lambda: object.__new__(kind), lambda: base.__new__(kind)):
        with pytest.raises(TypeError):
            make()
    with pytest.raises(TypeError):
        type("Derived", (kind,), {})()


def test_a_small_file_that_is_cut_off_does_no_harm_on_the_classic_route(tmp_path: Path) -> None:
    import numpy as np
    import small_models
    from litedelegates import Interpreter

    path = tmp_path / "model.tflite"
    path.write_bytes(small_models.scale_by_two())
    interpreter = Interpreter(path, experimental_preserve_all_tensors=True)
    assert interpreter.route.name == "classic"
    os.truncate(path, 0)
    assert interpreter.run(np.ones((1, 4), np.float32)).tolist() == [[2, 2, 2, 2]]

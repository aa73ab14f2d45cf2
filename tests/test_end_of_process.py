"""Forks, daemon threads at the end of a program, objects that were never made: a process lives or ends in order."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import small_models
from litedelegates import Interpreter, RunError, _core

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


def test_an_exit_handler_may_wait_for_a_thread_that_runs_models() -> None:
    ended = run_program("""
        import atexit, threading, time
        stop = threading.Event()
        atexit.register(lambda: (stop.set(), thread.join(), print("joined")))  # before the import: it runs last
        import numpy as np
        import small_models
        from litedelegates import Interpreter

        x = np.ones((1, 4), np.float32)
        it = Interpreter(small_models.scale_by_two())

        def work():
            while not stop.is_set():
                it.run(x)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        time.sleep(0.2)
        print("end of the program")
    """)
    assert (ended.returncode, ended.stdout) == (0, "end of the program\njoined\n"), ended.stderr


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


def test_a_child_that_was_forked_while_a_thread_compiles_a_model_runs_it() -> None:
    """What the thread holds meanwhile is never given back in the child."""
    ended = run_program("""
        import os, threading, time
        import numpy as np
        import small_models_shapes
        from litedelegates import Interpreter
        from litedelegates.routes.compiled import CompiledSession

        x = np.ones((1, 3, 4), np.float32)
        expected = Interpreter(small_models_shapes.computed_reshape()).run(x).tolist()
        allocate, started, may_go_on = CompiledSession.allocate, threading.Event(), threading.Event()

        def allocate_slowly(session):
            started.set()
            may_go_on.wait()
            allocate(session)

        CompiledSession.allocate = allocate_slowly
        it = Interpreter(small_models_shapes.computed_reshape())
        thread = threading.Thread(target=lambda: it.placement)
        thread.start()
        started.wait()
        CompiledSession.allocate = allocate
        child = os.fork()
        if child == 0:
            os._exit(7 if it.run(x).tolist() == expected else 1)
        may_go_on.set()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        thread.join()
        assert it.run(x).tolist() == expected
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


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_no_method_of_the_native_core_takes_none_for_an_object(kind: type) -> None:
    """None would reach C++ as a null pointer."""
    ended = run_program(f"""
        from litedelegates import _core
        kind = _core.{kind.__name__}
        for name, value in vars(kind).items():
            method = value.fget if isinstance(value, property) else value
            if name.startswith("_") or not callable(method):
                continue
            for arguments in ((None,), (None, 0), (None, 0, []), (None, 0, 0)):
                try:
                    method(*arguments)
                except (TypeError, RuntimeError):
                    continue
                assert isinstance(value, staticmethod), name
    """)
    assert ended.returncode == 0, ended.stderr


def test_a_small_file_that_is_cut_off_does_no_harm_on_the_classic_route(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(small_models.scale_by_two())
    interpreter = Interpreter(path, experimental_preserve_all_tensors=True)
    assert interpreter.route.name == "classic"
    os.truncate(path, 0)
    assert interpreter.run(np.ones((1, 4), np.float32)).tolist() == [[2, 2, 2, 2]]


def test_every_tensor_can_be_asked_for_at_any_time_on_the_classic_route() -> None:
    """Before memory is there, after errors, before a run: a value or a ValueError, and the values of constants."""
    ended = run_program("""
        import os
        import numpy as np
        import small_models
        from litedelegates import Interpreter, LiteDelegatesError

        def read_all(it):
            for subgraph in range(it.num_subgraphs()):
                for index, tensor in enumerate(it._model.subgraphs[subgraph].tensors):
                    try:
                        str(it.get_tensor(index, subgraph))
                    except ValueError:
                        assert not tensor.is_constant or tensor.element_bits < 8 or tensor.element_type == "string"
                    try:
                        str(it.tensor(index)() if subgraph == 0 else None)
                    except ValueError:
                        pass

        def attempt(step, *arguments):
            try:
                step(*arguments)
            except (LiteDelegatesError, ValueError, RuntimeError):
                pass
            read_all(it)

        for case in small_models.CASES.values():
            if case.name == "while_loop":
                continue  # how often it runs depends on what is in its memory
            try:
                it = Interpreter(case.build(), delegate=None, experimental_preserve_all_tensors=True)
            except LiteDelegatesError:
                continue
            read_all(it)
            for shape_of in (lambda shape: [size + 1 for size in shape], list):
                attempt(it.allocate_tensors)
                attempt(it.invoke)
                for details in it.get_input_details():
                    attempt(it.resize_tensor_input, details["index"], shape_of(details["shape"]))
            attempt(it.allocate_tensors)
            attempt(it.invoke)
            print(case.name)
    """)
    assert ended.returncode == 0, ended.stderr
    assert len(ended.stdout.split()) > 70


def test_tensors_that_the_classic_runtime_cannot_show_are_refused() -> None:
    interpreter = Interpreter(
        small_models.CASES["copy_bfloat16"].build(), delegate=None, experimental_preserve_all_tensors=True
    )
    interpreter.allocate_tensors()
    with pytest.raises(ValueError, match="bfloat16"):
        interpreter.get_tensor(interpreter._model.subgraphs[0].outputs[0])
    strings = Interpreter(small_models.string_equal(), delegate=None)
    strings.allocate_tensors()
    with pytest.raises(RunError, match="string inputs"):
        strings.invoke()
    with pytest.raises(ValueError, match="holds no strings yet"):
        strings.get_tensor(strings.inputs[0].index)
    packed = Interpreter(small_models.CASES["copy_int4"].build(), delegate=None)
    packed.run(*small_models.CASES["copy_int4"].inputs(np.random.default_rng(0)))
    with pytest.raises(ValueError, match="no memory to show"):
        packed.view(packed.outputs[0].index)
    assert packed.get_tensor(packed.outputs[0].index).shape == packed.outputs[0].shape

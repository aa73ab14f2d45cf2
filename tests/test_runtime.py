"""Finding and opening the runtime, and what it says."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from litedelegates import runtime
from litedelegates.errors import RuntimeLibraryError
from litedelegates.official_output import official_output_logged

DIGITS = Path(__file__).parent.parent / "models/digits.tflite"
LOAD = "import litedelegates.runtime as r; print(r.open_runtime())"


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )


def test_the_installed_runtime_is_found_with_its_version() -> None:
    found = runtime.open_runtime()
    assert Path(found.library).is_file() and found.version is not None
    assert runtime.open_runtime() is found


def test_the_environment_variable_names_another_copy(tmp_path: Path) -> None:
    library = runtime.find_runtime().library
    copy = tmp_path / Path(library).name
    copy.symlink_to(library)
    for named in (copy, tmp_path):
        result = run_python(LOAD, LITEDELEGATES_RUNTIME=str(named))
        assert result.returncode == 0, result.stderr
        assert str(copy) in result.stdout
    missing = run_python(LOAD, LITEDELEGATES_RUNTIME=str(tmp_path / "nowhere"))
    assert "nowhere" in missing.stderr and "pip install" in missing.stderr


def test_a_library_that_lacks_symbols_is_refused_with_all_their_names(tmp_path: Path) -> None:
    source = tmp_path / "empty.c"
    source.write_text("int LiteRtCreateEnvironment(void) { return 0; }\n")
    library = tmp_path / "libLiteRt.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    result = run_python(LOAD, LITEDELEGATES_RUNTIME=str(library))
    assert "LiteRtRunCompiledModel" in result.stderr and "LiteRtWrapDelegate" in result.stderr
    assert "LiteRtCreateEnvironment," not in result.stderr
    assert "pip install" in result.stderr


def test_an_unsupported_version_is_refused_with_what_to_install(tmp_path: Path) -> None:
    package = tmp_path / "ai_edge_litert"
    package.mkdir()
    (package / "libLiteRt.so").touch()
    (tmp_path / "ai_edge_litert-1.4.0.dist-info").mkdir()
    result = run_python(LOAD, LITEDELEGATES_RUNTIME=str(package))
    assert "ai-edge-litert 1.4.0" in result.stderr and "2.2 and 2.3" in result.stderr


def test_two_runtimes_never_meet_in_one_process() -> None:
    from litedelegates import _core

    runtime.open_runtime()
    with pytest.raises(RuntimeLibraryError, match="another process"):
        _core.open_library("/somewhere/libLiteRt.so", folder="/somewhere")


def test_the_runtime_is_silent_unless_its_logger_is_asked(tmp_path: Path) -> None:
    model = Path(__file__).parent.parent / "models/digits.tflite"
    run = f"import litedelegates as ld; it = ld.Interpreter({str(model)!r}); it.allocate_tensors(); it.invoke()"
    quiet = run_python(run)
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    code = (
        "import logging; logging.basicConfig(); logging.getLogger('litedelegates.runtime').setLevel(logging.INFO)\n"
        f"import litedelegates; litedelegates.Interpreter({str(model)!r})"
    )
    talking = run_python(code)
    assert "INFO:litedelegates.runtime:" in talking.stderr and "XNNPACK" in talking.stderr


def test_a_machine_without_a_gpu_is_told_from_a_model_that_fails(tmp_path: Path) -> None:
    model = Path(__file__).parent.parent / "models/digits.tflite"
    code = (
        f"import litedelegates\n"
        f"try: litedelegates.Interpreter({str(model)!r}, delegate='gpu')\n"
        f"except litedelegates.DelegateUnavailableError as error: print(error)"
    )
    nothing = str(tmp_path / "no_driver.json")
    found = run_python(code, VK_ICD_FILENAMES=nothing, VK_DRIVER_FILES=nothing)
    assert "gpu delegate cannot be used here" in found.stdout, found.stderr
    assert "ulkan" in found.stdout or "LSE atomic" in found.stdout  # a CPU that cannot have it is told before a driver


def test_only_the_accelerators_that_were_asked_for_are_loaded() -> None:
    """Loading the GPU library alone ends the process on some boards."""
    model = Path(__file__).parent.parent / "models/digits.tflite"
    code = (
        f"import litedelegates; litedelegates.Interpreter({str(model)!r}, delegate={{!r}}).allocate_tensors()\n"
        "print('Accelerator' in open('/proc/self/maps').read())"
    )
    for delegate in (None, "xnnpack"):
        assert run_python(code.format(delegate)).stdout == "False\n"


# The runtime writes this line once in a process, when it first makes XNNPACK for the official Interpreter.
XNNPACK_MADE = "Created TensorFlow Lite XNNPACK delegate for CPU."
IN_THE_OFFICIAL_INTERPRETER = {
    "classic route": """
        from litedelegates import Interpreter
        Interpreter(MODEL, experimental_preserve_all_tensors=True).run(np.zeros((1, 8, 8, 1), np.float32))""",
    "calibration": """
        from litedelegates.quantize import quantize
        quantize(MODEL, "int8", [np.full((1, 8, 8, 1), value, np.float32) for value in (0, 0.5, 1)])""",
}


def program(name: str) -> str:
    return f"import numpy as np; MODEL = {str(DIGITS)!r}\n" + textwrap.dedent(IN_THE_OFFICIAL_INTERPRETER[name])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="stderr is exchanged in glibc only")
@pytest.mark.parametrize("name", IN_THE_OFFICIAL_INTERPRETER)
def test_the_official_interpreter_writes_to_the_log_and_not_to_the_terminal(name: str) -> None:
    if name == "calibration":
        pytest.importorskip("litert_quantizer")
    listening = "import logging, sys; logging.basicConfig(level=1, stream=sys.stdout, format='%(name)s: %(message)s');"
    listening += "logging.getLogger('litedelegates.runtime').setLevel(1)\n"
    done = run_python(listening + program(name))
    assert XNNPACK_MADE not in done.stderr
    assert f"litedelegates.runtime: {XNNPACK_MADE}" in done.stdout
    assert XNNPACK_MADE in run_python(program(name), LITEDELEGATES_STDERR="1").stderr


def test_other_words_than_the_log_go_to_stderr_and_the_stream_is_the_old_one_again(
    capfd: pytest.CaptureFixture[str],
) -> None:
    libc = ctypes.CDLL(None)
    before = ctypes.c_void_p.in_dll(libc, "stderr").value
    with official_output_logged():
        ctypes.CDLL(None).perror(b"the driver")
    assert ctypes.c_void_p.in_dll(libc, "stderr").value == before
    assert capfd.readouterr().err.startswith("the driver: ")

"""Finding and opening the runtime, and what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from litedelegates import runtime
from litedelegates.errors import RuntimeLibraryError

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

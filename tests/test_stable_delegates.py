"""Delegates of the stable ABI: those that carry their accessors and those that expect them from the host."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_models
from litedelegates import CompileError, DelegateError, Interpreter, OptionError, RunError, Stable, Xnnpack
from native_libraries import compile_library

ONES = np.ones((1, 4), np.float32)
# What stable_delegate.c does for these values of max_delegated_partitions.
CREATE_NOTHING, FAIL_PREPARE, FAIL_INVOKE = 101, 102, 103


def build(folder: Path, name: str, *flags: str, source: str = "stable_delegate.c") -> str:
    return compile_library(source, folder / name, *flags)


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("stable")
    return {
        "host": build(folder, "libhost_kind.so"),
        "own": build(folder, "libown_kind.so", "-DCARRIES_ACCESSORS"),
    }


@pytest.fixture(params=["host", "own"])
def library(request: pytest.FixtureRequest, libraries: dict[str, str]) -> str:
    return libraries[request.param]


def offset(value: int, **more: Any) -> dict[str, Any]:
    return {"xnnpack_settings": {"num_threads": value}, **more}


def counters(library: str) -> dict[str, int]:
    opened = ctypes.CDLL(library)
    names = ("created_delegates", "destroyed_delegates", "living_kernels", "destroyed_in_use")
    return {name: ctypes.c_int.in_dll(opened, name).value for name in names}


def run_official(interpreter: Any) -> list[list[float]]:
    interpreter.allocate_tensors()
    for details in interpreter.get_input_details():
        interpreter.set_tensor(details["index"], ONES)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).tolist()


def test_the_settings_arrive_and_the_outputs_prove_it(library: str) -> None:
    for wanted in (40, -7):
        interpreter = Interpreter(small_models.add(), delegate=[Stable(library, settings=offset(wanted)), Xnnpack()])
        for _ in range(3):
            assert interpreter.run(ONES, ONES).tolist() == [[2.0 + wanted] * 4]
        (record,) = interpreter.placement
        assert record.ran == "StableOffsetDelegate" and record.asked == "stable+xnnpack"


def test_without_settings_it_gets_an_empty_table(library: str) -> None:
    assert Interpreter(small_models.add(), delegate=Stable(library)).run(ONES, ONES).tolist() == [[2.0] * 4]


def test_it_works_on_the_classic_route(library: str) -> None:
    interpreter = Interpreter(
        small_models.add(), delegate=Stable(library, settings=offset(5)), experimental_preserve_all_tensors=True
    )
    assert interpreter.route.name == "classic"
    assert interpreter.run(ONES, ONES).tolist() == [[7.0] * 4]


def test_it_works_in_the_official_interpreter(library: str) -> None:
    from ai_edge_litert.interpreter import Interpreter as Official

    delegate = Stable(library, settings=offset(9)).for_official()
    interpreter = Official(model_content=small_models.add(), experimental_delegates=[delegate])
    assert run_official(interpreter) == [[11.0] * 4]


def test_the_settings_can_come_from_the_file_that_benchmark_model_takes(library: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    settings = offset(30, stable_delegate_loader_settings={"delegate_path": library, "delegate_name": "offset"})
    file.write_text("// made by a test\n" + json.dumps(settings))
    for delegate in (Stable(settings_file=file), Stable(library, settings_file=str(file))):
        assert Interpreter(small_models.add(), delegate=delegate).run(ONES, ONES).tolist() == [[32.0] * 4]


def test_it_is_destroyed_once_and_after_its_model(library: str) -> None:
    before = counters(library)
    interpreter = Interpreter(small_models.add(), delegate=[Stable(library), Xnnpack()])
    interpreter.profile(runs=2)
    interpreter.run(ONES, ONES)
    assert counters(library)["living_kernels"] == 1
    interpreter.close()
    del interpreter
    gc.collect()
    after = counters(library)
    assert after["created_delegates"] - before["created_delegates"] == 2  # the profile has a delegate of its own
    assert after["destroyed_delegates"] - before["destroyed_delegates"] == 2
    assert after["living_kernels"] == after["destroyed_in_use"] == 0


def test_one_that_cannot_prepare_says_why_and_is_destroyed(library: str) -> None:
    before = counters(library)
    with pytest.raises(CompileError, match="the stable delegate cannot prepare") as caught:
        Interpreter(small_models.add(), delegate=Stable(library, settings={"max_delegated_partitions": FAIL_PREPARE}))
    del caught
    gc.collect()
    after = counters(library)
    assert after["created_delegates"] - before["created_delegates"] == 1
    assert after["destroyed_delegates"] - before["destroyed_delegates"] == 1


def test_one_that_fails_at_run_time_says_why(library: str) -> None:
    interpreter = Interpreter(
        small_models.add(), delegate=Stable(library, settings={"max_delegated_partitions": FAIL_INVOKE})
    )
    for _ in range(3):
        with pytest.raises(RunError, match="told to fail with wish 103"):
            interpreter.run(ONES, ONES)


def test_one_that_makes_no_delegate_is_refused_with_the_error_number(library: str) -> None:
    with pytest.raises(DelegateError, match=r"returned no delegate.*errno 19: No such device"):
        Stable(library, settings={"max_delegated_partitions": CREATE_NOTHING}).load()


def test_another_abi_version_is_refused_with_both_versions(tmp_path: Path) -> None:
    newer = build(tmp_path, "libnewer.so", '-DABI_VERSION="2.0.0"')
    with pytest.raises(DelegateError, match=r'"2\.0\.0".*1\.0\.0'):
        Stable(newer).load()
    minor = build(tmp_path, "libminor.so", '-DABI_VERSION="1.7.3"')
    assert Stable(minor).load().version == "0.1"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DelegateError, match=r"nowhere\.so: there is no such file"):
        Interpreter(small_models.add(), delegate=Stable(tmp_path / "nowhere.so"))


def test_a_library_of_another_kind_is_refused(tmp_path: Path) -> None:
    external = build(tmp_path, "libexternal.so", "-pthread", source="offset_delegate.c")
    with pytest.raises(DelegateError, match=r"does not export TFL_TheStableDelegate; it is an external delegate"):
        Stable(external).load()
    text = tmp_path / "text.so"
    text.write_text("not a library")
    with pytest.raises(DelegateError, match=r"text\.so"):
        Stable(text).load()


def test_a_missing_dependency_is_named(tmp_path: Path) -> None:
    vendor = tmp_path / "libvendor_runtime.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "/dev/null", "-o", vendor], check=True)
    needy = build(tmp_path, "libneedy.so", f"-L{tmp_path}", "-Wl,--no-as-needed", "-lvendor_runtime")
    vendor.unlink()
    with pytest.raises(DelegateError, match=r"needs is missing: libvendor_runtime\.so"):
        Stable(needy).load()


def test_a_function_that_nobody_provides_is_named(tmp_path: Path) -> None:
    source = tmp_path / "undefined.c"
    source.write_text("extern int TfLiteInterpreterInvoke(void*); int (*wanted)(void*) = TfLiteInterpreterInvoke;")
    lost = tmp_path / "liblost.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", lost, source], check=True)
    with pytest.raises(DelegateError, match="TfLiteInterpreterInvoke"):
        Stable(lost).load()


_KINDS = """
import sys
from litedelegates import Stable, _core
Stable(sys.argv[1], prefer_host_accessors=sys.argv[2] == "prefer" or None).load()
print(_core.host_accessors_are_open())
"""


@pytest.mark.parametrize(
    ("kind", "wish", "is_open"), [("own", "", "False"), ("host", "", "True"), ("own", "prefer", "True")]
)
def test_the_host_accessors_are_opened_only_when_needed(
    libraries: dict[str, str], kind: str, wish: str, is_open: str
) -> None:
    command = [sys.executable, "-c", _KINDS, libraries[kind], wish]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (result.stdout.strip(), result.stderr) == (is_open, "")


def test_the_delegate_is_told_its_folder(library: str) -> None:
    Stable(library).load()
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_char_p
    assert getenv(b"TFLITE_STABLE_DELEGATE_LIBRARY_PATH") == os.fsencode(Path(library).parent)


def test_a_string_of_the_settings_arrives(library: str) -> None:
    Stable(library, settings={"compilation_caching_settings": {"model_token": "tökén"}}).load()
    received = (ctypes.c_char * 64).in_dll(ctypes.CDLL(library), "received_model_token")
    assert received.value.decode() == "tökén"


def test_settings_that_do_not_exist_or_fit_are_refused_where_they_are_written() -> None:
    cases = {
        "xnnpack_settings": [{"xnnpack_setings": {}}],
        "num_threads": [{"xnnpack_settings": {"num_thread": 2}}],
        "must be an integer, not str": [{"max_delegated_partitions": "2"}],
        "must be True or False": [{"disable_default_delegates": 1}],
        "must be a mapping": [{"gpu_settings": True}],
        "must be a string": [{"coral_settings": {"device": 1}}],
        "does not fit in 32 bits": [{"max_delegated_partitions": 1 << 31}],
        "Did you mean 'XNNPACK'": [{"delegate": "XNPACK"}],
        "a sequence of string": [{"mtk_neuron_settings": {"compile_options": "-O3"}}],
    }
    for message, wrong in cases.items():
        with pytest.raises(OptionError, match=message):
            Stable("lib.so", settings=wrong[0])


def test_options_are_checked() -> None:
    assert Stable("lib.so") == Stable(library="lib.so")
    assert Stable("lib.so").library == "lib.so"
    with pytest.raises(OptionError, match=r"by keyword, such as Stable\(settings"):
        Stable("lib.so", {})  # type: ignore[misc]
    with pytest.raises(OptionError, match="settings must be a mapping"):
        Stable("lib.so", settings=3)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="one of the two"):
        Stable("lib.so", settings={}, settings_file="settings.json")
    with pytest.raises(OptionError, match="needs a library"):
        Stable(settings={}).load()
    with pytest.raises(OptionError, match=r"cannot read the settings file nowhere\.json"):
        Stable("lib.so", settings_file="nowhere.json").load()

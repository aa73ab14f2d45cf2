"""External delegates: created from a library and its options, with every fault said precisely."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import small_models
from ai_edge_litert.interpreter import Interpreter as OfficialInterpreter
from ai_edge_litert.interpreter import OpResolverType
from litedelegates import (
    CompileError,
    DelegateError,
    External,
    Gpu,
    Hosted,
    Interpreter,
    OptionError,
    RunError,
    UnsupportedError,
    Xnnpack,
    load_delegate,
)
from native_libraries import compile_library

ONES = np.ones((1, 4), np.float32)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    return compile_library("arithmetic_delegate.c", tmp_path_factory.mktemp("native") / "libarithmetic.so")


def test_an_external_delegate_takes_its_op(library: str) -> None:
    interpreter = Interpreter(small_models.add(), delegate=External(Path(library)))
    for _ in range(3):
        assert interpreter.run(ONES, 2 * ONES).tolist() == [[3.0] * 4]
    (record,) = interpreter.placement
    assert (record.asked, record.ran) == ("external", "ArithmeticDelegate")


def test_options_reach_the_library_as_text(library: str, tmp_path: Path) -> None:
    echo = tmp_path / "echo.txt"
    options = {"echo": str(echo), "number": 3, "share": 0.5, "flag": True, "empty": ""}
    with Interpreter(small_models.add(), delegate=External(library, options=options)) as interpreter:
        interpreter.run(ONES, ONES)
        lines = echo.read_text().splitlines()
        assert lines == [f"echo={echo}", "number=3", "share=0.5", "flag=True", "empty="]
    assert echo.read_text().splitlines()[-1] == "destroyed=yes"


def test_the_delegate_outlives_its_options_object_and_dies_with_the_model(library: str, tmp_path: Path) -> None:
    echo = tmp_path / "echo.txt"
    interpreter = Interpreter(small_models.add(), delegate=External(library, options={"echo": str(echo)}))
    interpreter.delegates = ()
    assert interpreter.run(ONES, ONES).tolist() == [[2.0] * 4]
    assert "destroyed" not in echo.read_text()
    interpreter.close()
    assert echo.read_text().count("destroyed=yes") == 1


def test_it_works_on_the_classic_route_too(library: str) -> None:
    interpreter = Interpreter(small_models.add(), delegate=External(library), experimental_preserve_all_tensors=True)
    assert interpreter.route.name == "classic"
    assert interpreter.run(ONES, ONES).tolist() == [[2.0] * 4]
    assert [record.ran for record in interpreter.placement] == ["external"]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: External(), "needs library"),
        (lambda: External(""), "must name a file"),
        (lambda: External(7), "str"),
        (lambda: External("a.so", {"k": "v"}), "by keyword"),
        (lambda: External("a.so", library="b.so"), "by position and by keyword"),
        (lambda: External("a.so", option={}), "'options'"),
        (lambda: External("a.so", options={"k": None}), "dict of str to str or int or float or bool"),
        (lambda: External("a.so", options={1: "v"}), "dict of str"),
        (lambda: External("a.so", options={"k": "a\0b"}), "zero"),
    ],
)
def test_wrong_arguments_are_refused(make: object, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        make()  # type: ignore[operator]


def test_options_objects_compare_and_hash_by_value() -> None:
    one, same = External("a.so", options={"k": 1}), External(library="a.so", options={"k": 1})
    assert one == same and hash(one) == hash(same)
    assert one != External("a.so", options={"k": 2})
    assert repr(one) == "External(library='a.so', options={'k': 1})"


def refusal(library: object, **options: str) -> str:
    with pytest.raises(DelegateError) as raised:
        Interpreter(small_models.add(), delegate=External(str(library), options=dict(options)))
    return str(raised.value)


def test_a_library_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    assert f"{tmp_path}/libmissing.so: there is no such file" in refusal(tmp_path / "libmissing.so")
    assert "it is a folder" in refusal(tmp_path)
    assert "loader does not find it" in refusal("libmissing.so.7")
    shutil.copy(library, tmp_path / "libhere.so")
    monkeypatch.chdir(tmp_path)
    assert '"./libhere.so"' in refusal("libhere.so")


def test_what_is_no_library_is_said_to_be_none(tmp_path: Path) -> None:
    for content, says in [
        (b"", "too short"),
        (b"version https://git-lfs.github.com/spec/v1", "no shared library, and Linux"),
        (b"MZ" + bytes(64), "a Windows library"),
        (b"\xcf\xfa\xed\xfe" + bytes(64), "a macOS library"),
    ]:
        (tmp_path / "lib.so").write_bytes(content)
        assert says in refusal(tmp_path / "lib.so")


@pytest.mark.parametrize(
    ("machine", "bits", "says"),
    [(183, 2, "aarch64"), (40, 1, "arm (32 bits)"), (243, 2, "riscv64"), (999, 2, "machine 999")],
)
def test_a_library_for_another_machine_says_which(
    library: str, tmp_path: Path, machine: int, bits: int, says: str
) -> None:
    own = "aarch64" if Path(library).read_bytes()[18] == 183 else "x86-64"
    if says == own:
        machine, says = 62, "x86-64"
    content = bytearray(Path(library).read_bytes())
    content[4] = bits
    content[18:20] = machine.to_bytes(2, "little")
    (tmp_path / "lib.so").write_bytes(content)
    message = refusal(tmp_path / "lib.so")
    assert f"built for {says}" in message and f"this process runs on {own}" in message


def test_a_library_that_needs_a_missing_one_names_it(tmp_path: Path) -> None:
    needed = tmp_path / "libvendor_driver.so"
    (tmp_path / "empty.c").write_text("int vendor_driver(void) { return 0; }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", needed, tmp_path / "empty.c"], check=True)
    library = compile_library(
        "arithmetic_delegate.c", tmp_path / "lib.so", "-Wl,--no-as-needed", f"-L{tmp_path}", "-lvendor_driver"
    )
    needed.unlink()
    assert "it needs the library libvendor_driver.so, which is not installed" in refusal(library)


def test_missing_symbols_are_all_named(tmp_path: Path) -> None:
    create, destroy = "tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate"
    no_destroy = compile_library("arithmetic_delegate.c", tmp_path / "a.so", "-DNO_DESTROY", "-Wno-unused")
    assert refusal(no_destroy).endswith(f"lacks {destroy}")
    neither = compile_library("arithmetic_delegate.c", tmp_path / "b.so", "-DNO_DESTROY", "-DNO_CREATE", "-Wno-unused")
    assert refusal(neither).endswith(f"lacks {create} and {destroy}")
    undefined = compile_library("arithmetic_delegate.c", tmp_path / "c.so", "-DUNDEFINED")
    assert "undefined symbol: nobody_has_this" in refusal(undefined)


def test_a_library_that_refuses_is_quoted(library: str) -> None:
    assert refusal(library, refuse="no board in slot 3").endswith(
        "the options refuse=no board in slot 3: no board in slot 3"
    )
    assert "gave no reason. Probable ones: a key or value" in refusal(library, refuse="")


def test_failing_to_prepare_or_to_run_carries_the_delegates_words(library: str) -> None:
    with pytest.raises(CompileError, match="the arithmetic delegate cannot prepare"):
        Interpreter(small_models.add(), delegate=External(library, options={"fail": "prepare"}))
    interpreter = Interpreter(small_models.add(), delegate=External(library, options={"fail": "invoke"}))
    for _ in range(3):
        with pytest.raises(RunError, match="told to fail"):
            interpreter.run(ONES, ONES)


def official(model: bytes, delegates: list[object]) -> OfficialInterpreter:
    return OfficialInterpreter(
        model_content=model,
        experimental_delegates=delegates,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )


def test_the_same_delegate_computes_the_same_in_the_official_interpreter(library: str, tmp_path: Path) -> None:
    echo = tmp_path / "echo.txt"
    delegate = External(library, options={"echo": str(echo)})
    ours = Interpreter(small_models.add(), delegate=delegate)
    theirs = official(small_models.add(), [load_delegate(delegate)])
    theirs.allocate_tensors()
    values = np.random.default_rng(0).random((2, 1, 4), np.float32)
    for detail, value in zip(theirs.get_input_details(), values, strict=True):
        theirs.set_tensor(detail["index"], value)
    theirs.invoke()
    np.testing.assert_array_equal(theirs.get_tensor(theirs.get_output_details()[0]["index"]), ours.run(*values))
    assert "DELEGATE" in [op["op_name"] for op in theirs._get_ops_details()]
    assert echo.read_text().count("destroyed") == 0
    del theirs
    assert echo.read_text().count("destroyed=yes") == 1


def test_load_delegate_takes_what_the_official_one_takes(library: str, tmp_path: Path) -> None:
    echo = tmp_path / "echo.txt"
    delegate = load_delegate(library, {"echo": str(echo), "level": 2})
    assert "level=2" in echo.read_text()
    with Interpreter(small_models.add(), experimental_delegates=[delegate], delegate=None) as interpreter:
        assert [record.ran for record in interpreter.placement] == ["ArithmeticDelegate"]
    assert "External" in repr(delegate)
    hosted = Hosted.from_official(delegate)
    assert load_delegate(hosted)._get_native_delegate_pointer() == delegate._get_native_delegate_pointer()


def test_load_delegate_refuses_what_is_no_tflite_delegate(library: str) -> None:
    for part in (Gpu(), Xnnpack(num_threads=2)):
        with pytest.raises(UnsupportedError, match=f"{type(part).__name__} is no TFLite delegate"):
            load_delegate(part)
    with pytest.raises(OptionError, match="to the delegate itself"):
        load_delegate(External(library), {"k": "v"})
    with pytest.raises(OptionError, match="takes an object"):
        load_delegate(7)  # type: ignore[arg-type]


def owners(interpreter: Interpreter) -> dict[bool, set[str]]:
    """Return who took the ADDs (True) and who took the other ops (False)."""
    found: dict[bool, set[str]] = {True: set(), False: set()}
    for record in interpreter.placement:
        found[record.op_name == "ADD"].add(record.ran)
    return found


def test_the_order_of_a_chain_decides_who_takes_what(library: str, real_models: dict[str, Path]) -> None:
    path = real_models["face_detection_front"]
    external = External(library)
    cpu = Interpreter(path)
    image = np.random.default_rng(0).random(cpu.inputs[0].shape, np.float32)
    first = Interpreter(path, delegate=[external, Xnnpack()])
    assert owners(first) == {True: {"ArithmeticDelegate"}, False: {"xnnpack"}}
    assert owners(Interpreter(path, delegate=[Xnnpack(), external])) == {True: {"xnnpack"}, False: {"xnnpack"}}
    for output, right in zip(first.run(image), cpu.run(image), strict=True):
        np.testing.assert_allclose(output, right, atol=1e-5 * np.ptp(right))


def test_a_profile_counts_a_delegates_partition_as_one(library: str, real_models: dict[str, Path]) -> None:
    interpreter = Interpreter(real_models["face_detection_front"], delegate=[External(library), Xnnpack()])
    taken = {record.partition: record.ran for record in interpreter.placement}
    profile = interpreter.profile(runs=2)
    assert {op.partition for op in profile.ops} == set(taken)
    assert all(op.ran == taken[op.partition] for op in profile.ops)
    ours = [op for op in profile.ops if op.ran == "ArithmeticDelegate"]
    adds = [record.op_index for record in interpreter.placement if record.op_name == "ADD"]
    assert sorted(index for op in ours for index in op.op_indices) == adds


@pytest.mark.gpu
def test_a_chain_of_three_gives_each_op_its_owner(library: str, real_models: dict[str, Path]) -> None:
    path = real_models["face_detection_front"]
    cpu = Interpreter(path)
    image = np.random.default_rng(0).random(cpu.inputs[0].shape, np.float32)
    chain = [External(library), Gpu(precision_loss_allowed=False), Xnnpack()]
    with Interpreter(path, delegate=chain) as interpreter:
        outputs = interpreter.run(image)
        # The GPU takes one of the parts that are left between the ADDs, XNNPACK the others.
        assert owners(interpreter) == {True: {"ArithmeticDelegate"}, False: {"gpu", "xnnpack"}}
    for output, right in zip(outputs, cpu.run(image), strict=True):
        np.testing.assert_allclose(output, right, atol=1e-4 * np.ptp(right))

"""The constructor takes what the official Interpreter's takes, and its module has the same names."""

from __future__ import annotations

import ctypes
import enum
import inspect
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_models
from ai_edge_litert.interpreter import Interpreter as Official
from ai_edge_litert.interpreter import OpResolverType
from litedelegates import Interpreter, InvalidModelError
from litedelegates import interpreter as module
from native_libraries import compile_library
from small_models import CASES


def test_every_argument_of_the_official_interpreter_is_taken() -> None:
    names = set(inspect.signature(Official.__init__).parameters) - {"self", "model_path", "model_content"}
    assert names <= set(inspect.signature(Interpreter.__init__).parameters)
    for name in names - {"experimental_delegates", "num_threads", "experimental_op_resolver_type"}:
        interpreter = Interpreter(model_content=small_models.scale_by_two(), **{name: True})
        assert interpreter.run(np.ones((1, 4), np.float32)).tolist() == [[2.0] * 4], name
        assert name in interpreter.route.reason or interpreter.route.name == "compiled"


def test_positional_arguments_are_taken_in_the_official_order_too(tmp_path: Path) -> None:
    model, ones = small_models.scale_by_two(), np.ones((1, 4), np.float32)
    path = tmp_path / "model.tflite"
    path.write_bytes(model)
    delegate = module.load_delegate(compile_library("offset_delegate.c", tmp_path / "liboffset.so"), {"offset": "100"})
    for arguments in (
        (str(path), None, None, 2),
        (path, None, [], 2, OpResolverType.AUTO, False, False),
        (None, model),
        (None, model, None, 2),
        (str(path), b"", None),
        (os.fsencode(path),),
    ):
        Official(*arguments)
        interpreter = Interpreter(*arguments)
        assert interpreter.run(ones).tolist() == [[2.0] * 4], arguments
        assert [record.ran for record in interpreter.placement] == ["xnnpack"]
    assert Interpreter(str(path), None, [delegate]).delegates[0].name == "hosted"
    kept = Interpreter(str(path), None, None, 1, OpResolverType.AUTO, True)
    assert kept.route.name == "classic"
    assert Interpreter(str(path), None).delegates == (), "two arguments, of which neither is content, are ours"
    assert Interpreter(model, "xnnpack").delegates[0].name == "xnnpack"


def test_positional_arguments_that_fit_neither_order_are_refused() -> None:
    model = small_models.add()
    with pytest.raises(TypeError, match=r"model_content.*bytes or None.*'xnnpack'"):
        Interpreter(model, "xnnpack", None)
    with pytest.raises(TypeError, match="num_threads by position and by name"):
        Interpreter(None, model, None, 1, num_threads=2)
    with pytest.raises(TypeError, match="at most 11"):
        Interpreter(None, model, *[None] * 10)


def test_bytes_that_are_neither_a_model_nor_a_path_are_an_invalid_model(tmp_path: Path) -> None:
    for content in (b"x" * 1000, b"x" * 5000, b"no\0path", os.fsencode(tmp_path), b"\xff\xfe"):
        with pytest.raises(InvalidModelError, match="not a model"):
            Interpreter(content)


def test_models_are_taken_as_officially(tmp_path: Path) -> None:
    model = small_models.add()
    path = tmp_path / "model.tflite"
    path.write_bytes(model)
    for arguments in (
        {"model_path": os.fsencode(path)},
        {"model_path": path},
        {"model_path": str(path), "model_content": b""},
        {"model_path": "", "model_content": model},
    ):
        for cls in (Official, Interpreter):
            cls(**arguments).allocate_tensors()
    for wrong in (
        {},
        {"model_path": ""},
        {"model_content": b""},
        {"model_path": "a", "model_content": b"b"},
        {"model_path": "/no/such/model.tflite"},
        {"model_path": tmp_path},
        {"model_content": b"short"},
        {"model_content": "a string"},
        {"model_path": 5},
    ):
        with pytest.raises((ValueError, TypeError)) as raised:
            Official(**wrong)
        with pytest.raises(raised.type):
            Interpreter(**wrong)


@pytest.mark.parametrize("threads", [None, 0, -1, 1, 2, True, False, 2.0, "2", np.int64(2), 2**40], ids=repr)
@pytest.mark.parametrize("build", [small_models.add, small_models.lstm])
def test_numbers_of_threads_are_taken_and_refused_as_officially(build: Any, threads: Any) -> None:
    model = build()
    try:
        Official(model_content=model, num_threads=threads)
    except (ValueError, TypeError) as error:
        with pytest.raises(type(error), match="num_threads"):
            Interpreter(model_content=model, num_threads=threads)
    else:
        Interpreter(model_content=model, num_threads=threads).allocate_tensors()


def test_unknown_resolver_types_are_refused_as_officially() -> None:
    class Other(enum.Enum):
        FAST = 1

    model = small_models.add()
    for resolver in ("test", None, 1, Other.FAST):
        for cls in (Official, Interpreter):
            with pytest.raises(ValueError, match="resolver"):
                cls(model_content=model, experimental_op_resolver_type=resolver)
    assert {one.name: one.value for one in module.OpResolverType} == {one.name: one.value for one in OpResolverType}
    for own in module.OpResolverType:
        Interpreter(model_content=model, experimental_op_resolver_type=own)


def test_the_classic_route_takes_the_resolver_types_too() -> None:
    model, value = small_models.lstm(), CASES["lstm"].inputs(np.random.default_rng(0))[0]
    for resolver in OpResolverType:
        results = []
        for interpreter in (
            Official(model_content=model, experimental_op_resolver_type=resolver),
            Interpreter(model_content=model, experimental_op_resolver_type=resolver),
        ):
            interpreter.allocate_tensors()
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], value)
            interpreter.invoke()
            results.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
        np.testing.assert_array_equal(results[1], results[0])


def test_the_module_has_the_names_of_the_official_one(tmp_path: Path) -> None:
    from ai_edge_litert import interpreter as official

    public = {
        name
        for name, value in vars(official).items()
        if getattr(value, "__module__", None) == official.__name__ and not name.startswith("_")
    }
    assert public <= set(vars(module))
    library = compile_library("offset_delegate.c", tmp_path / "liboffset.so")
    for make in (module.load_delegate, module.Delegate):
        delegate = make(library, {"offset": "1"})
        assert delegate._get_native_delegate_pointer() == delegate._delegate_ptr
        assert isinstance(delegate._library, ctypes.PyDLL) and delegate._library.tflite_plugin_create_delegate
        interpreter = Interpreter(model_content=small_models.add(), experimental_delegates=[delegate])
        assert interpreter._delegates == [delegate]
        with pytest.raises(ValueError, match="no-such-library"):
            make("no-such-library.so")


def test_zero_point_compression_is_told_as_officially() -> None:
    for value in (False, True):
        arguments = {"model_content": small_models.add(), "experimental_compress_quantization_zero_points": value}
        assert Official(**arguments).experimental_compress_quantization_zero_points is value
        assert Interpreter(**arguments).experimental_compress_quantization_zero_points is value


def test_registerers_of_custom_ops_are_called_on_the_classic_route() -> None:
    from ai_edge_litert.interpreter import InterpreterWithCustomOps as OfficialWithCustomOps

    model, called = small_models.add(), []
    for cls in (OfficialWithCustomOps, module.InterpreterWithCustomOps):
        cls(custom_op_registerers=[called.append], model_content=model).allocate_tensors()
        assert cls(model_content=model)._safe_to_run()
        with pytest.raises(ValueError, match="NoSuchRegisterer"):
            cls(custom_op_registerers=["NoSuchRegisterer"], model_content=model)
    assert len(called) == 2 and all(isinstance(address, int) for address in called)


def test_the_resolver_types_switch_xnnpack_off() -> None:
    for resolver in (OpResolverType.BUILTIN_REF, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES):
        interpreter = Interpreter(model_content=small_models.conv(), experimental_op_resolver_type=resolver)
        assert {record.ran for record in interpreter.placement} == {"builtin"}

"""Quantizing the shipped digits model three ways, and what must be refused. The official Interpreter is the judge."""

from __future__ import annotations

import contextlib
import importlib.util
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("litert_quantizer", reason="needs the extra: pip install 'litedelegates[quantize]'")

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from digits_model import DIGITS, MODELS, digits_data, edit, op_codes, run, types_of, without_record
from litedelegates.errors import InvalidModelError, MissingExtraError, OptionError, QuantizationError
from litedelegates.quantize import (
    PRECISIONS,
    fold_float16_weights,
    quantize,
)

STATIC = ("int8", "int16x8")  # those that need calibration
FLOAT32_ACCURACY = 0.99  # measured 0.9967 on 600 images; one image is 0.0017


@pytest.fixture(scope="module")
def digits() -> dict[str, NDArray[Any]]:
    return digits_data()


@pytest.fixture(scope="module")
def quantized(digits: dict[str, NDArray[Any]]) -> dict[str, bytes]:
    return {name: quantize(DIGITS, name, digits["calibration"] if name in STATIC else None) for name in PRECISIONS}


# What comes out


@pytest.mark.parametrize(
    ("precision", "smallest", "largest"), [("float16", 0.45, 0.55), ("dynamic", 0.25, 0.35), ("int8", 0.25, 0.35)]
)
def test_file_shrinks_as_the_precision_promises(
    quantized: dict[str, bytes], precision: str, smallest: float, largest: float
) -> None:
    assert smallest < len(quantized[precision]) / DIGITS.stat().st_size < largest


# Logits reach 20. Measured mean errors: 0.003, 0.092, 0.106.
@pytest.mark.parametrize(("precision", "mean_error"), [("float16", 0.01), ("dynamic", 0.2), ("int8", 0.2)])
def test_outputs_stay_near_float32(
    quantized: dict[str, bytes], digits: dict[str, NDArray[Any]], precision: str, mean_error: float
) -> None:
    expected = run(DIGITS.read_bytes(), digits["images"])
    got = run(quantized[precision], digits["images"])
    assert np.abs(got - expected).mean() < mean_error


def test_float32_model_classifies_the_test_images(digits: dict[str, NDArray[Any]]) -> None:
    logits = run(DIGITS.read_bytes(), digits["images"])
    assert np.mean(logits.argmax(1) == digits["labels"]) >= FLOAT32_ACCURACY


@pytest.mark.parametrize("precision", PRECISIONS)
def test_accuracy_stays_within_half_a_percent_of_float32(
    quantized: dict[str, bytes], digits: dict[str, NDArray[Any]], precision: str
) -> None:
    expected = np.mean(run(DIGITS.read_bytes(), digits["images"]).argmax(1) == digits["labels"])
    got = np.mean(run(quantized[precision], digits["images"]).argmax(1) == digits["labels"])
    assert abs(got - expected) <= 0.005


def test_int8_border_takes_and_gives_int8_and_computes_the_same(
    quantized: dict[str, bytes], digits: dict[str, NDArray[Any]]
) -> None:
    inner = quantize(DIGITS, "int8", digits["calibration"], border="int8")
    assert schema.TensorType.FLOAT32 not in types_of(inner)
    assert schema.BuiltinOperator.DEQUANTIZE not in op_codes(inner)
    images = digits["images"][:50]
    np.testing.assert_allclose(run(inner, images), run(quantized["int8"], images), atol=1e-5)


def test_path_string_and_bytes_give_the_same_model() -> None:
    assert quantize(str(DIGITS), "dynamic") == quantize(DIGITS, "dynamic") == quantize(DIGITS.read_bytes(), "dynamic")


def test_nothing_is_printed(digits: dict[str, NDArray[Any]], capsys: pytest.CaptureFixture[str]) -> None:
    quantize(DIGITS, "int8", digits["calibration"], num_threads=1)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


# Files that litert-quantizer would misread


def test_model_with_only_deprecated_builtin_codes_quantizes_as_its_twin(quantized: dict[str, bytes]) -> None:
    def make_old(tree: Any) -> None:
        for code in tree.operatorCodes:
            code.builtinCode = 0

    old = quantize(edit(DIGITS.read_bytes(), make_old), "dynamic")
    assert without_record(old) == without_record(quantized["dynamic"])


def test_model_without_signature_gets_one(digits: dict[str, NDArray[Any]]) -> None:
    bare = edit(DIGITS.read_bytes(), lambda tree: setattr(tree, "signatureDefs", None))
    model = quantize(bare, "int8", digits["calibration"])
    signatures = Interpreter(model_content=model).get_signature_list()
    assert signatures == {"serving_default": {"inputs": ["image"], "outputs": ["logits"]}}


def test_tensors_of_the_same_name_do_not_share_their_ranges(
    quantized: dict[str, bytes], digits: dict[str, NDArray[Any]]
) -> None:
    def rename(tree: Any) -> None:
        for tensor in tree.subgraphs[0].tensors:
            tensor.name = b"x"

    model = quantize(edit(DIGITS.read_bytes(), rename), "int8", digits["calibration"])
    images = digits["images"][:20]
    np.testing.assert_array_equal(run(model, images), run(quantized["int8"], images))


def test_data_behind_the_flatbuffer_is_read(quantized: dict[str, bytes]) -> None:
    content = DIGITS.read_bytes()
    tail: list[bytes] = []

    def move_out(tree: Any) -> None:
        for buffer in tree.buffers:
            if buffer.data is not None and len(buffer.data) > 1000:
                buffer.offset = start + sum(map(len, tail))
                buffer.size = len(buffer.data)
                tail.append(bytes(buffer.data))
                buffer.data = None

    start = len(content)  # the flatbuffer only shrinks, so the data can begin here
    moved = edit(content, move_out).ljust(start, b"\0") + b"".join(tail)
    assert without_record(quantize(moved, "dynamic")) == without_record(quantized["dynamic"])


def test_constants_are_aligned_to_16_bytes(quantized: dict[str, bytes]) -> None:
    for content in quantized.values():
        model = schema.Model.GetRootAs(content, 0)
        base = np.frombuffer(content, np.uint8).ctypes.data
        arrays = [model.Buffers(i).DataAsNumpy() for i in range(model.BuffersLength()) if model.Buffers(i).DataLength()]
        assert arrays and all((array.ctypes.data - base) % 16 == 0 for array in arrays)


def test_folding_float16_weights_is_exact(quantized: dict[str, bytes], digits: dict[str, NDArray[Any]]) -> None:
    folded = fold_float16_weights(quantized["float16"])
    assert schema.TensorType.FLOAT16 not in types_of(folded)
    assert op_codes(folded) == op_codes(DIGITS.read_bytes())
    images = digits["images"][:20]
    np.testing.assert_array_equal(run(folded, images), run(quantized["float16"], images))


def test_folding_leaves_a_float32_model_as_it_is() -> None:
    assert fold_float16_weights(DIGITS) == DIGITS.read_bytes()


def test_model_with_float16_weights_can_become_int8(
    quantized: dict[str, bytes], digits: dict[str, NDArray[Any]]
) -> None:
    model = quantize(quantized["float16"], "int8", digits["calibration"], border="int8")
    assert types_of(model) <= {schema.TensorType.INT8, schema.TensorType.INT32}


# What is refused


@pytest.mark.parametrize(("asked", "near"), [("int4", "int8"), ("fp16", "float16"), ("Dynamic", "dynamic")])
def test_unknown_precision_names_the_nearest(asked: str, near: str) -> None:
    with pytest.raises(ValueError, match=f"precision '{asked}' is unknown. Did you mean '{near}'"):
        quantize(DIGITS, asked)


def test_unknown_border_and_zero_threads_are_refused(digits: dict[str, NDArray[Any]]) -> None:
    with pytest.raises(OptionError, match="border 'uint8'"):
        quantize(DIGITS, "int8", digits["calibration"], border="uint8")
    with pytest.raises(OptionError, match="num_threads=0"):
        quantize(DIGITS, "int8", digits["calibration"], num_threads=0)


def test_options_a_precision_does_not_use_are_refused(digits: dict[str, NDArray[Any]]) -> None:
    with pytest.raises(OptionError, match="'float16' uses neither calibration nor border"):
        quantize(DIGITS, "float16", digits["calibration"])


@pytest.mark.parametrize("first", ["dynamic", "int8", "int16x8", "weight_only"])
@pytest.mark.parametrize("second", PRECISIONS)
def test_quantized_model_is_not_quantized_again(
    quantized: dict[str, bytes], digits: dict[str, NDArray[Any]], first: str, second: str
) -> None:
    with pytest.raises(QuantizationError, match=r"is quantized already: .* are .*INT8 .*Start from the float32 model"):
        quantize(quantized[first], second, digits["calibration"] if second in STATIC else None)


def test_weights_too_large_for_float16_are_refused() -> None:
    def enlarge(tree: Any) -> None:
        weights = next(t for t in tree.subgraphs[0].tensors if t.name == b"deep_relu/weights")
        data = np.array(tree.buffers[weights.buffer].data)
        data.view(np.float32)[0] = 1e6
        tree.buffers[weights.buffer].data = data

    with pytest.raises(QuantizationError, match=r"deep_relu/weights.* not finite in float16"):
        quantize(edit(DIGITS.read_bytes(), enlarge), "float16")


def with_op_litert_quantizer_cannot_do(tree: Any) -> None:
    """Put a NEG behind the logits; NEG has no int8 kernel."""
    graph = tree.subgraphs[0]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.NEG
    code.version = 1
    tree.operatorCodes.append(code)
    negated = schema.TensorT()
    negated.shape, negated.type, negated.name, negated.buffer = [1, 10], schema.TensorType.FLOAT32, b"negated", 0
    graph.tensors.append(negated)
    op = schema.OperatorT()
    op.opcodeIndex, op.inputs, op.outputs = len(tree.operatorCodes) - 1, list(graph.outputs), [len(graph.tensors) - 1]
    op.builtinOptionsType, op.builtinOptions = schema.BuiltinOptions.NegOptions, schema.NegOptionsT()
    graph.operators.append(op)
    graph.outputs = op.outputs
    tree.signatureDefs[0].outputs[0].tensorIndex = op.outputs[0]


def test_ops_left_in_float32_are_named_and_accepted_only_when_asked(digits: dict[str, NDArray[Any]]) -> None:
    model = edit(DIGITS.read_bytes(), with_op_litert_quantizer_cannot_do)
    with pytest.raises(QuantizationError, match="asked for int8, but 1 ops stayed float32: NEG 'negated'"):
        quantize(model, "int8", digits["calibration"])
    mixed = quantize(model, "int8", digits["calibration"], allow_float32_ops=True)
    expected = run(DIGITS.read_bytes(), digits["images"][:20])
    assert np.abs(run(mixed, digits["images"][:20]) + expected).mean() < 0.2


def test_model_without_weights_is_refused() -> None:
    def keep_the_first_resize(tree: Any) -> None:
        graph = tree.subgraphs[0]
        graph.operators = graph.operators[:1]
        graph.outputs = list(graph.operators[0].outputs)
        tree.signatureDefs[0].outputs[0].tensorIndex = graph.outputs[0]

    with pytest.raises(QuantizationError, match="nothing to quantize"):
        quantize(edit(DIGITS.read_bytes(), keep_the_first_resize), "dynamic")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a TFLite model: 0 bytes"),
        (b"PK\x03\x04 a zip, not a model", "not a TFLite model"),
        (DIGITS.read_bytes()[:100_000], "the file is truncated or corrupt"),
        (DIGITS.read_bytes()[:40], "the file is truncated or corrupt"),
    ],
)
def test_corrupt_bytes_raise_and_leave_the_process_alive(content: bytes, message: str) -> None:
    with pytest.raises(InvalidModelError, match=message):
        quantize(content, "dynamic")


def test_flipped_bytes_never_escape_as_anything_but_our_errors() -> None:
    content = DIGITS.read_bytes()
    random = np.random.default_rng(0)
    structure = [i for i in range(len(content)) if not 5_000 < i < len(content) - 8_000]  # the weights lie between
    for _ in range(40):
        damaged = bytearray(content)
        damaged[random.choice(structure)] ^= int(random.integers(1, 256))
        with contextlib.suppress(InvalidModelError, QuantizationError):
            quantize(damaged, "dynamic")


def test_tensor_whose_bytes_do_not_fill_its_shape_is_refused() -> None:
    def shrink(tree: Any) -> None:
        weights = next(t for t in tree.subgraphs[0].tensors if t.name == b"logits/weights")
        tree.buffers[weights.buffer].data = tree.buffers[weights.buffer].data[:-4]

    with pytest.raises(InvalidModelError, match=r"needs 1280 bytes for its shape .* but its buffer .* has 1276"):
        quantize(edit(DIGITS.read_bytes(), shrink), "dynamic")


def test_missing_file_raises_file_not_found() -> None:
    with pytest.raises(FileNotFoundError):
        quantize(MODELS / "no_such_model.tflite", "dynamic")


def test_missing_quantizer_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litert_quantizer", None)
    with pytest.raises(MissingExtraError, match=r"litedelegates\[quantize\]"):
        quantize(DIGITS, "dynamic")


def test_importing_the_package_does_not_import_the_quantizer() -> None:
    assert importlib.util.find_spec("litert_quantizer") is not None
    script = "import sys, litedelegates.quantize; print([m for m in ('litert_quantizer', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""From a float32 ``.tflite`` to a smaller one, by litert-quantizer, with its silent failures made loud."""

from __future__ import annotations

from functools import partial

from litedelegates.errors import OptionError, QuantizationError
from litedelegates.graph.tflite.tree import ModelSource, Tree, parse, read_bytes, repair, serialize, text
from litedelegates.quantize.calibration import read_samples
from litedelegates.quantize.float16_weights import fold_in_tree
from litedelegates.quantize.litert_inputs import read_input_specs
from litedelegates.quantize.litert_names import list_ops, rename_safely, restore_names
from litedelegates.quantize.litert_recipe import run_quantizer
from litedelegates.quantize.litert_record import put_record
from litedelegates.quantize.plan import describe, named_ops, resolve
from litedelegates.quantize.provenance import Quantized, Record
from litedelegates.quantize.request import FLOAT32, STATIC_PRECISIONS, Request
from litedelegates.quantize.verify import check_border, check_float32, check_ops, check_something_to_do, check_values

BORDERS_OF = {"int8": ("int8",), "int16": ("int16x8",)}


def quantize_litert(model: ModelSource, request: Request) -> Quantized:
    """Return what litert-quantizer makes of the ``.tflite`` ``model``, each op checked against the plan.

    A model whose weights are float16 behind DEQUANTIZE ops is widened to float32 first, which is exact. A model
    without a signature gets ``serving_default``. Each range is the smallest and largest value seen in any sample, as
    in TensorFlow's converter. (litert-quantizer's own default, a moving average that starts at the first sample, gave
    four times the error on 64 samples of digits.)

    Raises:
        OptionError: A key of the plan means no op, or litert-quantizer lacks the border or the method.
        CalibrationError: Calibration is missing or does not fit.
        InvalidModelError: ``model`` is not a readable TFLite model.
        QuantizationError: ``model`` is not float32, or the result is not what was asked for.
        MissingExtraError: litert-quantizer is not installed.
    """
    request.take_options("a .tflite", {})
    _check_supported(request)
    tree = parse(read_bytes(model))
    fold_in_tree(tree)
    repair(tree)
    check_float32(tree)
    ops = list_ops(tree)
    wanted = resolve(request, ops)
    check_something_to_do(tree, ops, wanted)
    static = any(precision in STATIC_PRECISIONS for precision in wanted.values())
    samples = (
        read_samples(read_input_specs(tree), request.calibration, _static_name(request), progress=request.progress)
        if static
        else []
    )
    signature = text(tree.signatureDefs[0].signatureKey)
    names = rename_safely(tree, wanted)
    content = serialize(tree)
    del tree
    result = parse(run_quantizer(content, request, wanted.values(), signature, samples))
    made = restore_names(result, names)
    if [op.type for op in made] != [op.type for op in ops]:
        raise QuantizationError(
            f"litert-quantizer changed the ops themselves, {len(ops)} before and {len(made)} after: they cannot be "
            "checked one by one"
        )
    check_ops(result, made, wanted, named_ops(request, ops), request)
    check_values(result)
    if static:
        check_border(result, request.border)
    return Quantized(partial(_seal, result), describe(wanted), ("litert-quantizer", "ai-edge-litert"), samples)


def _seal(tree: Tree, record: Record) -> bytes:
    put_record(tree, record)
    return serialize(tree)


def _check_supported(request: Request) -> None:
    if request.method != "minmax":
        raise OptionError(
            f"method {request.method!r} is not in litert-quantizer, which has 'minmax' only; onnxruntime has "
            "'entropy' and 'percentile' for ONNX models"
        )
    if request.border != FLOAT32:
        if request.border not in BORDERS_OF:
            raise OptionError(
                f"border {request.border!r} is not in litert-quantizer: it has float32, int8 and (for int16x8) int16"
            )
        if not set(request.precisions) & set(BORDERS_OF[request.border]):
            raise OptionError(
                f"border {request.border!r} belongs to precision {BORDERS_OF[request.border][0]!r}, not "
                f"{' and '.join(map(repr, request.precisions))}"
            )


def _static_name(request: Request) -> str:
    return next(name for name in request.precisions if name in STATIC_PRECISIONS)

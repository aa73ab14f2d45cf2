"""From a float32 ``.tflite`` to a smaller one, by litert-quantizer, with its silent failures made loud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from litedelegates.errors import InvalidModelError, OptionError, QuantizationError
from litedelegates.graph.tflite.packed_files import packed_files
from litedelegates.graph.tflite.tree import ModelSource, Tree, parse, read_bytes, repair, serialize, text
from litedelegates.quantize.calibration import RANDOM
from litedelegates.quantize.float16_weights import fold_in_tree
from litedelegates.quantize.litert_biases import fit_biases, stored_biases
from litedelegates.quantize.litert_inputs import read_calibration, read_signatures
from litedelegates.quantize.litert_mend import read_integers_directly, separate_weights, take_scales_as_they_are
from litedelegates.quantize.litert_names import PlacedOp, inner_ops, list_ops, rename_safely, restore_names
from litedelegates.quantize.litert_origin import describe_failure
from litedelegates.quantize.litert_outputs import add_ends, add_starts, remove_ends
from litedelegates.quantize.litert_ranges import Place, Range, Samples, find_ranges
from litedelegates.quantize.litert_recipe import require_quantizer, run_quantizer
from litedelegates.quantize.litert_record import put_record
from litedelegates.quantize.litert_selection import leave_out_masks, precisions_told
from litedelegates.quantize.litert_values import Given, check_against_source
from litedelegates.quantize.litert_weights import larger_than_before, left_in_float32, store_small
from litedelegates.quantize.plan import describe, named_ops, resolve
from litedelegates.quantize.provenance import Quantized, Record
from litedelegates.quantize.request import FLOAT32, STATIC_PRECISIONS, Request
from litedelegates.quantize.verify import (
    check_border,
    check_float32,
    check_ops,
    check_something_to_do,
    check_values,
)

BORDERS_OF = {"int8": ("int8",), "int16": ("int16x8",)}


def quantize_litert(model: ModelSource, request: Request) -> Quantized:
    """Return what litert-quantizer makes of the ``.tflite`` ``model``, each op checked against the plan.

    A model whose weights are float16 behind DEQUANTIZE ops is widened to float32 first, which is exact. A model
    without a signature gets ``serving_default``. Each range is the smallest and largest value seen in any sample, as
    in TensorFlow's converter. (litert-quantizer's own default, a moving average that starts at the first sample, gave
    four times the error on 64 samples of digits.) Ops that read or write a mask of attention beside other values stay
    float32. The result is run beside ``model`` on some of the samples, see `value_check`.

    Raises:
        OptionError: A key of the plan means no op, or litert-quantizer lacks the border or the method.
        CalibrationError: Calibration is missing or does not fit.
        InvalidModelError: ``model`` is not a readable TFLite model.
        QuantizationError: ``model`` is not float32, or the result is not what was asked for.
        MissingExtraError: litert-quantizer is not installed.
    """
    request.take_options("a .tflite", {})
    _check_supported(request)
    source = read_bytes(model)
    tree = parse(source)
    fold_in_tree(tree)
    repair(tree)
    check_float32(tree)
    ops = list_ops(tree)
    named = named_ops(request, ops)
    inner = inner_ops(tree, ops)
    wanted = resolve(request, ops, inner)
    check_something_to_do(tree, ops, wanted)
    separate_weights(tree, wanted)
    require_quantizer()
    samples: Mapping[str, Samples] = {}
    ranges: Mapping[Place, Range] = {}
    warnings: list[str] = []
    if any(precision in STATIC_PRECISIONS for precision in wanted.values()):
        samples = read_calibration(tree, request.calibration, _static_name(request), progress=request.progress)
        ranges = find_ranges(tree, samples, num_threads=request.num_threads, progress=request.progress)
        warnings += leave_out_masks(tree, ops, wanted, named, ranges)
    signatures = read_signatures(tree)
    made, result = _quantize(tree, ops, wanted, request, ranges)
    del tree
    check_ops(result, made, wanted, named, request, inner)
    check_values(result)
    if samples:
        check_border(result, request.border)
    content = serialize(result)
    warnings += left_in_float32(result, made, wanted, len(content)) or larger_than_before(len(source), len(content))
    if request.check_values:
        is_random = isinstance(request.calibration, str) and request.calibration == RANDOM
        given = Given(samples, is_random)
        warnings += check_against_source(source, content, signatures, given, request, ops)
    return Quantized(
        partial(_seal, result, packed_files(source)),
        describe(wanted),
        ("litert-quantizer", "ai-edge-litert"),
        [sample for rows in samples.values() for sample in rows],
        warnings=tuple(warnings),
    )


def _quantize(
    tree: Tree, ops: Sequence[PlacedOp], wanted: Mapping[int, str], request: Request, ranges: Mapping[Place, Range]
) -> tuple[list[PlacedOp], Tree]:
    """Return the ops as litert-quantizer made them, and the model that it made; ``tree`` is of no use afterwards."""
    told = precisions_told(tree, ops, wanted, ranges)
    names = rename_safely(tree, told)
    biases = stored_biases(tree, ops)
    by_name = {text(tree.subgraphs[number].tensors[index].name): seen for (number, index), seen in ranges.items()}
    by_name |= add_starts(tree, told)
    if ranges:
        by_name |= add_ends(tree, ranges)
    content = run_quantizer(serialize(tree), request, told.values(), by_name)
    try:
        result = parse(content)
    except InvalidModelError as error:
        raise QuantizationError(describe_failure(ops, None, request.label, str(error))) from error
    remove_ends(result)
    if ranges:
        read_integers_directly(result)
        take_scales_as_they_are(result)
    made = restore_names(result, names)
    if [op.type for op in made] != [op.type for op in ops]:
        raise QuantizationError(
            f"litert-quantizer changed the ops themselves, {len(ops)} before and {len(made)} after: they cannot be "
            "checked one by one"
        )
    fit_biases(result, made, biases)
    store_small(result, made, wanted)
    return made, result


def _seal(tree: Tree, files: bytes, record: Record) -> bytes:
    put_record(tree, record)
    return serialize(tree) + files


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

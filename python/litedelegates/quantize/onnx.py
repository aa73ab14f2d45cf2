"""ONNX models, by onnxruntime: prepared for it, quantized in passes over disjoint ops, and checked op by op."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from litedelegates.errors import NothingToQuantizeError, QuantizationError
from litedelegates.quantize.calibration import RANDOM, InputSpec, read_samples
from litedelegates.quantize.onnx_border import make_border, put_back_passed, take_out_passed
from litedelegates.quantize.onnx_constants import attach_inner_graphs, detach_inner_graphs, separate_constants
from litedelegates.quantize.onnx_dynamic import make_dynamic
from litedelegates.quantize.onnx_files import EXTERNAL_SUFFIX, infer_types, put_outside, size_of, to_bytes
from litedelegates.quantize.onnx_float16 import make_float16
from litedelegates.quantize.onnx_gemms import biases_of_rows, fold_gemm_scales, widen_biases
from litedelegates.quantize.onnx_graph import GraphIndex, has_inner_graphs, outline
from litedelegates.quantize.onnx_left_out import describe_float32_weights, describe_left_out, ops_to_leave_out
from litedelegates.quantize.onnx_model import (
    OnnxSource,
    check_not_quantized,
    name_nodes,
    read_onnx,
    require_onnx,
    sort_nodes,
)
from litedelegates.quantize.onnx_options import OnnxOptions, read_options
from litedelegates.quantize.onnx_prepare import (
    INT16_OPSET,
    PER_CHANNEL_OPSET,
    check_sizes_known,
    fix_sizes,
    fixed_sizes,
    fold,
    input_specs,
    raise_opset,
)
from litedelegates.quantize.onnx_record import digest_with_weights, put_record
from litedelegates.quantize.onnx_static import Samples, make_static
from litedelegates.quantize.onnx_tied import find_ties, store_once
from litedelegates.quantize.onnx_trial import Trial, try_beside
from litedelegates.quantize.onnx_verify import check_ops, says_something
from litedelegates.quantize.onnx_weights import store_in_8_bits
from litedelegates.quantize.plan import Op, describe, named_ops, resolve
from litedelegates.quantize.provenance import Quantized, Record
from litedelegates.quantize.request import FLOAT32, STATIC_PRECISIONS, Request

if TYPE_CHECKING:
    import onnx


def quantize_onnx(model: OnnxSource, request: Request) -> Quantized:
    """Return what onnxruntime makes of the ONNX ``model``, each op checked against the plan.

    The ops that a plan names are those of the main graph; what is inside an If or Loop stays as it is. Constants are
    computed and batch normalization is folded first. For ``int8`` and ``int16x8`` the sizes of the inputs become fixed,
    as ``shapes`` or the calibration samples have them. A float32 op without weights between two int8 ops is computed in
    8 bits by onnxruntime, whatever the model says. The result is run beside ``model`` in a process of its own, on some
    of the samples; ops that do not run there stay float32, which its warnings say.

    Raises:
        OptionError: An option is unknown, or a key of the plan means no op.
        CalibrationError: Calibration is missing or does not fit.
        InvalidModelError: ``model`` is not a readable ONNX model.
        QuantizationError: ``model`` is not float32, or the result is not what was asked for.
        MissingExtraError: onnx or onnxruntime is not installed.
    """
    options = read_options(request)
    require_onnx()
    source = read_onnx(model)
    check_not_quantized(source)
    name_nodes(source)
    ops = [Op(index, node.op_type, node.name) for index, node in enumerate(source.graph.node)]
    wanted = resolve(request, ops)
    asked = set(wanted.values()) - {FLOAT32}

    raised = raise_opset(source, INT16_OPSET if "int16x8" in asked else PER_CHANNEL_OPSET)
    samples = _fix_inputs(raised, request, options) if asked & set(STATIC_PRECISIONS) else []
    left_out: dict[str, str] = {}
    while True:
        prepared = fold(raised, options.most_bytes)
        before = GraphIndex(outline(prepared))
        left_out |= biases_of_rows(before, _static_names(ops, wanted))
        names = _names_by_precision(before, ops, wanted, left_out)
        if left_out and not names:
            said = "; ".join(describe_left_out(ops, left_out))
            raise NothingToQuantizeError(f"asked for {request.label}, but nothing was quantized: {said}")
        ties = find_ties(prepared, [op.name for op in ops if wanted[op.index] != FLOAT32])
        result = _tidy(_run_passes(prepared, names, samples, request, options), source)
        typed = infer_types(result, options.most_bytes)
        check_ops(before, typed, ops, wanted, named_ops(request, ops), request, left_out)
        if ties:
            store_once(result, ties)
            sort_nodes(result)
        specs = _readable_inputs(source) if request.check_values else []
        trial = try_beside(source, result, specs, samples, [*names], request.num_threads, options.most_bytes)
        more = ops_to_leave_out(trial, before, names) if trial.failure else {}
        if not more:
            break
        left_out |= more
    told = [
        *_judge(trial, request, options),
        *describe_left_out(ops, left_out),
        *describe_float32_weights(result, ops, wanted),
    ]
    beside: dict[str, memoryview] = {}
    if request.output is not None and size_of(result) > options.most_bytes:
        name = request.output.name + EXTERNAL_SUFFIX
        beside[name] = memoryview(put_outside(result, name))
    return Quantized(
        partial(_seal, result, options.most_bytes),
        describe(wanted),
        ("onnx", "onnxruntime"),
        samples,
        {name: value for name, value in asdict(options).items() if name != "most_bytes"},
        digest_with_weights(model),
        beside,
        tuple(told),
    )


def _readable_inputs(source: onnx.ModelProto) -> list[InputSpec]:
    """Return the inputs of ``source``, none where one is of a kind that is not numpy's; weights may be inputs too."""
    weights = {tensor.name for tensor in source.graph.initializer}
    try:
        return [spec for spec in input_specs(source, {}) if spec.name not in weights]
    except QuantizationError:
        return []


def _judge(trial: Trial, request: Request, options: OnnxOptions) -> list[str]:
    """Return what is off in the values of the result.

    Raises:
        QuantizationError: It does not run, or its values have nothing to do with the source's.
    """
    if trial.failure:
        raise QuantizationError(
            f"the model in {request.label} does not run: {trial.failure}. Leave the op out, exclude=[...], or take "
            f"{options.alternative}"
        )
    if trial.verdict == "error":
        raise QuantizationError(
            f"the model in {request.label} is wrong: {trial.text}. Leave ops out, exclude=[...], or take "
            f"{options.alternative}"
        )
    return [f"the values of the model in {request.label} are off: {trial.text}"] if trial.verdict == "warning" else []


def _fix_inputs(model: onnx.ModelProto, request: Request, options: OnnxOptions) -> Samples:
    """Return the calibration samples, and give the inputs of ``model`` their sizes."""
    specs = input_specs(model, options.shapes)
    if isinstance(request.calibration, str) and request.calibration == RANDOM:
        check_sizes_known(specs, options.shapes)
    label = next(name for name in request.precisions if name in STATIC_PRECISIONS)
    samples = read_samples(specs, request.calibration, label, progress=request.progress)
    fix_sizes(model, fixed_sizes(specs, options.shapes, samples))
    return samples


def _static_names(ops: Sequence[Op], wanted: Mapping[int, str]) -> set[str]:
    return {op.name for op in ops if wanted[op.index] in STATIC_PRECISIONS}


def _names_by_precision(
    before: GraphIndex, ops: Sequence[Op], wanted: Mapping[int, str], left_out: Mapping[str, str]
) -> dict[str, set[str]]:
    """Return the names of the ops that each precision can change, without those that are left out."""
    names: dict[str, set[str]] = {}
    for op in ops:
        node, precision = before.nodes.get(op.name), wanted[op.index]
        if precision == FLOAT32 or node is None or op.name in left_out or has_inner_graphs(node):
            continue
        if says_something(before, node, precision):
            names.setdefault(precision, set()).add(op.name)
    return names


def _run_passes(
    model: onnx.ModelProto, names: Mapping[str, set[str]], samples: Samples, request: Request, options: OnnxOptions
) -> onnx.ModelProto:
    """Return ``model`` after one pass for each precision.

    The order matters: dynamic quantization takes Gemm apart, which it can only do before their weights are rounded; and
    float16 goes last, where everything else can be kept out of it by name.
    """
    if not names:
        raise NothingToQuantizeError(
            f"asked for {request.label}, but there is nothing to quantize: no op of the main graph "
            + ("stores float32 weights" if not set(request.precisions) - {"dynamic", "weight_only"} else "has floats")
        )
    fold_gemm_scales(model, set().union(*names.values()))
    widen_biases(model, set().union(*names.values()))
    passed = take_out_passed(model)
    inside = detach_inner_graphs(model)
    separate_constants(model, names)
    done: set[str] = set()
    if "dynamic" in names:
        model = make_dynamic(model, names["dynamic"], options)
    for precision in STATIC_PRECISIONS:
        if precision in names:
            model = make_static(model, precision, names[precision], done, samples, request, options)
            done |= names[precision]
    if "weight_only" in names:
        store_in_8_bits(model, names["weight_only"])
    if "float16" in names:
        model = make_float16(model, names["float16"])
    attach_inner_graphs(model, inside)
    put_back_passed(model, passed)
    if request.border != FLOAT32:
        make_border(model, request.border)
    return model


def _tidy(model: onnx.ModelProto, source: onnx.ModelProto) -> onnx.ModelProto:
    """Return ``model`` sorted, and without what the passes left in it for each other."""
    sort_nodes(model)
    del model.graph.value_info[:]
    model.producer_name, model.producer_version = source.producer_name, source.producer_version
    model.doc_string = source.doc_string
    del model.metadata_props[:]
    model.metadata_props.extend(source.metadata_props)
    return model


def _seal(model: onnx.ModelProto, most_bytes: int, record: Record) -> bytes:
    put_record(model, record)
    return to_bytes(model, most_bytes)

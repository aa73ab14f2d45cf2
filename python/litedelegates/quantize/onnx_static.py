"""Weights and activations in integers, with ranges from calibration: QDQ or QOperator, by onnxruntime."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from litedelegates.errors import QuantizationError
from litedelegates.quantize.calibration import CalibrationError
from litedelegates.quantize.onnx_activations import keeping, kept_activations
from litedelegates.quantize.onnx_constants import separate_pad_values
from litedelegates.quantize.onnx_files import infer_types, on_disk
from litedelegates.quantize.onnx_graph import GraphIndex
from litedelegates.quantize.onnx_masks import make_masks_finite, narrow_masked_ranges
from litedelegates.quantize.onnx_model import all_names, name_nodes, sort_nodes
from litedelegates.quantize.onnx_options import OnnxOptions
from litedelegates.quantize.progress import track
from litedelegates.quantize.request import FLOAT32, Request

if TYPE_CHECKING:
    import onnx

DEFAULT_PERCENTILE = 99.999
Samples = Sequence[Mapping[str, NDArray[Any]]]


class SampleReader:
    """What onnxruntime's calibrators ask for the next sample."""

    def __init__(self, samples: Samples, progress: bool | None) -> None:
        self._left: Iterator[Mapping[str, NDArray[Any]]] = track(samples, "calibrating", progress, len(samples))

    def get_next(self) -> Mapping[str, NDArray[Any]] | None:
        """Return the next sample by input name, None after the last."""
        return next(self._left, None)


def make_static(
    model: onnx.ModelProto,
    precision: str,
    names: set[str],
    done: set[str],
    samples: Samples,
    request: Request,
    options: OnnxOptions,
) -> onnx.ModelProto:
    """Return ``model`` with the ops called ``names`` quantized to ``int8`` or ``int16x8``, all others as they are.

    Args:
        model: Changed in place.
        precision: ``int8`` or ``int16x8``.
        names: The ops to quantize.
        done: The ops that an earlier call quantized.
        samples: The calibration.
        request: For the method of finding ranges.
        options: For the types and the format.

    Raises:
        CalibrationError: The samples give no ranges, because values overflow inside the model.
        QuantizationError: onnxruntime cannot do it.
    """
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.onnx_quantizer import ONNXQuantizer
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
    from onnxruntime.quantization.quant_utils import QuantizationMode
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    eight_bit = {"uint8": QuantType.QUInt8, "int8": QuantType.QInt8}[options.activation_type]
    activation = QuantType.QInt16 if precision == "int16x8" else eight_bit
    before = all_names(model)
    op_types = sorted({*QLinearOpsRegistry, *QDQRegistry})
    typed = infer_types(model, options.most_bytes)
    make_masks_finite(typed)
    ranges = _find_ranges(typed, op_types, samples, request, options)
    running = _session_options(request)
    narrow_masked_ranges(typed, ranges, samples, precision, running, options.most_bytes)
    shared = (True, options.reduces_range(precision))
    rest: tuple[Any, ...] = (QuantType.QInt8, activation, ranges, sorted(names), [], op_types)
    extra = {
        "ActivationSymmetric": precision == "int16x8",
        # Else a Reshape that reads an input of the model would be left in float32, and the border with it.
        "ForceQuantizeNoInputCheck": request.border != FLOAT32,
    }
    is_qoperator = options.format == "qoperator" and precision == "int8"
    if is_qoperator:
        separate_pad_values(typed)
    kept = kept_activations(typed, is_qoperator)
    try:
        if is_qoperator:
            types = sorted(QLinearOpsRegistry)
            quantizer = keeping(ONNXQuantizer, kept)(
                typed, *shared, QuantizationMode.QLinearOps, True, *rest[:-1], types, extra
            )
        else:
            quantizer = keeping(QDQQuantizer, kept)(typed, *shared, *rest, extra)
        with _without_advice():
            quantizer.quantize_model()
    except Exception as error:  # it raises whatever its Python meets: ValueError, KeyError, AssertionError
        raise QuantizationError(
            f"onnxruntime could not make the model {precision}: {error!r}. Leave ops out, exclude=[...], or take "
            f"{options.alternative}"
        ) from error
    result: onnx.ModelProto = quantizer.model.model
    _rename_new_tensors(result, before, precision)
    _read_unrounded(result, names | done)
    name_nodes(result)
    sort_nodes(result)  # new ops lie behind their readers, where types are not inferred
    return result


def _read_unrounded(model: onnx.ModelProto, rounded: set[str]) -> None:
    """Let the ops that are not among ``rounded`` read the floats that were rounded for their siblings alone.

    onnxruntime sends all readers of a tensor through the rounding that one of them needs. What an op among ``rounded``
    makes stays rounded: that is what travels.
    """
    index = GraphIndex(model)
    for node in model.graph.node:
        if node.name in rounded or node.op_type == "QuantizeLinear":
            continue
        for position, name in enumerate(node.input):
            widen = index.producer.get(name)
            if widen is None or widen.op_type != "DequantizeLinear" or name in index.outputs:
                continue
            rounding = index.producer.get(widen.input[0])
            if rounding is None or rounding.op_type != "QuantizeLinear":
                continue
            source = index.producer.get(rounding.input[0])
            if source is None or source.name not in rounded:
                node.input[position] = rounding.input[0]


def _rename_new_tensors(model: onnx.ModelProto, before: set[str], label: str) -> None:
    """Give the tensors that a pass has added names of their own.

    onnxruntime derives them from the tensor that is rounded, so that a second pass over one of its neighbours would use
    the same names again: the graph becomes a circle, in which its search for the ops of a tensor never ends.
    """

    def new(name: str) -> str:
        return f"{name}_{label}" if name and name not in before else name

    for node in model.graph.node:
        node.input[:] = [new(name) for name in node.input]
        node.output[:] = [new(name) for name in node.output]
    for tensor in model.graph.initializer:
        tensor.name = new(tensor.name)
    del model.graph.value_info[:]


def _find_ranges(
    model: onnx.ModelProto, op_types: list[str], samples: Samples, request: Request, options: OnnxOptions
) -> Any:
    import onnxruntime
    from onnxruntime.quantization import CalibrationMethod, create_calibrator

    method = {
        "minmax": CalibrationMethod.MinMax,
        "entropy": CalibrationMethod.Entropy,
        "percentile": CalibrationMethod.Percentile,
    }[request.method]
    extra: dict[str, Any] = {"symmetric": False}
    if request.method == "percentile":
        extra["percentile"] = DEFAULT_PERCENTILE if request.percentile is None else request.percentile
    with on_disk(model, options.most_bytes) as path:
        augmented = path.with_name("augmented.onnx")
        try:
            calibrator = create_calibrator(
                path,
                op_types,
                str(augmented),
                method,
                use_external_data_format=len(list(path.parent.iterdir())) > 1,
                extra_options=extra,
            )
            # Theirs takes every core.
            calibrator.infer_session = onnxruntime.InferenceSession(
                str(augmented), _session_options(request), providers=["CPUExecutionProvider"]
            )
            # The histograms talk, and numpy warns of what is checked below.
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                calibrator.collect_data(SampleReader(samples, request.progress))
                ranges = calibrator.compute_data()
        except Exception as error:  # no common base
            raise QuantizationError(f"onnxruntime could not run the model over the samples: {error}") from error
    for name in ranges.keys():  # noqa: SIM118 (it is no dictionary)
        limits = np.asarray(ranges[name].range_value, dtype=np.float64)
        if not np.isfinite(limits).all():
            raise CalibrationError(
                f"tensor {name!r} reached {limits.tolist()} on the calibration samples: values overflow inside the "
                "model, so look at how the samples are scaled"
            )
    return ranges


@contextlib.contextmanager
def _without_advice() -> Iterator[None]:
    """Keep back what onnxruntime logs of weights without channels and of what it leaves alone, which is checked."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _session_options(request: Request) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # As the calibrators do it: fused ops would hide the tensors whose ranges are wanted.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = request.num_threads
    options.log_severity_level = 3
    return options

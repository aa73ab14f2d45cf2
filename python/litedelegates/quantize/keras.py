"""Keras models and SavedModels, by TensorFlow's converter, with its silent failures made loud."""

from __future__ import annotations

import math
import os
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from litedelegates.errors import OptionError, QuantizationError
from litedelegates.graph.tflite.tree import Tree, parse, repair, serialize, shape_of
from litedelegates.quantize.calibration import RANDOM, CalibrationError, InputSpec, read_samples
from litedelegates.quantize.litert_inputs import read_signatures
from litedelegates.quantize.litert_names import list_ops
from litedelegates.quantize.litert_precision import OpReader
from litedelegates.quantize.litert_record import put_record
from litedelegates.quantize.litert_values import Given, check_against_source
from litedelegates.quantize.plan import describe
from litedelegates.quantize.provenance import Quantized, Record, digest_source
from litedelegates.quantize.request import FLOAT32, STATIC_PRECISIONS, Request
from litedelegates.quantize.verify import check_border, check_ops, check_something_to_do, check_values

if TYPE_CHECKING:
    from types import TracebackType

BORDERS_OF = {"int8": (FLOAT32, "int8", "uint8"), "int16x8": (FLOAT32, "int16")}
FEWEST_DYNAMIC = 1024  # weights; the converter leaves smaller ones in float32, where int8 would not be quicker


class LearnedRangeWarning(UserWarning):
    """Something that the model learned about its ranges cannot be kept in the file; says what and where."""


class Source(Protocol):
    """A model that TensorFlow has loaded, in this process or in another one.

    Attributes:
        specs: Its inputs, in order.
        learned: What taught it its ranges (``tensorflow-model-optimization``, ``QKeras``); empty where nothing did.
        unlearned: Where a model with learned ranges still needs some from calibration.
    """

    specs: list[InputSpec]
    learned: str
    unlearned: list[str]

    def convert(
        self, precision: str, border: str, samples: list[dict[str, NDArray[Any]]], *, allow_float32_ops: bool
    ) -> tuple[bytes, list[str]]:
        """Return the bytes of a ``.tflite``, and what of the learned ranges could not be kept."""

    def __enter__(self) -> Source: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def quantize_keras(model: Any, request: Request) -> Quantized:
    """Return what TensorFlow's converter makes of ``model``, each op checked against the request.

    Models of Keras 3 and of tf_keras are taken. A model object is converted in this process, which keeps the memory
    that TensorFlow takes; meanwhile what is written to stdout and stderr is held back. A file (``.keras``, ``.h5``,
    SavedModel) is converted in a process of its own, which gives its memory back, and whose crash is an exception
    here. ``LITEDELEGATES_TENSORFLOW_PYTHON`` names the Python of another environment for it, where TensorFlow or a
    package that the model needs (QKeras, tensorflow-model-optimization) cannot live beside the rest; litedelegates
    need not be installed there. ResNet152V2 (240 MB) takes 26 to 36 s and 3.3 to 4.4 GB for each of two conversions, as
    the result is run beside the same model in float32, unless ``check_values=False``.

    Plans (``plan``, ``only``, ``exclude``) and ``weight_only``, which the converter lacks, are done by
    litert-quantizer after a conversion to float32.

    ``dynamic`` leaves ops with fewer than 1024 weights in float32, as the converter does; the record says so.

    A model with learned ranges becomes ``int8`` only, with these ranges:

    - quantization-aware training of tensorflow-model-optimization, and SavedModels with FakeQuant ops, need no
      calibration;
    - QKeras keeps the grid of the weights and the range and step of its activations up to 8 bits (see
      ``qkeras_grid``); what has no quantizer, often the input and the last layer, gets its range from calibration.

    Raises:
        OptionError: The converter lacks the border or the method.
        CalibrationError: Calibration is missing, does not fit, or is given although all ranges are learned.
        InvalidModelError: The file cannot be loaded.
        UnsupportedError: The model has parts whose learned ranges cannot be kept.
        QuantizationError: The converter failed or died, or the result is not what was asked for.
        MissingExtraError: TensorFlow or a package that the model needs is not installed.
    """
    request.take_options("a Keras model", {})
    _check_method(request)
    with _open(model) as source:
        if _is_mixed(request) or request.precision == "weight_only":
            _check_plain(source, request)
            content, _ = source.convert(FLOAT32, FLOAT32, [], allow_float32_ops=False)
            return _mix(model, content, request)
        assert request.precision is not None
        _check_border_option(request)
        if source.learned:
            _check_learned(source, request)
        samples = _read(source, request)
        content, lost = source.convert(
            request.precision, request.border, samples, allow_float32_ops=request.allow_float32_ops
        )
        warned = _compare(source, content, samples, request) if request.check_values else []
    for sentence in lost:
        warnings.warn(sentence, LearnedRangeWarning, stacklevel=4)
    tree = parse(content)
    judged = [op for op in list_ops(tree) if op.type not in ("QUANTIZE", "DEQUANTIZE")]
    wanted = {op.index: request.precision for op in judged}
    if request.precision == "dynamic":
        reader = OpReader(tree)
        small = [op for op in judged if 0 < _count(reader.weights_of(op)) < FEWEST_DYNAMIC]
        wanted |= {op.index: FLOAT32 for op in small}
    check_something_to_do(tree, judged, wanted)
    check_ops(tree, judged, wanted, set(), request)
    check_values(tree)
    if request.precision in STATIC_PRECISIONS:
        check_border(tree, request.border)
    recipe = {"learned_ranges": source.learned, "not_kept": lost} if source.learned else {}
    libraries = ("tensorflow", "tensorflow-cpu", "keras", "tf_keras", "qkeras-v3", "tensorflow-model-optimization")
    return Quantized(
        partial(_seal, tree),
        describe(wanted),
        libraries,
        samples,
        {"converter": "tensorflow", **recipe},
        warnings=tuple(warned),
    )


def _compare(source: Source, content: bytes, samples: list[dict[str, NDArray[Any]]], request: Request) -> list[str]:
    """Return what is off in the values of ``content`` beside the same model in float32, as warnings.

    Of learned ranges the float32 model has the rounding too, so that nothing but slips of the conversion is seen.
    """
    try:
        reference, _ = source.convert(FLOAT32, FLOAT32, samples, allow_float32_ops=False)
    except QuantizationError as error:
        return [f"the values of the result were not checked: {error}"]
    tree = parse(reference)
    repair(tree)
    given: dict[str, list[dict[str, NDArray[Any]]]] = {}
    signatures = read_signatures(tree)
    if samples and {spec.name for spec in signatures[0].inputs} == set(samples[0]):
        given = {signatures[0].key: samples}
    is_random = isinstance(request.calibration, str) and request.calibration == RANDOM
    return check_against_source(reference, content, signatures, Given(given, is_random), request, list_ops(tree))


def _open(model: Any) -> Source:
    if isinstance(model, str | os.PathLike):
        from litedelegates.quantize.keras_process import WorkerSource

        return WorkerSource(model)
    from litedelegates.quantize.keras_models import ObjectSource

    return ObjectSource(model)


def _mix(model: Any, content: bytes, request: Request) -> Quantized:
    from litedelegates.quantize.litert import quantize_litert

    done = quantize_litert(content, request)
    return Quantized(
        done.seal,
        done.plan,
        ("tensorflow", "tensorflow-cpu", "keras", "tf_keras", *done.libraries),
        done.samples,
        {"converter": "tensorflow, then litert-quantizer", **done.recipe},
        digest_source(model),
    )


def _seal(tree: Tree, record: Record) -> bytes:
    put_record(tree, record)
    return serialize(tree)


def _read(source: Source, request: Request) -> list[dict[str, NDArray[Any]]]:
    assert request.precision is not None
    wants = bool(source.unlearned) if source.learned else request.precision in STATIC_PRECISIONS
    if not wants:
        return []
    if source.learned and request.calibration is None:
        raise CalibrationError(
            f"the {source.learned} model has learned no range for {', '.join(source.unlearned)}: give calibration, "
            "from which these are taken; the learned ones stay as they are"
        )
    return read_samples(source.specs, request.calibration, request.precision, progress=request.progress)


def _check_learned(source: Source, request: Request) -> None:
    if request.precision != "int8":
        raise QuantizationError(
            f"the model has ranges learned with {source.learned}, which only precision 'int8' can keep, not "
            f"{request.precision!r}. Start from the float32 model for that"
        )
    if request.calibration is not None and not source.unlearned:
        raise CalibrationError(
            f"the model has its ranges learned with {source.learned}: calibration would change nothing, leave it out"
        )


def _check_plain(source: Source, request: Request) -> None:
    if source.learned:
        raise QuantizationError(
            f"the model has ranges learned with {source.learned}, which a plan or 'weight_only' cannot keep: use "
            f"precision 'int8' alone, or start from the float32 model for {request.label}"
        )


def _check_method(request: Request) -> None:
    if request.method != "minmax":
        raise OptionError(
            f"method {request.method!r} is not in TensorFlow's converter, which has 'minmax' only; onnxruntime has "
            "'entropy' and 'percentile' for ONNX models"
        )


def _check_border_option(request: Request) -> None:
    borders = BORDERS_OF.get(request.precision or "", (FLOAT32,))
    if request.border not in borders:
        raise OptionError(
            f"border {request.border!r} does not go with precision {request.precision!r} in TensorFlow's converter: it "
            f"has {', '.join(borders)}"
        )


def _count(weights: Any | None) -> int:
    return 0 if weights is None else math.prod(shape_of(weights))


def _is_mixed(request: Request) -> bool:
    return bool(request.plan) or request.only is not None or bool(request.exclude)

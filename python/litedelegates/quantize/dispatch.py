"""From any model to the backend that quantizes its kind, and the record that goes into the result."""

from __future__ import annotations

import errno
import importlib
import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from litedelegates.errors import InvalidModelError, OptionError, QuantizationError, QuantizationWarning
from litedelegates.files import open_regular, write_whole
from litedelegates.graph import Graph
from litedelegates.graph.tflite.tree import IDENTIFIER
from litedelegates.quantize.calibration import Calibration
from litedelegates.quantize.provenance import Quantized, Record, digest_samples, digest_source, versions_of
from litedelegates.quantize.request import FLOAT32, Key, Request, make_request

Kind: TypeAlias = Literal["litert", "onnx", "keras"]
ONNX_FIRST_BYTE = b"\x08"  # the field number of ir_version, which every writer puts first


def quantize(
    model: Any,
    precision: str | None = None,
    calibration: Calibration | None = None,
    *,
    plan: Mapping[Key, str] | None = None,
    only: Iterable[Key] | None = None,
    exclude: Iterable[Key] | None = None,
    border: str = FLOAT32,
    allow_float32_ops: bool = False,
    allow_unchanged: bool = False,
    method: str = "minmax",
    percentile: float | None = None,
    num_threads: int | None = None,
    progress: bool | None = None,
    check_values: bool = True,
    **options: Any,
) -> bytes:
    """Return ``model`` quantized as the bytes of a ``.tflite`` or ``.onnx``, or raise: never something else than asked.

    - ``float16``: weights stored as float16, about half the size. LiteRT's kernels compute in float32 unless the
      delegate is allowed less.
    - ``dynamic``: weights stored as int8, about a quarter; activations are float32 in the file and are quantized while
      running, by kernels that can.
    - ``int8``: weights and activations int8, ranges from ``calibration``; what integer-only devices need.
    - ``int16x8``: weights int8, activations int16: close to float32 in accuracy, slow where no kernel is tuned for it.
    - ``weight_only``: weights stored as int8 and widened while running; computes in float32.

    A ``.tflite`` is quantized by litert-quantizer, an ONNX model by onnxruntime, a Keras model or SavedModel by
    TensorFlow's converter (the result is a ``.tflite``). Each produced file carries a record (``read_record``).

    Args:
        model: Path of a ``.tflite``, ``.onnx``, ``.keras``, ``.h5`` or SavedModel folder; bytes of a ``.tflite`` or
            ``.onnx``; a Keras model; an ``onnx.ModelProto``; a `Graph`, such as a part of a model.
        precision: One of ``PRECISIONS``; may be left out where ``plan`` says it for some ops.
        calibration: For ``int8`` and ``int16x8``: an iterable of samples, each an array (one input), a tuple or list
            in input order, or a dict by input name, batch axis included; one array stacked along its first axis; the
            path of a ``.npy`` or ``.npz``; ``Images``; or ``"random"``, good for measuring speed only. For a
            ``.tflite`` with several signatures a dictionary of these by signature; the ops that only a signature
            without samples runs stay float32.
        plan: Precision by op: ``{key: precision}``, where a key is an op's index, its name, its type (``CONV_2D``,
            ``Conv``) or a glob pattern over names. Index wins over name, name over pattern, pattern over type, later
            over earlier. The name of an op is that of its first output (TFLite) or of its node (ONNX). ``float32``
            leaves an op as it is, as it does with all ops not named where ``precision`` is left out. An op that runs
            subgraphs, such as a ``WHILE``, stands for all ops in them (TFLite).
        only: Just these ops, named as in ``plan``, become ``precision``.
        exclude: These ops stay float32.
        border: Element type of the model's inputs and outputs: ``float32`` (default, as in TensorFlow's converter)
            keeps a QUANTIZE and DEQUANTIZE at the ends; ``int8``, ``uint8`` or ``int16`` hands them to the caller.
        allow_float32_ops: Accept a result in which ops that the library cannot do stay float32, as long as some op
            was quantized. By default that raises and names them.
        allow_unchanged: Accept keys of ``plan`` and ``only`` that name nothing but ops which their precision does not
            change, such as float16 for an op without weights. By default that raises: it is a slip most of the time.
        method: How ranges are found: ``minmax`` (the smallest and largest value of any sample), ``entropy`` or
            ``percentile``, where the library has it.
        percentile: For ``method="percentile"``: the share of values kept, in percent.
        num_threads: Threads for running the model over the samples; by default the CPUs this process may use.
        progress: True for a bar on stderr, False for none; by default where stderr is a terminal.
        check_values: Run the result beside ``model`` on up to 8 of the samples (random ones without calibration), for
            10 seconds at most: values that are off by more than rounding explains are a `QuantizationWarning` that
            names the output, and its columns where only some are, and the op where it begins; values that have nothing
            to do with the model's are an error. False leaves that out.
        options: Options of one kind of model only.

    Raises:
        OptionError: An option is unknown, is not used by the precision, or a key of the plan means no op.
        CalibrationError: Calibration is missing, empty, not finite, constant, or does not fit the inputs.
        InvalidModelError: ``model`` is not a readable model.
        QuantizationError: ``model`` is quantized already, or the result is not what was asked for, or far off.
        MissingExtraError: The library for this kind of model is not installed.
        OSError: The path cannot be read.
    """
    model = _written(model)
    request = make_request(
        precision,
        calibration,
        plan=plan,
        only=only,
        exclude=exclude,
        border=border,
        allow_float32_ops=allow_float32_ops,
        allow_unchanged=allow_unchanged,
        method=method,
        percentile=percentile,
        num_threads=num_threads,
        progress=progress,
        check_values=check_values,
        **options,
    )
    done = run_backend(model, request)
    _warn(done)
    if done.beside:
        raise QuantizationError(
            f"the quantized model needs files beside it ({', '.join(done.beside)}), because it is over 2 GB: use "
            "quantize_file(model, output, ...)"
        )
    return done.seal(make_record(model, request, done))


def quantize_file(
    model: Any, output: str | os.PathLike[str], precision: str | None = None, calibration: Any = None, **keywords: Any
) -> Record:
    """Write ``model`` quantized to ``output``, whole or not at all, and return the record that is in it.

    The arguments and exceptions are those of ``quantize``. What an ONNX model over 2 GB keeps beside it is written to
    the same folder.

    Raises:
        OptionError: ``output`` ends like another kind of model than the one that is made.
        OSError: ``output`` cannot be written.
    """
    model, target = _written(model), Path(output)
    _check_target(model, target)
    request = make_request(precision, calibration, output=target, **keywords)
    done = run_backend(model, request)
    _warn(done)
    record = make_record(model, request, done)
    content = done.seal(record)
    for name, data in done.beside.items():
        write_whole(target.with_name(name), [data])
    write_whole(target, [content])
    return record


def read_record(model: Any) -> Record | None:
    """Return the record of where ``model`` came from, or None where it carries none.

    Args:
        model: Path or bytes of a ``.tflite`` or ``.onnx``, an ``onnx.ModelProto``, or a `Graph`.

    Raises:
        InvalidModelError: ``model`` is not readable, or its record is damaged.
        OptionError: Models of this kind carry no record.
    """
    model = _written(model)
    kind = kind_of(model)
    if kind == "litert":
        from litedelegates.quantize.litert_record import record_of

        return record_of(model)
    if kind == "onnx":
        from litedelegates.quantize.onnx_record import record_of as record_of_onnx

        return record_of_onnx(model)
    raise OptionError("a Keras model carries no record: it is put into the .tflite made from it")


def kind_of(model: Any) -> Kind:
    """Return which backend ``model`` belongs to, by its content.

    Raises:
        InvalidModelError: It is a folder without a SavedModel, or an object that is no model.
        OSError: The path cannot be read.
    """
    if isinstance(model, bytes | bytearray | memoryview):
        return _kind_of_bytes(bytes(model[:8]), "")
    if isinstance(model, str | os.PathLike):
        path = Path(model)
        if path.is_dir():
            if (path / "saved_model.pb").is_file():
                return "keras"
            raise InvalidModelError(f"{path} is a folder without saved_model.pb: not a SavedModel")
        with open_regular(path) as file:
            return _kind_of_bytes(file.read(8), path.suffix)
    if hasattr(model, "SerializeToString") and hasattr(model, "opset_import"):
        return "onnx"
    if hasattr(model, "get_weights") and hasattr(model, "layers"):
        return "keras"
    raise InvalidModelError(
        f"a {type(model).__name__} is not a model: give a path, the bytes of a .tflite or .onnx, a Keras model or an "
        "onnx.ModelProto"
    )


def run_backend(model: Any, request: Request) -> Quantized:
    """Return what the backend of ``model``'s kind makes of ``request``."""
    kind = kind_of(model)
    backend = importlib.import_module(f"litedelegates.quantize.{kind}")
    done: Quantized = getattr(backend, f"quantize_{kind}")(model, request)
    return done


def make_record(model: Any, request: Request, done: Quantized) -> Record:
    """Return the record of a finished quantization."""
    recipe = {
        "precision": request.precision,
        "plan": done.plan,
        "border": request.border,
        "method": request.method,
        "percentile": request.percentile,
        **done.recipe,
    }
    return Record(
        done.source_sha256 or digest_source(model),
        recipe,
        digest_samples(done.samples),
        len(done.samples),
        versions_of(("litedelegates", *done.libraries, "numpy")),
        tuple(done.warnings),
    )


def _warn(done: Quantized) -> None:
    for text in done.warnings:
        warnings.warn(text, QuantizationWarning, stacklevel=3)  # the caller of quantize()


def _check_target(model: Any, target: Path) -> None:
    """Raise where the result could not be written, or nobody could read it: before the hour of work, not after it."""
    if not target.resolve().parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "the folder to write to does not exist", str(target.parent))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "this is a folder: give the name of a file in it", str(target))
    suffix = ".onnx" if kind_of(model) == "onnx" else ".tflite"
    if target.suffix.lower() in {".onnx", ".tflite", ".keras", ".h5"} - {suffix}:
        raise OptionError(f"{target}: the result is a {suffix}, give a name that ends so")


def _written(model: Any) -> Any:
    return model.to_bytes() if isinstance(model, Graph) else model


def _kind_of_bytes(start: bytes, suffix: str) -> Kind:
    if start[4:8] == IDENTIFIER:
        return "litert"
    if start[:4] == b"\x89HDF" or (suffix == ".keras" and start[:2] == b"PK"):
        return "keras"
    return "onnx" if suffix == ".onnx" or start[:1] == ONNX_FIRST_BYTE else "litert"

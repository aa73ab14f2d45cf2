"""From a float32 ``.tflite`` to a smaller one, by litert-quantizer, with its silent failures made loud."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, Literal, TypeAlias, cast, get_args

from numpy.typing import NDArray

from litedelegates.errors import MissingExtraError, OptionError, QuantizationError, nearest
from litedelegates.quantize.calibration import CalibrationError, Sample, check_calibration, read_input_specs
from litedelegates.quantize.float16_weights import fold_in_tree
from litedelegates.quantize.model_file import ModelSource, parse, read_bytes, repair, serialize, text
from litedelegates.quantize.verify import check_float32, check_quantized

Precision: TypeAlias = Literal["float16", "dynamic", "int8"]
Border: TypeAlias = Literal["float32", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
BORDERS: tuple[Border, ...] = get_args(Border)

_ALL_LAYERS = ".*"


def quantize(
    model: ModelSource,
    precision: str,
    calibration: Iterable[Sample] | None = None,
    *,
    border: str = "float32",
    allow_float32_ops: bool = False,
    num_threads: int | None = None,
) -> bytes:
    """Return ``model`` in ``precision`` as the bytes of a ``.tflite``, or raise: never something else than asked.

    - ``float16``: weights stored as float16, about half the size. Kernels compute in float32 unless the delegate is
      allowed less. Biases stay float32.
    - ``dynamic``: weights stored as int8 (per channel), about a quarter; activations are float32 in the file and are
      quantized while running, by kernels that can.
    - ``int8``: weights and activations int8, ranges from ``calibration``; what integer-only devices need. Each range
      is the smallest and largest value seen in any sample, as in TensorFlow's converter. (litert-quantizer's own
      default, a moving average that starts at the first sample, gave four times the error on 64 samples of digits.)

    A model whose weights are float16 behind DEQUANTIZE ops is widened to float32 first, which is exact. A model
    without a signature gets ``serving_default``.

    Args:
        model: Path or bytes of a float32 ``.tflite``.
        precision: One of ``PRECISIONS``.
        calibration: For ``int8`` only: samples, each an array (one input), a tuple or list in input order, or a dict by
            input name. Shapes and types are those of the model's inputs, batch axis included.
        border: For ``int8`` only: element type of the model's inputs and outputs. ``float32`` (default, as in
            TensorFlow's converter) keeps a QUANTIZE and DEQUANTIZE at the ends; ``int8`` hands them to the caller.
        allow_float32_ops: Accept a result in which ops that litert-quantizer cannot do (PRELU in int8, for example)
            stay float32, as long as some op was quantized. By default that raises and names them.
        num_threads: Threads for running the model over the samples; by default the CPUs this process may use.

    Raises:
        OptionError: Unknown ``precision`` or ``border``, or an option the precision does not use.
        CalibrationError: Calibration is missing, empty, not finite, constant, or does not fit the inputs.
        InvalidModelError: ``model`` is not a readable TFLite model.
        QuantizationError: ``model`` is not float32, or the result is not what was asked for.
        MissingExtraError: litert-quantizer is not installed.
        OSError: The path cannot be read.
    """
    asked = cast(Precision, _check_choice("precision", precision, PRECISIONS))
    _check_choice("border", border, BORDERS)
    threads = _check_threads(num_threads)
    if asked != "int8" and (calibration is not None or border != "float32"):
        raise OptionError(f"precision {asked!r} uses neither calibration nor border: they belong to 'int8'")

    tree = parse(read_bytes(model))
    fold_in_tree(tree)
    repair(tree)
    check_float32(tree, asked)
    samples = check_calibration(read_input_specs(tree), calibration) if asked == "int8" else []
    signature = text(tree.signatureDefs[0].signatureKey)
    content = serialize(tree)

    result = parse(_run_quantizer(content, asked, border, signature, samples, threads))
    check_quantized(result, asked, border, allow_float32_ops=allow_float32_ops)
    return serialize(result)


def _run_quantizer(
    content: bytes,
    precision: Precision,
    border: str,
    signature: str,
    samples: list[dict[str, NDArray[Any]]],
    num_threads: int,
) -> bytes:
    try:
        import litert_quantizer
    except ImportError as error:
        raise MissingExtraError(
            f"quantizing needs litert-quantizer ({error}): pip install 'litedelegates[quantize]'"
        ) from error
    try:
        with _quiet():
            quantizer = litert_quantizer.Quantizer(content)
            quantizer.load_quantization_recipe(_build_recipe(precision, border))
            ranges = _find_ranges(content, quantizer, signature, samples, num_threads) if samples else None
            result = quantizer.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    except (QuantizationError, MemoryError):
        raise
    except Exception as error:  # it raises whatever its Python meets: KeyError, ValueError, AssertionError
        raise QuantizationError(f"litert-quantizer could not make the model {precision}: {error!r}") from error
    return bytes(result.quantized_model)


def _build_recipe(precision: Precision, border: str) -> Any:
    from litert_quantizer import qtyping, recipe, recipe_manager

    every_op = qtyping.TFLOperationName.ALL_SUPPORTED
    if precision == "dynamic":
        return recipe.dynamic_wi8_afp32()
    rules = recipe_manager.RecipeManager()
    if precision == "float16":  # there is no named recipe for it
        rules.add_weight_only_config(
            _ALL_LAYERS, every_op, num_bits=16, algorithm_key=recipe.AlgorithmName.FLOAT_CASTING
        )
    else:
        rules.load_quantization_recipe(recipe.static_wi8_ai8())
        if border == "float32":
            for end in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):
                rules.add_quantization_config(_ALL_LAYERS, end, algorithm_key=recipe.AlgorithmName.NO_QUANTIZE)
    return rules.get_quantization_recipe()


def _find_ranges(
    content: bytes, quantizer: Any, signature: str, samples: list[dict[str, NDArray[Any]]], num_threads: int
) -> Any:
    """Return the smallest and largest value of each activation over ``samples``, as litert-quantizer keeps them."""
    from litert_quantizer import calibrator, recipe_manager
    from litert_quantizer.utils import qsv_utils

    rules = recipe_manager.RecipeManager()
    rules.load_quantization_recipe(quantizer.get_quantization_recipe())
    # Quantizer.calibrate would average; this is the same calibrator with another update rule.
    runner = calibrator.Calibrator(content, num_threads=num_threads, qsv_update_func=qsv_utils.min_max_update)
    runner.calibrate({signature: samples}, rules)
    ranges = runner.get_model_qsvs()
    if not ranges:
        raise CalibrationError(f"calibration with {len(samples)} samples found no activation to quantize")
    return ranges


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep back its progress bar, and its interpreter's warning that calibration keeps every tensor."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> str:
    if value in choices:
        return value
    raise OptionError(f"{option} {value!r} is unknown. {nearest(str(value), choices)}")


def _check_threads(num_threads: int | None) -> int:
    if num_threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if num_threads < 1:
        raise OptionError(f"num_threads={num_threads} must be at least 1")
    return num_threads

"""The rules of litert-quantizer for a plan, and the ranges that its static rules need."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from numpy.typing import NDArray

from litedelegates.errors import MissingExtraError, QuantizationError, install_extra
from litedelegates.quantize.calibration import CalibrationError
from litedelegates.quantize.progress import track
from litedelegates.quantize.request import FLOAT32, STATIC_PRECISIONS, Request

ACTIVATION_BITS = {"int8": 8, "int16x8": 16}
BORDER_BITS = {"int8": 8, "int16": 16}
_EVERYTHING = ".*"


def run_quantizer(
    content: bytes, request: Request, wanted: Iterable[str], signature: str, samples: list[dict[str, NDArray[Any]]]
) -> bytes:
    """Return ``content``, whose tensors are named by ``rename_safely``, after litert-quantizer worked on it.

    Args:
        content: A ``.tflite``.
        request: For the border, threads and progress.
        wanted: The precisions that occur.
        signature: Key of the signature that ``samples`` fit.
        samples: Calibration samples by input name; empty where no precision needs them.

    Raises:
        MissingExtraError: litert-quantizer is not installed.
        QuantizationError: It gave up; carries its words.
    """
    try:
        import litert_quantizer
    except ImportError as error:
        raise MissingExtraError(f"quantizing needs litert-quantizer ({error}): {install_extra('quantize')}") from error
    try:
        rules = _make_rules(sorted(set(wanted)), request.border)
        ranges = _find_ranges(content, rules, signature, samples, request) if samples else None
        with _quiet():
            quantizer = litert_quantizer.Quantizer(content)
            quantizer.load_quantization_recipe(rules.get_quantization_recipe())
            result = quantizer.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    except (QuantizationError, MemoryError):
        raise
    except Exception as error:  # it raises whatever its Python meets: KeyError, ValueError, AssertionError
        raise QuantizationError(f"litert-quantizer could not make the model {request.label}: {error!r}") from error
    return bytes(result.quantized_model)


def _make_rules(wanted: list[str], border: str) -> Any:
    from litert_quantizer import qtyping, recipe_manager

    ops, keys = qtyping.TFLOperationName, recipe_manager.AlgorithmName
    rules = recipe_manager.RecipeManager()
    for precision in wanted:
        scope = f"^{precision}/"
        if precision in STATIC_PRECISIONS:
            rules.add_static_config(scope, ops.ALL_SUPPORTED, ACTIVATION_BITS[precision], weight_num_bits=8)
        elif precision == "dynamic":
            rules.add_dynamic_config(scope, ops.ALL_SUPPORTED, num_bits=8)
        elif precision == "weight_only":
            rules.add_weight_only_config(scope, ops.ALL_SUPPORTED, num_bits=8)
        elif precision == "float16":
            rules.add_weight_only_config(scope, ops.ALL_SUPPORTED, num_bits=16, algorithm_key=keys.FLOAT_CASTING)
    for end in (ops.INPUT, ops.OUTPUT):  # the last rule wins, and the ends match the rules above by their tensors
        if border == FLOAT32:
            rules.add_quantization_config(_EVERYTHING, end, algorithm_key=keys.NO_QUANTIZE)
        else:
            rules.add_static_config(_EVERYTHING, end, BORDER_BITS[border], weight_num_bits=8)
    return rules


def _find_ranges(
    content: bytes, rules: Any, signature: str, samples: list[dict[str, NDArray[Any]]], request: Request
) -> Any:
    """Return the smallest and largest value of each activation over ``samples``, as litert-quantizer keeps them."""
    from litert_quantizer import calibrator
    from litert_quantizer.utils import qsv_utils

    with _quiet():
        # Quantizer.calibrate would average; this is the same calibrator with another update rule.
        runner = calibrator.Calibrator(
            content, num_threads=request.num_threads, qsv_update_func=qsv_utils.min_max_update
        )
    for sample in track(samples, "calibrating", request.progress):
        with _quiet():
            runner.calibrate({signature: [sample]}, rules)
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

"""The rules of litert-quantizer for a plan."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from litedelegates.errors import MissingExtraError, QuantizationError, install_extra
from litedelegates.quantize.litert_names import INNER
from litedelegates.quantize.litert_ranges import Range
from litedelegates.quantize.request import FLOAT32, STATIC_PRECISIONS, Request

ACTIVATION_BITS = {"int8": 8, "int16x8": 16}
BORDER_BITS = {"int8": 8, "int16": 16}
_EVERYTHING = ".*"


def run_quantizer(content: bytes, request: Request, wanted: Iterable[str], ranges: Mapping[str, Range]) -> bytes:
    """Return ``content``, whose tensors are named by ``rename_safely``, after litert-quantizer worked on it.

    Args:
        content: A ``.tflite``.
        request: For the border.
        wanted: The precisions that occur.
        ranges: Of the activations by name; empty where no precision needs them.

    Raises:
        MissingExtraError: litert-quantizer is not installed.
        QuantizationError: It gave up; carries its words.
    """
    litert_quantizer = require_quantizer()
    try:
        rules = _make_rules(sorted(set(wanted)), request.border)
        # Of no dimensions: such a scale fits a constant of any rank that takes the scale of its op's output.
        seen = {name: {"min": np.array(one.low), "max": np.array(one.high)} for name, one in ranges.items()}
        with _quiet():
            quantizer = litert_quantizer.Quantizer(content)
            quantizer.load_quantization_recipe(rules.get_quantization_recipe())
            result = quantizer.quantize(seen or None, enable_progress_bar=False, enable_progress_report=False)
    except (QuantizationError, MemoryError):
        raise
    except Exception as error:  # it raises whatever its Python meets: KeyError, ValueError, AssertionError
        raise QuantizationError(f"litert-quantizer could not make the model {request.label}: {error!r}") from error
    return bytes(result.quantized_model)


def require_quantizer() -> Any:
    """Return litert-quantizer's module.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import litert_quantizer
    except ImportError as error:
        raise MissingExtraError(f"quantizing needs litert-quantizer ({error}): {install_extra('quantize')}") from error
    return litert_quantizer


def _make_rules(wanted: list[str], border: str) -> Any:
    from litert_quantizer import qtyping, recipe_manager

    ops, keys = qtyping.TFLOperationName, recipe_manager.AlgorithmName
    rules = recipe_manager.RecipeManager()
    for precision in wanted:
        scope = f"^{precision}({INNER})?/"
        if precision in STATIC_PRECISIONS:
            bits = ACTIVATION_BITS[precision]
            rules.add_static_config(scope, ops.ALL_SUPPORTED, bits, weight_num_bits=8)
            # Its integer kernels take the first scale for all of the weights, or none.
            whole = qtyping.QuantGranularity.TENSORWISE
            rules.add_static_config(scope, ops.BATCH_MATMUL, bits, weight_num_bits=8, weight_granularity=whole)
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
            rules.add_quantization_config(rf"^\w+{INNER}/", end, algorithm_key=keys.NO_QUANTIZE)
    return rules


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what it prints and warns of."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield

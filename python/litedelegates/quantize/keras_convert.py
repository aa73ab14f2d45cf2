"""TensorFlow's converter, set up for each precision."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from litedelegates.errors import MissingExtraError, QuantizationError, install_extra
from litedelegates.graph.tflite.tree import op_name, parse

VARIABLE_OPS = {"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"}


def import_tensorflow() -> Any:
    """Return the module ``tensorflow``.

    Raises:
        MissingExtraError: It is not installed, or cannot be imported.
    """
    try:
        import tensorflow
    except ImportError as error:
        raise MissingExtraError(
            f"converting Keras models and SavedModels needs TensorFlow ({error}): {install_extra('keras')}"
        ) from error
    return tensorflow


def convert(
    converter: Any,
    precision: str,
    border: str,
    samples: list[dict[str, NDArray[Any]]],
    *,
    allow_float32_ops: bool,
    learned: bool = False,
) -> bytes:
    """Return what ``converter``, a ``tf.lite.TFLiteConverter``, makes of its model.

    Args:
        converter: Fresh: its options are set here.
        precision: ``float32``, ``float16``, ``dynamic``, ``int8`` or ``int16x8``.
        border: Element type of inputs and outputs.
        samples: For ``int8`` and ``int16x8``, unless the ranges are learned.
        allow_float32_ops: Let the converter leave ops in float32 that it cannot do; else it fails.
        learned: The graph holds FakeQuant ops with the ranges: no samples are shown to the converter, which would
            drop the learned weights of layers whose output has no learned range.

    Raises:
        QuantizationError: The converter failed, or left the weights as variables.
    """
    tf = import_tensorflow()
    ops = tf.lite.OpsSet
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    elif precision in ("int8", "int16x8"):
        if not learned:
            converter.representative_dataset = lambda: iter(samples)  # it goes through them more than once
            only = (
                ops.TFLITE_BUILTINS_INT8
                if precision == "int8"
                else ops.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
            )
            converter.target_spec.supported_ops = [only, *([ops.TFLITE_BUILTINS] if allow_float32_ops else [])]
        converter.inference_input_type = converter.inference_output_type = tf.as_dtype(border)
    try:
        content = bytes(converter.convert())
    except MemoryError:
        raise
    except Exception as error:  # ConverterError, RuntimeError, ValueError, and whatever its Python meets
        raise QuantizationError(
            f"TensorFlow's converter could not make the model {precision}: {type(error).__name__}: {shorten(error)}"
        ) from error
    _check_frozen(content)
    return content


def shorten(error: BaseException, limit: int = 1200) -> str:
    """Return the message of ``error``; the converter's hold the whole stack of the graph."""
    text = str(error).strip()
    return text if len(text) <= limit else f"{text[: limit // 2]} ... {text[-limit // 2 :]}"


def _check_frozen(content: bytes) -> None:
    tree = parse(content)
    kept = {op_name(tree, op) for graph in tree.subgraphs for op in graph.operators} & VARIABLE_OPS
    if kept:
        raise QuantizationError(
            f"TensorFlow's converter left weights as variables ({', '.join(sorted(kept))}): they have no values in the "
            "file. Export the model with model.export(folder), or give the Keras model itself"
        )

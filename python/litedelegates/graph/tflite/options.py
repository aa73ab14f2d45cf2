"""The options of TFLite's ops in words."""

from __future__ import annotations

import re
from typing import Any

# Which enumeration a number belongs to, by the name of the option; the generated classes do not tell.
_ENUMERATIONS = {
    "padding": "Padding",
    "fusedActivationFunction": "ActivationFunctionType",
    "weightsFormat": "FullyConnectedOptionsWeightsFormat",
    "kernelType": "LSTMKernelType",
    "combiner": "CombinerType",
    "inDataType": "TensorType",
    "outDataType": "TensorType",
    "outType": "TensorType",
    "outputType": "TensorType",
    "idxOutType": "TensorType",
    "keyDtype": "TensorType",
    "valueDtype": "TensorType",
    "quantizedBiasType": "TensorType",
}


def readable_options(schema: Any, op: Any) -> dict[str, Any]:
    """Return the options of an OperatorT by name (``fused_activation_function``), enumerations by their words."""
    found: dict[str, Any] = {}
    for options in (op.builtinOptions, op.builtinOptions2):
        for name, value in vars(options).items() if options is not None else ():
            found[_snake_case(name)] = _readable(schema, name, value)
    if op.customOptions is not None and len(op.customOptions):
        found.update(_custom_options(bytes(memoryview(op.customOptions).tobytes())))
    return found


def _readable(schema: Any, name: str, value: Any) -> Any:
    enumeration = _ENUMERATIONS.get(name)
    if enumeration is not None:
        words = vars(getattr(schema, enumeration))
        return next((word for word, number in words.items() if number == value), value)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value.tolist() if hasattr(value, "tolist") else value


def _custom_options(content: bytes) -> dict[str, Any]:
    # Converters write a FlexBuffer map; other tools write what they like.
    from flatbuffers import flexbuffers

    try:
        decoded = flexbuffers.Loads(content)
    except Exception:  # the reader has no verifier: anything may be raised for bytes of another kind
        decoded = None
    return decoded if isinstance(decoded, dict) and decoded else {"custom_options": content}


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: "_" + match[1].lower(), name)

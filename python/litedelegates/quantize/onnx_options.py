"""What only ONNX models can be asked for, with the defaults that are fast on the machine at hand."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from litedelegates.delegates.saturation import pairs_saturate
from litedelegates.errors import OptionError
from litedelegates.quantize.onnx_files import MOST_BYTES
from litedelegates.quantize.request import FLOAT32, Request, check_choice

FORMATS = ("qdq", "qoperator")
EIGHT_BIT = ("uint8", "int8")
ARM = ("aarch64", "arm64", "armv7l", "armv8l")
# Which precisions an option changes.
USERS = {
    "format": ("int8",),
    "activation_type": ("int8",),
    "weight_type": ("dynamic",),
    "reduce_range": ("int8", "dynamic"),
    "shapes": ("int8", "int16x8"),
}


def default_activation() -> str:
    """Return the 8-bit type of activations whose kernels are fast here.

    onnxruntime's x86 kernels multiply unsigned activations with signed weights: int8 activations took 2.3 times as
    long on ResNet152V2, and 19 times in the QOperator format. ARM's take signed with signed.
    """
    return "int8" if platform.machine().lower() in ARM else "uint8"


@dataclass(frozen=True)
class OnnxOptions:
    """Options of quantizing an ONNX model.

    Attributes:
        format: For int8: ``qdq`` (QuantizeLinear and DequantizeLinear around float ops, which the runtime fuses) or
            ``qoperator`` (QLinearConv and so on).
        activation_type: For int8: ``uint8`` or ``int8``. By default that of ``border`` where it is one of them, else
            what is fast on this machine: ``uint8`` on x86, ``int8`` on ARM. The weights are int8 with a scale for each
            channel.
        weight_type: For dynamic: ``uint8`` or ``int8``. By default ``uint8``: on x86, int8 weights made ResNet152V2 5
            times *slower* than float32.
        reduce_range: For int8 and dynamic: weights in 7 bits. By default where weights are int8 and this machine is an
            x86 CPU without VNNI, whose kernels overflow (`pairs_saturate`). A file made elsewhere for such a CPU needs
            True, one made here for others False.
        shapes: Sizes of inputs by name, for inputs that leave some open; None in a shape keeps that size open.
        most_bytes: The largest single file; what is larger gets its weights in a file beside it.
    """

    format: str = "qdq"
    activation_type: str = field(default_factory=default_activation)
    weight_type: str = "uint8"
    reduce_range: bool | None = None
    shapes: Mapping[str, tuple[int | None, ...]] = field(default_factory=dict)
    most_bytes: int = MOST_BYTES

    def __post_init__(self) -> None:
        check_choice("format", self.format, FORMATS)
        check_choice("activation_type", self.activation_type, EIGHT_BIT)
        check_choice("weight_type", self.weight_type, EIGHT_BIT)
        if not isinstance(self.shapes, Mapping):
            raise OptionError(
                f"shapes is a {type(self.shapes).__name__}; give a dict by input name: shapes={{'x': (1, 3, 224, 224)}}"
            )
        if not isinstance(self.most_bytes, int) or not 0 < self.most_bytes <= MOST_BYTES:
            raise OptionError(f"most_bytes={self.most_bytes!r} must be from 1 to {MOST_BYTES}")

    @property
    def alternative(self) -> str:
        """What else to ask for where a model cannot be made so."""
        return "format='qdq' or another precision" if self.format == "qoperator" else "another precision"

    def reduces_range(self, precision: str) -> bool:
        """Return whether weights have 7 bits in a precision."""
        if self.reduce_range is not None:
            return self.reduce_range
        weights = {"int8": "int8", "dynamic": self.weight_type}
        return weights.get(precision) == "int8" and pairs_saturate()


def read_options(request: Request) -> OnnxOptions:
    """Return the options of ``request`` as a record, checked against its precisions and its border.

    Raises:
        OptionError: One is unknown, out of range, or belongs to a precision that nobody asked for.
    """
    known: dict[str, Any] = dict.fromkeys(entry.name for entry in fields(OnnxOptions))
    given = {name: value for name, value in request.take_options("an ONNX model", known).items() if value is not None}
    for name, users in USERS.items():
        if name in given and not set(users) & set(request.precisions):
            raise OptionError(f"option {name!r} belongs to {' and '.join(users)}, and nothing is asked to become that")
    if "int8" in request.precisions and request.border in EIGHT_BIT:
        given.setdefault("activation_type", request.border)
    options = OnnxOptions(**given)
    _check_border(request, options)
    if options.format == "qoperator" and "int16x8" in request.precisions:
        raise OptionError("the QOperator format has no 16-bit ops: 'int16x8' needs format='qdq'")
    return options


def _check_border(request: Request, options: OnnxOptions) -> None:
    types = {"int8": options.activation_type, "int16x8": "int16"}
    possible = {types[name] for name in request.precisions if name in types}
    if request.border != FLOAT32 and request.border not in possible:
        raise OptionError(
            f"border={request.border!r} needs activations of that type, and here they are {' and '.join(possible)}: "
            f"set activation_type={request.border!r}"
            if request.border in EIGHT_BIT
            else f"border={request.border!r} belongs to 'int16x8', and here activations are {' and '.join(possible)}"
        )

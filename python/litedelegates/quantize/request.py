"""What was asked for, checked once, the same for every kind of model."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

from litedelegates.errors import OptionError, nearest

Precision: TypeAlias = Literal["float16", "dynamic", "int8", "int16x8", "weight_only"]
Border: TypeAlias = Literal["float32", "int8", "uint8", "int16"]
Method: TypeAlias = Literal["minmax", "entropy", "percentile"]
Key: TypeAlias = int | str

PRECISIONS: tuple[Precision, ...] = get_args(Precision)
BORDERS: tuple[Border, ...] = get_args(Border)
METHODS: tuple[Method, ...] = get_args(Method)
FLOAT32 = "float32"
PLAN_PRECISIONS = (*PRECISIONS, FLOAT32)
STATIC_PRECISIONS = ("int8", "int16x8")  # those that need the ranges of the activations


@dataclass(frozen=True)
class Request:
    """A checked request: what every op should become, and from which data.

    Attributes:
        precision: What ops become that ``plan`` does not name; None stands for float32.
        calibration: As the caller gave it; backends read it with ``calibration.read_samples``.
        plan: Precision by op index, op name, op type or glob pattern over names.
        only: The ops that become ``precision``; None for all.
        exclude: The ops that stay float32.
        border: Element type of the model's inputs and outputs.
        allow_float32_ops: Accept ops that stayed float32 although something else was asked.
        allow_unchanged: Accept keys that name only ops which their precision does not change.
        method: How ranges are taken from the calibration: a member of ``METHODS``.
        percentile: For the method of that name: the share of values kept, in percent.
        num_threads: Threads for calibration.
        progress: True or False for a progress bar or none; None for one where stderr is a terminal.
        check_values: Run the result beside the source, and say or refuse what is off.
        output: The file that will be written, for formats that keep data in a second file beside it; None for bytes.
        options: What only one kind of model understands; backends check the names with ``take_options``.
    """

    precision: str | None
    calibration: Any = None
    plan: Mapping[Key, str] = field(default_factory=lambda: MappingProxyType({}))
    only: tuple[Key, ...] | None = None
    exclude: tuple[Key, ...] = ()
    border: str = FLOAT32
    allow_float32_ops: bool = False
    allow_unchanged: bool = False
    method: str = "minmax"
    percentile: float | None = None
    num_threads: int = 1
    progress: bool | None = None
    check_values: bool = True
    output: Path | None = None
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def precisions(self) -> tuple[str, ...]:
        """Every precision named in the request, float32 left out."""
        named = [*([self.precision] if self.precision else []), *self.plan.values()]
        return tuple(dict.fromkeys(name for name in named if name != FLOAT32))

    @property
    def needs_calibration(self) -> bool:
        """Whether a precision that needs the ranges of the activations is among them."""
        return any(name in STATIC_PRECISIONS for name in self.precisions)

    @property
    def label(self) -> str:
        """What to call the request in a message: ``int8``, or ``a mix of int8 and dynamic``."""
        names = self.precisions
        mixed = len(names) > 1 or bool(self.plan) or self.only is not None or bool(self.exclude)
        return f"a mix of {' and '.join([*names, FLOAT32])}" if mixed else names[0]

    def take_options(self, kind: str, defaults: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``defaults`` with what the caller set.

        Raises:
            OptionError: The caller set an option that ``defaults`` does not have.
        """
        for name in self.options:
            if name not in defaults:
                valid = nearest(name, defaults) if defaults else "It takes no such options"
                raise OptionError(f"option {name!r} is unknown for {kind}. {valid}")
        return {**defaults, **self.options}


def make_request(
    precision: str | None = None,
    calibration: Any = None,
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
    output: Path | None = None,
    **options: Any,
) -> Request:
    """Return the request, each value checked; the meaning of the arguments is that of ``Request``.

    Raises:
        OptionError: A value is unknown, out of range, or contradicts another.
    """
    if precision is not None:
        check_choice("precision", precision, PRECISIONS)
    _check_selection(precision, plan, only, exclude)
    for key, name in (plan or {}).items():
        check_choice(f"plan[{key!r}] =", name, PLAN_PRECISIONS)
    check_choice("border", border, BORDERS)
    check_choice("method", method, METHODS)
    if (percentile is not None) != (method == "percentile") and percentile is not None:
        raise OptionError(f"percentile={percentile} belongs to method='percentile', not {method!r}")
    if percentile is not None and not isinstance(percentile, Real):
        raise OptionError(f"percentile={percentile!r} must be a number, such as 99.9")
    if percentile is not None and not 50 < percentile <= 100:
        raise OptionError(f"percentile={percentile} must be above 50 and at most 100, such as 99.9")
    request = Request(
        precision,
        calibration,
        MappingProxyType(dict(plan or {})),
        None if only is None else _keys("only", only),
        () if exclude is None else _keys("exclude", exclude),
        border,
        allow_float32_ops,
        allow_unchanged,
        method,
        percentile,
        check_threads(num_threads),
        progress,
        bool(check_values),
        output,
        MappingProxyType(options),
    )
    if not request.precisions:
        raise OptionError("the plan leaves every op in float32: name a precision for some of them")
    if not request.needs_calibration and (calibration is not None or border != FLOAT32 or method != "minmax"):
        raise OptionError(
            f"precision {' and '.join(map(repr, request.precisions))} uses neither calibration nor border nor method: "
            "they belong to 'int8' and 'int16x8'"
        )
    return request


def check_choice(option: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raise an OptionError that names the nearest unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise OptionError(f"{option} {value!r} is unknown. {nearest(str(value), choices)}")


def check_threads(num_threads: int | None) -> int:
    """Return ``num_threads``, by default the CPUs this process may use.

    Raises:
        OptionError: It is below 1.
    """
    if num_threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not isinstance(num_threads, int) or num_threads < 1:
        raise OptionError(f"num_threads={num_threads!r} must be a number and at least 1")
    return num_threads


def _check_selection(precision: str | None, plan: Any, only: Any, exclude: Any) -> None:
    given = [name for name, value in {"plan": plan, "only": only, "exclude": exclude}.items() if value is not None]
    if len(given) > 1:
        raise OptionError(f"{' and '.join(given)} say the same thing twice: write all of it in plan={{key: precision}}")
    if plan is not None and not (isinstance(plan, Mapping) and plan):
        raise OptionError("plan must be a dictionary such as {'CONV_2D': 'int8', 3: 'float32'}, and not empty")
    if precision is None and plan is None:
        needs = f"{given[0]} needs a precision" if given else "neither precision nor plan was given"
        raise OptionError(f"{needs}: one of {', '.join(PRECISIONS)}")


def _keys(option: str, keys: Iterable[Key]) -> tuple[Key, ...]:
    listed = (keys,) if isinstance(keys, str | Integral) else tuple(keys)
    if not listed:
        raise OptionError(f"{option} is empty: give op indices, names, types or patterns, or leave it out")
    return listed

"""What all delegate options share: typed, frozen, checked, and written as the text the runtime reads.

A delegate is a frozen dataclass whose fields are its options; ``None`` means unset, and unset options are not written,
so that the runtime's own default holds.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, Union

from litedelegates.errors import OptionError, nearest

if sys.version_info >= (3, 11):
    from typing import dataclass_transform
else:

    def dataclass_transform(**_: Any) -> Callable[[T], T]:
        """Do nothing: only type checkers look at it."""
        return lambda decorator: decorator


T = TypeVar("T")


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(dataclasses.field,))
def delegate_options(cls: type[T]) -> type[T]:
    """Make ``cls`` a frozen, keyword-only dataclass that refuses unknown names and wrong types.

    A field declared with ``dataclasses.field(kw_only=False)`` can be given by position.

    Raises (from the constructor):
        OptionError: Naming the option, the value, what is valid and the nearest valid name.
    """
    made = dataclasses.dataclass(frozen=True, kw_only=True, repr=False)(cls)
    made_init = cast_init(made)
    fields = dataclasses.fields(typing.cast(Any, made))
    names = [field.name for field in fields]
    by_position = [field.name for field in fields if not field.kw_only]
    required = [field.name for field in fields if field.default is field.default_factory is dataclasses.MISSING]

    @functools.wraps(made_init)
    def checked_init(self: Any, *args: Any, **options: Any) -> None:
        if len(args) > len(by_position):
            example = next(name for name in names if name not in by_position)
            raise OptionError(f"{cls.__name__} takes its options by keyword, such as {cls.__name__}({example}=...)")
        for name in options:
            if name not in names:
                raise OptionError(f"{cls.__name__} has no option {name!r}. {nearest(name, names)}")
        for name in required:
            if name not in (*options, *by_position[: len(args)]):
                raise OptionError(f"{cls.__name__} needs {name}, as in {cls.__name__}({name}=...)")
        for name in by_position[: len(args)]:
            if name in options:
                raise OptionError(f"{cls.__name__}: {name} is given by position and by keyword")
        made_init(self, *args, **options)
        _check_types(self)

    made.__init__ = checked_init  # type: ignore[method-assign]
    made.__repr__ = _repr  # type: ignore[method-assign]
    return made


def cast_init(cls: type[Any]) -> Callable[..., None]:
    """Return the constructor that the dataclass decorator made."""
    return typing.cast(Callable[..., None], cls.__init__)


def set_options(options: Any) -> dict[str, Any]:
    """Return the options that were set, by name, in the order they are declared."""
    values = ((field.name, getattr(options, field.name)) for field in dataclasses.fields(options))
    return {name: value for name, value in values if value is not None}


def _repr(self: Any) -> str:
    return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in set_options(self).items())})"


def _check_types(options: Any) -> None:
    given = set_options(options)
    hints = typing.get_type_hints(type(options)) if given else {}
    for name, value in given.items():
        if not _fits(value, hints[name]):
            raise OptionError(
                f"{type(options).__name__}({name}={value!r}): {name} must be {_say(hints[name])}, "
                f"not {type(value).__name__}"
            )


def _fits(value: Any, hint: Any) -> bool:
    origin = typing.get_origin(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, part) for part in typing.get_args(hint))
    if origin is typing.Literal:
        return any(value == choice and type(value) is type(choice) for choice in typing.get_args(hint))
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(item, typing.get_args(hint)[0]) for item in value)
    if origin is dict:
        key_hint, value_hint = typing.get_args(hint)
        return isinstance(value, dict) and all(_fits(k, key_hint) and _fits(v, value_hint) for k, v in value.items())
    if hint is Any:
        return True
    if origin is Mapping:
        return isinstance(value, Mapping)
    if origin is frozenset:
        return isinstance(value, frozenset) and all(_fits(item, typing.get_args(hint)[0]) for item in value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    # Python 3.10 takes dict[str, int] for a class; only a plain one can be asked.
    return origin is None and isinstance(hint, type) and isinstance(value, hint)


def _say(hint: Any) -> str:
    origin = typing.get_origin(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(_say(part) for part in typing.get_args(hint) if part is not type(None))
    if origin is typing.Literal:
        return "one of " + ", ".join(repr(choice) for choice in typing.get_args(hint))
    if origin in (tuple, frozenset):
        return f"a {origin.__name__} of {_say(typing.get_args(hint)[0])}"
    if origin is dict:
        return "a dict of {} to {}".format(*map(_say, typing.get_args(hint)))
    if origin is None and isinstance(hint, type):
        return hint.__name__
    return "a mapping" if origin is Mapping else str(hint)


def to_toml(options: dict[str, Any]) -> str:
    """Write options as the flat TOML text that the runtime parses."""
    return "".join(f"{key} = {_toml_value(value)}\n" for key, value in options.items())


def from_toml(text: str) -> dict[str, Any]:
    """Read back what `to_toml` wrote; the runtime hands its payloads back as text."""
    return {key: _read_value(value) for key, value in (line.split(" = ", 1) for line in text.splitlines() if line)}


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, enum.Enum):
        return _toml_value(value.value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    raise OptionError(f"{value!r} cannot be written as an option of the runtime")


def _read_value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if text.startswith('"'):
        return text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if text.startswith("["):
        inner = text[1:-1]
        return tuple(_read_value(item) for item in inner.split(", ")) if inner else ()
    return int(text)

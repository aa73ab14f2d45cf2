"""Delegates as a study writes them: one line of text for a chain with its options."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from litedelegates.delegates import Delegate, chain
from litedelegates.delegates.external import External
from litedelegates.delegates.stable import Stable
from litedelegates.errors import OptionError
from litedelegates.files import hash_file

LIBRARY_KINDS = ("external", "stable")
NONE = "none"


def parse_delegate(text: str) -> tuple[str, dict[str, Any]]:
    """Return the chain and the options of what a user wrote.

    ``gpu;precision_loss_allowed=True+xnnpack`` is a chain of two, the first with an option;
    ``external:libvendor.so;cache=/tmp/x`` is a vendor's library with a key of its own.

    Raises:
        OptionError: A delegate or option that does not exist, or an option without a value.
    """
    names, options = [], {}
    for part in text.split("+"):
        name, *given = (piece.strip() for piece in part.split(";"))
        kind, colon, path = name.partition(":")
        is_library = bool(colon) and kind.lower() in LIBRARY_KINDS
        names.append(f"{kind.lower()}:{Path(path).absolute()}" if is_library else name.lower())
        for option in given:
            key, equals, value = option.partition("=")
            if not equals:
                raise OptionError(f"{text}: {option!r} must be NAME=VALUE, such as precision_loss_allowed=True")
            is_text = is_library and kind.lower() == "external"  # such libraries read text
            options[f"{kind.lower()}.{key}" if is_library else key] = value if is_text else parse_value(value)
    named = [name for name in names if name != NONE]
    if "auto" in named:
        raise OptionError("a study measures every delegate that it is given: 'auto' is none of them")
    result = "+".join(named) or NONE
    make_chain(result, options)
    return result, options


def parse_value(text: str) -> Any:
    """Return the value that an option's text stands for; the text itself when it is no Python literal."""
    lowered = {"true": True, "false": False}.get(text.lower())
    if lowered is not None:
        return lowered
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def make_chain(text: str, options: Mapping[str, Any]) -> tuple[Delegate, ...]:
    """Return the delegates of a cell.

    Raises:
        OptionError: A delegate or option that does not exist; names the nearest valid one.
    """
    of_libraries = {name: value for name, value in options.items() if name.partition(".")[0] in LIBRARY_KINDS}
    parts: list[str | Delegate] = []
    for name in text.split("+"):
        kind, colon, path = name.partition(":")
        if not colon or kind not in LIBRARY_KINDS:
            parts.append(name)
            continue
        own = {key.partition(".")[2]: value for key, value in of_libraries.items() if key.startswith(f"{kind}.")}
        parts.append(External(path, options=own or None) if kind == "external" else Stable(path, **own))
    return chain(parts, {name: value for name, value in options.items() if name not in of_libraries})


def hash_libraries(text: str) -> dict[str, str]:
    """Return the SHA-256 of each library of a chain that can be read, by its path."""
    found = {}
    for name in text.split("+"):
        kind, colon, path = name.partition(":")
        if colon and kind in LIBRARY_KINDS and Path(path).is_file():
            found[path] = hash_file(path)
    return found

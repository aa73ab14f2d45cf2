"""Turns what a message says in Python into what one types on the command line."""

from __future__ import annotations

import re

_LIST = re.compile(r"\b(exclude|only)=\[((?:'[^']*'|\"[^\"]*\"|\d+|, )*)\]")
_FLAGS = {
    "allow_float32_ops=True": "--allow-float32-ops",
    "exclude=[...]": "--exclude KEY",
    "check_values=False": "--no-value-check",
    "calibration='random'": "--calibration random",
}
_VALUE = re.compile(r"\b(border|format|method)='(\w+)'")
_ITEM = re.compile(r"'([^']*)'|\"([^\"]*)\"|(\d+)")


def on_the_command_line(text: str) -> str:
    """Return ``text`` with the arguments of `quantize` as options of ``litedelegates quantize``."""
    for python, option in _FLAGS.items():
        text = text.replace(python, option)
    text = _VALUE.sub(r"--\1 \2", text)
    return _LIST.sub(lambda found: " ".join(f"--{found[1]} {_quoted(item)}" for item in _items(found[2])), text)


def _items(listed: str) -> list[str]:
    return ["".join(groups) for groups in _ITEM.findall(listed)]


def _quoted(item: str) -> str:
    return item if re.fullmatch(r"[\w./:@-]+", item) else "'" + item.replace("'", "'\\''") + "'"

"""Text from models and results, made harmless for a terminal.

A name in a model may hold escape sequences that move the cursor, colour what follows or set the title of the window,
and marks that turn the direction of writing, so that a reader sees something else than what is there.
"""

from __future__ import annotations

from typing import TextIO

_KEPT = "\t\n"
_CONTROLS = (range(0x20), range(0x7F, 0xA0))
# What Python makes of bytes in a file's name that are not UTF-8.
_UNDECODED = range(0xDC80, 0xDD00)
_DIRECTIONS = (range(0x200E, 0x2010), range(0x202A, 0x202F), range(0x2066, 0x206A), (0x061C,))
_SHOWN = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    for codes in (*_CONTROLS, *_DIRECTIONS)
    for code in codes
    if chr(code) not in _KEPT
} | {code: f"\\x{code - 0xDC00:02x}" for code in _UNDECODED}


def visible(text: str) -> str:
    """Return text with what would steer the terminal, or is no character, written as escapes, such as ``\\x1b``."""
    return text.translate(_SHOWN)


class VisibleStream:
    """A stream that passes on text as `visible` makes it, and is the stream it is made of in all other respects."""

    def __init__(self, stream: TextIO) -> None:
        """Write to ``stream``."""
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text; characters that the stream's encoding has not become escapes."""
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        self._stream.write(visible(text).encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

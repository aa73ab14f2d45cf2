"""TensorFlow's chatter, kept from the terminal and at hand when something fails."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from typing import IO

LAST_WORDS = 1500  # bytes of chatter that go into a message


class Chatter:
    """What was written to stderr while it was held back."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def last_words(self) -> str:
        """Return the end of it, for a message."""
        end = self._file.seek(0, os.SEEK_END)
        self._file.seek(max(0, end - LAST_WORDS))
        return self._file.read().decode(errors="replace").strip()


@contextlib.contextmanager
def held_back() -> Iterator[Chatter]:
    """Hold back what this process writes to stdout (from Python) and stderr (from anywhere), warnings included.

    TensorFlow writes to file descriptor 2 from C++, so the descriptor itself goes to a temporary file meanwhile: what
    other threads write to it is held back too.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # read when TensorFlow is first imported
    with tempfile.TemporaryFile() as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.stderr.flush()
        saved = os.dup(2)
        try:
            os.dup2(file.fileno(), 2)
            with (
                os.fdopen(os.dup(2), "w", errors="replace") as text,
                contextlib.redirect_stdout(text),
                contextlib.redirect_stderr(text),
            ):
                yield Chatter(file)
        finally:
            os.dup2(saved, 2)
            os.close(saved)

"""How a command ends: its exit code, and what is said when it fails."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import TextIO, cast

from litedelegates.cli.python_words import on_the_command_line
from litedelegates.cli.visible import VisibleStream, visible
from litedelegates.errors import LiteDelegatesError, OptionError

FAILED, USAGE = 1, 2
INTERRUPTED = 130  # what shells report of a program that Ctrl-C ended
EXIT_CODES = """exit codes:
  0    done
  1    failed; the reason is printed in one line
  2    wrong arguments
  3    not comparable (compare)
  4    not as fast as planned (verify)
  130  interrupted with Ctrl-C"""


def outcome(command: str, call: Callable[[], int], *, debug: bool = False) -> int:
    """Run a command and return its exit code; a failure becomes one line, or with ``debug`` its traceback."""
    try:
        if sys.stdout is None:  # closed by whoever started the command
            return call()
        with _plain_warnings(command), contextlib.redirect_stdout(cast("TextIO", VisibleStream(sys.stdout))):
            code = call()
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()  # the reader went away, as in `... | head`
        return 0
    except KeyboardInterrupt:
        complain(command, "interrupted")
        return INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        else:
            complain(command, _sentence(error))
        code = USAGE if isinstance(error, OptionError) else FAILED
        try:
            sys.stdout.flush()
        except OSError:
            _drop_output()  # the disk that it goes to is full
    return code


@contextlib.contextmanager
def _plain_warnings(command: str) -> Iterator[None]:
    """Print warnings as a command says things, without the file and the line of code that they come from."""
    before = warnings.formatwarning

    def formatted(message: Warning | str, *_: object, **__: object) -> str:
        return f"litedelegates {command}: warning: {visible(on_the_command_line(str(message)))}\n"

    warnings.formatwarning = formatted
    try:
        yield
    finally:
        warnings.formatwarning = before


@contextlib.contextmanager
def foreign_words_aside() -> Iterator[None]:
    """Send what C and C++ libraries print to standard output to the error output, so that JSON stays JSON."""
    if sys.stdout is None:  # closed by whoever started the command
        yield
        return
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        yield
        ctypes.CDLL(None).fflush(None)  # what they printed may wait in a buffer
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def complain(command: str, text: str) -> None:
    """Say on the error output what is wrong."""
    said = re.sub(r"\[Errno \d+\] ", "", text)  # errors that a message quotes: the words behind say the same
    print(f"litedelegates {command}: {visible(said)}", file=sys.stderr)


def _drop_output() -> None:
    # Python would complain again when it flushes at exit.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        # Without "[Errno 2]", which says the same to fewer people.
        return error.strerror if error.filename is None else f"{os.fsdecode(error.filename)}: {error.strerror}"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} of a text is 0x{error.object[error.start]:02x}, which is not UTF-8"
    if isinstance(error, RecursionError):
        return "something is nested too deeply to be read; --debug shows where"
    if isinstance(error, MemoryError):
        return f"memory ran out: {error}".removesuffix(": ")
    if isinstance(error, (LiteDelegatesError, OSError, ValueError)):
        return str(error)
    return f"unexpected {type(error).__name__}: {error}; --debug shows where"

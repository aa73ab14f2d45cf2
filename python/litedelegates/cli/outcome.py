"""How a command ends: its exit code, and what is said when it fails."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

from litedelegates.errors import LiteDelegatesError

INTERRUPTED = 130  # what shells report of a program that Ctrl-C ended
EXIT_CODES = """exit codes:
  0    done
  1    failed; the reason is printed in one line
  2    wrong arguments
  3    not comparable (compare)
  130  interrupted with Ctrl-C"""


def outcome(command: str, call: Callable[[], int], *, debug: bool = False) -> int:
    """Run a command and return its exit code; a failure becomes one line, or with ``debug`` its traceback."""
    try:
        code = call()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader went away, as in `... | head`. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print(f"litedelegates {command}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        else:
            print(f"litedelegates {command}: {_sentence(error)}", file=sys.stderr)
        return 1
    return code


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"  # without "[Errno 2]", which says the same to fewer people
    if isinstance(error, (LiteDelegatesError, OSError, ValueError)):
        return str(error)
    return f"unexpected {type(error).__name__}: {error}; --debug shows where"

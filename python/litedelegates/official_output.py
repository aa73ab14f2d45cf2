"""Keeps what the official Interpreter writes to stderr off the terminal."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import threading
from collections.abc import Iterator

from litedelegates.runtime import log_lines

_LEVELS = ("VERBOSE: ", "INFO: ", "WARNING: ", "ERROR: ")  # how TFLite begins a line of its log

_redirecting = threading.RLock()


@contextlib.contextmanager
def official_output_logged() -> Iterator[None]:
    """Hand the lines that the official Interpreter logs meanwhile to the logger ``litedelegates.runtime``.

    It has no level that could be set. C's variable ``stderr`` is another stream meanwhile, and descriptor 2 stays what
    it is: another thread may redirect that at the same time, and two that do so can leave it redirected for good.
    Lines that are not the runtime's are written to stderr at the end. Only glibc has such a variable; elsewhere, and
    with ``LITEDELEGATES_STDERR`` set, nothing is held back.
    """
    libc = None if "LITEDELEGATES_STDERR" in os.environ else _glibc()
    if libc is None:
        yield
        return
    with _redirecting:
        file = os.memfd_create("litedelegates", os.MFD_CLOEXEC)
        stream = libc.fdopen(os.dup(file), b"w")
        current = ctypes.c_void_p.in_dll(libc, "stderr")
        original = current.value
        if stream:
            current.value = stream
        try:
            yield
        finally:
            current.value = original
            if stream:
                libc.fclose(stream)
            with os.fdopen(file, "rb") as written:
                written.seek(0)
                _sort(written.read())


@functools.cache  # opening it makes a class, which only the garbage collector would free
def _glibc() -> ctypes.CDLL | None:
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version") or not hasattr(os, "memfd_create"):
        return None
    libc.fdopen.argtypes, libc.fdopen.restype = (ctypes.c_int, ctypes.c_char_p), ctypes.c_void_p
    libc.fclose.argtypes = (ctypes.c_void_p,)
    return libc


def _sort(text: bytes) -> None:
    lines = text.decode(errors="replace").splitlines(keepends=True)
    log_lines(line.rstrip("\n") for line in lines if line.startswith(_LEVELS))
    others = "".join(line for line in lines if not line.startswith(_LEVELS))
    if others:
        with contextlib.suppress(OSError):  # closed
            os.write(2, others.encode())

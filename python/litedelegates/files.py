"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path


def write_whole(path: str | os.PathLike[str], chunks: Iterable[bytes | memoryview]) -> int:
    """Write ``chunks`` to ``path`` so that it holds all of them or what it held before; return the number of bytes.

    They go to a temporary file in the same folder, which takes the place of ``path`` once it is complete and is
    removed when anything goes wrong, an exception from ``chunks`` included. A symbolic link is followed.

    Raises:
        OSError: The folder is missing or cannot be written, or the disk is full: says how many bytes were written and
            how many the disk has left. ``errno`` is that of the system.
    """
    target = Path(path).resolve()
    part = target.with_name(f".{target.name[:200]}.{os.getpid()}.part")
    written = 0
    try:
        with part.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
                written += memoryview(chunk).nbytes
        part.replace(target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink()
        if isinstance(error, OSError) and error.errno is not None and error.filename in (None, str(part)):
            raise OSError(
                error.errno, f"{error.strerror}: writing failed at {written} bytes{_free(target)}", str(target)
            ) from error
        raise
    return written


def _free(target: Path) -> str:
    # Asked after the part is gone, so it is what another attempt would find.
    try:
        return f", {shutil.disk_usage(target.parent).free} bytes are free on that disk"
    except OSError:
        return ""

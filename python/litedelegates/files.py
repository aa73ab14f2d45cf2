"""Files that are written whole or not at all, and files that are read late."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from litedelegates.errors import InvalidModelError


@dataclass(frozen=True)
class Stamp:
    """What a file was like when it was mapped into memory, to know later whether somebody has written over it.

    A mapping shows what is written into the file, and reading behind its new end kills the process. A file that was
    replaced or removed is another matter: the mapping keeps the old one.
    """

    path: Path
    file: tuple[int, int]
    state: tuple[int, int]

    @staticmethod
    def of(path: str | os.PathLike[str]) -> Stamp:
        """Return the stamp of a file as it is now.

        Raises:
            OSError: It is not there.
        """
        now = Path(path).stat()
        return Stamp(Path(path).absolute(), (now.st_dev, now.st_ino), (now.st_size, now.st_mtime_ns))

    def check_unchanged(self) -> None:
        """Raise unless what was mapped is still what it was.

        Raises:
            InvalidModelError: Somebody has written over the file.
        """
        try:
            now = Stamp.of(self.path)
        except OSError:
            return
        if now.file == self.file and now.state != self.state:
            raise InvalidModelError(f"{self.path} was written over after it was read: load it again")


def write_whole(path: str | os.PathLike[str], chunks: Iterable[bytes | memoryview]) -> int:
    """Write ``chunks`` to ``path`` so that it holds all of them or what it held before; return the number of bytes.

    They go to a temporary file in the same folder, which takes the place of ``path`` once it is complete and is
    removed when anything goes wrong, an exception from ``chunks`` included. A symbolic link is followed.

    Raises:
        OSError: The folder is missing or cannot be written, or the disk is full: says how many bytes were written and
            how many the disk has left. ``errno`` is that of the system.
    """
    target = Path(path).resolve()
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "this is a folder: give the name of a file in it", str(target))
    # A name that nobody can know before, and only where there is nothing yet: in a folder that others write to too, a
    # link of theirs would lead to another file.
    part = target.with_name(f".{target.name[:200]}.{secrets.token_hex(8)}.part")
    written = 0
    try:
        with part.open("xb") as file:
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


def remove_unfinished(folder: str | os.PathLike[str]) -> None:
    """Remove what processes that were killed while they wrote have left in a folder that nobody writes to now.

    Those are its hidden files, which `write_whole` begins with: it is for a folder in which others have no business.
    """
    for file in Path(folder).glob(".*"):
        with contextlib.suppress(OSError):
            file.unlink()


def _free(target: Path) -> str:
    # Asked after the part is gone, so it is what another attempt would find.
    try:
        return f", {shutil.disk_usage(target.parent).free} bytes are free on that disk"
    except OSError:
        return ""

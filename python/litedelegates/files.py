"""Files that are written whole or not at all, and files that are read late."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from litedelegates.errors import FileChangedError, InvalidModelError

_BLOCK_BYTES = 1 << 20


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


@dataclass(frozen=True)
class HashedFile:
    """A file whose content was hashed, to know later whether it is still that content.

    Attributes:
        path: Where it is.
        sha256: Digest of its content.
        state: What the system said of it while it was read.
    """

    path: str
    sha256: str
    state: tuple[int, ...]

    @staticmethod
    def of(path: str | os.PathLike[str]) -> HashedFile:
        """Hash a file.

        Raises:
            OSError: It cannot be read, or is a device or a pipe, which has no end.
        """
        with open_regular(path) as file:
            state = _state(os.fstat(file.fileno()))
            return HashedFile(os.fspath(path), digest(file), state)

    def check_unchanged(self) -> None:
        """Raise unless the path still leads to the content that was hashed.

        Raises:
            FileChangedError: Somebody replaced, removed or wrote over the file.
        """
        try:
            if _state(Path(self.path).stat()) == self.state:
                return
            now = hash_file(self.path)
        except OSError as error:
            now = f"it cannot be read any more: {error.strerror}"
        if now != self.sha256:
            raise file_changed(self.path, self.sha256, now)

    def check_untouched(self) -> None:
        """Raise unless nobody has replaced, removed or written over the file, not even with the same content.

        For files that were read again meanwhile, perhaps while they were something else: `check_unchanged` cannot tell.

        Raises:
            FileChangedError: Somebody has.
        """
        try:
            now = _state(Path(self.path).stat())
        except OSError as error:
            raise file_changed(self.path, self.sha256, f"it cannot be read any more: {error.strerror}") from error
        if now[:-1] != self.state[:-1]:  # but for the time of its name and its rights
            raise file_changed(self.path, self.sha256, "it was replaced or written over")


@contextlib.contextmanager
def made_from(target: str | os.PathLike[str], *sources: str | os.PathLike[str]) -> Iterator[None]:
    """Remove ``target``, which is made in the block, where a file that it is made of was touched meanwhile.

    Raises:
        FileChangedError: One was.
        OSError: One cannot be read.
    """
    known = [HashedFile.of(source) for source in sources]
    yield
    try:
        for source in known:
            source.check_untouched()
    except FileChangedError:
        Path(target).unlink(missing_ok=True)
        raise


def file_changed(path: str, sha256: str, now: str) -> FileChangedError:
    """Return the error for a file that is not what it was: ``now`` is the digest of its content, or a sentence."""
    found = now if " " in now else f"its SHA-256 was {sha256[:12]}, now it is {now[:12]}"
    return FileChangedError(f"{path} was changed while it was being measured: {found}")


def path_from(folder: str | os.PathLike[str], path: str) -> str:
    """Return what to call a path in a file that lies in ``folder``: a relative path goes from there.

    So the folder can be moved with what lies around it, and read from any other.
    """
    return path if Path(path).is_absolute() else os.path.relpath(path, folder)


def path_in(folder: str | os.PathLike[str], path: str) -> str:
    """Return the path that a file in ``folder`` calls ``path``: what `path_from` is undone by."""
    return os.path.normpath(Path(folder) / path) if not Path(path).is_absolute() else path


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file for reading; devices and pipes, which never end or never begin, are refused.

    Raises:
        OSError: It cannot be opened, or is no regular file.
    """
    # Without waiting for somebody to write, as opening a pipe does otherwise.
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        mode = os.fstat(number).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "this is a device or a pipe: give a regular file", os.fspath(path))
        return cast(BinaryIO, os.fdopen(number, "rb"))
    except BaseException:
        os.close(number)
        raise


def read_text(path: str | os.PathLike[str]) -> str:
    """Return the text of a file.

    Raises:
        OSError: It cannot be read, or is no regular file.
        ValueError: It is not UTF-8; says where.
    """
    with open_regular(path) as file:
        content = file.read()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is 0x{content[error.start]:02x}: a text in UTF-8 is needed") from error


def read_json(path: str | os.PathLike[str]) -> Any:
    """Return what a JSON file holds.

    Raises:
        OSError: It cannot be read, or is no regular file.
        ValueError: It is not JSON, or is nested deeper than can be read.
    """
    try:
        return json.loads(read_text(path))
    except RecursionError as error:
        raise ValueError("it is nested too deeply to be read") from error


def writable(name: str) -> str:
    """Return a text that UTF-8 can hold: the bytes of a file's name that are no characters are written as escapes."""
    try:
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a character, which no file's name has
        return name.encode("utf-8", "backslashreplace").decode()


def hash_file(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file in hexadecimal.

    Raises:
        OSError: It cannot be read, or is no regular file.
    """
    with open_regular(path) as file:
        return digest(file)


def digest(file: BinaryIO) -> str:
    """Return the SHA-256 in hexadecimal of what is left of an open file."""
    found = hashlib.sha256()
    while chunk := file.read(_BLOCK_BYTES):
        found.update(chunk)
    return found.hexdigest()


def read_same(path: str | os.PathLike[str], sha256: str) -> bytes:
    """Return the content of a file that was hashed before.

    Raises:
        FileChangedError: It has another content now.
        OSError: It cannot be read, or is no regular file.
    """
    with open_regular(path) as file:
        content = file.read()
    if (now := hashlib.sha256(content).hexdigest()) != sha256:
        raise file_changed(os.fspath(path), sha256, now)
    return content


def _state(now: os.stat_result) -> tuple[int, ...]:
    return now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns


def write_whole(path: str | os.PathLike[str], chunks: Iterable[bytes | memoryview]) -> int:
    """Write ``chunks`` to ``path`` so that it holds all of them or what it held before; return the number of bytes.

    They go to a temporary file in the same folder, which takes the place of ``path`` once it is complete and is
    removed when anything goes wrong, an exception from ``chunks`` included. A symbolic link is followed. A device or a
    pipe is written into as it is: a file in the place of ``/dev/null`` would break other programs.

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
    is_file = not target.exists() or target.is_file()
    written = 0
    try:
        with part.open("xb") if is_file else target.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
                written += memoryview(chunk).nbytes
        if is_file:
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

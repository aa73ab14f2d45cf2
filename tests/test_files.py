"""Files are written whole or not at all, also where the disk ends."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from litedelegates.files import write_whole

LIMITED = """
import resource, sys
from pathlib import Path
from litedelegates.files import write_whole

limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    write_whole(sys.argv[1], [b"x" * 4096] * 100)
except OSError as error:
    print(type(error).__name__, error.errno, error)
"""


def test_chunks_of_several_types_are_written_in_order(tmp_path: Path) -> None:
    target = tmp_path / "model.bin"
    assert write_whole(target, iter([b"ab", memoryview(b"cd"), memoryview(b"efgh").cast("H")])) == 8
    assert target.read_bytes() == b"abcdefgh"
    assert list(tmp_path.iterdir()) == [target]


def test_target_keeps_what_it_held_when_the_chunks_raise(tmp_path: Path) -> None:
    target = tmp_path / "model.bin"
    target.write_bytes(b"before")

    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise RuntimeError("the model could not be finished")

    with pytest.raises(RuntimeError, match="could not be finished"):
        write_whole(target, chunks())
    assert target.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [target]


def test_symbolic_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.bin"
    link.symlink_to(tmp_path / "real" / "model.bin")
    write_whole(link, [b"content"])
    assert link.is_symlink() and (tmp_path / "real" / "model.bin").read_bytes() == b"content"


def test_a_pipe_gets_the_bytes_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert write_whole(pipe, [b"ab", b"c"]) == 3
        assert os.read(reader, 10) == b"abc" and pipe.is_fifo()
    finally:
        os.close(reader)
    assert list(tmp_path.iterdir()) == [pipe]


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing/model.bin"):
        write_whole(tmp_path / "missing" / "model.bin", [b"content"])


@pytest.mark.parametrize("before", [None, b"before"])
def test_disk_that_fills_up_leaves_no_half_file(tmp_path: Path, before: bytes | None) -> None:
    target = tmp_path / "model.bin"
    if before is not None:
        target.write_bytes(before)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(target), str(100_000)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"OSError {errno.EFBIG} ")
    assert "writing failed at " in done.stdout and "bytes are free on that disk" in done.stdout
    assert str(target) in done.stdout
    assert [path.read_bytes() for path in tmp_path.iterdir()] == ([] if before is None else [before])


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 64 kB; only root may."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a tiny disk needs root and the right to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_says_where_it_stopped_and_what_is_free(tiny_disk: Path) -> None:
    with pytest.raises(OSError, match=r"writing failed at \d+ bytes, 65536 bytes are free on that disk") as caught:
        write_whole(tiny_disk / "model.bin", [b"x" * 4096] * 100)
    assert caught.value.errno == errno.ENOSPC
    assert list(tiny_disk.iterdir()) == []
    assert write_whole(tiny_disk / "model.bin", [b"x" * 4096]) == 4096


def test_a_folder_is_no_file_to_write_to(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="this is a folder: give the name of a file in it"):
        write_whole(tmp_path, [b"content"])
    assert list(tmp_path.iterdir()) == []

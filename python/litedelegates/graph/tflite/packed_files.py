"""The files that TFLite Metadata packs behind a model, such as labels.txt: a zip archive after the flatbuffer."""

from __future__ import annotations

import io
import struct

_END = b"PK\x05\x06"
_LONGEST_END = 22 + (1 << 16)  # with the comment that may follow


def packed_files(content: bytes | memoryview) -> bytes:
    """Return the archive behind the model in ``content``, fit to stand behind another one; empty where there is none.

    Its offsets are counted from its own start, which readers add to what stands before.
    """
    if _END not in bytes(content[-_LONGEST_END:]):
        return b""
    import zipfile

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries, directory = archive.infolist(), archive.start_dir
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return b""  # four bytes of a weight
    if not entries:
        return b""
    start = min(entry.header_offset for entry in entries)
    raw = bytearray(content[start:])
    place = directory - start
    try:
        for entry in entries:
            struct.pack_into("<I", raw, place + 42, entry.header_offset - start)
            place += 46 + sum(struct.unpack_from("<3H", raw, place + 28))
        if raw[place : place + 4] != _END:  # a form for larger files, whose offsets lie elsewhere
            return b""
        struct.pack_into("<I", raw, place + 16, directory - start)
    except struct.error:  # damaged
        return b""
    return bytes(raw)

"""Label files."""

from __future__ import annotations

import os
import re

from litedelegates.files import read_text

_NUMBERED = re.compile(r"\s*(\d+)(?:\s*:\s*|\s+)(.*)")


def read_label_file(file_path: str | os.PathLike[str]) -> dict[int, str]:
    """Return the labels of a UTF-8 text file, by class id.

    Each line is ``0:cat``, ``0 cat``, or the label alone: then the number of the line, from 0, is the id.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not UTF-8.
    """
    labels = {}
    try:
        text = read_text(file_path)
    except ValueError as error:
        raise ValueError(f"{os.fspath(file_path)} holds no labels: {error}") from error
    # Not splitlines(): that would also split at the rarer separators of Unicode.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
    for row, line in enumerate(lines if text else []):
        numbered = _NUMBERED.fullmatch(line.rstrip())
        if numbered:
            labels[int(numbered[1])] = numbered[2].strip()
        else:
            labels[row] = line.strip()
    return labels

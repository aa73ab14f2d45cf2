"""Label files."""

from __future__ import annotations

import os
import re
from pathlib import Path

_NUMBERED = re.compile(r"\s*(\d+)(?:\s*:\s*|\s+)(.*)")


def read_label_file(file_path: str | os.PathLike[str]) -> dict[int, str]:
    """Return the labels of a UTF-8 text file, by class id.

    Each line is ``0:cat``, ``0 cat``, or the label alone: then the number of the line, from 0, is the id.

    Raises:
        OSError: The file cannot be read.
        UnicodeDecodeError: It is not UTF-8.
    """
    labels = {}
    # Not splitlines(): that would also split at the rarer separators of Unicode.
    with Path(file_path).open(encoding="utf-8") as lines:
        for row, line in enumerate(lines):
            numbered = _NUMBERED.fullmatch(line.rstrip())
            if numbered:
                labels[int(numbered[1])] = numbered[2].strip()
            else:
                labels[row] = line.strip()
    return labels

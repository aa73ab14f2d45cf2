"""Steps in processes that may die and have a limit of time; what they told before is kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from zoo.files import TESTS

_TAIL = 300


def run_step(module: str, arguments: Sequence[str], limit_s: float) -> tuple[list[dict[str, Any]], str | None]:
    """Run a module in a process group of its own; return its lines of JSON, and how it ended if not well."""
    paths = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env={**os.environ, "PYTHONPATH": paths},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,  # what it started goes with it
        )
        try:
            code = process.wait(limit_s)
            end = None if code == 0 else f"killed by signal {-code}" if code < 0 else f"ended with {code}"
        except subprocess.TimeoutExpired:
            end = f"over {limit_s:g} s"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        errors.seek(0)
        lines = output.read().decode(errors="replace").splitlines()
        tail = errors.read().decode(errors="replace").strip()[-_TAIL:]
    told = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
    return told, f"{end}: {tail}" if end and tail else end


def run_until_all_told(
    module: str, arguments: Sequence[str], names: Sequence[str], limit_s: float
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Run a step on several precisions; one that ends the process is left out, and the rest goes on in another.

    Returns:
        All lines, and how the process ended on which precision.
    """
    told: list[dict[str, Any]] = []
    ends: dict[str, str] = {}
    left = list(names)
    while left:
        lines, end = run_step(module, [*arguments, *left], limit_s)
        told += lines
        if end is None:
            break
        # The first without a line, or the last that was begun, is what it died of.
        begun = [line["precision"] for line in lines]
        doing = bool(lines) and lines[-1].get("doing", False)
        done = list(dict.fromkeys(begun))[: -1 if doing else None]
        blamed = begun[-1] if doing else next((name for name in left if name not in done), left[-1])
        ends[blamed] = end
        left = [name for name in left if name not in done and name != blamed]
    return told, ends

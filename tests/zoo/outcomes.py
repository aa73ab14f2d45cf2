"""What becomes of a model on each delegate, found in processes that may die."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from zoo.files import TESTS
from zoo.trial import RUNS

DELEGATES = ("none", "xnnpack", "gpu")
LIMIT_SECONDS = 300
_ARGUMENTS = ("-m", "zoo.trial")


def start(stage: str, model: Path, folder: Path) -> tuple[list[dict[str, Any]], str | None]:
    """Run one stage in a process of its own; return what it told, and how it died if it did."""
    paths = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
    try:
        process = subprocess.run(
            [sys.executable, *_ARGUMENTS, stage, str(model), str(folder)],
            env={**os.environ, "PYTHONPATH": paths},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        output, code = process.stdout, process.returncode
        end = None if code == 0 else f"killed by signal {-code}" if code < 0 else f"ended with {code}"
    except subprocess.TimeoutExpired as error:
        output, end = error.stdout or b"", f"over {LIMIT_SECONDS} s"
    lines = [
        line for line in output.decode(errors="replace").splitlines() if line.startswith("{") and line.endswith("}")
    ]
    return [json.loads(line) for line in lines], end


def try_model(group: str, name: str, path: Path, delegates: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return a row for each delegate and batch that the official Interpreter runs, or one that says why it does not."""
    with tempfile.TemporaryDirectory(prefix="zoo-") as kept:
        folder = Path(kept)
        told, end = start("official", path, folder)
        rows = []
        for delegate in delegates:
            kernels = "builtin" if delegate == "none" else "xnnpack"
            identity = {"group": group, "model": name, "delegate": delegate}
            references = {line["batch"]: line for line in told if line["kernels"] == kernels}
            batches = [batch for batch, line in references.items() if "error" not in line]
            if not batches:
                reason = next((line["error"] for line in references.values()), end or "the process ended")
                rows.append({**identity, "batch": 1, "status": "official does not run", "reason": reason})
                continue
            lines, died = start(delegate, path, folder)
            rows += [
                {
                    **identity,
                    "batch": batch,
                    "changes": references[batch]["changes"],
                    **judge(lines, died, batch, batches),
                }
                for batch in batches
            ]
        return rows


def judge(lines: list[dict[str, Any]], died: str | None, batch: int, batches: list[int]) -> dict[str, Any]:
    """Return the status of a batch. What came after a larger one, back at the first, counts for the larger one."""
    refused = next((line["refused"] for line in lines if "refused" in line), None)
    if refused is not None:
        return {"status": "refused", "reason": refused}
    turn = next((place for place, line in enumerate(lines) if line.get("batch", 0) > batches[0]), len(lines))
    first = batch == batches[0]
    mine = lines[:turn] if first else lines[turn:]
    runs = [line for line in mine if "equal" in line]
    row = {
        "route": next((line["route"] for line in reversed(mine) if "route" in line), None),
        "placement": next((line["placement"] for line in mine if "placement" in line and line["batch"] == batch), None),
        "load_ms": next((line["load_ms"] for line in lines if "load_ms" in line), None),
        "run_ms": [line["ms"] for line in runs if line["batch"] == batch],
        "distance": max((line["distance"] for line in runs), default=None),
    }
    wrong = next((line for line in runs if not line["equal"]), None)
    error = next((line["error"] for line in mine if "error" in line), None)
    if wrong is not None:
        return {**row, "status": "wrong", "reason": wrong}
    if error is not None:
        return {**row, "status": "error", "reason": error}
    if len(runs) < (RUNS if first else 2 * RUNS):
        return {**row, "status": "died", "reason": died}
    if died is not None and batch == batches[-1]:
        return {**row, "status": "died at the end", "reason": died}
    return {**row, "status": "equal"}

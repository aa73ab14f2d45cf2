"""Plan, deploy and verify a model with the commands that a user types: python -m zoo.planning MODEL FOLDER.

Emits what each command ended with, what the plan promises, what `verify` measured, and how much faster than float32 the
deployed model is in an engine that judges.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from zoo.steps import run_step
from zoo.studying import open_shapes, write_samples
from zoo.trial import emit

MAX_ERROR = 0.1
_KEPT = 2000


def plan_all(path: Path, folder: Path) -> None:
    files = write_samples(path, folder)
    shapes = [f"--shape={name}={','.join(map(str, shape))}" for name, shape in open_shapes(path).items()]
    delegate = "xnnpack" if path.suffix == ".tflite" else "cpu"
    study, plan, out = (str(folder / name) for name in ("study.sqlite", "plan.json", "out"))
    commands = {
        "layers": [
            *("layers", str(path), "--store", study, "--quiet", "--delegates", delegate),
            *("--parts", "in_place,alone,error,mixed", "--mixes", "6", "--runs", "8", "--seconds", "0.1"),
            *("--samples", "2", "--calibration", files["calibration"], "--inputs", files["inputs"], *shapes),
        ],
        "plan": ["plan", study, "--max-error", str(MAX_ERROR), "-o", plan],
        "deploy": ["deploy", plan, "-o", out],
        "verify": ["verify", out, "--inputs", files["inputs"], "--seconds", "2", "--quiet", "--json"],
    }
    for step, arguments in commands.items():
        emit(step=step, doing=True)
        done = subprocess.run(
            [sys.executable, "-m", "litedelegates", *arguments], capture_output=True, text=True, check=False
        )
        told: dict[str, Any] = {"step": step, "code": done.returncode, "stderr": done.stderr[-_KEPT:]}
        if step == "plan" and done.returncode == 0:
            told |= _promise(json.loads(Path(plan).read_text())) | {"text": done.stdout[-_KEPT:]}
        if step == "verify" and done.stdout.startswith("{"):
            told["found"] = json.loads(done.stdout)
        emit(**told)
        if done.returncode != 0 and step != "verify":
            return
    manifest = json.loads((folder / "out" / "manifest.json").read_text())
    emit(step="time", doing=True)
    lines, end = run_step("zoo.timing", [str(path), str(folder / "out" / manifest["whole"])], 60)
    emit(step="time", code=0 if end is None else 1, stderr=end, found=lines[0] if lines else None)


def _promise(plan: dict[str, Any]) -> dict[str, Any]:
    """Return what a plan promises, and of which precisions it is."""
    precisions = Counter(layer["choice"]["precision"] for layer in plan["layers"])
    costs = {name: plan["costs"].get(name) for name in ("latency_us", "latency_low_us", "latency_high_us", "error")}
    uniform = {rival["name"]: rival["costs"]["latency_us"] for rival in plan.get("rivals", [])}
    return {"precisions": dict(precisions), **costs, "rivals": uniform, "gain": plan.get("gain")}


if __name__ == "__main__":
    plan_all(Path(sys.argv[1]), Path(sys.argv[2]))

"""What does quantizing cost: time and peak memory of each way from a float32 model to a smaller one?"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import (
    CACHED_MODELS,
    MODELS,
    HelpFormatter,
    Status,
    describe_machine,
    existing_file,
    identify,
    result_path,
    save_json,
    skip,
)
from tables import format_table, say_number

DESCRIPTION = """\
Quantize ResNet152V2 (random weights, 240 MB) in every way there is, each in a process of its own, and measure the time
of the call and the peak memory of the process (of the larger one where TensorFlow gets a process of its own):

  .tflite to .tflite    by litert-quantizer      pip install 'litedelegates[quantize]'
  .keras to .tflite     by TensorFlow            pip install 'litedelegates[keras]'
  .onnx to .onnx        by onnxruntime           pip install 'litedelegates[onnx]'

What is not installed becomes a row that says so. The calibration is 4 samples of noise, which is enough for time and
memory. The .keras and .tflite are made once into .cache/models, which needs TensorFlow; the .onnx is not, as that
takes 11 to 15 GB: --make-onnx does it. --quick takes the digits classifier instead.

examples:
  python benchmarks/quantize.py --quick
  python benchmarks/quantize.py --only tflite keras
  python benchmarks/quantize.py --model net.tflite --model net.onnx
"""
EPILOG = "exit code: 1 when something failed, 77 when nothing is installed that quantizes, else 0"
SAMPLES = 4
NAME = "resnet152v2"
CHILD_SECONDS = 1800

# The ways by the ending of the file they start from: what each is called, and the options of quantize().
WAYS: dict[str, dict[str, dict[str, Any]]] = {
    "tflite": {name: {"precision": name} for name in ("float16", "dynamic", "int8", "int16x8", "weight_only")},
    "keras": {name: {"precision": name} for name in ("float16", "dynamic", "int8")},
    "onnx": {
        "float16": {"precision": "float16"},
        "dynamic": {"precision": "dynamic"},
        "int8 QDQ": {"precision": "int8", "format": "qdq"},
        "int8 QOperator": {"precision": "int8", "format": "qoperator"},
    },
}
STATIC = ("int8", "int16x8")


@dataclass(frozen=True)
class Cost:
    """What one way costs; without figures where it could not be gone, ``reason`` says why.

    Attributes:
        source: The model it started from.
        way: What it is called in ``WAYS``.
        seconds: Of the call of ``quantize``, with the imports of the libraries that it makes.
        peak_mb: Largest resident memory of the process, or of the one that it started.
        megabytes: Size of the result.
        reason: Why there are no figures.
        failed: Whether the reason is a failure, and not something that is missing.
    """

    source: str
    way: str
    seconds: float | None = None
    peak_mb: float | None = None
    megabytes: float | None = None
    reason: str | None = None
    failed: bool = False


def measure(source: Path, way: str, options: Mapping[str, Any]) -> Cost:
    """Return what quantizing ``source`` with ``options`` costs in a fresh process."""
    command = [sys.executable, __file__, "--child", str(source), json.dumps(options)]
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as chatter:
        child = subprocess.Popen(command, stdout=output, stderr=chatter)
        # wait4 and not wait: it tells the peak memory, that of the children of the child included.
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        chatter.seek(0)
        lines, words = output.read().splitlines(), chatter.read().strip()
    if child.returncode != 0 or not lines:
        reason = f"the process ended with {child.returncode}: {words[-300:]}"
        return Cost(source.name, way, reason=reason, failed=True)
    answer = json.loads(lines[-1])
    if "reason" in answer:
        return Cost(source.name, way, reason=answer["reason"], failed=answer["failed"])
    return Cost(source.name, way, answer["seconds"], usage.ru_maxrss / 1024, answer["megabytes"])


def work(source: Path, options: dict[str, Any]) -> None:
    """Quantize ``source`` in this process and print what it took as JSON."""
    from litedelegates.errors import MissingExtraError
    from litedelegates.quantize import quantize_file

    precision = options.pop("precision")
    calibration = "random" if precision in STATIC else None
    if calibration is not None:
        calibration = noise(source)
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / f"out{'.onnx' if source.suffix == '.onnx' else '.tflite'}"
        begin = time.perf_counter()
        try:
            quantize_file(source, output, precision, calibration, progress=False, **options)
        except (MissingExtraError, ImportError) as error:
            print(json.dumps({"reason": str(error), "failed": False}))
        except Exception as error:
            print(json.dumps({"reason": f"{type(error).__name__}: {error}", "failed": True}))
        else:
            seconds = time.perf_counter() - begin
            megabytes = sum(file.stat().st_size for file in Path(folder).iterdir()) / 1e6
            print(json.dumps({"seconds": seconds, "megabytes": megabytes}))


def noise(source: Path) -> Any:
    """Return ``SAMPLES`` samples for the models that this script makes; for others ``random``."""
    import numpy as np

    if source.stem != NAME:
        return "random"
    random = np.random.default_rng(0)
    return [random.uniform(-1, 1, (1, 224, 224, 3)).astype(np.float32) for _ in range(SAMPLES)]


def find_models(options: argparse.Namespace, status: Status) -> dict[str, Path | str]:
    """Return the model to start from for each kind, or the reason why there is none."""
    if options.model:
        return {path.suffix[1:]: path for path in options.model}
    if options.quick:
        return {"tflite": MODELS / "digits.tflite"}
    wanted = {kind: CACHED_MODELS / f"{NAME}.{kind}" for kind in options.only}
    found: dict[str, Path | str] = {}
    for kind, path in wanted.items():
        if not path.is_file() and (kind != "onnx" or options.make_onnx):
            status.stage(f"quantize: making {path.name}")
            done = subprocess.run(
                [sys.executable, str(Path(__file__).with_name("quantize_models.py")), kind, str(path)],
                capture_output=True,
                text=True,
            )
            if done.returncode != 0:
                last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
                found[kind] = f"{path.name} is not there and cannot be made: {last[0]}"
                continue
        found[kind] = path if path.is_file() else f"{path.name} is not there: --make-onnx makes it (15 GB of memory)"
    return found


def make_table(costs: list[Cost]) -> str:
    rows = [
        [
            cost.source,
            cost.way,
            say_number(cost.seconds),
            "-" if cost.peak_mb is None else f"{cost.peak_mb:,.0f}",
            say_number(cost.megabytes),
            "" if cost.reason is None else cost.reason[:100],
        ]
        for cost in costs
    ]
    return format_table(["from", "to", "s", "peak MB", "MB", "note"], rows, left=(0, 1, 5))


def main() -> int:
    if sys.argv[1:2] == ["--child"]:
        work(Path(sys.argv[2]), json.loads(sys.argv[3]))
        return 0
    parser = argparse.ArgumentParser(description=DESCRIPTION, epilog=EPILOG, formatter_class=HelpFormatter)
    parser.add_argument("--model", type=existing_file, action="append", help="quantize this instead; may be repeated")
    parser.add_argument("--only", nargs="+", choices=WAYS, default=list(WAYS), help="start from these kinds alone")
    parser.add_argument("--make-onnx", action="store_true", help="make the .onnx where it is not there (15 GB)")
    parser.add_argument(
        "--out", type=Path, default=CACHED_MODELS.parent.parent / "results", help="folder for the results"
    )
    parser.add_argument("--quick", action="store_true", help="a small model: to see that it works, not to publish")
    options = parser.parse_args()

    status, path, costs = Status(), result_path(options, "quantize"), []
    models = find_models(options, status)
    identity = identify("quantize", options, [model for model in models.values() if isinstance(model, Path)])
    for kind, model in models.items():
        for way, arguments in WAYS[kind].items():
            if isinstance(model, str):
                costs.append(Cost(f"{NAME}.{kind}", way, reason=model))
            else:
                status.stage(f"quantize: {model.name} to {way}")
                costs.append(measure(model, way, arguments))
            save_json(path, {**identity, "costs": costs})
    status.clear()
    if all(cost.reason is not None and not cost.failed for cost in costs):
        return skip(f"needs what quantizes: {costs[0].reason}")
    print(f"Time and peak memory of quantizing, {SAMPLES} calibration samples\n{describe_machine(identity)}\n")
    print(make_table(costs))
    print(f"\nsaved: {path}")
    return int(any(cost.failed for cost in costs))


if __name__ == "__main__":
    sys.exit(main())

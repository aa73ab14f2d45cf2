"""What is done while calls fail: operations of the package on small files, each in a folder of its own."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
from digits_model import digits_data
from litedelegates import Interpreter, LiteDelegatesError, graph
from litedelegates.cli import main as command_line
from litedelegates.layers import LayersConfig, LayerStudy, study_layers
from litedelegates.quantize import quantize_file
from litedelegates.report import write_report
from litedelegates.study import BlockRecord, Store, StudyConfig, run_study

Operation: TypeAlias = "Callable[[Path], str | None]"  # returns what became of its parts, where that is not all good

ROUNDS = 3
QUICK_STUDY = {"seconds": 0.0, "rounds": 2, "block_seconds": 0.001, "warmup_seconds": 0.0, "time_limit": 20.0}
BENCH = "--rounds 2 --seconds 0 --block-seconds 0.001 --warmup-seconds 0 --quiet --store new.sqlite"
LAYERS = "--samples 1 --runs 1 --seconds 0.001 --quiet --store new.sqlite"


def load_and_run(folder: Path) -> None:
    with Interpreter(folder / "digits.tflite", delegate="xnnpack") as interpreter:
        interpreter.run(digits_data()["images"][:1])


def look_closely(folder: Path) -> None:
    """All that the core does for a model that is there."""
    for delegate in (None, "xnnpack"):
        with Interpreter(folder / "digits.tflite", delegate=delegate) as interpreter:
            interpreter.run(digits_data()["images"][:1])
            interpreter.time_runs(max_runs=2)
            interpreter.profile(1)
            assert interpreter.placement and interpreter.options_in_effect is not None


def cut(folder: Path) -> None:
    for name, part in zip(("head", "tail"), graph.cut(folder / "digits.tflite", at=[7]), strict=True):
        part.save(folder / f"{name}.tflite")


def quantize(folder: Path) -> None:
    quantize_file(folder / "digits.tflite", folder / "small.tflite", "float16")


def add_blocks(folder: Path) -> None:
    with Store.create(folder / "s.sqlite", {}) as store:
        samples = np.ones((4, 3), np.int64)
        for index in range(ROUNDS):
            store.add_block(BlockRecord(store.cells()[0].key, "new", index, 0, samples, samples, 0.0, 0, 1))
            os.write(3, b"+")  # it is in the file


def report(folder: Path) -> None:
    with Store.open(folder / "s.sqlite") as store:
        write_report(store, folder / "report", ["html", "markdown", "csv", "json"])


def study(folder: Path) -> str | None:
    """Measure two cells: a fault may take one of them, or the errors of both, and never the times of the other."""
    config = StudyConfig((str(folder / "digits.tflite"),), delegates=("none", "xnnpack"), **QUICK_STUDY)
    run_study(config, folder / "new.sqlite")
    said = []
    with Store.open(folder / "new.sqlite") as store:
        for cell in store.cells():
            outcome = store.outcome(cell)
            assert outcome is not None and outcome.is_final
            if outcome.status == "ok":
                assert len(store.blocks(cell)) == QUICK_STUDY["rounds"]
                said += [outcome.error["unavailable"]] if "unavailable" in (outcome.error or {}) else []
            else:
                said.append(f"{outcome.status}: {outcome.reason}")
        fallen = [store.outcome(cell).status for cell in store.cells()].count("ok") < len(store.cells()) - 1
    assert not fallen, said
    return f"recorded {'; '.join(said)}" if said else None


def layers_alone(folder: Path) -> str | None:
    """Time two layers alone: a fault may take one of the four times."""
    asked = {"parts": ("alone",), "seconds": 0.001, "samples": 1}
    config = LayersConfig(str(folder / "chain.tflite"), ("float32",), ("none", "xnnpack"), **asked)
    study_layers(config, folder / "new.sqlite")
    with Store.open(folder / "new.sqlite") as store:
        found = LayerStudy.open(store).alone
    refusals = [record.refusal for record in found if record.refusal]
    assert len(found) == 4 and len(refusals) <= 1 and all(r.refusal or r.median_us for r in found), refusals
    return f"recorded {'; '.join(refusals)}" if refusals else None


def layers_mixed(folder: Path) -> str | None:
    """Make, time and compare two uniform models and a mixed one: a fault may take one of what is made or measured."""
    asked = {"parts": ("mixed",), "seconds": 0.001, "samples": 1, "mixes": 1}
    study = study_layers(
        LayersConfig(str(folder / "digits.tflite"), ("float16",), ("none",), **asked), folder / "new.sqlite"
    )
    refusals = [record.refusal for record in (*study.variants, *study.mixed) if record.refusal]
    refusals += [record.error_refusal for record in study.mixed if record.error_refusal]
    is_whole = all(variant.refusal is None for variant in study.variants)
    assert len(refusals) <= 1 and len(study.mixed) == (3 if is_whole else 1), refusals
    assert all(record.refusal or (record.whole_us and record.file_nbytes) for record in study.mixed)
    assert all(record.refusal or record.error_refusal or record.error is not None for record in study.mixed)
    return f"recorded {'; '.join(refusals)}" if refusals else None


def command(text: str) -> Operation:
    def call(folder: Path) -> None:
        os.chdir(folder)
        said, printed = io.StringIO(), io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(printed):
            code = command_line(text.split())
        if code not in (0, 1, 2) or "unexpected" in said.getvalue() or (code > 0) != bool(said.getvalue()):
            raise AssertionError(f"exit code {code}: {said.getvalue()}")
        if code > 0:  # 2 is what `compare` says of a store that it cannot use
            raise LiteDelegatesError(said.getvalue())

    return call


OPERATIONS: dict[str, Operation] = {
    "load_and_run": load_and_run,
    "look_closely": look_closely,
    "cut": cut,
    "quantize": quantize,
    "add_blocks": add_blocks,
    "report": report,
    "study": study,
    "layers_alone": layers_alone,
    "layers_mixed": layers_mixed,
    "run_command": command("run digits.tflite --runs 1 --output out.npz"),
    "profile_command": command("profile digits.tflite --runs 1 --csv ops.csv"),
    "graph_command": command("graph digits.tflite"),
    "compare_command": command("compare s.sqlite s.sqlite"),
    "bench_command": command(f"bench digits.tflite --delegates none {BENCH}"),
    "layers_command": command(f"layers conv.tflite --precisions float16 --delegates none {LAYERS} --csv layers.csv"),
}

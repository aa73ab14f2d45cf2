"""A study never answers one question with the numbers of another: every option that changes one tells them apart."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from digits_model import DIGITS, digits_data
from litedelegates.cli import bench, layers, main, quantize
from litedelegates.errors import FileChangedError
from litedelegates.layers import LayerProgress, LayersConfig, LayerStudy, study_layers
from litedelegates.layers import config as layers_config
from litedelegates.quantize import read_record
from litedelegates.study import Outcome, Progress, Store, StoreError, StudyConfig, run_study
from litedelegates.study import question as asking
from litedelegates.study.question import check_asked, is_answered, question_of
from litedelegates.study.sources import Sources
from native_libraries import compile_library

QUICK: dict[str, Any] = {"seconds": 0.05, "rounds": 6, "block_seconds": 0.005, "warmup_seconds": 0.01}
# Another value than the default, by field; a new field of a configuration needs a line here.
OTHER: dict[str, Any] = {
    "inputs": "images.npy",
    "labels": "labels.npy",
    "calibration": "images.npy",
    "allow_float32_ops": True,
    "seed": 7,
    "block_seconds": 0.1,
    "warmup_seconds": 0.5,
    "warmup_runs": 3,
    "seconds": 2.0,
    "rounds": 12,
    "num_runs": 9,
    "max_seconds": 9.0,
    "within": 0.01,
    "ratio_within": 0.02,
    "loads": 2,
    "time_limit": 30.0,
    "memory_limit_mb": 900,
}
OTHER_OF_LAYERS: dict[str, Any] = {
    "shapes": {"image": (2, 8, 8, 1)},
    "calibration": "images.npy",
    "inputs": "images.npy",
    "labels": "labels.npy",
    "samples": 3,
    "allow_float32_ops": False,
    "seed": 7,
    "runs": 33,
    "seconds": 2.0,
}
# They say where results go, how they are shown and where they are measured; each board has a store of its own.
SHOWN_BY_BENCH = {"help", "store", "retry", "json", "quiet", "graph"}
REACHES_BOARDS = {"workers", "boards", "resources", "tls_ca_file", "tls_cert", "tls_key"}
SHOWN_BY_LAYERS = {"help", "store", "retry", "json", "quiet", "top", "csv", "overlay", "trace"}
FIELDS_BY_LAYERS = {"variant": "variants", "shape": "shapes", "beside": "model"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    data = digits_data()
    np.save("images.npy", data["images"][:8])
    np.save("labels.npy", data["labels"][:8])
    shutil.copy(DIGITS, "model.tflite")
    return tmp_path


def options_of(module: Any, name: str) -> set[str]:
    """Return what the options of a command are called in a program."""
    commands = argparse.ArgumentParser().add_subparsers()
    module.add_command(commands)
    return {action.dest for action in commands.choices[name]._actions if not action.dest.startswith("flag_")}


def names_of(config: type[Any]) -> set[str]:
    return {field.name for field in dataclasses.fields(config)}


def test_every_field_of_a_study_is_known_to_change_a_number_or_not() -> None:
    groups = [asking.MATRIX, asking.METHOD, asking.AMOUNT, asking.LIMITS, asking.NO_MATTER]
    named = [name for group in groups for name in group]
    assert sorted(named) == sorted(names_of(StudyConfig))


def test_every_field_of_a_layer_study_is_known_to_change_a_number_or_not() -> None:
    groups = [layers_config.SAME, layers_config.WIDENED, layers_config.LIMITS]
    named = [name for group in groups for name in group]
    assert sorted(named) == sorted(names_of(LayersConfig))


def test_every_option_of_a_command_is_a_field_of_what_is_asked_or_shows_results_only() -> None:
    assert options_of(bench, "bench") - SHOWN_BY_BENCH - REACHES_BOARDS <= names_of(StudyConfig)
    own = {FIELDS_BY_LAYERS.get(name, name) for name in options_of(layers, "layers") - SHOWN_BY_LAYERS}
    assert own <= names_of(LayersConfig)


def asked(precision: str, **fields: Any) -> dict[str, Any]:
    """Return the question to the only cell of a study in a precision."""
    config = StudyConfig(("model.tflite",), (precision,), ("none",), **fields)
    ((cell, _),) = config.cells()
    return question_of(config, cell, Sources())


@pytest.mark.parametrize("name", [*asking.METHOD, *asking.AMOUNT, *asking.LIMITS])
def test_another_value_of_an_option_is_another_question(name: str) -> None:
    more = {"inputs": "images.npy"} if name == "labels" else {}
    assert asked("int8", **more) != asked("int8", **more, **{name: OTHER[name]})


@pytest.mark.parametrize("name", sorted({*asking.METHOD, *asking.AMOUNT}))
def test_a_cell_that_was_asked_otherwise_is_refused_and_the_option_named(name: str, folder: Path) -> None:
    more = {"inputs": "images.npy"} if name == "labels" else {}
    config = StudyConfig(("model.tflite",), ("int8",), ("none",), **more)
    ((cell, base),) = config.cells()
    with Store.create("s.sqlite", {}) as store:
        store.add_cell(cell, base)
        store.set_outcome(Outcome(cell.key, "ok", asked=asked("int8", **more)))
        check_asked(store, [(cell, asked("int8", **more))])
        with pytest.raises(StoreError, match=rf"model int8 none 1t: measured with {name.replace('_', ' ')} .*--store"):
            check_asked(store, [(cell, asked("int8", **more, **{name: OTHER[name]}))])


def test_what_is_not_written_down_is_not_taken_for_an_answer() -> None:
    config = StudyConfig(("model.tflite",), delegates=("none",))
    ((cell, base),) = config.cells()
    with Store.create("s.sqlite", {}) as store:
        store.add_cell(cell, base)
        store.set_outcome(Outcome(cell.key, "ok"))
    with pytest.raises(StoreError, match="what was asked then is not written down"):
        run_study(config, "s.sqlite")


def test_a_cell_is_asked_only_for_what_it_depends_on(folder: Path) -> None:
    assert asked("float32") == asked("float32", calibration="images.npy", allow_float32_ops=True)
    assert asked("dynamic") == asked("dynamic", calibration="images.npy")
    Path("copy.npy").write_bytes(Path("images.npy").read_bytes())
    assert asked("int8", inputs="images.npy") == asked("int8", inputs="copy.npy")


@pytest.mark.parametrize("name", asking.LIMITS)
def test_a_cell_that_failed_under_another_limit_is_measured_anew(name: str) -> None:
    before, now = asked("float32"), asked("float32", **{name: OTHER[name]})
    failed = Outcome("key", "timeout", "no answer", asked=before)
    assert is_answered(failed, before, retry=False)
    assert not is_answered(failed, now, retry=False) and not is_answered(failed, before, retry=True)
    assert is_answered(Outcome("key", "ok", asked=before), now, retry=True)


def test_another_library_at_the_same_place_is_another_question(folder: Path) -> None:
    library = folder / "libvendor.so"
    compile_library("troubled_delegate.c", library)
    config = StudyConfig(("model.tflite",), delegates=(f"external:{library}",))
    ((cell, _),) = config.cells()
    before = question_of(config, cell, Sources())
    with library.open("ab") as file:
        file.write(b"rebuilt")
    assert question_of(config, cell, Sources()) != before


def test_bench_refuses_other_inputs_and_prints_no_old_number(capsys: pytest.CaptureFixture[str]) -> None:
    quick = ["--delegates", "none", *(f"--{name.replace('_', '-')}={value}" for name, value in QUICK.items())]
    assert main(["bench", "model.tflite", *quick]) == 0
    capsys.readouterr()
    assert main(["bench", "model.tflite", *quick, "--inputs", "images.npy"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and "inputs random (now: SHA-256 " in err and "Name another --store" in err
    assert main(["bench", "model.tflite", *quick, "--inputs", "images.npy", "--store", "other.sqlite"]) == 0


@pytest.mark.parametrize(
    ("inputs", "labels", "says"),
    [
        ("labels.npy", None, "a sample has the shape"),
        ("images.npy", "few.npy", "8 samples and few.npy 3 labels"),
        ("none.npy", None, "holds no sample"),
    ],
)
def test_samples_that_do_not_fit_end_with_2_before_anything_is_measured(
    inputs: str, labels: str | None, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save("few.npy", np.arange(3))
    np.save("none.npy", np.zeros((0, 8, 8, 1), np.float32))
    more = [] if labels is None else ["--labels", labels]
    assert main(["bench", "model.tflite", "--inputs", inputs, *more, "--quiet"]) == 2
    assert says in capsys.readouterr().err and not Path("study.sqlite").exists()


def test_a_cell_is_measured_beside_the_base_that_is_asked_for() -> None:
    run_study(StudyConfig(("model.tflite",), delegates=("none",), **QUICK), "s.sqlite")
    run_study(StudyConfig(("model.tflite",), delegates=("xnnpack",), **QUICK), "s.sqlite")
    run_study(StudyConfig(("model.tflite",), delegates=("xnnpack", "none"), **QUICK), "s.sqlite")
    with Store.open("s.sqlite") as store:
        none, xnnpack = store.cells()
        assert store.base_of(none) == store.base_of(xnnpack) == xnnpack
        ratio = store.ratio(none, xnnpack)
        assert ratio is not None and ratio.ratio > 1


@pytest.mark.parametrize("name", sorted(layers_config.SAME))
def test_another_value_of_an_option_is_another_layer_study(name: str) -> None:
    more = {"inputs": "images.npy"} if name == "labels" else {}
    if name == "model":
        Path("other.tflite").write_bytes(other_model())
        other = LayersConfig("other.tflite")
    else:
        other = LayersConfig("model.tflite", **more, **{name: OTHER_OF_LAYERS[name]})
    assert other.key != LayersConfig("model.tflite", **more).key


def test_the_layer_study_that_was_asked_for_last_is_the_one_that_is_read() -> None:
    quick = {"precisions": ("float32",), "delegates": ("none",), "parts": ("alone",), "layers": ("1",)}
    first = LayersConfig("model.tflite", seconds=0.02, **quick)
    second = LayersConfig("model.tflite", seconds=0.03, **quick)
    for config in (first, second, first):
        study_layers(config, "s.sqlite")
        assert LayerStudy.open("s.sqlite").key == config.key


def other_model() -> bytes:
    """Return a model with the inputs of the digits, whose numbers are others."""
    content = bytearray(DIGITS.read_bytes())
    at = content.rindex(b"TFL3") + len(content) // 2
    content[at : at + 64] = bytes(64)
    return bytes(content)


def replace(path: str, content: bytes) -> None:
    Path("new").write_bytes(content)
    os.replace("new", path)  # noqa: PTH105  what a build does


def is_kept_rightly() -> bool:
    """Return whether each file that is kept is made of the model that its name says."""
    records = {file: read_record(file) for file in Path("s.sqlite.models").glob("*.tflite")}
    return all(record and file.name.startswith(record.source_sha256[:16]) for file, record in records.items())


def test_a_model_replaced_while_bench_runs_ends_its_cells_and_nothing_of_it_is_kept() -> None:
    pytest.importorskip("litert_quantizer")

    def watch(progress: Progress) -> None:
        if progress.doing == "quantizing and loading":
            replace("model.tflite", other_model())

    config = StudyConfig(("model.tflite",), ("float32", "dynamic"), ("none",), **QUICK)
    run_study(config, "s.sqlite", progress=watch)
    with Store.open("s.sqlite") as store:
        reasons = [(outcome.status, outcome.reason) for outcome in map(store.outcome, store.cells()) if outcome]
    assert [status for status, _ in reasons] == ["failed", "failed"]
    assert all(reason and "model.tflite was changed" in reason and "SHA-256" in reason for _, reason in reasons)
    assert is_kept_rightly()


def test_a_model_written_over_while_it_is_timed_ends_its_cells() -> None:
    def watch(progress: Progress) -> None:
        if progress.doing == "timing" and progress.round_index == 2:
            with Path("model.tflite").open("r+b") as file:
                file.write(other_model())

    run_study(StudyConfig(("model.tflite",), delegates=("none",), **QUICK), "s.sqlite", progress=watch)
    with Store.open("s.sqlite") as store:
        (outcome,) = map(store.outcome, store.cells())
    assert outcome is not None and outcome.status == "failed" and "was changed" in (outcome.reason or "")


def test_inputs_changed_while_bench_runs_end_its_cells() -> None:
    def watch(progress: Progress) -> None:
        if progress.doing == "warming up":
            np.save("images.npy", digits_data()["images"][8:16])

    config = StudyConfig(("model.tflite",), delegates=("none",), inputs="images.npy", **QUICK)
    run_study(config, "s.sqlite", progress=watch)
    with Store.open("s.sqlite") as store:
        (outcome,) = map(store.outcome, store.cells())
    assert outcome is not None and "images.npy was changed" in (outcome.reason or "")


@pytest.mark.parametrize("moment", ["making dynamic", "in place float32 none 1t", "local errors"])
def test_a_model_replaced_while_layers_runs_ends_the_study(moment: str) -> None:
    pytest.importorskip("litert_quantizer")
    changed = list[str]()

    def watch(progress: LayerProgress) -> None:
        if progress.doing == moment and not changed:
            changed.append(moment)
            replace("model.tflite", other_model())

    config = LayersConfig("model.tflite", ("float32", "dynamic"), ("none",), seconds=0.02, runs=2, layers=("1",))
    with pytest.raises(FileChangedError, match=r"model\.tflite was changed while it was being measured"):
        study_layers(config, "s.sqlite", progress=watch)
    assert changed and is_kept_rightly()
    with Store.open("s.sqlite") as store:
        assert [session.how for session in store.sessions()] == ["interrupted"]


def test_quantize_writes_its_result_and_remembers_nothing(folder: Path) -> None:
    pytest.importorskip("litert_quantizer")
    before = set(folder.iterdir())
    made = []
    for precision in ("dynamic", "float16", "dynamic"):
        assert main(["quantize", "model.tflite", precision, "-o", "out.tflite"]) == 0
        made.append(Path("out.tflite").read_bytes())
    assert made[0] == made[2] != made[1] and set(folder.iterdir()) - before == {folder / "out.tflite"}
    assert "help" in options_of(quantize, "quantize")

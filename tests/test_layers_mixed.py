"""Mixed models: drawn, made, timed beside the uniform ones, and kept in the store."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from digits_model import DIGITS
from litedelegates.graph import load
from litedelegates.layers import LayersConfig, LayerStudy, MixedTiming, Setting, study_layers
from litedelegates.layers.infos import layer_ops
from litedelegates.layers.mixed import draw_mixes, mix_name
from litedelegates.layers.recipe import changed_layers, quantize_plan
from litedelegates.layers.variants import make_variant
from litedelegates.plan.costs import Source, build_problem
from litedelegates.plan.problem import LATENCY
from litedelegates.plan.records import Device
from litedelegates.plan.uncertainty import uncertainty
from litedelegates.quantize import quantize, read_record

PRECISIONS = ("float32", "float16", "dynamic", "int8")


def test_mixes_are_runs_of_neighbours_and_differ() -> None:
    mixes = draw_mixes(range(30), PRECISIONS, 40, 0)
    assert len({mix_name(mix) for mix in mixes}) == 40
    assert all(list(mix) == list(range(30)) and len(set(mix.values())) > 1 for mix in mixes)
    borders = [sum(mix[layer] != mix[layer + 1] for layer in range(29)) for mix in mixes]
    assert min(borders) <= 3 and max(borders) >= 15
    assert draw_mixes(range(30), PRECISIONS, 10, 0) == mixes[:10]
    assert draw_mixes(range(30), PRECISIONS, 10, 1) != mixes[:10]


def test_there_are_no_more_mixes_than_there_can_be() -> None:
    assert len(draw_mixes([0, 1], ("float32", "int8"), 12, 0)) == 2
    assert draw_mixes([0, 1], ("float32",), 12, 0) == []


def test_a_record_reads_back_what_it_wrote() -> None:
    record = MixedTiming({0: "int8", 3: "float32"}, Setting("mix-1", "xnnpack"), 10.0, 9.0, 11.0, {"int8": 5.0}, 7)
    for known in (record, dataclasses.replace(record, error=float("inf"), refusal="none")):
        assert MixedTiming.from_json(known.to_json()) == known


def test_layers_without_weights_are_left_out_of_what_only_stores_weights(tmp_path: Path) -> None:
    pytest.importorskip("litert_quantizer")
    graph = load(str(DIGITS))
    types = {op.index: op.type for op in layer_ops(graph)}
    changed = changed_layers(make_variant(graph, DIGITS, "float16", tmp_path))
    assert {types[layer] for layer in types.keys() - changed} == {
        "RESIZE_BILINEAR",
        "ADD",
        "MAX_POOL_2D",
        "AVERAGE_POOL_2D",
    }
    assert quantize_plan(graph, dict.fromkeys(types, "float32"), {"float16": changed}) == {}


def test_a_model_whose_weights_are_widened_is_mixed_by_name(tmp_path: Path) -> None:
    pytest.importorskip("litert_quantizer")
    path = tmp_path / "float16.tflite"
    path.write_bytes(quantize(str(DIGITS), "float16"))
    graph = load(str(path))
    layers = [op.index for op in layer_ops(graph)]
    assert len(graph.ops) > len(layers)
    variant = make_variant(graph, path, "dynamic", tmp_path)
    first = next(layer for layer in layers if layer in changed_layers(variant))
    plan = quantize_plan(graph, {first: "dynamic"}, {"dynamic": changed_layers(variant)})
    mixed = tmp_path / "mixed.tflite"
    mixed.write_bytes(quantize(str(path), plan=plan))
    made = load(str(mixed))
    stored = {op.name: {tensor.element_type for tensor in op.reads if tensor.is_constant} for op in made.ops}
    assert [name for name, types in stored.items() if "int8" in types] == [graph.ops[first].name]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> LayersConfig:
    """Return a small study of mixed models with samples."""
    folder = tmp_path_factory.mktemp("samples")
    images = np.random.default_rng(0).uniform(0, 1, (6, 8, 8, 1)).astype(np.float32)
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", np.arange(6))
    return LayersConfig(
        str(DIGITS),
        ("float32", "int8"),
        ("xnnpack",),
        parts=("in_place", "mixed"),
        mixes=2,
        runs=3,
        seconds=0.02,
        inputs=str(folder / "images.npy"),
        labels=str(folder / "labels.npy"),
        samples=6,
    )


@pytest.fixture(scope="module")
def study(config: LayersConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[LayerStudy, Path]:
    """Return what was measured, and the store."""
    pytest.importorskip("litert_quantizer")
    store = tmp_path_factory.mktemp("mixed") / "study.sqlite"
    return study_layers(config, store), store


def test_uniform_and_mixed_models_have_times_of_the_same_rounds(study: tuple[LayerStudy, Path]) -> None:
    found = study[0].mixed
    assert [record.refusal for record in found] == [None] * 4
    assert [record.is_uniform for record in found] == [True, True, False, False]
    for record in found:
        assert record.uniform_us.keys() == {"float32", "int8"}
        assert record.whole_us is not None and record.whole_us > 0
        assert record.file_nbytes > 0
        assert record.samples == 6
    assert {record.uniform_us["int8"] for record in found} == {found[1].whole_us}


def test_errors_of_mixed_models_are_those_of_their_outputs(study: tuple[LayerStudy, Path]) -> None:
    float32, int8, *mixes = study[0].mixed
    assert (float32.error, float32.agreement) == (0.0, 1.0)
    assert int8.error is not None and 0 < int8.error < 1
    assert all(mix.error is not None and 0 < mix.error < 1 for mix in mixes)
    assert float32.accuracy is not None


def test_the_file_of_a_mix_has_the_precisions_that_were_drawn(study: tuple[LayerStudy, Path]) -> None:
    mix = study[0].mixed[-1]
    folder = study[1].with_name("study.sqlite.models")
    files = [path for path in folder.iterdir() if mix.setting.precision in path.name]
    assert len(files) == 1
    record = read_record(files[0])
    assert record is not None
    wanted = {layer for layer, precision in mix.precisions.items() if precision == "int8"}
    assert set(record.recipe["plan"]["int8"]) == wanted


def test_a_planner_prices_and_checks_what_was_measured(study: tuple[LayerStudy, Path]) -> None:
    graph = load(str(DIGITS))
    source = Source(Device("cpu"), study[0]).fitted(graph)
    assert source.terms is not None
    assert source.terms.fit.errors.keys() == {mix.setting.label for mix in study[0].mixed[2:]}
    problem = build_problem(graph, [source])
    places = {choice.precision: place for place, choice in enumerate(problem.choices)}
    for record in study[0].mixed:
        assignment = [0, *(places[record.precisions[layer]] for layer in problem.layers[1:-1]), 0]
        predicted = problem.totals(assignment)[problem.index(LATENCY)]
        low, high = uncertainty(problem, [source]).interval(assignment)
        assert 0 < predicted < float("inf")
        assert low <= predicted <= high


def test_a_second_call_measures_only_what_is_new(config: LayersConfig, study: tuple[LayerStudy, Path]) -> None:
    steps: list[str] = []
    again = study_layers(config, study[1], progress=lambda progress: steps.append(progress.doing))
    assert again.mixed == study[0].mixed
    assert "mixed precisions" not in steps
    more = study_layers(dataclasses.replace(config, mixes=3), study[1])
    assert more.mixed[:4] == study[0].mixed
    assert len(more.mixed) == 5
    assert LayerStudy.from_json(more.to_json()).mixed == more.mixed

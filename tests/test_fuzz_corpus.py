"""Damaged inputs: those that once broke something, and a few hundred new ones, which are the same in every run."""

from __future__ import annotations

import json

import numpy as np
import pytest
from fuzz import seeds
from fuzz.__main__ import try_inputs
from fuzz.targets import ALLOWED, TARGETS
from fuzz.worker import attempt
from litedelegates import LiteDelegatesError, Xnnpack
from litedelegates.delegates.settings import read_settings_file
from litedelegates.quantize.provenance import Record
from litedelegates.study.records import Cell, RecordError

KEPT = [(target, name) for target, inputs in seeds.corpus().items() for name in inputs]
NEED = {"onnx": ("onnx", "onnxruntime"), "quantize": ("litert_quantizer", "onnx", "onnxruntime")}


def require_extras(target: str) -> None:
    for part, packages in NEED.items():
        if part in target:
            for package in packages:
                pytest.importorskip(package)


@pytest.mark.parametrize(("target", "name"), KEPT, ids=[f"{target}-{name}" for target, name in KEPT])
def test_what_once_broke_something_ends_in_a_typed_error_or_runs(target: str, name: str) -> None:
    require_extras(target)
    answer = attempt(target, seeds.corpus()[target][name])
    assert answer["end"] in ("ran", "refused"), answer


@pytest.mark.parametrize("target", TARGETS)
def test_new_damage_ends_in_typed_errors_and_kills_no_process(target: str) -> None:
    require_extras(target)
    result = try_inputs(target, first=0, inputs=40, limit=20.0, real=False)
    assert not result["found"]
    assert sum(result["ends"].values()) == 40


def test_an_error_that_is_none_of_the_packages_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def reads_badly(data: bytes) -> None:
        json.loads(data)["x"]

    monkeypatch.setitem(TARGETS, "bad", (reads_badly, "json"))
    assert attempt("bad", b"{}") == {"end": "escaped", "error": "KeyError at the target", "text": "'x'"}
    assert not issubclass(KeyError, ALLOWED)


def test_nests_too_deep_are_refused(tmp_path) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    (tmp_path / "deep.json").write_text(deep)
    with pytest.raises(LiteDelegatesError, match="cannot read the settings file"):
        read_settings_file(tmp_path / "deep.json")
    with pytest.raises(LiteDelegatesError, match="cannot be read"):
        Record.from_json(deep)


def test_a_record_that_is_no_mapping_says_so() -> None:
    with pytest.raises(RecordError, match="fields by name, not of a list"):
        Cell.from_json([1])  # type: ignore[arg-type]


def test_flags_that_are_no_names_are_refused_by_type() -> None:
    with pytest.raises(LiteDelegatesError, match="flags must be"):
        Xnnpack(flags=[["qs8"]])  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [-512, 2**32 - 1, 2**63 - 1])
def test_sizes_that_onnx_cannot_take_are_left_open(size: int) -> None:
    """A negative one ended the process, a long list of sizes took minutes and all memory."""
    onnx = pytest.importorskip("onnx")
    from litedelegates import graph

    sliced = onnx.helper.make_node("Slice", ["a", "start", "end"], ["y"])
    parts = [onnx.helper.make_node("Identity", ["x"], ["a"]), sliced]
    integers = onnx.TensorProto.INT64
    made = onnx.helper.make_graph(
        parts,
        "damaged",
        [onnx.helper.make_tensor_value_info("x", integers, ["n"])],
        [onnx.helper.make_tensor_value_info("y", integers, ["m"])],
        [onnx.numpy_helper.from_array(np.array([at]), name) for name, at in (("start", -3), ("end", -1))],
        value_info=[onnx.helper.make_tensor_value_info("a", integers, [size])],
    )
    model = onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    assert [op.type for op in graph.load(model).ops] == ["Identity", "Slice"]

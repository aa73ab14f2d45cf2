"""Plans as files: stages that are what the whole is, and folders that are whole or not there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from litedelegates.cli import main
from litedelegates.deploy import Manifest, UniformCheck, Verification, deploy, read_manifest, verify, verifying
from litedelegates.errors import DeployError, LiteDelegatesError, OptionError
from litedelegates.graph import check, load
from litedelegates.layers import LayersConfig, study_layers
from litedelegates.layers.infos import layer_ops
from litedelegates.plan import Choice, Costs, Device, Gain, LayerPlan, Plan, StagePlan
from litedelegates.reference import Reference
from litedelegates.study.delegates import hash_file

DIGITS = Path(__file__).parent.parent / "models" / "digits.tflite"
NONE = {"tflite": "none", "onnx": "cpu"}


def plan_of(model: Path, stages: list[tuple[str, list[int]]], precisions: dict[int, str], **more: Any) -> Plan:
    """Return a plan by hand: device and layers of each stage, and the precision of layers that are not float32."""
    graph = load(str(model))
    of = {layer: number for number, (_, own) in enumerate(stages) for layer in own}
    device = {number: name for number, (name, _) in enumerate(stages)}
    delegate = NONE[graph.format]
    layers = tuple(
        LayerPlan(
            op.index,
            op.type,
            op.name,
            Choice(device[of[op.index]], delegate, precisions.get(op.index, "float32")),
            of[op.index],
            1.0,
        )
        for op in layer_ops(graph)
    )
    return Plan(
        model=str(model),
        sha256=hash_file(str(model)),
        objective="latency",
        devices=tuple(Device(name) for name in dict.fromkeys(device.values())),
        layers=layers,
        stages=tuple(
            StagePlan(number, name, delegate, 1, tuple(own), 10.0) for number, (name, own) in enumerate(stages)
        ),
        costs=Costs(10.0 * len(stages), 10.0),
        **more,
    )


def samples() -> list[np.ndarray[Any, Any]]:
    with np.load(DIGITS.with_name("digits_test.npz")) as data:
        return list((data["calibration_images"] / 16).astype(np.float32)[:8, None])


def digits_plan(cut: int = 6, precision: str = "float32", **more: Any) -> Plan:
    stages = [("a", list(range(cut))), ("b", list(range(cut, 15)))]
    return plan_of(DIGITS, stages, dict.fromkeys(range(3, 12), precision), **more)


@pytest.mark.parametrize("cut", [1, 6, 14])
def test_float32_stages_give_the_bits_of_the_model(tmp_path: Path, cut: int) -> None:
    manifest = deploy(digits_plan(cut), tmp_path / "out")
    parts = [str(tmp_path / "out" / stage.file) for stage in manifest.stages]
    assert check(parts, str(DIGITS)).equal
    assert [len(stage.layers) for stage in manifest.stages] == [cut, 15 - cut]
    assert read_manifest(tmp_path / "out") == manifest


def test_a_quantized_border_sends_the_quantized_tensor(tmp_path: Path) -> None:
    pytest.importorskip("litert_quantizer")
    manifest = deploy(digits_plan(6, "int8"), tmp_path / "out", calibration=samples())
    sent = [port for port in manifest.stages[1].inputs if port.name != "image"]
    assert sent and all(port.dtype == "int8" and len(port.scale) == 1 for port in sent)
    assert all(port.nbytes == int(np.prod(port.shape)) for port in sent)
    assert manifest.stages[0].precisions == {3: "int8", 4: "int8", 5: "int8"}
    found = verify(tmp_path / "out", samples=4, seconds=0)
    assert found.is_equal and found.is_good and found.error is not None and 0 < found.error < 0.3


def test_a_device_can_be_visited_twice_and_skips_cross_several_stages(tmp_path: Path) -> None:
    pytest.importorskip("litert_quantizer")
    stages = [("a", list(range(4))), ("b", [4, 5]), ("a", [6, 7, 8]), ("b", list(range(9, 15)))]
    plan = plan_of(DIGITS, stages, {5: "int8", 6: "int8", 11: "dynamic", 13: "float16"})
    manifest = deploy(plan, tmp_path / "out", calibration=samples())
    assert [stage.device for stage in manifest.stages] == ["a", "b", "a", "b"]
    assert verify(tmp_path / "out", samples=2, seconds=0).is_equal


def test_an_onnx_plan_is_deployed_by_the_same_words(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    import small_onnx

    model = tmp_path / "net.onnx"
    model.write_bytes(small_onnx.conv_net().SerializeToString())
    layers = [op.index for op in layer_ops(load(str(model)))]
    half = len(layers) // 2
    stages = [("a", layers[:half]), ("b", layers[half:])]
    plan = plan_of(model, stages, dict.fromkeys(layers[: half + 1], "int8"))
    deploy(plan, tmp_path / "out", calibration=small_onnx.images(4))
    found = verify(tmp_path / "out", samples=3, seconds=0)
    assert found.is_equal, found.difference
    assert found.error is not None and 0 < found.error < 0.5


@pytest.mark.filterwarnings("ignore::litedelegates.quantize.CalibrationWarning")
def test_the_sizes_that_a_model_was_measured_with_are_those_it_is_deployed_with(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    import small_onnx

    model = tmp_path / "net.onnx"
    model.write_bytes(small_onnx.conv_net().SerializeToString())
    layers = [op.index for op in layer_ops(load(str(model)))]
    plan = plan_of(model, [("a", layers)], dict.fromkeys(layers, "int8"))
    plan = replace(plan, shapes={"x": (2, 3, 16, 16)})
    assert Plan.from_json(plan.to_json()).shapes == {"x": [2, 3, 16, 16]}
    manifest = deploy(plan, tmp_path / "out", calibration="random")
    assert [port.shape for port in (*manifest.stages[0].inputs, *manifest.stages[0].outputs)] == [
        (2, 3, 16, 16),
        (2, 10),
    ]
    found = verify(tmp_path / "out", samples=3, seconds=0)
    assert found.is_equal, found.difference
    assert found.error is not None and 0 < found.error < 0.2


def test_calibration_that_nobody_gave_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="nothing says what to calibrate them with"):
        deploy(digits_plan(6, "int8"), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_samples_of_the_layer_study_that_are_gone_are_named(tmp_path: Path) -> None:
    store, given = tmp_path / "study.sqlite", tmp_path / "samples.npz"
    np.savez(given, image=np.concatenate(samples()))
    config = LayersConfig(
        str(DIGITS), ("float32",), ("xnnpack",), parts=("in_place",), calibration=str(given), runs=2, seconds=0.02
    )
    key = study_layers(config, store).key
    plan = digits_plan(6, "int8")
    plan = replace(plan, devices=tuple(replace(device, store=str(store), key=key) for device in plan.devices))
    given.unlink()
    with pytest.raises(OptionError, match=r"samples\.npz, which the layer study was calibrated with, is not here"):
        deploy(plan, tmp_path / "out")
    store.unlink()
    with pytest.raises(OptionError, match=r"study\.sqlite, whose layer study .* is not here"):
        deploy(plan, tmp_path / "out")


def test_another_model_than_the_planned_one_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.tflite"
    other.write_bytes(DIGITS.read_bytes() + b"\0" * 4)
    with pytest.raises(DeployError, match="not the model that was planned for"):
        deploy(digits_plan(), tmp_path / "out", model=other)


def test_a_folder_with_something_else_is_not_replaced_and_a_deployed_plan_is(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(DeployError, match="something else than a deployed plan"):
        deploy(digits_plan(), tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    deploy(digits_plan(3), tmp_path / "out")
    deploy(digits_plan(9), tmp_path / "out")
    assert len(read_manifest(tmp_path / "out").stages[0].layers) == 9
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "out"]


def test_a_fallback_and_an_exit_are_written(tmp_path: Path) -> None:
    alone = plan_of(DIGITS, [("a", list(range(15)))], {})
    manifest = deploy(digits_plan(6, fallback=alone), tmp_path / "out", exits={"logits": 0.9})
    assert [stage.file for stage in manifest.fallback] == ["fallback_stage0.tflite"]
    assert [(rule.tensor, rule.stage) for rule in manifest.exits] == [("logits", 1)]
    with pytest.raises(OptionError, match="no stage gives this output"):
        deploy(digits_plan(6), tmp_path / "out", exits={"nothing": 0.9})


def edited(folder: Path, **changes: Any) -> None:
    data = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**data, **changes}))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda out: (out / "manifest.json").unlink(), "has no manifest.json"),
        (lambda out: (out / "stage1.tflite").unlink(), "is missing"),
        (lambda out: (out / "stage1.tflite").write_bytes(DIGITS.read_bytes()), "not what was deployed"),
        (lambda out: edited(out, schema_version=99), "this version reads 1"),
        (lambda out: edited(out, whole="../secret.tflite"), "not a file beside it"),
        (lambda out: edited(out, stages=[{"number": 0}]), "no manifest"),
        (lambda out: edited(out, stages=3), "no manifest"),
        (lambda out: (out / "manifest.json").write_text("[" * 99999), "no manifest"),
    ],
)
def test_a_damaged_folder_is_refused(tmp_path: Path, damage: Any, said: str) -> None:
    deploy(digits_plan(), tmp_path / "out")
    damage(tmp_path / "out")
    with pytest.raises(DeployError, match=said):
        read_manifest(tmp_path / "out")


def test_a_kill_while_writing_leaves_no_half_folder(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(digits_plan().to_json()))
    program = (
        "import os, signal, sys\n"
        "from litedelegates.deploy import deploy\n"
        "from litedelegates.plan import load_plan\n"
        "def kill(doing):\n"
        "    if 'stage1' in doing: os.kill(os.getpid(), signal.SIGKILL)\n"
        "deploy(load_plan(sys.argv[1]), sys.argv[2], progress=kill)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(plan), str(tmp_path / "out")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists() and list(tmp_path.glob(".out.*.part"))
    deploy(digits_plan(), tmp_path / "out")
    assert not list(tmp_path.glob(".out.*"))
    assert isinstance(read_manifest(tmp_path / "out"), Manifest)


def test_stages_that_are_not_the_whole_are_found(tmp_path: Path) -> None:
    manifest = deploy(digits_plan(), tmp_path / "out")
    pytest.importorskip("litert_quantizer")
    from litedelegates.quantize import quantize

    stage = tmp_path / "out" / "stage1.tflite"
    stage.write_bytes(quantize(str(stage), "float16"))
    stages = [one.to_json() for one in manifest.stages]
    stages[1]["sha256"] = hash_file(str(stage))
    edited(tmp_path / "out", stages=stages)
    found = verify(tmp_path / "out", samples=2, seconds=0)
    assert not found.is_equal and not found.is_good
    assert "elements differ" in found.difference


def test_layers_that_are_deployed_in_another_precision_than_planned_are_named(tmp_path: Path) -> None:
    pytest.importorskip("litert_quantizer")
    manifest = deploy(plan_of(DIGITS, [("a", list(range(15)))], {3: "dynamic", 13: "dynamic"}), tmp_path / "out")
    as_planned = verify(tmp_path / "out", samples=2, seconds=0)
    assert not any("stayed float32" in note for note in as_planned.notes)
    for name in (manifest.whole, manifest.stages[0].file):
        (tmp_path / "out" / name).write_bytes(DIGITS.read_bytes())
    digest = hash_file(str(DIGITS))
    edited(tmp_path / "out", whole_sha256=digest, stages=[{**manifest.stages[0].to_json(), "sha256": digest}])
    found = verify(tmp_path / "out", samples=2, seconds=0)
    (note,) = (note for note in found.notes if "stayed float32" in note)
    assert note.startswith("2 layers of the plan stayed float32 in the deployed model: 3 ")
    assert "(dynamic)" in note


def test_verification_times_the_stages_of_the_devices_that_are_here(tmp_path: Path) -> None:
    deploy(digits_plan(), tmp_path / "out")
    found = verify(tmp_path / "out", samples=2, seconds=0.1, devices=["b"])
    first, second = found.stages
    assert first.median_us is None and "does not stand for 'a'" in (first.refusal or "")
    assert second.median_us is not None and second.median_us > 0 and second.off is not None
    assert type(found).from_json(json.loads(json.dumps(found.to_json()))) == found


def test_verification_says_where_kernels_disagree_about_the_float32_outputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(digits_plan(), tmp_path / "out")
    assert not [note for note in verify(tmp_path / "out", samples=2, seconds=0).notes if "in doubt" in note]
    monkeypatch.setattr(verifying, "take_reference", lambda model, samples: Reference([], "", "ADD differs"))
    (note,) = [note for note in verify(tmp_path / "out", samples=2, seconds=0).notes if "in doubt" in note]
    assert "ADD differs" in note


def test_stages_in_an_order_that_cannot_run_are_refused(tmp_path: Path) -> None:
    stages = [("b", list(range(6, 15))), ("a", list(range(6)))]
    with pytest.raises(LiteDelegatesError, match="in a later group"):
        deploy(plan_of(DIGITS, stages, {}), tmp_path / "out")


def test_a_plan_whose_precisions_change_nothing_is_the_float32_model(tmp_path: Path) -> None:
    pytest.importorskip("litert_quantizer")
    pools = {op.index: "float16" for op in load(str(DIGITS)).ops if op.type == "MAX_POOL_2D"}
    assert pools
    deploy(plan_of(DIGITS, [("a", list(range(15)))], pools), tmp_path / "out")
    assert check(str(tmp_path / "out" / "whole.tflite"), str(DIGITS)).equal
    assert verify(tmp_path / "out", samples=2, seconds=0).error == 0


def test_an_onnx_plan_may_name_layers_that_its_precision_does_not_change(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    import small_onnx

    model = tmp_path / "net.onnx"
    model.write_bytes(small_onnx.conv_net().SerializeToString())
    types = {op.index: op.type for op in layer_ops(load(str(model)))}
    plan = plan_of(model, [("a", list(types))], dict.fromkeys(types, "dynamic"))
    assert "Relu" in types.values()
    deploy(plan, tmp_path / "out")
    found = verify(tmp_path / "out", samples=2, seconds=0)
    assert found.error is not None and 0 < found.error < 0.1
    kept = plan_of(model, [("a", list(types))], {index: "dynamic" for index, kind in types.items() if kind == "Relu"})
    deploy(kept, tmp_path / "kept")
    assert check(str(tmp_path / "kept" / "whole.onnx"), str(model), {"x": small_onnx.images(1)[0]}).equal


def test_samples_that_can_be_read_once_calibrate_the_plan_and_its_fallback(tmp_path: Path) -> None:
    pytest.importorskip("litert_quantizer")
    alone = plan_of(DIGITS, [("a", list(range(15)))], {5: "int8"})
    manifest = deploy(digits_plan(6, "int8", fallback=alone), tmp_path / "out", calibration=iter(samples()))
    assert manifest.fallback[0].precisions == {5: "int8"}


def test_bounds_that_are_exceeded_on_real_inputs_make_a_verification_bad(tmp_path: Path) -> None:
    pytest.importorskip("litert_quantizer")
    deploy(digits_plan(6, "int8", budgets={"error": 1e-6}), tmp_path / "out", calibration=samples())
    np.save(tmp_path / "images.npy", np.concatenate(samples()))
    found = verify(tmp_path / "out", str(tmp_path / "images.npy"), seconds=0)
    assert found.is_equal and found.max_error == 1e-6 and not found.is_good
    assert main(["verify", str(tmp_path / "out"), "--inputs", str(tmp_path / "images.npy"), "--seconds", "0"]) == 1
    deploy(digits_plan(6, budgets={"error": 0.0}), tmp_path / "out")  # the last bits are nobody's error
    assert verify(tmp_path / "out", str(tmp_path / "images.npy"), seconds=0).is_good


def test_accuracy_is_judged_by_what_is_lost_against_float32() -> None:
    found = Verification(True, is_random=False, accuracy=0.95, float32_accuracy=0.97, max_accuracy_drop=0.01)
    assert not found.is_good
    assert replace(found, max_accuracy_drop=0.02).is_good
    assert replace(found, accuracy=None).is_good and replace(found, is_random=True).is_good


def test_a_time_outside_of_what_was_predicted_is_told_and_ends_with_a_code_of_its_own(tmp_path: Path) -> None:
    plan = digits_plan()
    first, second = plan.stages
    stages = (replace(first, low_us=1e8, high_us=2e8), replace(second, low_us=1e-6, high_us=1e8))
    deploy(replace(plan, stages=stages), tmp_path / "out")
    found = verify(tmp_path / "out", samples=2, seconds=0.2)
    assert found.is_good and found.is_as_predicted is False and found.is_faster is None and not found.uniforms
    (note,) = found.notes
    assert note.startswith("stage 0 took") and "the plan says 1e+08 to 2e+08" in note
    assert main(["verify", str(tmp_path / "out"), "--seconds", "0.2", "--quiet"]) == 4
    assert main(["verify", str(tmp_path / "out"), "--seconds", "0", "--quiet"]) == 0


def planned(precision: str, ratio: float, low: float, high: float) -> Plan:
    """Return a plan with one precision everywhere and what it promises against float32."""
    gain = Gain(Choice("a", "none", "float32"), ratio, low, high)
    return plan_of(DIGITS, [("a", list(range(15)))], dict.fromkeys(range(15), precision), gain=gain)


def test_a_plan_is_timed_in_turn_with_float32_and_its_precisions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("litert_quantizer")
    deploy(planned("int8", 2.5, 1.05, 20.0), tmp_path / "out", calibration=samples())
    found = verify(tmp_path / "out", samples=2, seconds=0.3)
    assert [check.choice.precision for check in found.uniforms] == ["float32", "int8"]
    float32, int8 = found.uniforms
    assert (float32.ratio or 0) > 1.5 and 0.7 < (int8.ratio or 0) < 1.4  # int8 is what the plan is
    assert found.is_faster and found.is_as_predicted and found.is_good
    assert Verification.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert main(["verify", str(tmp_path / "out"), "--seconds", "0.3", "--quiet"]) == 0
    told = capsys.readouterr().out
    assert "a: float32 none 1t everywhere: " in told and "times as long as the plan, 95 % interval" in told


def test_a_plan_that_promised_more_than_came_true_ends_with_4(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("litert_quantizer")
    deploy(planned("int8", 60.0, 50.0, 70.0), tmp_path / "out", calibration=samples())
    assert main(["verify", str(tmp_path / "out"), "--seconds", "0.2", "--quiet"]) == 4
    assert "NOT AS PREDICTED" in capsys.readouterr().out


def test_whether_a_plan_is_faster_and_as_predicted_is_told_from_the_intervals() -> None:
    default = Choice("a", "none", "float32")

    def found(low: float | None, high: float | None, *, promised: tuple[float, float] = (1.1, 1.6)) -> Verification:
        ratio = 1.3 if low is None or high is None else (low + high) / 2
        uniform = UniformCheck(default, 10.0, ratio, low, high)
        return Verification(True, uniforms=(uniform,), gain=Gain(default, 1.3, *promised))

    assert found(1.2, 1.4).is_faster and found(1.2, 1.4).is_as_predicted
    assert found(0.9, 1.2).is_faster is False and found(0.9, 1.2).is_as_predicted
    assert found(0.8, 0.9).is_faster is False and found(0.8, 0.9).is_as_predicted is False
    assert found(1.7, 1.9).is_faster and found(1.7, 1.9).is_as_predicted is False  # too fast is an alarm too
    assert found(None, None).is_faster and found(None, None).is_as_predicted is None  # too few rounds
    assert replace(found(0.8, 0.9), gain=None).is_faster is None
    assert Verification(True).is_as_predicted is None


def test_float16_stages_of_onnx_runtime_are_equal_or_it_is_said_why_they_are_not(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    import small_onnx

    model = tmp_path / "net.onnx"
    model.write_bytes(small_onnx.conv_net().SerializeToString())
    layers = [op.index for op in layer_ops(load(str(model)))]
    plan = plan_of(model, [("a", layers[:3]), ("b", layers[3:])], dict.fromkeys(layers, "float16"))
    manifest = deploy(plan, tmp_path / "out")
    assert manifest.stages[1].inputs[0].dtype == "float16"
    found = verify(tmp_path / "out", samples=2, seconds=0)
    assert found.is_equal != any("float16 travels between stages" in note for note in found.notes)
    assert found.is_good == found.is_equal
    assert found.error is not None and found.error < 0.01


def test_an_onnx_plan_may_leave_a_relu_float32_that_the_int8_op_before_it_takes_in(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    import small_onnx

    model = tmp_path / "net.onnx"
    model.write_bytes(small_onnx.conv_net().SerializeToString())
    types = {op.index: op.type for op in layer_ops(load(str(model)))}
    precisions = {index: "int8" for index, kind in types.items() if kind != "Relu"}
    half = len(types) // 2
    plan = plan_of(model, [("a", list(types)[:half]), ("b", list(types)[half:])], precisions)
    deploy(plan, tmp_path / "out", calibration=small_onnx.images(4))
    found = verify(tmp_path / "out", samples=2, seconds=0)
    assert found.is_equal and found.error is not None and 0 < found.error < 0.1

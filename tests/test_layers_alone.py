"""Layers as models of their own: timed side by side, and whatever becomes of one, the others have their times."""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import marked_workers
import pytest
from digits_model import DIGITS, digits_data
from litedelegates import OptionError
from litedelegates.graph import extract, load
from litedelegates.layers.alone import time_alone
from litedelegates.layers.owners import Owner, identity
from litedelegates.layers.records import Alone, Setting
from litedelegates.layers.variants import Variant, load_variant, make_variant
from litedelegates.quantize import quantize_file


def float32_of(path: Path) -> Variant:
    graph = load(path)
    return Variant("float32", str(path), graph, graph, identity(graph))


QUICK = 0.01  # seconds of each model
DIGITS_FLOAT32 = float32_of(DIGITS)
ADDS = {"crash": "SIGSEGV", "hang": "no answer within 2 s", "eat": "400 MB"}


@pytest.fixture(scope="session")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Variant]:
    """Return what makes a variant of the digits model."""
    pytest.importorskip("litert_quantizer", reason="needs the extra: pip install 'litedelegates[quantize]'")
    folder = tmp_path_factory.mktemp("variants")

    @functools.cache
    def make(precision: str) -> Variant:
        if precision == "float32":
            return DIGITS_FLOAT32
        file = folder / f"{precision}.tflite"
        calibration = digits_data()["calibration"] if precision == "int8" else None
        quantize_file(DIGITS, file, precision, calibration, progress=False)
        return load_variant(DIGITS_FLOAT32.source, file, precision)

    return make


pytestmark = pytest.mark.usefixtures("marked_workers")


def worker_pids() -> set[int]:
    """Return the process ids of the workers of this test."""
    return marked_workers.worker_pids("litedelegates.layers.worker")


def wait_until_gone() -> None:
    assert marked_workers.wait_for_workers("litedelegates.layers.worker", present=False, seconds=30)


def by_setting(records: list[Alone]) -> dict[tuple[int, str], Alone]:
    return {(record.layer, record.setting.delegate): record for record in records}


def test_every_layer_has_a_time_in_every_setting_and_a_speed_up_over_float32(
    quantized: Callable[[str], Variant],
) -> None:
    variants = [quantized(precision) for precision in ("float32", "float16", "dynamic", "int8")]
    records = list(time_alone(variants, ["none", "xnnpack"], seconds=QUICK))
    source = variants[0].source
    assert [(record.layer, record.setting.precision, record.setting.delegate) for record in records] == [
        (op.index, variant.precision, delegate)
        for op in source.ops
        for delegate in ("none", "xnnpack")
        for variant in variants
    ]
    for record in records:
        assert record.refusal is None and record.median_us is not None and record.median_us > 0
        assert record.low_us is not None and record.high_us is not None
        assert record.low_us <= record.median_us <= record.high_us and record.samples >= 6
        assert record.setting.delegate == "xnnpack" or "xnnpack" not in record.ran
        if record.setting.precision == "float32":
            assert record.speed_up is None and record.verdict is None
        else:
            assert record.speed_up is not None and record.speed_up_low is not None and record.speed_up_high is not None
            assert record.speed_up_low <= record.speed_up <= record.speed_up_high
            assert record.verdict in ("faster", "slower", "no difference shown")
    assert any(record.ran == "xnnpack 1" for record in records)
    assert [Alone.from_json(record.to_json()) for record in records] == records
    assert not worker_pids()


def test_more_threads_and_only_the_layers_that_are_wanted() -> None:
    records = list(time_alone([DIGITS_FLOAT32], ["none"], [1, 2], layers=[3, 1], seconds=QUICK))
    assert [(record.layer, record.setting.threads) for record in records] == [(3, 1), (3, 2), (1, 1), (1, 2)]
    assert all(record.median_us for record in records)


@pytest.mark.parametrize("kind", ADDS)
def test_a_layer_that_crashes_hangs_or_eats_memory_is_refused_and_the_rest_has_its_times(
    troubled: str, kind: str
) -> None:
    delegate = f"external:{troubled};{kind}=invoke"
    adds = [op.index for op in DIGITS_FLOAT32.source.ops if op.type == "ADD"]
    layers = [0, *adds, adds[-1] + 1]
    records = by_setting(
        list(
            time_alone(
                [DIGITS_FLOAT32],
                ["none", delegate, "xnnpack"],
                layers=layers,
                seconds=QUICK,
                time_limit=2 if kind == "hang" else 60,
                memory_limit=400_000_000,
            )
        )
    )
    assert adds and len(records) == 3 * len(layers)
    for (layer, name), record in records.items():
        if layer in adds and name == delegate:
            assert record.median_us is None and record.refusal is not None
            assert record.refusal.startswith("run: ") and ADDS[kind] in record.refusal
        else:
            assert record.refusal is None and record.median_us is not None
    assert records[0, delegate].ran == "builtin 1"
    assert not worker_pids()


def test_a_crash_after_some_runs_costs_the_others_nothing(troubled: str) -> None:
    delegate = f"external:{troubled};crash=invoke;after=50"
    (add, *_) = [op.index for op in DIGITS_FLOAT32.source.ops if op.type == "ADD"]
    # Long enough for 50 runs where much else runs on the machine.
    records = by_setting(list(time_alone([DIGITS_FLOAT32], ["none", delegate], layers=[add], seconds=0.1)))
    assert "SIGSEGV" in (records[add, delegate].refusal or "")
    assert records[add, "none"].median_us and records[add, "none"].samples >= 6


def test_what_cannot_be_loaded_says_why(troubled: str) -> None:
    broken, refusing = f"external:{troubled};crash=prepare", f"external:{troubled};tea=now"
    records = by_setting(list(time_alone([DIGITS_FLOAT32], [broken, "none", refusing], layers=[0, 1], seconds=QUICK)))
    for layer in (0, 1):
        assert "load: the process was ended by signal 11 (SIGSEGV)" in (records[layer, broken].refusal or "")
        assert "no such option" in (records[layer, refusing].refusal or "")
        assert records[layer, "none"].median_us


def test_what_hangs_again_and_again_is_not_tried_for_ever(troubled: str) -> None:
    delegate = f"external:{troubled};hang=create"
    records = by_setting(
        list(time_alone([DIGITS_FLOAT32], ["none", delegate], layers=range(5), seconds=QUICK, time_limit=0.5))
    )
    refusals = [records[layer, delegate].refusal or "" for layer in range(5)]
    assert all("no answer within 0.5 s" in refusal for refusal in refusals[:3])
    assert all(refusal.startswith("not tried") for refusal in refusals[3:])
    assert all(records[layer, "none"].median_us for layer in range(5))


def kill_at_work(pid: int, is_over: threading.Event) -> None:
    """Kill a process once it has computed for a while, in the middle of its runs, unless these are over."""
    begin = cpu_seconds(pid)
    while cpu_seconds(pid) < begin + 0.05:
        if is_over.wait(0.01):
            return
    os.kill(pid, signal.SIGKILL)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_worker_that_is_killed_is_replaced() -> None:
    found = time_alone([DIGITS_FLOAT32], ["none"], layers=range(7), seconds=0.5)
    assert next(found).median_us
    (between,) = worker_pids()
    os.kill(between, signal.SIGKILL)
    wait_until_gone()
    assert next(found).median_us  # nothing was being timed
    for _ in range(5):  # a kill may hit just between two loads of a layer or come too late, and then nothing is lost
        (meanwhile,) = worker_pids()
        assert meanwhile != between
        is_over = threading.Event()
        killer = threading.Thread(target=kill_at_work, args=(meanwhile, is_over))
        killer.start()
        record = next(found)
        is_over.set()
        killer.join()
        if record.refusal is not None:
            break
        assert record.median_us
    assert "SIGKILL" in (record.refusal or "")
    assert all(later.median_us for later in found) and not worker_pids()


def test_what_was_measured_is_skipped_and_serves_as_the_base_again(quantized: Callable[[str], Variant]) -> None:
    variants = [quantized("float32"), quantized("dynamic")]
    plain, dynamic = Setting("float32", "none"), Setting("dynamic", "none")
    skip = {(0, plain), (0, dynamic), (1, plain)}
    records = list(time_alone(variants, ["none"], layers=[0, 1, 2], skip=skip, seconds=QUICK))
    assert [(record.layer, record.setting) for record in records] == [(1, dynamic), (2, plain), (2, dynamic)]
    assert records[0].speed_up is not None


def test_an_op_that_computes_two_layers_is_held_against_both_of_them() -> None:
    owners = identity(DIGITS_FLOAT32.source)
    owners[1] = Owner((1, 2), "layer", "by hand")  # as if this op did the work of both
    del owners[2]
    fused = replace(DIGITS_FLOAT32, precision="fused", owners=owners)
    records = {
        (record.layer, record.setting.precision): record
        for record in time_alone([DIGITS_FLOAT32, fused], ["none"], layers=[0, 1, 2], seconds=0.05)
    }
    assert records[1, "fused"].together == (1, 2) and records[1, "fused"].median_us
    assert "timed as part of layer 1" in (records[2, "fused"].refusal or "")
    assert all(records[layer, "float32"].together == () for layer in range(3))
    # The same op did not become quicker: it was held against two, of which it is one.
    speed_up = records[1, "fused"].speed_up
    both = (records[1, "float32"].median_us or 0) + (records[2, "float32"].median_us or 0)
    assert speed_up is not None and speed_up > 1
    assert speed_up == pytest.approx(both / (records[1, "fused"].median_us or 1), rel=0.5)


def test_layers_that_cannot_be_cut_out_say_why() -> None:
    owners = identity(DIGITS_FLOAT32.source)
    owners[3] = Owner((0,), "layer", "by hand")  # two ops with others between them, which lead from one to the other
    torn = replace(DIGITS_FLOAT32, precision="torn", owners=owners)
    plain, refused, lost = time_alone(
        [DIGITS_FLOAT32, torn], ["none"], layers=[0, 3], seconds=QUICK, skip={(3, Setting("float32", "none"))}
    )
    assert plain.median_us
    assert (refused.refusal or "").startswith("it cannot be cut out of the model in torn: ") and "3" in (
        refused.refusal or ""
    )
    assert lost.refusal == "no op computes it in torn"


def test_layers_of_onnx_models_run_on_execution_providers(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="needs the extra litedelegates[onnx]")
    pytest.importorskip("onnxruntime", reason="needs the extra litedelegates[onnx]")
    import small_onnx_models

    file = tmp_path / "skips.onnx"
    onnx.save(small_onnx_models.skips(), file)
    whole = float32_of(file)
    records = list(time_alone([whole, replace(whole, precision="again")], ["cpu", "azure+cpu"], seconds=QUICK))
    assert len(records) == 4 * len(whole.source.ops)
    assert all(record.refusal is None and record.median_us and record.samples >= 6 for record in records)
    assert {record.ran for record in records if record.setting.delegate == "cpu"} == {"cpu"}
    # The profile tells that none of them ran on azure.
    assert all(record.ran.startswith("cpu ") for record in records if record.setting.delegate == "azure+cpu")
    assert all(record.speed_up for record in records if record.setting.precision == "again")
    with pytest.raises(OptionError, match=r"no provider 'cpuu'\. The nearest of .*'cpu'"):
        time_alone([whole], ["cpuu"])
    with pytest.raises(OptionError, match="NAME=VALUE"):
        time_alone([whole], ["cpu;fast"])


def test_a_process_ends_with_the_loop_that_was_left() -> None:
    found = time_alone([DIGITS_FLOAT32], ["none"], seconds=QUICK)
    next(found)
    assert worker_pids()
    found.close()
    wait_until_gone()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"delegates": ["xnnpak"]}, "Did you mean 'xnnpack'"),
        ({"delegates": ["gpu;precision_los_allowed=1"]}, "Did you mean 'precision_loss_allowed'"),
        ({"threads": [0]}, "threads=0"),
        ({"seconds": 0}, "seconds=0"),
        ({"variants": []}, "variants is empty"),
        ({"layers": [99]}, "layers=99"),
    ],
)
def test_what_cannot_be_timed_is_refused_at_once(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        time_alone(**{"variants": [DIGITS_FLOAT32], "delegates": ["none"], **arguments})  # type: ignore[arg-type]


def test_a_layer_behind_a_loop_is_timed_with_the_shape_that_a_run_shows(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="needs the extra litedelegates[onnx]")
    pytest.importorskip("onnxruntime", reason="needs the extra litedelegates[onnx]")
    import small_onnx_kinds
    from litedelegates.layers.inner_shapes import InnerShapes, is_unknown

    file = tmp_path / "loop.onnx"
    file.write_bytes(small_onnx_kinds.make("loop")[0])
    graph = load(str(file))
    last = next(op for op in reversed(graph.ops) if op.type == "MatMul")
    part = extract(graph, [last])
    whole = InnerShapes(str(file), 60).completed(part)
    assert [tuple(tensor.shape or ()) for tensor in whole.inputs] == [(4, 16)]
    behind = [op.index for op in graph.ops if op.type in ("Relu", "MatMul", "Add")]
    variants = [make_variant(graph, file, precision, tmp_path) for precision in ("float32", "weight_only")]
    records = list(time_alone(variants, ["cpu"], layers=behind, seconds=0.02))
    assert [record.refusal for record in records] == [None] * len(records)
    assert all(record.median_us for record in records)
    assert not is_unknown(whole.inputs[0])

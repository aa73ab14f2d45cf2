"""Who ran what, and how long each op took."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
import small_models
import small_models_shapes
from compare_ops import TRIALS
from litedelegates import DelegateError, Interpreter, LiteDelegatesError, UnsupportedError, _core
from litedelegates.placement import Placement, summarize
from litedelegates.quantize import quantize
from small_models_builder import ModelBuilder, Op

DIGITS = Path(__file__).parent.parent / "models/digits.tflite"


def test_the_execution_plan_tells_which_ops_xnnpack_took() -> None:
    interpreter = Interpreter(small_models.partly_delegated())
    records = interpreter.placement
    assert [record.op_name for record in records] == ["CONV_2D", "CUMSUM", "CONV_2D", "ADD"]
    assert [record.ran for record in records] == ["xnnpack", "builtin", "xnnpack", "xnnpack"]
    assert [record.partition for record in records] == [0, None, 1, 1]
    assert {record.asked for record in records} == {"xnnpack"}
    assert {record.evidence for record in records} == {"execution plan"}
    assert summarize(records) == "xnnpack 3 of 4, builtin 1"


def views_between(*ops: int) -> bytes:
    """Elementwise ops on the values of (2, 6), with a RESHAPE to (3, 4) or back before each and after the last."""
    model = ModelBuilder()
    graph = model.graph()
    value, shapes = graph.input("x", (2, 6)), ((3, 4), (2, 6))
    for index, shape in enumerate([*shapes, *shapes][: len(ops) + 1]):
        made = graph.tensor(f"view{index}", shape) if index < len(ops) else graph.output("y", shape)
        graph.op(Op.RESHAPE, [value, graph.constant(f"shape{index}", np.array(shape, np.int32))], [made])
        if index < len(ops):
            value = graph.tensor(f"signed{index}", shape)
            graph.op(ops[index], [made], [value])
    return model.to_bytes()


AT_THE_EDGE = "execution plan; kept off xnnpack, where it would be a copy, at the edge of what runs there"


def test_views_at_the_edge_of_a_partition_stay_on_the_builtin_kernels() -> None:
    interpreter = Interpreter(views_between(Op.SIGN, Op.NEG, Op.SIGN))
    x = np.random.default_rng(1).normal(size=(2, 6)).astype(np.float32)
    assert np.array_equal(interpreter.run(x), -np.sign(x))
    records = interpreter.placement
    assert [record.op_name for record in records[1::2]] == ["SIGN", "NEG", "SIGN"]
    assert [record.ran for record in records] == ["builtin"] * 3 + ["xnnpack"] + ["builtin"] * 3
    assert {record.evidence for record in records if record.op_name == "RESHAPE"} == {AT_THE_EDGE}


def test_a_view_inside_a_partition_stays_there_and_so_does_one_at_the_end_of_the_model() -> None:
    interpreter = Interpreter(views_between(Op.NEG, Op.NEG))
    x = np.random.default_rng(1).normal(size=(2, 6)).astype(np.float32)
    assert np.array_equal(interpreter.run(x), x.reshape(3, 4))
    assert {(record.ran, record.partition) for record in interpreter.placement} == {("xnnpack", 0)}


def test_a_view_that_ops_on_both_sides_read_stays_beside_its_maker() -> None:
    """Off XNNPACK it would part NEG from the NEG that reads it."""
    model = ModelBuilder()
    graph = model.graph()
    x = graph.input("x", (2, 6))
    negated, view = graph.tensor("negated", (2, 6)), graph.tensor("view", (3, 4))
    graph.op(Op.NEG, [x], [negated])
    graph.op(Op.RESHAPE, [negated, graph.constant("shape", np.array((3, 4), np.int32))], [view])
    graph.op(Op.NEG, [view], [graph.output("again", (3, 4))])
    graph.op(Op.SIGN, [view], [graph.output("sign", (3, 4))])
    interpreter = Interpreter(model.to_bytes())
    values = np.random.default_rng(1).normal(size=(2, 6)).astype(np.float32)
    again, sign = interpreter.run(values)
    assert np.array_equal(again, values.reshape(3, 4)) and np.array_equal(sign, -np.sign(values).reshape(3, 4))
    assert [record.ran for record in interpreter.placement] == ["xnnpack", "xnnpack", "xnnpack", "builtin"]


def test_views_at_edges_are_found_anew_when_an_input_is_resized() -> None:
    interpreter = Interpreter(small_models_shapes.computed_reshape())
    for batch in (1, 3):
        interpreter.run(np.zeros((batch, 3, 4), np.float32))
        assert [r.ran for r in interpreter.placement if r.op_name in ("RESHAPE", "FULLY_CONNECTED")] == ["xnnpack"] * 2
    static = Interpreter(views_between(Op.SIGN), num_threads=2)
    static.resize_tensor_input(0, (4, 3))
    x = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
    assert np.array_equal(static.run(x), np.sign(x).reshape(2, 6))
    assert {record.ran for record in static.placement} == {"builtin"}


def test_every_op_that_xnnpack_takes_is_known_to_have_a_kernel_there() -> None:
    taken = set()
    for trial in {trial.op: trial for make in TRIALS for trial in make()}.values():
        with (
            contextlib.suppress(LiteDelegatesError, ValueError, RuntimeError),
            Interpreter(trial.build()) as interpreter,
        ):
            interpreter.allocate_tensors()
            taken |= {record.op_name for record in interpreter.placement if record.ran == "xnnpack"}
    assert len(taken) > 30
    assert [name for name in sorted(taken) if not _core.has_xnnpack_kernel(getattr(Op, name))] == []


def test_without_a_delegate_every_op_runs_on_the_builtin_kernels() -> None:
    records = Interpreter(small_models.partly_delegated(), delegate=None).placement
    assert {record.ran for record in records} == {"builtin"} and {record.asked for record in records} == {"none"}


def test_every_op_of_a_real_model_is_accounted_for(real_models: dict[str, Path]) -> None:
    for path in real_models.values():
        interpreter = Interpreter(path)
        records = [record for record in interpreter.placement if record.subgraph == 0]
        assert [record.op_index for record in records] == list(range(len(records)))
        assert len(records) > 30 and {record.ran for record in records} <= {"xnnpack", "builtin"}


def test_full_delegation_can_be_required_and_names_what_stayed_behind() -> None:
    Interpreter(small_models.conv(), require_full_delegation=True)
    with pytest.raises(DelegateError, match="1 CUMSUM"):
        Interpreter(small_models.partly_delegated(), require_full_delegation=True)


def test_models_whose_outputs_were_renamed_by_a_signature_are_placed_too() -> None:
    """The runtime shows delegates the signature's names in place of the tensors' own."""
    with np.load(DIGITS.with_name("digits_test.npz")) as data:
        images = list(data["calibration_images"][:16].astype(np.float32).reshape(-1, 1, 8, 8, 1) / 16)
    interpreter = Interpreter(quantize(DIGITS, "int8", images))
    records = interpreter.placement
    assert [record.op_index for record in records] == list(range(len(records)))
    assert sum(record.ran == "xnnpack" for record in records) > 10


def test_bodies_of_control_flow_are_listed_with_their_subgraph() -> None:
    records = Interpreter(small_models.while_loop()).placement
    assert {record.subgraph for record in records} >= {0, 1}
    assert any(record.op_name == "WHILE" and record.ran == "builtin" for record in records)


def test_the_classic_route_tells_from_its_delegate_nodes() -> None:
    interpreter = Interpreter(small_models.partly_delegated(), experimental_preserve_all_tensors=True)
    records = interpreter.placement
    assert [record.ran for record in records] == ["xnnpack", "builtin", "xnnpack", "xnnpack"]
    assert {record.evidence for record in records} == {"delegate nodes"}


def test_a_placement_writes_itself_to_json() -> None:
    record = Interpreter(small_models.add()).placement[0]
    assert Placement(**json.loads(json.dumps(record.to_json()))) == record


def test_profile_gives_each_op_with_all_its_samples() -> None:
    interpreter = Interpreter(small_models.partly_delegated())
    profile = interpreter.profile(runs=7)
    assert profile.runs == 7 and profile.note == ""
    assert all(len(op.samples_us) == 7 for op in profile.ops)
    builtin = [op for op in profile.ops if op.ran == "builtin"]
    assert [(op.name, op.op_index) for op in builtin] == [("CUMSUM", 1)]
    delegated = [op for op in profile.ops if op.ran == "xnnpack"]
    assert {op.partition for op in delegated} == {0, 1}
    assert {op.op_indices for op in delegated} == {(0,), (2, 3)}


def test_profile_of_builtin_kernels_names_the_ops_of_the_model(real_models: dict[str, Path]) -> None:
    interpreter = Interpreter(real_models["face_detection_front"], delegate=None)
    interpreter.allocate_tensors()
    profile = interpreter.profile(runs=2)
    ops = interpreter.placement
    assert [(op.op_index, op.name) for op in profile.ops] == [(record.op_index, record.op_name) for record in ops]
    assert profile.slowest(1)[0].median_us == max(op.median_us for op in profile.ops) > 0


@pytest.mark.parametrize("delegate", [None, "xnnpack"])
def test_profile_counts_the_ops_inside_a_loop_as_part_of_it(delegate: str | None) -> None:
    interpreter = Interpreter(small_models.while_loop(), delegate=delegate)
    profile = interpreter.profile(runs=2)
    assert [op.name for op in profile.ops if op.subgraph == 0] == ["WHILE"]
    placed = {(record.subgraph, record.partition, record.ran) for record in interpreter.placement}
    assert {(op.subgraph, op.partition, op.ran) for op in profile.ops} == placed
    assert {op.subgraph for op in profile.ops} == {0, 1, 2}
    assert profile.total_us == profile.ops[0].median_us


def test_profile_runs_on_the_inputs_that_were_set() -> None:
    """An op inside a branch is only there when the condition takes that branch."""
    interpreter = Interpreter(small_models.if_then_else(), delegate=None)
    interpreter.allocate_tensors()
    condition, values = interpreter.inputs
    interpreter.set_tensor(values.index, np.ones(values.shape, np.float32))
    names = []
    for taken in (True, False):
        interpreter.set_tensor(condition.index, np.full(condition.shape, taken))
        names.append({op.name for op in interpreter.profile(runs=1).ops})
    assert names[0] != names[1]


def test_profile_on_the_classic_route_says_what_it_needs() -> None:
    with pytest.raises(UnsupportedError, match="variable"):
        Interpreter(small_models.lstm()).profile()
    with pytest.raises(ValueError, match="at least one"):
        Interpreter(small_models.add()).profile(runs=0)


def test_the_ops_of_a_profiled_run_take_no_longer_than_the_run() -> None:
    with Interpreter(DIGITS, delegate=None) as interpreter:
        found = interpreter.profile(runs=5)
    assert len(found.whole_us) == 5
    for run, whole_us in enumerate(found.whole_us):
        assert 0 < sum(op.samples_us[run] for op in found.ops) <= whole_us

"""Times of ops as an engine runs them: every executed node is told apart, and known by the tensors that it makes."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from litedelegates.engines import Session, open_session
from litedelegates.engines.inputs import random_feed
from litedelegates.engines.litert import LiteRtSession
from litedelegates.engines.records import EngineProfile
from litedelegates.errors import RunError

DIGITS = Path(__file__).resolve().parent.parent / "models" / "digits.tflite"
RUNS = 3


def profile(session: Session, runs: int = RUNS) -> EngineProfile:
    session.set_inputs(random_feed(session))
    return session.profile(runs)


def nodes_of(optimized) -> dict[str, list]:
    """Return each node with its name, those inside nodes included, by a walk of the test's own."""
    found: dict[str, list] = {}
    graphs = [optimized.graph]
    while graphs:
        for node in graphs.pop().node:
            found.setdefault(node.name, []).append(node)
            graphs.extend(a.g for a in node.attribute if a.type == a.GRAPH)
    return found


def check_told_apart(found: EngineProfile) -> None:
    """Check that each op is one node of the optimized graph, and that the parts are no more than the whole."""
    nodes = nodes_of(found.optimized)
    assert found.note == ""
    assert found.runs == len(found.whole_us)
    for op in found.ops:
        (node,) = nodes[op.name]
        assert (op.type, op.outputs) == (node.op_type, tuple(filter(None, node.output)))
        assert op.outputs
        assert op.ran == "cpu"
        assert len(op.samples_us) == found.runs
    assert max(Counter(op.name for op in found.ops).values()) == 1
    outer = [op for op in found.ops if op.subgraph == 0]
    assert {op.name for op in outer} == {node.name for node in found.optimized.graph.node}
    for run, whole in enumerate(found.whole_us):
        assert sum(op.samples_us[run] for op in outer) <= whole


@pytest.fixture(scope="session")
def onnx():
    pytest.importorskip("onnxruntime", reason="needs the extra litedelegates[onnx]")
    return pytest.importorskip("onnx", reason="needs the extra litedelegates[onnx]")


@pytest.fixture
def conv_net(onnx):
    import small_onnx

    return small_onnx.conv_net()


@pytest.mark.parametrize("optimization", ["none", "all"])
@pytest.mark.parametrize(
    "name", ["skips", "qdq", "qoperator", "branches", "loop", "constant_nodes", "local_function", "sequences"]
)
def test_every_executed_node_is_in_the_optimized_graph(onnx, name, optimization):
    import small_onnx_models

    content = getattr(small_onnx_models, name)().SerializeToString()
    check_told_apart(profile(open_session(content, optimization=optimization)))


@pytest.mark.parametrize(
    ("precision", "options"),
    [
        ("float32", {}),
        ("float16", {}),
        ("dynamic", {}),
        ("int8", {"format": "qdq"}),
        ("int8", {"format": "qoperator"}),
    ],
)
def test_nodes_of_quantized_models_make_tensors_of_the_file_unless_the_engine_casts_or_changes_layouts(
    conv_net, onnx, precision, options
):
    import small_onnx
    from litedelegates.quantize import quantize

    content = conv_net.SerializeToString()
    if precision == "int8":
        options = {**options, "calibration": [{"x": sample} for sample in small_onnx.images(2)]}
    if precision != "float32":
        content = quantize(conv_net, precision, **options)
    known = {output for node in onnx.load_from_string(content).graph.node for output in node.output}
    plain, layouts = (profile(open_session(content, optimization=level)) for level in ("extended", "all"))
    for found in (plain, layouts):
        check_told_apart(found)
    cast = "InsertedPrecisionFreeCast_"  # in front of what a provider without float16 kernels computes in float32
    for op in plain.ops:
        assert known.issuperset(output.removeprefix(cast) for output in op.outputs) or op.type == "Cast"
        assert precision == "float16" or not op.outputs[0].startswith(cast)
    renamed = [op for op in layouts.ops if not known.issuperset(output.removeprefix(cast) for output in op.outputs)]
    assert not renamed or {op.type for op in layouts.ops} & {"ReorderInput", "ReorderOutput", "Transpose", "Cast"}


def test_fused_nodes_are_known_by_the_last_tensor_they_make(conv_net):
    found = profile(open_session(conv_net.SerializeToString(), optimization="extended"))
    assert [(op.type, op.outputs) for op in found.ops] == [
        ("FusedConv", ("stem/relu/y",)),
        ("FusedConv", ("depthwise/relu/y",)),
        ("Add", ("sum",)),
        ("GlobalAveragePool", ("pool",)),
        ("Flatten", ("flat",)),
        ("FusedGemm", ("hidden/relu/y",)),
        ("Gemm", ("logits/y",)),
        ("MatMul", ("y",)),
    ]


def test_ops_inside_an_op_are_part_of_its_time_and_those_of_a_loop_add_up(onnx):
    import small_onnx_models

    looped = profile(open_session(small_onnx_models.loop().SerializeToString()))
    inside = [op for op in looped.ops if op.subgraph]
    assert {op.outputs for op in inside} == {("next",), ("go_on_out",)}
    (loop,) = (op for op in looped.ops if op.type == "Loop")
    for run in range(looped.runs):
        assert sum(op.samples_us[run] for op in inside) <= loop.samples_us[run]
    assert looped.total_us == sum(op.median_us for op in looped.ops if not op.subgraph)

    session = open_session(small_onnx_models.branches().SerializeToString())
    feed = {"x": np.ones((2, 3), np.float32)}
    for flag, makes in ((True, {"i", "inner_out", "deep_out"}), (False, {"i", "else_out"})):
        session.set_inputs({**feed, "flag": np.array(flag)})
        ran = session.profile(1).ops
        assert {output for op in ran for output in op.outputs} - {"h", "y"} == makes
        assert [op.subgraph for op in ran if op.outputs != ("i",) and op.subgraph == 0] == [0, 0]


def test_nodes_that_the_engine_makes_of_an_op_without_a_kernel_are_told_apart(onnx):
    import small_onnx_models

    nodes = [onnx.helper.make_node("Mish", [name], [made], made) for name, made in ("xh", "hy")]
    float32 = onnx.TensorProto.FLOAT
    model = small_onnx_models.model(nodes, [("x", float32, [2, 3])], [("y", float32, [2, 3])], opset=18)
    found = profile(open_session(model.SerializeToString()))
    check_told_apart(found)
    assert [op.type for op in found.ops] == ["Softplus", "Tanh", "Mul"] * 2
    assert [op.outputs for op in found.ops if op.type == "Mul"] == [("h",), ("y",)]


def test_a_model_with_data_beside_it_is_profiled_by_its_path_and_its_values_are_not_read(onnx, tmp_path):
    import small_onnx_models

    nodes = [onnx.helper.make_node("MatMul", [a, "w"], [b]) for a, b in ("xh", "hy")]
    weights = small_onnx_models.random("w", 64, 64)
    side = onnx.TensorProto.FLOAT, [2, 64]
    model = small_onnx_models.model(nodes, [("x", *side)], [("y", *side)], [weights])
    path = tmp_path / "beside.onnx"
    onnx.save(model, str(path), save_as_external_data=True, location="beside.data", size_threshold=0)
    found = profile(open_session(path))
    check_told_apart(found)
    assert [op.outputs for op in found.ops] == [("h",), ("y",)]
    assert found.optimized.ByteSize() < weights.ByteSize()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["beside.data", "beside.onnx"]


@pytest.mark.parametrize("name", ["ocr_angle", "voice_half", "voice_sequence"])
def test_every_executed_node_of_real_models_is_told_apart(onnx, name, real_onnx_models):
    session = open_session(real_onnx_models[name], num_threads=1)
    shapes = {"x": (1, 3, 48, 192), "input": (1, 576), "state": (2, 1, 128)}
    feed = random_feed(session)
    rng = np.random.default_rng(0)
    for port, value in feed.items():
        if port in shapes and name != "voice_sequence":
            feed[port] = rng.random(shapes[port], np.float32)
        elif port == "sr":
            feed[port] = np.array(16000, value.dtype)
    session.set_inputs(feed)
    found = session.profile(2)
    nodes = nodes_of(found.optimized)
    assert len(found.ops) > 20
    assert found.note == ""
    for op in found.ops:
        (node,) = nodes[op.name]
        assert op.outputs == tuple(filter(None, node.output))


def test_nothing_stays_on_disk_whether_or_not_the_runs_succeed(conv_net, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    session = open_session(conv_net.SerializeToString())
    profile(session)
    session.set_inputs({"x": np.ones((1, 2, 16, 16), np.float32)})
    with pytest.raises(RunError, match="ONNX Runtime failed"):
        session.profile(1)
    assert list(tmp_path.iterdir()) == []


def test_profiling_leaves_the_session_as_it_was(conv_net):
    session = open_session(conv_net.SerializeToString())
    feed = random_feed(session)
    before = session.run(feed)["y"]
    profile(session)
    assert session.run(feed)["y"].tobytes() == before.tobytes()
    assert not session.session.get_session_options().enable_profiling


@pytest.mark.parametrize(("delegate", "ran"), [(None, "builtin"), ("xnnpack", "xnnpack")])
def test_a_profile_of_litert_is_that_of_its_interpreter(delegate, ran):
    session = open_session(DIGITS, delegate=delegate)
    assert isinstance(session, LiteRtSession)
    found, expected = profile(session), session.interpreter.profile(RUNS)
    assert found.runs == RUNS
    assert found.optimized is None
    assert [(op.name, op.ran, op.op_index, op.op_indices, op.partition, op.subgraph) for op in found.ops] == [
        (op.name, op.ran, op.op_index, op.op_indices, op.partition, op.subgraph) for op in expected.ops
    ]
    assert {op.ran for op in found.ops} == {ran}
    assert found.total_us == sum(op.median_us for op in found.ops) > 0


def test_a_profile_needs_a_run(conv_net):
    for session in (open_session(DIGITS), open_session(conv_net.SerializeToString())):
        with pytest.raises(ValueError, match=r"profile\(runs=0\)"):
            profile(session, 0)

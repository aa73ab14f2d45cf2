"""What tools read of an Interpreter beyond its documented methods, and how sparse tensors show."""

from __future__ import annotations

import gc
import operator
from typing import Any

import numpy as np
import pytest
import small_models
from ai_edge_litert.interpreter import Interpreter as Official
from ai_edge_litert.interpreter import OpResolverType
from litedelegates import InvalidModelError, UnsupportedError
from litedelegates.interpreter import Interpreter, SignatureRunner
from small_models import CASES, Case
from small_models_builder import ModelBuilder, Op, Type, schema
from small_models_sparse import WEIGHTS, sparse_weights

# The official Interpreter cannot describe bfloat16.
RUNNABLE = [case for case in CASES.values() if case.obstacle is None and case.name != "bfloat16_inside"]
X = np.arange(8, dtype=np.float32)[None]


def both(model: bytes, **arguments: Any) -> tuple[Any, Any]:
    """Return the official Interpreter and ours for a model, allocated."""
    interpreters = Official(model_content=model, **arguments), Interpreter(model_content=model, **arguments)
    for interpreter in interpreters:
        interpreter.allocate_tensors()
    return interpreters


def plain(value: Any) -> Any:
    """Return arrays as lists with their dtype, so that nested values compare with ==."""
    if isinstance(value, np.ndarray):
        return value.dtype, value.tolist()
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, (list, tuple)) else value


def run(interpreter: Any, value: Any) -> Any:
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], value)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


@pytest.mark.parametrize("case", RUNNABLE, ids=lambda case: case.name)
def test_ops_are_described_as_officially_before_and_after_allocation(case: Case) -> None:
    model = case.build()
    official, mine = Official(model_content=model), Interpreter(model_content=model)
    for step in ("loaded", "allocated"):
        wanted = official._get_ops_details()
        assert plain(mine._get_ops_details()) == plain(wanted), step
        assert [mine._get_op_details(index)["op_name"] for index in range(len(wanted))] == [
            row["op_name"] for row in wanted
        ]
        official.allocate_tensors()
        mine.allocate_tensors()
    with pytest.raises(ValueError, match=r"op|node"):
        mine._get_op_details(len(wanted))
    with pytest.raises(ValueError, match=r"op|node"):
        mine._get_op_details(-1)


@pytest.mark.parametrize("case", ["conv_int8", "two_signatures", "float16_weights", "lstm"])
def test_the_native_object_or_its_stand_in_says_the_same(case: str) -> None:
    official, mine = both(CASES[case].build())
    wanted, got = official._interpreter, mine._interpreter
    names = {name for name in dir(wanted) if not name.startswith("_")}
    assert names <= set(dir(got))
    for name in ("InputIndices", "OutputIndices", "NumSubgraphs", "NumNodes", "GetSignatureDefs"):
        assert plain(getattr(got, name)()) == plain(getattr(wanted, name)()), name
    for op in range(wanted.NumNodes()):
        for name in ("NodeName", "NodeInputs", "NodeOutputs"):
            assert plain(getattr(got, name)(op)) == plain(getattr(wanted, name)(op)), name
    for subgraph in range(wanted.NumSubgraphs()):
        for tensor in range(len(mine._model.subgraphs[subgraph].tensors)):
            for name in (name for name in names if name.startswith("Tensor")):
                value, reference = (plain(getattr(one, name)(tensor, subgraph)) for one in (got, wanted))
                if name == "TensorQuantizationParameters":
                    value, reference = list(value), list(reference)
                assert value == reference, (name, tensor)
    for key in wanted.GetSignatureDefs():
        assert got.GetSubgraphIndexFromSignature(key) == wanted.GetSubgraphIndexFromSignature(key)


def test_the_stand_in_runs_the_model() -> None:
    results = []
    for interpreter in both(small_models.dense_dynamic_batch()):
        wrapper = interpreter._interpreter
        (source,), (target,) = wrapper.InputIndices(), wrapper.OutputIndices()
        wrapper.ResizeInputTensor(source, np.array([2, 4], np.int32), True)
        wrapper.AllocateTensors()
        wrapper.SetTensor(source, np.arange(8, dtype=np.float32).reshape(2, 4))
        wrapper.Invoke()
        results.append(wrapper.GetTensor(target))
        np.testing.assert_array_equal(wrapper.tensor(wrapper, target), results[-1])
        wrapper.ResetVariableTensors()
    np.testing.assert_array_equal(results[0], results[1])


def test_what_the_compiled_route_lacks_is_refused_and_says_where_it_is() -> None:
    mine = Interpreter(small_models.add())
    assert mine.route.name == "compiled"
    handle = mine._native_handle()
    for make in (int, operator.index):
        with pytest.raises(UnsupportedError, match="experimental_preserve_all_tensors"):
            make(handle)
    assert "classic route" in repr(handle)
    with pytest.raises(UnsupportedError, match="num_threads"):
        mine._interpreter.SetNumThreads(2)
    with pytest.raises(UnsupportedError, match="experimental_delegates"):
        mine._interpreter.ModifyGraphWithDelegate(0)
    with pytest.raises(UnsupportedError, match="signature runner"):
        mine._interpreter.Invoke(1)
    classic = Interpreter(small_models.add(), experimental_preserve_all_tensors=True)
    assert isinstance(classic._native_handle(), int)


def test_delegates_and_signatures_are_kept_as_officially() -> None:
    for model in (small_models.add(), small_models.two_signatures(), small_models.lstm()):
        official, mine = both(model)
        assert mine._delegates == official._delegates == []
        assert mine._signature_defs == official._signature_defs
        assert mine._get_full_signature_list() == official._get_full_signature_list()


def test_arrays_that_are_held_show_in_safe_to_run() -> None:
    for model in (small_models.add(), small_models.lstm()):
        for interpreter in both(model):
            index = interpreter.get_input_details()[0]["index"]
            make = interpreter.tensor(index)
            assert interpreter._safe_to_run()
            array = make()
            part = array[..., :1]
            del array
            assert not interpreter._safe_to_run()
            del part
            gc.collect()
            assert interpreter._safe_to_run()


@pytest.mark.parametrize("build", [small_models.two_signatures, small_models.dense_dynamic_batch, small_models.lstm])
def test_tensors_are_described_one_by_one_in_every_subgraph(build: Any) -> None:
    official, mine = both(build())
    for subgraph in range(official.num_subgraphs()):
        for index in range(len(mine._model.subgraphs[subgraph].tensors)):
            assert plain(mine._get_tensor_details(index, subgraph)) == plain(
                official._get_tensor_details(index, subgraph)
            )
    for interpreter in (official, mine):
        for index in (99, -1):
            with pytest.raises(ValueError, match="tensor"):
                interpreter._get_tensor_details(index, 0)
    for subgraph in (9, -1):  # the official Interpreter crashes here
        with pytest.raises(ValueError, match="subgraph"):
            mine._get_tensor_details(0, subgraph)


def test_signature_runners_show_the_shapes_that_they_ran_with() -> None:
    official, mine = both(small_models.two_signatures())
    for key in official.get_signature_list():
        runners = official.get_signature_runner(key), mine.get_signature_runner(key)
        for _ in range(2):
            for side in ("get_input_details", "get_output_details"):
                wanted, got = (plain(getattr(runner, side)()) for runner in runners)
                assert got == wanted
            values = {name: np.ones((1, 4), np.float32) for name in runners[0].get_input_details()}
            for runner in runners:
                runner(**values)
        assert runners[1]._subgraph_index == runners[0]._subgraph_index
        assert runners[1]._signature_key == key
        assert dict(runners[1]._inputs) == dict(runners[0]._inputs)
        assert dict(runners[1]._outputs) == dict(runners[0]._outputs)


def test_a_signature_runner_is_also_made_of_its_class() -> None:
    mine = Interpreter(small_models.with_signature())
    (key,) = mine.get_signature_list()
    names = SignatureRunner(mine, key).get_input_details()
    assert SignatureRunner(interpreter=mine, signature_key=key)(**{name: np.ones((1, 4), np.float32) for name in names})
    for arguments in ((None, key), (mine, None), (mine, ""), (mine, "nothing")):
        with pytest.raises(ValueError, match="signature"):
            SignatureRunner(*arguments)


@pytest.mark.parametrize("indices", ["int32", "uint16", "uint8"])
@pytest.mark.parametrize("block", [1, 4])
def test_sparsity_parameters_are_the_official_ones(block: int, indices: str) -> None:
    official, mine = both(sparse_weights(Op.DENSIFY, block=block, indices=indices))
    for index in range(2):
        assert plain(mine.get_tensor_details()[index]) == plain(official.get_tensor_details()[index])
    assert mine.get_tensor_details()[0]["sparsity_parameters"] == {}
    assert ("block_map" in mine.get_tensor_details()[1]["sparsity_parameters"]) == (block > 1)
    np.testing.assert_array_equal(mine.get_tensor(1), official.get_tensor(1))
    assert mine.get_tensor(1).shape == (4 * block,)


@pytest.mark.parametrize("delegate", [None, "xnnpack"])
@pytest.mark.parametrize(
    ("readers", "dtype"), [([Op.DENSIFY], "float32"), ([Op.DENSIFY, Op.DEQUANTIZE], "float16")], ids=str
)
def test_sparse_weights_are_computed_with(readers: list[int], dtype: str, delegate: Any) -> None:
    for block in (1, 4):
        mine = Interpreter(sparse_weights(*readers, dtype=dtype, block=block), delegate)
        np.testing.assert_array_equal(mine.run(X), X @ WEIGHTS.T)


def test_sparse_weights_that_a_kernel_would_read_as_dense_are_refused() -> None:
    """The official Interpreter reads past their end here and returns what lies there."""
    with pytest.raises(InvalidModelError, match=r"operator 0 .*DEQUANTIZE.*sparse"):
        Interpreter(sparse_weights(Op.DEQUANTIZE, dtype="float16"))
    direct = sparse_weights()
    with pytest.raises(UnsupportedError, match=r"op 0 \(FULLY_CONNECTED\).*delegate=None"):
        Interpreter(direct)
    np.testing.assert_array_equal(Interpreter(direct, delegate=None).run(X), X @ WEIGHTS.T)
    for resolver in (OpResolverType.BUILTIN_REF, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES):
        for interpreter in both(direct, experimental_op_resolver_type=resolver):
            np.testing.assert_array_equal(run(interpreter, X), X @ WEIGHTS.T)


def test_scales_of_blocks_are_those_of_the_tensor_that_holds_them() -> None:
    model = ModelBuilder()
    graph = model.graph()
    x = graph.input("x", (1, 64))
    scales = graph.constant("scales", np.array([[0.5, 0.25], [2, 1]], np.float16))
    weights = graph.tensor("weights", (2, 64), Type.INT4, data=bytes([0x11]) * 64)  # ones
    blocks = schema.BlockwiseQuantizationT()
    blocks.scales, blocks.zeroPoints, blocks.blockSize = scales, -1, 32
    quantization = schema.QuantizationParametersT()
    quantization.detailsType, quantization.details = schema.QuantizationDetails.BlockwiseQuantization, blocks
    graph.table.tensors[weights].quantization = quantization
    graph.op(Op.FULLY_CONNECTED, [x, weights, -1], [graph.output("y", (1, 2))], schema.FullyConnectedOptionsT())
    content = model.to_bytes()
    wanted = Official(model_content=content).get_tensor_details()[weights]
    got = Interpreter(content).get_tensor_details()[weights]
    assert plain(got) == plain(wanted)
    assert got["quantization_parameters"]["scales"].tolist() == [0.5, 0.25, 2, 1]

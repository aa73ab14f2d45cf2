"""ADD and SUB of 16 bits with any scales, and what is said of an op that the runtime does not run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("litert_quantizer", reason="needs the extra: pip install 'litedelegates[quantize]'")

from litedelegates import Interpreter
from litedelegates.cli import main
from litedelegates.errors import QuantizationError
from litedelegates.graph.tflite.tree import op_name, parse, repair, serialize
from litedelegates.quantize import quantize
from litedelegates.quantize.litert_inputs import read_signatures
from litedelegates.quantize.litert_names import list_ops
from litedelegates.quantize.litert_origin import describe_failure
from litedelegates.quantize.litert_values import Given, check_against_source
from litedelegates.quantize.request import Request
from small_models_builder import ModelBuilder, Op, schema

SHAPE = (1, 4, 4, 3)
# 0 and 255 are among them: times 1/127.5, minus 1 is then from -1 to 1, whose steps are powers of two.
IMAGES = [np.linspace(0, 255, 48).round().astype(np.uint8).reshape(SHAPE)[:, ::step] for step in (1, -1)] * 4


def normalized(kind: str, is_turned: bool = False, subs: int = 1) -> bytes:
    """Return a model that brings bytes from -1 to 1: cast, times 1/127.5, and ``kind`` with a constant."""
    model = ModelBuilder()
    graph = model.graph()
    cast = schema.CastOptionsT()
    cast.inDataType, cast.outDataType = schema.TensorType.UINT8, schema.TensorType.FLOAT32
    real, last = graph.tensor("real", SHAPE), graph.tensor("scaled", SHAPE)
    graph.op(Op.CAST, [graph.input("image", SHAPE, schema.TensorType.UINT8)], [real], cast)
    graph.op(Op.MUL, [real, graph.constant("scale", np.float32(1 / 127.5))], [last], schema.MulOptionsT())
    for number in range(subs):
        options = schema.SubOptionsT() if kind == "SUB" else schema.AddOptionsT()
        one = graph.constant(f"one{number}", np.float32(1 if kind == "SUB" else -1))
        end = graph.output("y", SHAPE) if number == subs - 1 else graph.tensor(f"inner{number}", SHAPE)
        graph.op(getattr(Op, kind), [one, last] if is_turned else [last, one], [end], options)
        last = end
    return model.to_bytes()


def broken(model: bytes) -> bytes:
    """Return ``model`` in int16x8 as it would be if its scales were taken for powers of two."""
    tree = parse(quantize(model, "int16x8", IMAGES, exclude=["CAST"], progress=False))
    for op in tree.subgraphs[0].operators:
        if op_name(tree, op) == "SUB":
            op.builtinOptions.potScaleInt16 = True
    return serialize(tree)


@pytest.mark.parametrize("kind", ["ADD", "SUB"])
@pytest.mark.parametrize("is_turned", [False, True])
def test_an_image_brought_from_minus_one_to_one_runs_in_16_bits(kind: str, is_turned: bool) -> None:
    model = normalized(kind, is_turned)
    for options in ({"exclude": ["CAST"]}, {"allow_float32_ops": True}):
        made = quantize(model, "int16x8", IMAGES, progress=False, **options)
        for image in IMAGES:
            wanted, found = Interpreter(model, None).run(image), Interpreter(made, None).run(image)
            assert np.abs(wanted - found).max() < 3e-4
    versions = {op_name(tree, op): tree.operatorCodes[op.opcodeIndex].version for tree, op in _ops(made)}
    assert versions[kind] == {"ADD": 3, "SUB": 5}[kind]


def _ops(made: bytes) -> list[tuple[Any, Any]]:
    tree = parse(made)
    return [(tree, op) for op in tree.subgraphs[0].operators]


@pytest.mark.parametrize(("subs", "said"), [(1, r"op 2, SUB 'y'"), (2, r"op 2, SUB 'inner0'")])
def test_an_op_that_does_not_run_is_named_with_its_precision_and_the_remedy(subs: int, said: str) -> None:
    model = normalized("SUB", subs=subs)
    samples = [{"image": image} for image in IMAGES]
    tree = parse(model)
    repair(tree)
    signatures = read_signatures(tree)
    given = Given({signatures[0].key: samples}, False)
    key = "SUB" if subs == 1 else "inner0"
    ops, request = list_ops(tree), Request(precision="int16x8")
    with pytest.raises(QuantizationError, match=rf"^{said}, does not run in int16x8: exclude=\['{key}'\] leaves it in"):
        check_against_source(model, broken(model), signatures, given, request, ops)


@pytest.mark.parametrize("other", ["a shape is computed", "another subgraph"])
def test_an_op_is_not_named_by_a_number_that_may_be_of_another(other: str) -> None:
    model = ModelBuilder()
    graph = model.graph()
    last, one = graph.input("x", (2, 3)), graph.constant("one", np.float32(1))
    if other == "a shape is computed":  # the op goes before the runtime counts
        graph.op(Op.SHAPE, [last], [graph.output("sizes", (2,), schema.TensorType.INT32)], schema.ShapeOptionsT())
    for name in ("first", "second"):
        end = graph.tensor(name, (2, 3))
        graph.op(Op.SUB, [last, one], [end], schema.SubOptionsT())
        last = end
    if other == "another subgraph":
        model.graph("body")
    content = model.to_bytes()
    ops = list_ops(parse(content))
    said = describe_failure(ops, content, "int16x8", "Node number 1 (SUB) failed to prepare.")
    assert said.startswith("SUB does not run in int16x8: exclude=['SUB'] leaves such ops in float32")


def test_an_op_that_the_check_of_a_file_refuses_is_named_by_its_type() -> None:
    ops = list_ops(parse(normalized("SUB", subs=2)))
    said = "the model of 9 bytes is not a model that can be run: operator 4 of subgraph 0: SUB: it cannot give INT16"
    assert describe_failure(ops, None, "int16x8", said).startswith("SUB does not run in int16x8: exclude=['SUB']")
    said = "operator 2 of subgraph 0: MUL: it cannot give INT16"
    assert describe_failure(ops, None, "int16x8", said).startswith("op 1, MUL 'scaled', does not run in int16x8")
    assert describe_failure(ops, None, "int8", "out of luck") == "the model in int8 does not run: out of luck"


def test_the_command_line_names_its_own_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, samples = tmp_path / "model.tflite", tmp_path / "samples.npy"
    model.write_bytes(normalized("SUB"))
    np.save(samples, np.stack(IMAGES))
    command = ["quantize", str(model), "int16x8", "-o", str(tmp_path / "made.tflite"), "--calibration", str(samples)]
    assert main(command) == 1
    said = capsys.readouterr().err
    assert "CAST 'real'" in said
    assert "--exclude CAST" in said
    assert "--allow-float32-ops" in said
    assert "exclude=" not in said
    assert main([*command, "--exclude", "CAST"]) == 0

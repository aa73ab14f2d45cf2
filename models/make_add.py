"""Write add.tflite, a model of one op: what is left of its time is what an interpreter adds to every call."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

DESCRIPTION = """\
Write add.tflite: one ADD of two float32 inputs "x" and "y" of shape (1, 4), output "sum", signature "serving_default".

It needs flatbuffers and ai-edge-litert (the base install of litedelegates), no network.

example:
  python models/make_add.py --out models
"""
SHAPE = [1, 4]


def make_add() -> bytes:
    """Return the model file."""
    graph = schema.SubGraphT()
    graph.name = "main"
    graph.tensors = [_float_tensor(name) for name in ("x", "y", "sum")]
    graph.inputs, graph.outputs = [0, 1], [2]
    op = schema.OperatorT()
    op.opcodeIndex, op.inputs, op.outputs = 0, [0, 1], [2]
    op.builtinOptionsType, op.builtinOptions = schema.BuiltinOptions.AddOptions, schema.AddOptionsT()
    graph.operators = [op]

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ADD
    code.version = 1
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    signature.inputs = [_entry("x", 0), _entry("y", 1)]
    signature.outputs = [_entry("sum", 2)]

    model = schema.ModelT()
    model.version, model.description = 3, "litedelegates one op"
    model.buffers = [schema.BufferT()]  # buffer 0 means "no data"
    model.operatorCodes, model.subgraphs, model.signatureDefs = [code], [graph], [signature]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _float_tensor(name: str) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.type, tensor.shape, tensor.hasRank = name, schema.TensorType.FLOAT32, SHAPE, True
    tensor.buffer = 0
    return tensor


def _entry(name: str, index: int) -> Any:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, index
    return entry


def main() -> None:
    parser = argparse.ArgumentParser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder (default: beside this script)")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    content = make_add()
    (arguments.out / "add.tflite").write_bytes(content)
    print(f"add.tflite: {len(content)} bytes")


if __name__ == "__main__":
    main()

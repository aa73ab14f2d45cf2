"""Write the smallest useful model: one ADD of two float32 tensors of shape (1, 4).

The package carries it to find out which delegates work on a machine, and the benchmarks time calls with it. Needs
ai-edge-litert and flatbuffers (``pip install '.[quantize]'`` brings both).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

TARGET = Path(__file__).parent.parent / "python/litedelegates/data/add.tflite"


def add_model() -> bytes:
    """Return the model's bytes: sum = x + y."""
    code = schema.OperatorCodeT()
    code.builtinCode = schema.BuiltinOperator.ADD
    code.version = 1
    graph = schema.SubGraphT()
    graph.name = "main"
    graph.tensors = [_tensor(name) for name in ("x", "y", "sum")]
    graph.inputs, graph.outputs = [0, 1], [2]
    op = schema.OperatorT()
    op.opcodeIndex = 0
    op.inputs, op.outputs = [0, 1], [2]
    op.builtinOptionsType = schema.BuiltinOptions.AddOptions
    op.builtinOptions = schema.AddOptionsT()
    graph.operators = [op]
    model = schema.ModelT()
    model.version = 3
    model.description = "one ADD"
    model.operatorCodes = [code]
    model.buffers = [schema.BufferT()]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(name: str) -> schema.TensorT:
    tensor = schema.TensorT()
    tensor.name = name
    tensor.shape = [1, 4]
    tensor.type = schema.TensorType.FLOAT32
    tensor.buffer = 0
    return tensor


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_bytes(add_model())
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes")

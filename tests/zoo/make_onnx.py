"""Export the torch architectures of the zoo to ONNX, with random weights: python -m zoo.make_onnx FOLDER [NAME ...].

Needs torch and onnx. The batch is that of the inputs. What is in the folder already stays as it is. Ends with 1 when
one cannot be exported.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import torch

from zoo.files import make_missing
from zoo.torch_models import ARCHITECTURES, stir

OPSET = 17


def make(name: str) -> bytes:
    """Return the architecture ``name`` as an ONNX model."""
    torch.manual_seed(1)
    construct, inputs = ARCHITECTURES[name]
    model, given = construct().eval(), inputs()
    stir(model)
    names = [f"input{place}" for place in range(len(given))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        torch.onnx.export(model, given, str(path), opset_version=OPSET, input_names=names, dynamo=False)
        return path.read_bytes()


if __name__ == "__main__":
    sys.exit(make_missing(Path(sys.argv[1]), sys.argv[2:] or ARCHITECTURES, make, ".onnx"))

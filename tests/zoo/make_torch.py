"""Convert the torch architectures of the zoo, with random weights: python -m zoo.make_torch FOLDER [NAME ...].

Needs litert-torch, whose converter writes a batch of 1: of these models it refuses every one with an open batch. What
is in the folder already stays as it is. Ends with 1 when one cannot be converted.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import litert_torch
import torch

from zoo.files import make_missing
from zoo.torch_models import ARCHITECTURES, stir


def make(name: str) -> bytes:
    """Return the architecture ``name`` as a TFLite model."""
    torch.manual_seed(1)
    construct, inputs = ARCHITECTURES[name]
    model = construct().eval()
    stir(model)
    converted = litert_torch.convert(model, inputs())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        converted.export(str(path))
        return path.read_bytes()


if __name__ == "__main__":
    sys.exit(make_missing(Path(sys.argv[1]), sys.argv[2:] or ARCHITECTURES, make))

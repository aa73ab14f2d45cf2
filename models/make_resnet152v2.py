"""Write ResNet152V2 as a float32 .tflite of 268 ops and 240 MB, or the same network as an .onnx.

The weights are random, the same for the same seed: time and memory are those of the real network, values are not, so
use it to measure and not to judge accuracy. With --weights they are those of a file: the .h5 that Keras downloads for
ResNet152V2 (needs h5py), or an .npz with arrays by the same names; 51 multiplications more, because there the batch
norms have a scale, and inputs from -1 to 1 are expected.

Input `image` (1, 224, 224, 3), output `probabilities` (1, 1000), made by a softmax of `predictions`. Judge by those:
of 1,000 probabilities nearly all are below what an 8-bit output can tell from 0.

Needs litedelegates (the base install), and onnx for an .onnx; takes a few seconds and 600 MB of memory (1.7 GB).

examples:
  python models/make_resnet152v2.py
  python models/make_resnet152v2.py --onnx
"""

from __future__ import annotations

import argparse
from pathlib import Path

from litedelegates.files import write_whole
from resnet152v2_network import Network, RandomWeights, Weights

FOLDER = Path(__file__).resolve().parent.parent / ".cache" / "models"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnx", action="store_true", help="write an .onnx")
    parser.add_argument("--out", type=Path, help=f"where to write it (default: resnet152v2.* in {FOLDER})")
    parser.add_argument("--seed", type=int, default=0, help="of the random weights (default: %(default)s)")
    parser.add_argument("--weights", type=Path, help=".h5 or .npz with weights to take instead")
    options = parser.parse_args()
    target = options.out or FOLDER / f"resnet152v2{'.onnx' if options.onnx else '.tflite'}"
    target.parent.mkdir(parents=True, exist_ok=True)
    weights: Weights = RandomWeights(options.seed)
    description = f"ResNet152V2, random weights, seed {options.seed}"
    if options.weights is not None:
        from resnet152v2_weights import FileWeights

        weights, description = FileWeights(options.weights), f"ResNet152V2, weights of {options.weights.name}"
    layers = Network(weights).layers
    if options.onnx:
        from resnet152v2_onnx import write_onnx

        size = write_whole(target, [write_onnx(layers, description)])
    else:
        from resnet152v2_tflite import write_tflite

        size = write_whole(target, write_tflite(layers, description))
    print(f"{target}: {len(layers)} layers, {size} bytes")


if __name__ == "__main__":
    main()

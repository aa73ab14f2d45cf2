"""A layer study as a program of its own, for tests that kill it: says on its output how many records are in the store.

``python layers_parent.py STORE MODEL PRECISION``
"""

from __future__ import annotations

import os
import sys

from litedelegates.layers import LayerProgress, LayersConfig, study_layers


def main() -> None:
    store, model, precision = sys.argv[1:]
    quick = {"seconds": 0.02, "runs": 3, "samples": 2, "layers": ("0-5",)}
    config = LayersConfig(model, ("float32", precision), ("none", "xnnpack"), **quick)

    def say(progress: LayerProgress) -> None:
        os.write(1, f"{progress.done}/{progress.total}\n".encode())

    study_layers(config, store, progress=say)


if __name__ == "__main__":
    main()

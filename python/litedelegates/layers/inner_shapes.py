"""Shapes of inner tensors that a run of an ONNX model shows and nothing else: of what a Loop or an If makes.

The run happens in a process of its own, which this module is too.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing

from litedelegates.engines import open_session
from litedelegates.engines.inputs import random_feed
from litedelegates.errors import InvalidModelError
from litedelegates.graph import Graph, Tensor, expose, load
from litedelegates.isolated import python_command

_MODULE = "litedelegates.layers.inner_shapes"


class InnerShapes:
    """Runs a model once, when a shape is first asked for.

    Args:
        path: An ``.onnx`` whose inputs have their sizes.
        time_limit: Seconds that the run may take.
    """

    def __init__(self, path: str, time_limit: float) -> None:
        self._path, self._time_limit = path, time_limit
        self._found: Mapping[str, tuple[int, ...]] | None = None

    def completed(self, part: Graph) -> Graph:
        """Return a part of the model with the shapes of its inputs, where these are not known without a run."""
        unknown = [part.public_name(tensor) for tensor in part.inputs if is_unknown(tensor)]
        if part.format != "onnx" or not unknown:
            return part
        if self._found is None:
            self._found = _shapes_in(self._path, self._time_limit)
        shapes = {name: self._found[name] for name in unknown if name in self._found}
        try:
            return load(part.to_bytes(), shapes=shapes) if shapes else part
        except InvalidModelError:
            return part


def is_unknown(tensor: Tensor) -> bool:
    """Return whether a size of a tensor, or how many it has, is not known."""
    return tensor.shape is None or min(tensor.shape, default=1) < 0


def _shapes_in(path: str, time_limit: float) -> dict[str, tuple[int, ...]]:
    """Return the shapes that a run of a model shows; none where it does not run, which its own timing tells."""
    try:
        done = subprocess.run(
            python_command(_MODULE, path),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=time_limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {}
    if done.returncode:
        return {}
    found = json.loads(done.stdout.splitlines()[-1])
    return {name: tuple(shape) for name, shape in found.items() if math.prod(shape) > 0}


def main() -> None:
    """Print the shapes of all inner tensors that are not known otherwise."""
    graph = load(sys.argv[1])
    names = [
        tensor.name
        for op in graph.ops
        for tensor in op.makes
        if is_unknown(tensor) and not tensor.is_constant and tensor.element_type in _PLAIN
    ]
    with closing(open_session(expose(graph, names).to_bytes(), same_kernels=True)) as session:
        found = session.run(random_feed(session))
    print(json.dumps({name: list(found[name].shape) for name in names if name in found}))


_PLAIN = {"float16", "float32", "float64", "int8", "uint8", "int32", "int64", "bool"}

if __name__ == "__main__":
    main()

"""PyCoral's API on any delegate: change ``pycoral`` to ``litedelegates.coral`` in the imports of a script.

The Edge TPU is used where the model was compiled for it; every other model runs on the CPU or on the delegate that
`utils.edgetpu.make_interpreter` is given. The adapters take the interpreters of this package and of ``ai_edge_litert``.
"""

from __future__ import annotations

from litedelegates.coral import adapters, learn, pipeline, utils

__all__ = ["adapters", "learn", "pipeline", "utils"]

"""A model cut into segments that run at the same time."""

from __future__ import annotations

from litedelegates.coral.pipeline import pipelined_model_runner

__all__ = ["pipelined_model_runner"]

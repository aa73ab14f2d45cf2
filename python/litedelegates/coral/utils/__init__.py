"""Interpreters for the Edge TPU, and label files."""

from __future__ import annotations

from litedelegates.coral.utils import dataset, edgetpu

__all__ = ["dataset", "edgetpu"]

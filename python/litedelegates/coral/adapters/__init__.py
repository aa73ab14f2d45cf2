"""Inputs and outputs of models for one task: classification, detection, segmentation."""

from __future__ import annotations

from litedelegates.coral.adapters import classify, common, detect, segment

__all__ = ["classify", "common", "detect", "segment"]

"""Retraining the last layer of a model on the device."""

from __future__ import annotations

from litedelegates.coral.learn import backprop, imprinting

__all__ = ["backprop", "imprinting"]

"""Retraining by gradient descent."""

from __future__ import annotations

from litedelegates.coral.learn.backprop import softmax_regression

__all__ = ["softmax_regression"]

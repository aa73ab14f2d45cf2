"""Retraining by weight imprinting."""

from __future__ import annotations

from litedelegates.coral.learn.imprinting import engine

__all__ = ["engine"]

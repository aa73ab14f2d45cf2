"""A profile as plain values, for the way from the process that took it."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from typing import Any

from litedelegates.engines.records import EngineOp, EngineProfile


def pack_profile(profile: EngineProfile) -> dict[str, Any]:
    """Return a profile as plain values."""
    optimized = profile.optimized
    return {
        "ops": [dataclasses.asdict(op) for op in profile.ops],
        "runs": profile.runs,
        "whole_us": list(profile.whole_us),
        "note": profile.note,
        # Without its large values it is small: what is left is text of about the length of the nodes' names.
        "optimized": None if optimized is None else base64.b64encode(optimized.SerializeToString()).decode(),
    }


def unpack_profile(words: Mapping[str, Any]) -> EngineProfile:
    """Return the profile that `pack_profile` made plain values of."""
    return EngineProfile(
        tuple(map(_read_op, words["ops"])),
        words["runs"],
        tuple(words["whole_us"]),
        words["note"],
        None if words["optimized"] is None else _read_model(base64.b64decode(words["optimized"])),
    )


def _read_op(words: Mapping[str, Any]) -> EngineOp:
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in words.items()}
    return EngineOp(**fields)


def _read_model(content: bytes) -> Any:
    import onnx  # an extra, which took the profile as well

    return onnx.ModelProto.FromString(content)

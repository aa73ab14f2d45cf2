"""Plans as files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from litedelegates.errors import PlanError
from litedelegates.files import path_from, path_in, read_json, write_whole
from litedelegates.plan.records import PLAN_SCHEMA, Plan
from litedelegates.study.records import RecordError


def save_plan(plan: Plan, path: str | os.PathLike[str]) -> None:
    """Write a plan; relative paths in it go from where the file lies.

    Raises:
        OSError: It cannot be written.
    """
    written = relocated(plan, lambda own: path_from(Path(path).parent, own))
    write_whole(path, [json.dumps(written.to_json(), indent=1).encode()])


def relocated(plan: Plan, change: Callable[[str], str]) -> Plan:
    """Return a plan with the paths of its model and of its studies changed."""
    devices = tuple(replace(device, store=device.store and change(device.store)) for device in plan.devices)
    fallback = None if plan.fallback is None else relocated(plan.fallback, change)
    return replace(plan, model=change(plan.model), devices=devices, fallback=fallback)


def load_plan(path: str | os.PathLike[str]) -> Plan:
    """Return the plan of a file; relative paths in it go from where the file lies.

    Raises:
        OSError: It cannot be read.
        PlanError: It holds no plan of a version that can be read.
    """
    try:
        data = read_json(path)
        version = data.get("schema_version") if isinstance(data, dict) else None
        if version != PLAN_SCHEMA:
            raise RecordError(f"its schema is {version!r}; this version reads {PLAN_SCHEMA}")
        return relocated(Plan.from_json(data), lambda own: path_in(Path(path).parent, own))
    except (RecordError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise PlanError(f"{os.fspath(path)} holds no plan: {error}") from error

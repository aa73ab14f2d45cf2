"""Plans as files."""

from __future__ import annotations

import json
import os
from pathlib import Path

from litedelegates.errors import PlanError
from litedelegates.plan.records import PLAN_SCHEMA, Plan
from litedelegates.study.records import RecordError


def load_plan(path: str | os.PathLike[str]) -> Plan:
    """Return the plan of a file.

    Raises:
        OSError: It cannot be read.
        PlanError: It holds no plan of a version that can be read.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        version = data.get("schema_version") if isinstance(data, dict) else None
        if version != PLAN_SCHEMA:
            raise RecordError(f"its schema is {version!r}; this version reads {PLAN_SCHEMA}")
        return Plan.from_json(data)
    except (RecordError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise PlanError(f"{os.fspath(path)} holds no plan: {error}") from error

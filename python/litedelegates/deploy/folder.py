"""The folder of a deployed plan."""

from __future__ import annotations

import json
import os
from pathlib import Path

from litedelegates.deploy.records import MANIFEST, MANIFEST_SCHEMA, Manifest
from litedelegates.errors import InvalidModelError
from litedelegates.study.records import RecordError


def read_manifest(folder: str | os.PathLike[str]) -> Manifest:
    """Return the manifest of a folder that `deploy` wrote.

    Raises:
        OSError: There is none.
        InvalidModelError: It cannot be read, or is of a newer version.
    """
    path = Path(folder) / MANIFEST
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        version = data.get("schema_version")
        if version != MANIFEST_SCHEMA:
            raise InvalidModelError(f"{path} has version {version} of the schema; this package reads {MANIFEST_SCHEMA}")
        return Manifest.from_json(data)
    except (RecordError, ValueError, AttributeError) as error:
        if isinstance(error, InvalidModelError):
            raise
        raise InvalidModelError(f"{path} is no manifest: {error}") from error

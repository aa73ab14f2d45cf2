"""Read a deployed plan, and trust nothing in it before it is checked."""

from __future__ import annotations

import os
from pathlib import Path

from litedelegates.deploy.records import MANIFEST, MANIFEST_SCHEMA, Manifest
from litedelegates.errors import DeployError
from litedelegates.files import hash_file, read_json
from litedelegates.study.records import RecordError


def read_manifest(folder: str | os.PathLike[str], *, check_files: bool = True) -> Manifest:
    """Return the manifest of a folder.

    Args:
        folder: As `deploy` wrote it.
        check_files: Whether to compare the digest of every file.

    Raises:
        DeployError: The folder is no deployed plan, of another version, or a file of it is missing or not what it was.
        OSError: It cannot be read.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise DeployError(f"{os.fspath(folder)} is no deployed plan: it has no {MANIFEST}")
    try:
        data = read_json(path)
        version = data.get("schema_version") if isinstance(data, dict) else None
        if version != MANIFEST_SCHEMA:
            raise RecordError(f"its schema is {version!r}; this version reads {MANIFEST_SCHEMA}")
        manifest = Manifest.from_json(data)
        files = {manifest.whole: manifest.whole_sha256}
        files |= {stage.file: stage.sha256 for stage in (*manifest.stages, *manifest.fallback)}
        named = {str(name): str(digest) for name, digest in files.items()}
    except (RecordError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DeployError(f"{path} is no manifest: {error}") from error
    for name, digest in named.items():
        if name in ("", ".", "..") or Path(name).name != name or "\0" in name:
            raise DeployError(f"{path} names {name!r}, which is not a file beside it")
        file = Path(folder) / name
        if not file.is_file():
            raise DeployError(f"{file} is missing: deploy the plan again")
        if check_files and hash_file(file) != digest:
            raise DeployError(f"{file} is not what was deployed (its digest differs): deploy the plan again")
    return manifest


def is_deployed(folder: Path) -> bool:
    """Return whether a folder looks like a deployed plan, of whatever version."""
    try:
        data = read_json(folder / MANIFEST)
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(data, dict) and "model_sha256" in data

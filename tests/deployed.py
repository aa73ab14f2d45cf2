"""Deployed plans that tests run: models cut in parts, each part on a device."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from litedelegates.deploy.records import ExitRule, Manifest, Port, StageFile
from litedelegates.engines import open_session
from litedelegates.graph import Graph, cut, load

DIGITS = Path(__file__).resolve().parent.parent / "models" / "digits.tflite"
CUTS = (3, 9)  # the first has two tensors that travel, one of them over a stage if it is cut again


def deploy(
    folder: Path,
    *,
    model: Path | bytes = DIGITS,
    at: Sequence[int] = CUTS,
    devices: Sequence[str] = ("a", "b", "a"),
    fallback: bool = False,
    exits: Sequence[ExitRule] = (),
    outputs: Sequence[str] | None = None,
    changes: Mapping[int, Mapping[str, Any]] | None = None,
) -> Manifest:
    """Write the parts of a model and their manifest to a folder.

    Args:
        folder: Where to.
        model: What is cut.
        at: Where.
        devices: Of each part.
        fallback: Add the whole model as a fallback on the first device.
        exits: Where inputs may leave early.
        outputs: Tensors that the model has as outputs; its own by default.
        changes: Other values for fields of stages, by number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    whole = load(model)
    if outputs is not None:
        whole = whole.with_outputs([whole.tensor(name) for name in outputs])
    parts = cut(whole, at=at) if at else [whole]
    stages = []
    for number, (part, device) in enumerate(zip(parts, devices, strict=True)):
        stage = _stage(folder, number, part, device, f"stage{number}.tflite")
        stages.append(StageFile(**{**vars(stage), **(changes or {}).get(number, {})}))
    backup = _stage(folder, 0, whole, devices[0], "whole.tflite")
    manifest = Manifest(
        model="model.tflite",
        model_sha256=backup.sha256,
        whole=backup.file,
        whole_sha256=backup.sha256,
        stages=tuple(stages),
        inputs=backup.inputs,
        outputs=backup.outputs,
        fallback=(backup,) if fallback else (),
        exits=tuple(exits),
    )
    (folder / "manifest.json").write_text(json.dumps(manifest.to_json()))
    return manifest


def feeds(manifest: Manifest, count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return random inputs; open sizes are 1."""
    rng = np.random.default_rng(seed)
    shapes = {port.name: [max(size, 1) for size in port.shape] for port in manifest.inputs}
    return [{name: rng.random(shape, np.float32) for name, shape in shapes.items()} for _ in range(count)]


def expected(folder: Path, manifest: Manifest, inputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what the stages compute, one after the other in this thread."""
    sessions = [
        open_session(folder / stage.file, num_threads=stage.threads, delegate=stage.delegate)
        for stage in manifest.stages
    ]
    found = []
    for feed in inputs:
        values = dict(feed)
        for session in sessions:
            values.update(session.run(values))
        found.append({port.name: values[port.name] for port in manifest.outputs})
    for session in sessions:
        session.close()
    return found


def same(found: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether outputs are the same bit for bit, and as many."""
    return len(found) == len(wanted) and all(
        one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)
        for one, other in zip(found, wanted, strict=True)
    )


def _stage(folder: Path, number: int, graph: Graph, device: str, file: str) -> StageFile:
    content = graph.to_bytes()
    (folder / file).write_bytes(content)
    with closing(open_session(content)) as session:
        shapes = {info.name: info.shape for info in (*session.inputs, *session.outputs)}
    return StageFile(
        number=number,
        file=file,
        sha256=hashlib.sha256(content).hexdigest(),
        device=device,
        delegate="xnnpack",
        threads=1,
        inputs=tuple(_port(tensor, shapes) for tensor in graph.inputs),
        outputs=tuple(_port(tensor, shapes) for tensor in graph.outputs),
        resources={device: 1},
    )


def _port(tensor: Any, shapes: Mapping[str, tuple[int, ...]]) -> Port:
    return Port(tensor.name, shapes[tensor.name], tensor.element_type, tensor.nbytes)

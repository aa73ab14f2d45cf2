"""Each reader of the package as a function of bytes, and the errors that it may end in."""

from __future__ import annotations

import contextlib
import json
import tempfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from litedelegates import Interpreter, LiteDelegatesError
from litedelegates.delegates import chain
from litedelegates.delegates.settings import read_settings_file, to_flatbuffer

ALLOWED = (LiteDelegatesError, OSError)
_LARGEST_INPUT = 1 << 24  # a damaged shape may ask for more memory than there is, which is no fault of a reader


def load_tflite(data: bytes) -> None:
    Interpreter(data).close()


def run_tflite(data: bytes) -> None:
    # By content and not in turn, so that an input alone says what was done with it.
    with Interpreter(data, delegate=(None, "xnnpack")[zlib.crc32(data) % 2]) as interpreter:
        # The official Interpreter, which is the classic route, says that it takes no 2-bit inputs with a ValueError.
        if all(_is_small(info.shape) and info.element_type != "int2" for info in interpreter.inputs):
            interpreter.run(*(_value(info) for info in interpreter.inputs))


def fold_tflite(data: bytes) -> None:
    """Fold for the shapes that the file states and for a larger batch; what comes out is verified as any file is."""
    from litedelegates.model import Model

    model = Model.load(data)
    for batch in (None, 3):
        for subgraph, graph in enumerate(model.subgraphs):
            shapes = [list(graph.tensors[index].shape) for index in graph.inputs]
            with contextlib.suppress(*ALLOWED):
                model.file.fold(subgraph, [[batch, *shape[1:]] if batch and shape else shape for shape in shapes])


def run_onnx(data: bytes) -> None:
    from litedelegates.engines import open_session
    from litedelegates.engines.inputs import random_feed

    session = open_session(data)
    with contextlib.closing(session):
        if all(_is_small([size for size in info.shape if isinstance(size, int)]) for info in session.inputs):
            session.run(random_feed(session))


def load_onnx(data: bytes) -> None:
    from litedelegates import graph

    graph.load(data)


def cut(data: bytes) -> None:
    from litedelegates import graph

    model = graph.load(data)
    legal = [found.position for found in model.cuts if found.refusal is None]
    if legal:
        parts = graph.cut(model, at=legal[zlib.crc32(data) % len(legal)])
        for part in parts:
            part.to_bytes()
        graph.join(parts).to_bytes()


def quantize(data: bytes) -> None:
    from litedelegates.quantize import quantize as quantized

    precision = ("float16", "dynamic", "int8", "int16x8", "weight_only")[zlib.crc32(data) % 5]
    needs_samples = precision in ("int8", "int16x8")
    if needs_samples and not _has_small_inputs(data):
        return  # eight samples of any size can be made, which takes its time
    quantized(data, precision, "random" if needs_samples else None, allow_float32_ops=True, progress=False)


def options(data: bytes) -> None:
    """``{"delegate": ..., "options": {...}}`` as keywords, or else a study's ``name;key=value+name``."""
    from litedelegates.study.delegates import parse_delegate

    text = data.decode(errors="replace")
    try:
        asked = json.loads(text)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        parse_delegate(text)
        return
    given = asked.get("options")
    for part in chain(asked.get("delegate"), given if isinstance(given, dict) else {}):
        part.payloads()


def settings(data: bytes) -> None:
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(data)
        file.flush()
        to_flatbuffer(read_settings_file(file.name))


def study_file(data: bytes) -> None:
    from litedelegates.study.config import StudyConfig, read_config

    with tempfile.NamedTemporaryFile(suffix=".json" if data.startswith(b"{") else ".toml") as file:
        file.write(data)
        file.flush()
        fields = read_config(file.name)
        fields.pop("store", None)
        StudyConfig(**{"models": ("model.tflite",), **fields})


def records(data: bytes) -> None:
    """``{"record": class, "data": ...}``; the class picks the reader, as the table of a store does."""
    from litedelegates.layers.records import Alone, InPlace, LayerError, LayerInfo, Setting, VariantInfo
    from litedelegates.layers.results import LayerStudy
    from litedelegates.quantize.provenance import Record
    from litedelegates.study.records import BlockRecord, Cell, Outcome

    layers = (Alone, InPlace, LayerError, LayerInfo, Setting, VariantInfo, LayerStudy)
    readers = {of.__name__: of.from_json for of in (Cell, Outcome, BlockRecord, *layers)}
    try:
        asked = json.loads(data)
        name, content = asked["record"], asked["data"]
    except (ValueError, TypeError, KeyError, RecursionError):
        Record.from_json(data)
        return
    readers.get(str(name), lambda content: Record.from_json(json.dumps(content)))(content)


def store(data: bytes) -> None:
    """Bytes of a database, read as every command that reports reads it."""
    from litedelegates.layers.store import KINDS, LayerStore
    from litedelegates.study.store import Store

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.sqlite"
        path.write_bytes(data)
        with Store.open(path) as opened:
            for read in (opened.sessions, opened.events, opened.cells):
                with contextlib.suppress(*ALLOWED):
                    read()
            with contextlib.suppress(*ALLOWED):
                for cell in opened.cells():
                    with contextlib.suppress(*ALLOWED):
                        opened.outcome(cell), opened.blocks(cell), opened.base_of(cell)
            layers = LayerStore(opened)
            for key in layers.studies():
                for of in KINDS:
                    with contextlib.suppress(*ALLOWED):
                        layers.records(key, of)


def _has_small_inputs(data: bytes) -> bool:
    from litedelegates import graph

    try:
        return all(_is_small(tensor.shape or ()) for tensor in graph.load(data).inputs)
    except ALLOWED:
        return True


def _is_small(shape: Sequence[int]) -> bool:
    return int(np.prod([float(size) for size in shape])) < _LARGEST_INPUT


def _value(info: Any) -> Any:
    from litedelegates.tensor_info import random_value

    if info.dtype.kind in "SUO":
        return np.full(info.shape, b"x", np.object_)
    return random_value(info, np.random.default_rng(0))


# The reader, and what kind of input it reads.
TARGETS: dict[str, tuple[Callable[[bytes], None], str]] = {
    "tflite_load": (load_tflite, "tflite"),
    "tflite_run": (run_tflite, "tflite"),
    "tflite_fold": (fold_tflite, "tflite"),
    "tflite_cut": (cut, "tflite"),
    "tflite_quantize": (quantize, "tflite"),
    "onnx_load": (load_onnx, "onnx"),
    "onnx_run": (run_onnx, "onnx"),
    "onnx_cut": (cut, "onnx"),
    "onnx_quantize": (quantize, "onnx"),
    "options": (options, "json"),
    "settings": (settings, "json"),
    "study_file": (study_file, "bytes"),
    "records": (records, "json"),
    "store": (store, "bytes"),
}

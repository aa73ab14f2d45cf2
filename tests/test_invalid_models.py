"""Corrupt models: every one raises or runs, none ends the process."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import small_models
from litedelegates import Interpreter, InvalidModelError, LiteDelegatesError

DIGITS = Path(__file__).parent.parent / "models/digits.tflite"
EACH = 50
SECONDS_FOR_ONE = 20.0


def truncated(model: bytes, rng: np.random.Generator) -> bytes:
    return model[: int(rng.integers(0, len(model)))]


def flipped(model: bytes, rng: np.random.Generator, region: slice, count: int) -> bytes:
    content = bytearray(model)
    start, stop, _ = region.indices(len(model))
    for position in rng.integers(start, stop, count):
        content[position] ^= 1 << int(rng.integers(0, 8))
    return bytes(content)


def mutants(model: bytes, seed: int) -> list[bytes]:
    """50 mutants: truncations, and bits flipped in the header, in the tables and in the weights."""
    rng = np.random.default_rng(seed)
    tables = slice(int(len(model) * 0.97), None) if len(model) > 100_000 else slice(0, None)
    kinds = [
        lambda: truncated(model, rng),
        lambda: flipped(model, rng, slice(0, 64), 2),
        lambda: flipped(model, rng, tables, 3),
        lambda: flipped(model, rng, slice(0, None), 8),
        lambda: flipped(model, rng, tables, 1),
    ]
    return [kinds[index % len(kinds)]() for index in range(EACH)]


@pytest.mark.parametrize("name", ["digits", "conv_int8", "partly_delegated", "face_detection_front"])
def test_fifty_corrupt_models_raise_or_run_and_the_process_lives(name: str, real_models: dict[str, Path]) -> None:
    sources = {
        "digits": DIGITS.read_bytes,
        "conv_int8": small_models.conv_int8,
        "partly_delegated": small_models.partly_delegated,
        "face_detection_front": real_models["face_detection_front"].read_bytes,
    }
    raised = ran = 0
    for mutant in mutants(sources[name](), seed=len(name)):
        start = time.monotonic()
        try:
            with Interpreter(mutant) as interpreter:
                rng = np.random.default_rng(0)
                interpreter.run(*(rng.random(info.shape).astype(info.dtype) for info in interpreter.inputs))
            ran += 1
        except LiteDelegatesError as error:
            assert len(str(error)) > 20
            raised += 1
        assert time.monotonic() - start < SECONDS_FOR_ONE
    assert raised + ran == EACH and raised >= EACH // 3


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "nothing"),
        (b"TFL3", "small|short|bytes"),
        (b"\x00" * 64, "."),
        (b"not a model at all, but some text that is long enough", "TFL3"),
    ],
)
def test_what_is_no_model_is_refused_with_a_reason(content: bytes, says: str) -> None:
    with pytest.raises(InvalidModelError, match=says):
        Interpreter(content)


def test_the_reason_names_the_place() -> None:
    model = bytearray(small_models.add())
    with pytest.raises(InvalidModelError) as raised:
        Interpreter(bytes(model[:-8]))
    assert str(len(model) - 8) in str(raised.value)


def test_paths_that_are_no_files_are_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.tflite"
    empty.touch()
    for path, says in ((tmp_path / "missing.tflite", "no model at"), (tmp_path, "regular file"), (empty, "empty")):
        with pytest.raises(InvalidModelError, match=says):
            Interpreter(path)
    with pytest.raises(TypeError, match="path or bytes"):
        Interpreter(3.5)  # type: ignore[arg-type]


def test_every_model_of_this_project_and_the_real_ones_pass(real_models: dict[str, Path]) -> None:
    from litedelegates.model import Model

    for case in small_models.CASES.values():
        Model.load(case.build())
    for path in (DIGITS, *real_models.values()):
        Model.load(path)

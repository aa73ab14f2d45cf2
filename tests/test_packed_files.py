"""Files that are packed behind a model, such as labels.txt, stay with what is made of it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from litedelegates import Interpreter
from litedelegates.graph import cut, join, load
from litedelegates.graph.tflite.packed_files import packed_files
from small_models_quantize import embedding_and_logits

FILES = {"labels.txt": b"cat\ndog\n" * 50, "more/vocabulary.txt": b"\x00\x01"}


def with_files(model: bytes, *, relative: bool, compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return a model with files behind it, whose offsets count from the model or from their own start."""
    target = io.BytesIO(b"" if relative else model)
    target.seek(0, io.SEEK_END)
    with zipfile.ZipFile(target, "w" if relative else "a", compression) as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    return model + target.getvalue() if relative else target.getvalue()


def files_of(model: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(params=[(True, zipfile.ZIP_STORED), (False, zipfile.ZIP_DEFLATED)], ids=["relative", "absolute"])
def model(request: pytest.FixtureRequest) -> bytes:
    relative, compression = request.param
    return with_files(embedding_and_logits(), relative=relative, compression=compression)


def test_files_stay_with_the_parts_and_with_the_parts_joined(model: bytes, tmp_path: Path) -> None:
    parts = cut(load(model), at=[1])
    assert [files_of(part.to_bytes()) for part in parts] == [FILES] * 2
    parts[0].save(tmp_path / "part.tflite")
    assert files_of((tmp_path / "part.tflite").read_bytes()) == FILES
    assert files_of(join(parts).to_bytes()) == FILES
    assert Interpreter(parts[0].to_bytes()).run(np.zeros((1, 16), np.float32)).shape == (1, 16)


@pytest.mark.parametrize("precision", ["float16", "dynamic", "int8"])
def test_files_stay_with_a_quantized_model(model: bytes, precision: str) -> None:
    pytest.importorskip("litert_quantizer", reason="needs the extra: pip install 'litedelegates[quantize]'")
    from litedelegates.quantize import quantize, read_record

    samples = list(np.random.default_rng(0).standard_normal((4, 1, 16)).astype(np.float32))
    made = quantize(model, precision, samples if precision == "int8" else None, progress=False)
    assert files_of(made) == FILES and read_record(made) is not None
    assert len(Interpreter(made).run(samples[0])) == 2


def test_a_model_without_files_or_with_bytes_that_look_like_them_has_none() -> None:
    plain = embedding_and_logits()
    assert packed_files(plain) == b""
    assert packed_files(plain + b"PK\x05\x06" + bytes(18)) == b""
    assert packed_files(plain + b"PK\x05\x06" + b"\xff" * 18) == b""
    whole = with_files(plain, relative=True)
    for length in range(len(plain), len(whole)):
        packed_files(whole[:length])  # cut off anywhere: none, or what is there

"""Models of a layer study that are made, and compared as a whole, by processes that fall: the study goes on."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import marked_workers
import numpy as np
import pytest
from digits_model import DIGITS
from litedelegates.errors import QuantizationError
from litedelegates.graph import load
from litedelegates.layers import LayersConfig, study_layers
from litedelegates.layers.error_jobs import reference_engine
from litedelegates.layers.errors_apart import ErrorOrder
from litedelegates.layers.quantizing_apart import Quantizer
from litedelegates.layers.samples import Samples
from litedelegates.layers.watching import unwatched
from litedelegates.layers.whole_errors import WholeErrors, WholeErrorsApart
from litedelegates.quantize import quantize_file
from litedelegates.study.process import CellFailed

pytestmark = pytest.mark.usefixtures("marked_workers")
MAKER, TAKER = "litedelegates.layers.quantize_worker", "litedelegates.layers.error_worker"


class Hunter:
    """Kills each process of a kind, as it comes."""

    def __init__(self, module: str, most: int, after: Callable[[], bool] = lambda: True) -> None:
        self._module, self._most, self._after = module, most, after
        self._stop = threading.Event()
        self.killed: set[int] = set()

    def __enter__(self) -> Hunter:
        self._thread = threading.Thread(target=self._hunt)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _hunt(self) -> None:
        while not self._stop.is_set() and len(self.killed) < self._most:
            for pid in marked_workers.worker_pids(self._module) - self.killed:
                if self._after():
                    os.kill(pid, signal.SIGKILL)
                    self.killed.add(pid)
            time.sleep(0.002)


@pytest.fixture
def samples(tmp_path: Path) -> str:
    """Return a file of samples that takes seconds to calibrate with."""
    path = tmp_path / "samples.npy"
    np.save(path, np.random.default_rng(0).uniform(0, 1, (40_000, 8, 8, 1)).astype(np.float32))
    return str(path)


def hidden_files(folder: Path) -> list[str]:
    return [file.name for file in folder.glob(".*")]


def test_a_file_made_in_a_process_is_that_made_here(tmp_path: Path) -> None:
    pytest.importorskip("litert_quantizer")
    plan: dict[str | int, str] = {1: "float16", "DEPTHWISE_CONV_2D": "dynamic"}
    with closing(Quantizer(60)) as quantizer:
        quantizer.quantize_file(DIGITS, tmp_path / "a.tflite", None, None, plan=plan)
        quantizer.quantize_file(str(DIGITS), tmp_path / "b.tflite", "int8", "random", allow_float32_ops=True)
        (pid,) = marked_workers.worker_pids(MAKER)
        with pytest.raises(QuantizationError, match="needs calibration"):
            quantizer.quantize_file(DIGITS, tmp_path / "c.tflite", "int8")
        assert marked_workers.worker_pids(MAKER) == {pid}
    assert not marked_workers.worker_pids(MAKER)
    quantize_file(DIGITS, tmp_path / "own_a.tflite", None, None, plan=plan, progress=False)
    with pytest.warns(UserWarning, match="random"):
        quantize_file(DIGITS, tmp_path / "own_b.tflite", "int8", "random", allow_float32_ops=True, progress=False)
    for name in "ab":
        assert (tmp_path / f"{name}.tflite").read_bytes() == (tmp_path / f"own_{name}.tflite").read_bytes()
    assert not (tmp_path / "c.tflite").exists()


def test_a_process_that_is_killed_while_it_makes_a_file_is_an_error_and_the_next_file_is_made(
    tmp_path: Path, samples: str
) -> None:
    pytest.importorskip("litert_quantizer")
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / ".half.tflite.0.part").write_bytes(b"half")  # as if it had just begun to write
    with closing(Quantizer(60)) as quantizer:
        quantizer.quantize_file(DIGITS, tmp_path / "first.tflite", "float16")  # the process is there
        began = time.monotonic()
        with (
            Hunter(MAKER, 1, lambda: time.monotonic() > began + 0.5) as hunter,
            pytest.raises(QuantizationError, match=r"quantize: the process was ended by signal 9 \(SIGKILL\)"),
        ):
            quantizer.quantize_file(DIGITS, folder / "a.tflite", "int8", samples)
        assert len(hunter.killed) == 1
        assert list(folder.iterdir()) == []
        quantizer.quantize_file(DIGITS, folder / "a.tflite", "float16")
        assert load(folder / "a.tflite").format == "tflite"


def test_a_file_that_takes_for_ever_is_given_up(tmp_path: Path, samples: str) -> None:
    pytest.importorskip("litert_quantizer")
    with closing(Quantizer(0.005)) as quantizer, pytest.raises(QuantizationError, match=r"no answer within 0\.3 s"):
        quantizer.quantize_file(DIGITS, tmp_path / "a.tflite", "int8", samples)
    assert hidden_files(tmp_path) == [] and not marked_workers.worker_pids(MAKER)


def test_a_process_that_cannot_be_there_is_no_fault_of_a_precision(tmp_path: Path) -> None:
    pytest.importorskip("litert_quantizer")
    config = LayersConfig(str(DIGITS), ("float16",), ("none",), parts=("in_place",), runs=1, seconds=0.01)
    with Hunter(MAKER, 2), pytest.raises(CellFailed, match="greet: the process was ended by signal 9"):
        study_layers(config, tmp_path / "study.sqlite")
    again = study_layers(config, tmp_path / "study.sqlite")
    assert [variant.refusal for variant in again.variants] == [None, None]


@pytest.fixture
def mixed(samples: str) -> LayersConfig:
    """Return a study of two mixed models and the two uniform ones."""
    quick: dict[str, Any] = {"seconds": 0.01, "runs": 1, "inputs": samples, "samples": 3000}
    return LayersConfig(str(DIGITS), ("float16",), ("none",), parts=("mixed",), mixes=2, **quick)


def test_a_study_goes_on_where_the_process_that_compares_is_killed(mixed: LayersConfig, tmp_path: Path) -> None:
    pytest.importorskip("litert_quantizer")
    store = tmp_path / "study.sqlite"
    seen: dict[int, float] = {}

    def is_old() -> bool:
        now = time.monotonic()
        return all(now > seen.setdefault(pid, now) + 0.5 for pid in marked_workers.worker_pids(TAKER))

    with Hunter(TAKER, 1, is_old) as hunter:
        found = study_layers(mixed, store).mixed
    assert len(hunter.killed) == 1
    assert len(found) == 4 and all(record.whole_us for record in found)
    without = [record for record in found if record.error is None]
    assert len(without) <= 1 and all("SIGKILL" in (record.error_refusal or "") for record in without)
    again = study_layers(mixed, store, retry=True).mixed
    assert [record.error_refusal for record in again] == [None] * 4
    assert all(record.error is not None for record in again)


def order(samples: int, delegate: str | None = None) -> ErrorOrder:
    return ErrorOrder("output", str(DIGITS), {}, delegate or "none", delegate, samples=samples)


def test_errors_of_a_whole_model_from_a_process_are_those_of_this_one(tmp_path: Path) -> None:
    pytest.importorskip("litert_quantizer")
    path = tmp_path / "float16.tflite"
    quantize_file(DIGITS, path, "float16", progress=False)
    source = load(DIGITS)
    here = WholeErrors(source, Samples.load(source, None, None, 3, 0), reference_engine(source), 1, unwatched)
    with closing(WholeErrorsApart(dataclasses.replace(order(3), num_threads=1), 60)) as errors:
        assert errors.of(path) == here.of(load(path))
        assert errors.of(DIGITS)["error"] == 0.0


def test_a_delegate_that_crashes_takes_the_errors_and_not_this_process(troubled: str) -> None:
    with closing(WholeErrorsApart(order(2, f"external:{troubled};crash=invoke"), 60)) as errors:
        found = [errors.of(path)["error_refusal"] for path in (DIGITS, f"{DIGITS}.0", f"{DIGITS}.1", f"{DIGITS}.2")]
        assert errors.of(DIGITS)["error_refusal"] == found[0]  # each once
    assert all("signal 11 (SIGSEGV)" in text for text in found[:3])
    assert found[3] == "not tried: it ended the process the last 3 times"


def test_a_model_that_cannot_be_read_has_a_reason_and_the_process_stays(tmp_path: Path) -> None:
    with closing(WholeErrorsApart(order(2), 60)) as errors:
        assert errors.of(DIGITS)["error"] == 0.0
        (pid,) = marked_workers.worker_pids(TAKER)
        for count in range(4):
            assert f"{count}.tflite" in errors.of(tmp_path / f"{count}.tflite")["error_refusal"]
        assert marked_workers.worker_pids(TAKER) == {pid}
    assert not marked_workers.worker_pids(TAKER)

"""A deployed plan as a pipeline of threads and of processes."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_models
from deployed import deploy, expected, feeds, same
from litedelegates.deploy import Pipeline, PipelineError
from litedelegates.deploy.conveyor import Conveyor
from litedelegates.deploy.records import ExitRule
from litedelegates.errors import DeployError, OptionError

BOTH = pytest.mark.parametrize("workers", ["threads", "processes"])


@BOTH
def test_outputs_come_in_order_and_equal_the_stages_one_after_the_other(tmp_path: Path, workers: str) -> None:
    manifest = deploy(tmp_path)
    inputs = feeds(manifest, 12)
    wanted = expected(tmp_path, manifest, inputs)
    with Pipeline(tmp_path, workers=workers) as pipeline:
        assert same([pipeline.run(inputs[0])], wanted[:1])
        assert same(list(pipeline.map(inputs)), wanted)
        assert same(list(pipeline.map(iter(inputs[:1]))), wanted[:1])
        assert list(pipeline.map([])) == []


@BOTH
def test_a_tensor_may_be_read_by_a_stage_that_is_not_the_next(tmp_path: Path, workers: str) -> None:
    manifest = deploy(tmp_path, at=[2, 4])
    read = [{port.name for port in stage.inputs} for stage in manifest.stages]
    assert {port.name for port in manifest.stages[0].outputs} & read[2]
    inputs = feeds(manifest, 3)
    with Pipeline(tmp_path, workers=workers) as pipeline:
        assert same(list(pipeline.map(inputs)), expected(tmp_path, manifest, inputs))


@BOTH
def test_the_parts_of_every_stage_add_up_to_the_latency(tmp_path: Path, workers: str) -> None:
    manifest = deploy(tmp_path)
    with Pipeline(tmp_path, workers=workers) as pipeline:
        for feed in feeds(manifest, 5):
            pipeline.run(feed)
        timings, inputs, summary = pipeline.timings, pipeline.input_timings, pipeline.summary()
        pipeline.forget_timings()
        assert pipeline.timings == ()
    assert [timing.stage for timing in timings] == [0, 1, 2] * 5
    for number, whole in enumerate(inputs):
        parts = timings[3 * number : 3 * number + 3]
        spent = sum(part.wait_us + part.upload_us + part.run_us + part.read_us + part.transfer_us for part in parts)
        assert 0 < spent <= whole.latency_us
        assert all(part.run_us > 0 and part.worker.startswith(workers[:-1].removesuffix("e")) for part in parts)
    assert len({timing.worker for timing in timings}) == 2
    assert summary.inputs == 5
    assert [stage.stage for stage in summary.stages] == [0, 1, 2]
    if workers == "processes":
        assert summary.stages[0].received_nbytes == 8 * 8 * 4


def test_a_lazy_source_is_read_only_as_far_as_there_is_room(tmp_path: Path) -> None:
    manifest = deploy(tmp_path, at=[3], devices=("a", "b"))
    feed = feeds(manifest, 1)[0]
    taken = itertools.count()
    last = [0]

    def source() -> Any:
        while True:
            last[0] = next(taken)
            yield feed

    with Pipeline(tmp_path, depth=1) as pipeline:
        outputs = pipeline.map(source())
        for _ in range(3):
            next(outputs)
        settled = -1
        while settled != last[0]:
            settled = last[0]
            time.sleep(0.3)
        # Three are out, one waits before each of three stations and behind them, one is in each, one in the feeder.
        assert settled + 1 <= 3 + 4 + 3 + 1
        outputs.close()  # type: ignore[attr-defined]
    names = {thread.name for thread in threading.enumerate()}
    assert not any("_serve" in name for name in names), names


def test_an_error_of_the_source_comes_after_the_outputs_before_it(tmp_path: Path) -> None:
    manifest = deploy(tmp_path)
    inputs = feeds(manifest, 2)

    def source() -> Any:
        yield from inputs
        raise ZeroDivisionError("the camera fell down")

    found = []
    with Pipeline(tmp_path) as pipeline, pytest.raises(ZeroDivisionError, match="camera"):
        found.extend(pipeline.map(source()))
        pytest.fail("it ended as if all were there")
    with Pipeline(tmp_path) as pipeline:
        outputs = pipeline.map(source())
        found = [next(outputs), next(outputs)]
        with pytest.raises(ZeroDivisionError):
            next(outputs)
    assert same(found, expected(tmp_path, manifest, inputs))


@BOTH
def test_an_array_that_does_not_fit_fails_at_its_stage_and_only_its_input(tmp_path: Path, workers: str) -> None:
    manifest = deploy(tmp_path)
    good, wrong = feeds(manifest, 1)[0], {"image": np.zeros((1, 8, 8, 3), np.float32)}
    with Pipeline(tmp_path, workers=workers) as pipeline:
        outputs = pipeline.map([good, wrong, good])
        assert same([next(outputs)], expected(tmp_path, manifest, [good]))
        with pytest.raises(PipelineError) as caught:
            next(outputs)
        assert (caught.value.kind, caught.value.stage) == ("failed", 0)
        assert same([pipeline.run(good)], expected(tmp_path, manifest, [good]))
        with pytest.raises(OptionError, match="'imaeg'"):
            pipeline.run({"imaeg": good["image"]})


def test_a_process_that_is_killed_is_replaced_and_its_input_is_computed_again(tmp_path: Path) -> None:
    manifest = deploy(tmp_path)
    inputs = feeds(manifest, 6)
    with Pipeline(tmp_path, workers="processes") as pipeline:
        before = pipeline.pids
        found = []
        for number, output in enumerate(pipeline.map(inputs)):
            found.append(output)
            if number == 1:
                os.kill(before["b"], signal.SIGKILL)
        assert same(found, expected(tmp_path, manifest, inputs))
        # It may have been done with all inputs when it was killed.
        pipeline.run(inputs[0])
        after = pipeline.pids
        assert pipeline.events
        assert "stage 1" in pipeline.events[0] and "SIGKILL" in pipeline.events[0]
        assert f"process {before['b']}" in pipeline.events[0]
    assert after["b"] != before["b"]
    assert after["a"] == before["a"]


def test_without_another_attempt_a_killed_process_is_an_error_that_names_it(tmp_path: Path) -> None:
    manifest = deploy(tmp_path)
    feed = feeds(manifest, 1)[0]
    with Pipeline(tmp_path, workers="processes", retries=0) as pipeline:
        pid = pipeline.pids["b"]
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(PipelineError, match=rf"stage 1 on process {pid}: .*SIGKILL") as caught:
            pipeline.run(feed)
        assert caught.value.kind == "died"
        assert same([pipeline.run(feed)], expected(tmp_path, manifest, [feed]))


def test_a_process_that_hangs_is_ended_and_told_within_the_limit(tmp_path: Path) -> None:
    manifest = deploy(tmp_path)
    feed = feeds(manifest, 1)[0]
    with Pipeline(tmp_path, workers="processes", retries=0, timeout_s=1.0) as pipeline:
        os.kill(pipeline.pids["b"], signal.SIGSTOP)
        with pytest.raises(PipelineError, match="no answer within 1 s") as caught:
            pipeline.run(feed)
        assert (caught.value.kind, caught.value.stage) == ("timeout", 1)
        assert same([pipeline.run(feed)], expected(tmp_path, manifest, [feed]))


def test_the_fallback_computes_what_the_stages_cannot(tmp_path: Path) -> None:
    manifest = deploy(tmp_path, fallback=True)
    inputs = feeds(manifest, 4)
    with Pipeline(tmp_path, workers="processes", retries=0) as pipeline:
        os.kill(pipeline.pids["b"], signal.SIGKILL)
        found = list(pipeline.map(inputs))
        summary = pipeline.summary()
        assert "the fallback takes over" in pipeline.events[0]
    assert summary.fell_back == 4
    for one, other in zip(found, expected(tmp_path, manifest, inputs), strict=True):
        np.testing.assert_allclose(one["logits"], other["logits"], rtol=1e-3, atol=1e-4)


@BOTH
def test_a_process_stays_on_the_cores_it_was_given(tmp_path: Path, workers: str) -> None:
    deploy(tmp_path)
    core = min(os.sched_getaffinity(0))
    if workers == "threads":
        with pytest.raises(OptionError, match="only processes"):
            Pipeline(tmp_path, workers=workers, cpus={"a": {core}})
        return
    with pytest.raises(OptionError, match="no stage runs on 'd'"):
        Pipeline(tmp_path, workers=workers, cpus={"d": {core}})
    with Pipeline(tmp_path, workers=workers, cpus={"a": {core}}) as pipeline:
        assert os.sched_getaffinity(pipeline.pids["a"]) == {core}


@pytest.mark.parametrize("threshold", [0.0, 1.1])
@BOTH
def test_inputs_leave_early_where_the_exit_is_sure_enough(tmp_path: Path, workers: str, threshold: float) -> None:
    # The rows of this tensor are no probabilities, so their softmax is what counts.
    early = "block1_relu"
    manifest = deploy(
        tmp_path, at=[9], devices=("a", "b"), outputs=["logits", early], exits=[ExitRule(early, 0, threshold)]
    )
    feed = feeds(manifest, 1)[0]
    with Pipeline(tmp_path, workers=workers) as pipeline:
        (found,) = pipeline.map([feed])
        summary = pipeline.summary()
    leaves = threshold == 0.0
    assert set(found) == ({early} if leaves else {early, "logits"})
    assert summary.left_early == int(leaves)
    assert [stage.stage for stage in summary.stages] == ([0] if leaves else [0, 1])


@BOTH
def test_inputs_are_gathered_only_where_the_models_leave_that_open(tmp_path: Path, workers: str) -> None:
    deploy(tmp_path / "fixed")
    with pytest.raises(OptionError, match="first dimension is not open"):
        Pipeline(tmp_path / "fixed", workers=workers, batch=4)
    manifest = deploy(tmp_path / "open", model=small_models.dense_dynamic_batch(), at=[], devices=("a",))
    inputs = feeds(manifest, 7)
    with Pipeline(tmp_path / "open", workers=workers, batch=3) as pipeline:
        found = list(pipeline.map(inputs))
        assert len(pipeline.timings) == 3
    for one, other in zip(found, expected(tmp_path / "open", manifest, inputs), strict=True):
        for name in one:
            np.testing.assert_allclose(one[name], other[name], rtol=1e-6)


@BOTH
def test_a_model_that_is_not_the_deployed_one_is_not_run(tmp_path: Path, workers: str) -> None:
    deploy(tmp_path, changes={1: {"sha256": "0" * 64}})
    with pytest.raises(PipelineError, match=r"stage 1 .*not the model that was deployed"):
        Pipeline(tmp_path, workers=workers)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"workers": "thread"}, "Did you mean 'threads'"),
        ({"depth": 0}, "depth=0"),
        ({"retries": -1}, "retries=-1"),
        ({"timeout_s": 0}, "timeout_s=0"),
        ({"batch": 0}, "batch=0"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    deploy(tmp_path)
    with pytest.raises(OptionError, match=words):
        Pipeline(tmp_path, **options)


@pytest.mark.parametrize(
    ("content", "words"), [("{", "no manifest"), ("[]", "no manifest"), ('{"schema_version": 99}', "schema is 99")]
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(DeployError, match=words):
        Pipeline(tmp_path)


def test_a_station_that_raises_ends_the_conveyor_with_its_error() -> None:
    def station(item: int) -> None:
        if item == 2:
            raise ZeroDivisionError(str(item))

    items = Conveyor([station, lambda item: None], 1).carry(range(100))
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(ZeroDivisionError, match="2"):
        next(items)


def test_a_station_of_two_lanes_has_two_items_at_a_time_and_keeps_their_order() -> None:
    at_once, most = threading.Semaphore(0), []
    busy = itertools.count()

    def station(item: int) -> None:
        most.append(item)
        if item == 0:
            assert at_once.acquire(timeout=30)  # which the next item releases
        if item == 1:
            at_once.release()
        time.sleep(0.002 * (next(busy) % 3))

    items = list(Conveyor([station, lambda item: None], 1, [2, 1]).carry(range(20)))
    assert items == list(range(20))
    assert most[:2] == [0, 1] or most[:2] == [1, 0]


def test_an_error_in_one_lane_comes_after_the_items_before_it() -> None:
    def station(item: int) -> None:
        if item == 3:
            raise ZeroDivisionError(str(item))
        time.sleep(0.02)

    items = Conveyor([station], 2, [3]).carry(range(100))
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ZeroDivisionError, match="3"):
        next(items)


def test_nothing_is_left_behind_when_the_pipeline_is_closed(tmp_path: Path) -> None:
    manifest = deploy(tmp_path)
    with Pipeline(tmp_path, workers="processes") as pipeline:
        outputs = pipeline.map(itertools.cycle(feeds(manifest, 1)))
        next(outputs)
        pids = pipeline.pids
    for pid in pids.values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    with pytest.raises((PipelineError, StopIteration)):
        for _ in range(100):
            next(outputs)

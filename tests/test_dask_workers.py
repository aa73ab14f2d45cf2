"""A pipeline over Dask workers, which are processes of this machine."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from deployed import deploy, expected, feeds, same
from litedelegates.cli import main
from litedelegates.deploy import Pipeline, PipelineError
from litedelegates.deploy.dask_cluster import connect
from litedelegates.deploy.joining import parse_resources
from litedelegates.deploy.link_measurement import MeasurementError, fit_link, measure_link
from litedelegates.errors import OptionError
from litedelegates.plan import HERE

pytest.importorskip("distributed")
from cluster import SECONDS, Cluster, cluster


@pytest.fixture(scope="module")
def three_boards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler with three boards that are left alone: a, b, and one with a resource of another name."""
    with cluster(tmp_path_factory.mktemp("cluster")) as found:
        found.add("a")
        found.add("b")
        found.add("c", {"npu": 2, "c": 1})
        yield found


def test_stages_run_on_the_workers_with_their_resources_and_arrays_go_between_them(
    three_boards: Cluster, tmp_path: Path
) -> None:
    manifest = deploy(tmp_path, devices=("a", "b", "c"), changes={2: {"resources": {"npu": 1.0}}})
    inputs = feeds(manifest, 6)
    with Pipeline(tmp_path, workers=three_boards.address, timeout_s=SECONDS) as pipeline:
        assert same([pipeline.run(inputs[0])], expected(tmp_path, manifest, inputs[:1]))
        assert same(list(pipeline.map(inputs)), expected(tmp_path, manifest, inputs))
        timings = pipeline.timings
    assert [timing.worker.split()[0] for timing in timings[:3]] == ["a", "b", "c"]
    border = sum(port.nbytes or 0 for port in manifest.stages[1].inputs)
    assert all(timing.received_nbytes >= border and timing.transfer_us > 0 for timing in timings if timing.stage == 1)
    assert all(timing.run_us > 0 for timing in timings)


def test_a_tensor_for_a_later_stage_goes_straight_to_it(three_boards: Cluster, tmp_path: Path) -> None:
    manifest = deploy(tmp_path, at=[2, 4], devices=("a", "b", "c"))
    inputs = feeds(manifest, 3)
    with Pipeline(tmp_path, workers=three_boards.address, timeout_s=SECONDS) as pipeline:
        assert same(list(pipeline.map(inputs)), expected(tmp_path, manifest, inputs))


def test_a_client_may_be_given_and_stays_open(three_boards: Cluster, tmp_path: Path) -> None:
    from distributed import Client

    manifest = deploy(tmp_path, at=[3], devices=("a", "b"))
    with Client(three_boards.address, set_as_default=False) as client:
        with Pipeline(tmp_path, workers=client, timeout_s=SECONDS) as pipeline:
            assert same(list(pipeline.map(feeds(manifest, 1))), expected(tmp_path, manifest, feeds(manifest, 1)))
        assert client.submit(sum, [1, 2]).result(timeout=30) == 3


def test_a_resource_that_nobody_has_is_an_error_that_lists_who_is_there(three_boards: Cluster, tmp_path: Path) -> None:
    deploy(tmp_path, devices=("a", "b", "edgetpu"))
    with pytest.raises(PipelineError, match=r"no worker has edgetpu=1; .*a at tcp://.*c at tcp://.*npu=2") as caught:
        Pipeline(tmp_path, workers=three_boards.address)
    assert (caught.value.kind, caught.value.stage) == ("no worker", 2)


def test_an_array_that_does_not_fit_is_told_with_stage_and_worker(three_boards: Cluster, tmp_path: Path) -> None:
    manifest = deploy(tmp_path, devices=("a", "b", "c"))
    feed = feeds(manifest, 1)[0]
    with Pipeline(tmp_path, workers=three_boards.address, timeout_s=SECONDS) as pipeline:
        with pytest.raises(PipelineError, match=r"stage 0 on a at tcp://.*cannot resize") as caught:
            pipeline.run({"image": feed["image"][:, :2]})
        assert caught.value.kind == "failed"
        assert same([pipeline.run(feed)], expected(tmp_path, manifest, [feed]))


def test_a_link_is_measured_between_two_workers_and_between_here_and_one(three_boards: Cluster) -> None:
    with connect(three_boards.address, SECONDS) as client:
        link = measure_link(client, ("a", "c"), name="wifi", rounds=5, pause_s=0.05)
        assert (link.name, link.ends) == ("wifi", ("a", "c"))
        # Nothing here is slower than a bad radio or faster than memory; what it is depends on what else runs.
        assert 10 < link.bandwidth_mbps < 1e6
        assert 0 < link.latency_us < 1e6 and link.overhead_us >= 0 and link.jitter_us > 0
        assert link.measured.startswith("70 messages of 1000 to 16000000 bytes")
        assert link.overhead_back_us is None
        call = measure_link(client, (HERE, "a"), rounds=5, pause_s=0.05)
        assert call.ends == (HERE, "a") and call.measured.startswith("70 messages of")
        # One way a worker is asked to work and answers, the other way what it made is fetched.
        assert call.overhead_back_us is not None and call.overhead_back_us >= 0
        with pytest.raises(OptionError, match=r"there is no worker 'd'.*here"):
            measure_link(client, ("a", "d"))
        with pytest.raises(OptionError, match="and itself"):
            measure_link(client, ("a", "a"))


def test_a_link_is_fitted_to_messages_that_were_delayed_at_random() -> None:
    random = np.random.default_rng(0)
    sizes = (1_000, 50_000, 400_000, 2_000_000)
    found = {size: [8 * size / 20 + 3000 + random.gamma(2, 500) for _ in range(40)] for size in sizes}
    link = fit_link("wifi", ("a", "b"), found, 1200.0)
    assert link.bandwidth_mbps == pytest.approx(20, rel=0.02)
    assert link.latency_us == 1200
    assert link.overhead_us == pytest.approx(3000 + 840 - 1200, rel=0.1)
    assert link.jitter_us == pytest.approx(500 * 2**0.5, rel=0.15)
    back = {size: [us - 1500 for us in samples] for size, samples in found.items()}
    both = fit_link("call", ("here", "b"), found, 1200.0, back=back)
    assert both.overhead_back_us is not None
    assert both.bandwidth_mbps == pytest.approx(20, rel=0.02)
    assert both.overhead_us - both.overhead_back_us == pytest.approx(1500)
    assert both.jitter_us == pytest.approx(link.jitter_us, rel=1e-3)
    with pytest.raises(MeasurementError, match="give larger sizes"):
        fit_link("wifi", ("a", "b"), {1000: [5000.0] * 3, 2000: [4000.0] * 3}, 1200.0)


def test_the_pipeline_command_prints_each_stage_with_its_worker(
    three_boards: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy(tmp_path, at=[3], devices=("a", "b"))
    assert main(["pipeline", str(tmp_path), "--workers", three_boards.address, "--runs", "3", "--quiet"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in printed[1:3]] == [["0", "a"], ["1", "b"]]
    assert "b at tcp://" in printed[2]
    assert any(line.startswith("latency") for line in printed) and any(line.startswith("period") for line in printed)


def test_no_scheduler_is_told_within_the_limit(tmp_path: Path) -> None:
    deploy(tmp_path)
    with pytest.raises(PipelineError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        Pipeline(tmp_path, workers="tcp://127.0.0.1:9", timeout_s=1)


def test_a_worker_that_hangs_is_told_within_the_limit(three_boards: Cluster, tmp_path: Path) -> None:
    manifest = deploy(tmp_path, at=[3], devices=("a", "b"))
    feed = feeds(manifest, 1)[0]
    with Pipeline(tmp_path, workers=three_boards.address, timeout_s=2, retries=0) as pipeline:
        assert same([pipeline.run(feed)], expected(tmp_path, manifest, [feed]))
        three_boards.kill("b", signal.SIGSTOP)
        try:
            with pytest.raises(PipelineError, match=r"stage 1 on b at tcp://.*: no answer within 2 s") as caught:
                pipeline.run(feed)
        finally:
            three_boards.kill("b", signal.SIGCONT)
    assert caught.value.kind == "timeout"


def test_another_worker_takes_over_for_one_that_is_killed_then_the_fallback_then_there_is_an_error(
    tmp_path: Path,
) -> None:
    manifest = deploy(tmp_path, at=[3], devices=("a", "b"), fallback=True)
    inputs = feeds(manifest, 30)
    wanted = expected(tmp_path, manifest, inputs)
    with cluster(tmp_path) as boards:
        boards.add("a")
        boards.add("b")
        boards.add("spare", {"b": 1})
        with (
            Pipeline(tmp_path, workers=boards.address, fallback=False, timeout_s=SECONDS, depth=1) as strict,
            Pipeline(tmp_path, workers=boards.address, timeout_s=SECONDS) as lenient,
        ):
            found = []
            for number, output in enumerate(strict.map(inputs)):
                found.append(output)
                if number == 2:
                    boards.kill("b")
            assert same(found, wanted)
            workers = [timing.worker.split()[0] for timing in strict.timings if timing.stage == 1]
            assert workers[0] == "b" and workers[-1] == "spare"
            assert any("b at tcp://" in event and "gone" in event for event in strict.events), strict.events

            boards.kill("spare")
            found = list(lenient.map(inputs[:3]))
            assert lenient.summary().fell_back == 3
            for one, other in zip(found, wanted, strict=False):
                np.testing.assert_allclose(one["logits"], other["logits"], rtol=1e-3, atol=1e-4)
            with pytest.raises(PipelineError, match="stage 1") as caught:
                strict.run(inputs[0])
            assert caught.value.kind in ("no worker", "died")


@pytest.mark.parametrize("text", ["gpu=0", "gpu=x", "=1", "gpu=-1"])
def test_resources_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match="NAME=AMOUNT"):
        parse_resources(text)
    assert parse_resources("gpu=1, edgetpu") == {"gpu": 1.0, "edgetpu": 1.0}

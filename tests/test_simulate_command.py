"""``litedelegates simulate``: what it prints, writes and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from litedelegates.cli import main
from litedelegates.cli.simulate import parse_failure
from litedelegates.errors import OptionError
from litedelegates.plan.simulation import Failure, Simulation
from plans_by_hand import chain, one_stage

pytest.importorskip("simpy")


@pytest.fixture
def plan(tmp_path: Path) -> str:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(chain(fallback=one_stage(40_000.0)).to_json()))
    return str(path)


def test_it_prints_latency_throughput_and_how_busy_everything_is(plan: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", plan, "--seconds", "5"]) == 0
    out = capsys.readouterr().out
    assert "1 client, 5 s: 206 inputs done, 41.2 a second" in out
    assert "mean 24.3 ms" in out
    assert [line.split()[0] for line in out.splitlines() if line.startswith(("pi", "server", "wifi"))] == [
        "pi",
        "server",
        "wifi",
    ]


def test_a_failure_shows_what_fell_back(plan: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--clients", "20", "--rate", "2", "--seconds", "10", "--fail", "server:at=4,for=2", "--json"]
    assert main(["simulate", plan, *arguments]) == 0
    found = Simulation.from_json(json.loads(capsys.readouterr().out))
    assert found.fell_back > 0
    assert found.lost == 0
    assert found.station("server").down == pytest.approx(0.2)


def test_it_writes_a_page_and_a_plot(plan: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    page, plot = tmp_path / "page.html", tmp_path / "plot.svg"
    arguments = ["--seconds", "3", "--share", "wifi", "--slots", "server=2", "--report", str(page), "--plot", str(plot)]
    assert main(["simulate", plan, *arguments]) == 0
    assert f"written: {page}, {plot}" in capsys.readouterr().out
    assert '"simulation":{' in page.read_text()
    assert "inputs waiting" in plot.read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--slots", "server"], "write it as DEVICE=N"),
        (["--slots", "servr=2"], "Did you mean 'server'"),
        (["--share", "wify"], "Did you mean 'wifi'"),
        (["--fail", "server:from=2"], "there is no 'from'"),
        (["--rate", "0"], "above 0"),
    ],
)
def test_a_wrong_argument_is_refused_with_its_reason(
    plan: str, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", plan, *arguments]) == 2
    assert words in capsys.readouterr().err


def test_failures_are_read() -> None:
    assert parse_failure("server:at=20,for=5") == Failure("server", at_s=20.0, for_s=5.0)
    assert parse_failure("wifi:every=60,for=2") == Failure("wifi", every_s=60.0, for_s=2.0)
    with pytest.raises(OptionError, match="write it as"):
        parse_failure("server")
    with pytest.raises(OptionError, match="write it as"):
        parse_failure("server:at=soon")


def test_a_file_that_is_no_plan_is_said_to_be_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "other.json"
    path.write_text("{}")
    assert main(["simulate", str(path)]) == 1
    assert "holds no plan" in capsys.readouterr().err

"""Comparing studies: what is refused, what is found, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from litedelegates.cli import main
from litedelegates.errors import OptionError
from litedelegates.study import Outcome, Store
from litedelegates.study.compare import Comparison, NotComparableError, compare, unpaired_ratio
from litedelegates.study.gates import COUNTS, METRICS, Gate
from synthetic_study import MACHINE, cell, write_study

DIGITS = {"digits": 376.0}


def compared(old: Path, new: Path, allow: tuple[str, ...] = ()) -> Comparison:
    with Store.open(old) as first, Store.open(new) as second:
        return compare(first, second, allow)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("old") / "old.sqlite", DIGITS, (1, 2))


def test_a_slower_configuration_is_found_and_the_others_are_not(old: Path, tmp_path: Path) -> None:
    new = write_study(tmp_path / "new.sqlite", DIGITS, (1, 2), seed=1, slower={"digits int8 xnnpack 1t": 1.1})
    found = compared(old, new)
    # The reference has nothing but its own times, in which the drift of the machine is.
    (slower,) = [change for change in found.changes if change.is_slower and not change.new.is_base]
    assert slower.label == "digits int8 xnnpack 1t"
    assert slower.ratio is not None
    assert slower.ratio.ratio == pytest.approx(1.1, rel=0.1)
    assert slower.against_reference is not None
    assert slower.against_reference.ratio == pytest.approx(1.1, rel=0.02)
    assert found.only_old == found.only_new == found.differences == ()


def test_a_machine_that_is_busier_as_a_whole_is_told_from_a_configuration_that_is_slower(
    old: Path, tmp_path: Path
) -> None:
    new = write_study(tmp_path / "new.sqlite", {"digits": 376.0 * 1.4}, (1, 2), seed=1)
    measured = [change for change in compared(old, new).changes if change.ratio is not None]
    assert len(measured) == 16
    for change in measured:
        assert change.verdict == ("slower" if change.new.is_base else "slower, as is the reference")
        if change.against_reference is not None:
            assert change.against_reference.ratio == pytest.approx(1, rel=0.02)


def test_the_interval_of_two_sets_of_rounds_holds_the_true_ratio_as_often_as_it_says() -> None:
    random = np.random.default_rng(5)
    held = 0
    for trial in range(200):
        new, base = (random.lognormal(0, 0.05, 12) * level for level in (1.07, 1.0))
        interval = unpaired_ratio(new.tolist(), base.tolist(), resamples=800, seed=trial)
        assert interval.low is not None and interval.high is not None
        held += interval.low <= 1.07 <= interval.high
    assert held >= 184  # 190 of 200 are 95 %; below 184 lie two standard deviations


@pytest.mark.parametrize(
    ("allowance", "machine", "threads", "words"),
    [
        ("machine", {**MACHINE, "cpu_model": "Cortex-A72"}, (1, 2), "cpu model AMD EPYC before, Cortex-A72 now"),
        ("governor", {**MACHINE, "governor": "powersave"}, (1, 2), "governor unknown before, powersave now"),
        ("threads", MACHINE, (4,), "another number of threads"),
    ],
)
def test_what_cannot_be_compared_is_refused_unless_allowed(
    old: Path, tmp_path: Path, allowance: str, machine: dict[str, object], threads: tuple[int, ...], words: str
) -> None:
    base = write_study(tmp_path / "one.sqlite", DIGITS, (1,)) if allowance == "threads" else old
    new = write_study(tmp_path / "new.sqlite", DIGITS, threads, machine=machine)
    with pytest.raises(NotComparableError, match=words) as refused:
        compared(base, new)
    assert str(refused.value).endswith(f"--allow {allowance}")
    found = compared(base, new, (allowance,))
    assert len(found.changes) == 9 * len(threads)
    assert any(words in difference for difference in found.differences)


def test_a_model_of_the_same_name_with_another_content_is_refused_unless_allowed(old: Path, tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite"
    one = cell("digits", "int8", "xnnpack")
    other = type(one)(one.model, "0" * 64, one.precision, one.delegate, one.threads, {})
    with Store.create(path, {}) as store:
        store.add_session(MACHINE, {}, [])
        store.add_cell(other)
        store.set_outcome(Outcome(other.key, "failed", "it was not measured"))
    with pytest.raises(NotComparableError, match="another content of the model file"):
        compared(old, path)
    (change,) = compared(old, path, ("model",)).changes
    assert (change.old.cell.threads, change.is_broken, change.ratio) == (1, True, None)


def test_another_number_of_threads_beside_the_same_one_is_a_configuration_more(old: Path, tmp_path: Path) -> None:
    found = compared(write_study(tmp_path / "one.sqlite", DIGITS, (1,)), old)
    assert len(found.changes) == 9
    assert all(label.endswith(" 2t") for label in found.only_new)


def test_studies_without_anything_in_common_are_not_comparable(old: Path, tmp_path: Path) -> None:
    with pytest.raises(NotComparableError, match="no configuration in common"):
        compared(old, write_study(tmp_path / "new.sqlite", {"other": 100.0}, (1,)))


def test_an_unknown_allowance_or_metric_names_the_nearest(old: Path) -> None:
    with pytest.raises(OptionError, match="Did you mean 'machine'"):
        compared(old, old, ("machin",))
    with pytest.raises(OptionError, match="Did you mean 'median_ratio'"):
        Gate.parse("median_ration>1.05")
    for text in ("median_ratio", "median_ratio=1", "median_ratio>fast", "median_ratio>1.0.5"):
        with pytest.raises(OptionError, match="METRIC>NUMBER"):
            Gate.parse(text)


def test_the_exit_codes_tell_a_failed_condition_from_misuse_and_from_what_cannot_be_compared(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same = ["compare", str(old), str(old), "--fail-on", "median_ratio>1.05"]
    assert main(same) == 0
    slower = write_study(tmp_path / "slow.sqlite", DIGITS, (1, 2), slower={"digits float32 none 1t": 1.2})
    assert main(["compare", str(old), str(slower), "--fail-on", "median_ratio>1.05"]) == 1
    assert "FAILED median_ratio>1.05: digits float32 none 1t has 1.2" in capsys.readouterr().out
    assert main(["compare", str(old), str(slower), "--fail-on", "median_ratio>15%"]) == 1
    assert main(["compare", str(old), str(slower), "--fail-on", "median_ratio>25%"]) == 0
    assert main(["compare", str(old), str(slower)]) == 0
    assert main(["compare", str(old), str(tmp_path / "missing.sqlite")]) == 2
    with pytest.raises(SystemExit) as ended:
        main(["compare", str(old), str(old), "--fail-on", "nothing>1"])
    assert ended.value.code == 2
    elsewhere = write_study(tmp_path / "pi.sqlite", DIGITS, (1,), machine={**MACHINE, "board": "Raspberry Pi 5"})
    assert main(["compare", str(old), str(elsewhere)]) == 3
    assert main(["compare", str(old), str(elsewhere), "--allow", "machine"]) == 0
    assert main(["compare", "--allow", "machine,threads", str(old), str(elsewhere)]) == 0
    assert main(["compare", "--allow", "machin", str(old), str(elsewhere)]) == 2


@pytest.mark.parametrize(
    ("text", "limit"),
    [("median_ratio>5%", 1.05), ("p95_ratio<-10%", 0.9), ("relative_error>5%", 0.05), ("accuracy_loss>0.01", 0.01)],
)
def test_a_percentage_is_the_change_of_a_ratio_and_a_share_of_what_is_one(text: str, limit: float) -> None:
    assert Gate.parse(text).limit == pytest.approx(limit)


@pytest.mark.parametrize("text", ["median_ratio>105%", "slower>5%", "median_us>5%"])
def test_a_percentage_that_could_mean_two_things_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="write"):
        Gate.parse(text)


def test_too_fast_is_flagged_and_can_fail(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = write_study(tmp_path / "new.sqlite", DIGITS, (1, 2), slower={"digits float16 none 1t": 0.5})
    assert main(["compare", str(old), str(new)]) == 0
    assert "digits float16 none 1t is suspiciously fast" in capsys.readouterr().out
    assert main(["compare", str(old), str(new), "--fail-on", "too_fast>0"]) == 1


def test_a_configuration_that_no_longer_works_fails_whatever_the_condition(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = write_study(tmp_path / "new.sqlite", DIGITS, (1, 2))
    with Store.create(new, {}) as store:
        broken = cell("digits", "int8", "xnnpack", 2)
        store.set_outcome(Outcome(broken.key, "timeout", "a block took longer than 10 s"))
    assert main(["compare", str(old), str(new), "--fail-on", "median_ratio>1.05"]) == 1
    said = capsys.readouterr().out
    assert "FAILED digits int8 xnnpack 2t worked before" in said
    assert "ok before, timeout now (a block took longer than 10 s)" in said


def test_every_metric_has_a_value_in_the_json(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(old), str(old), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    int8 = next(change for change in record["changes"] if change["label"] == "digits int8 xnnpack 2t")
    assert [name for name in METRICS if int8[name] is None] == []
    assert (int8["median_ratio"], int8["accuracy_loss"], int8["verdict"]) == (1, 0, "no difference shown")
    assert set(COUNTS) == {"slower", "missing", "too_fast"}

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from litedelegates.measure.conditions import (
    check_before,
    check_between,
    find_drift,
    find_unsteady,
    find_unwaited,
)
from litedelegates.measure.machine_state import MachineState, read_machine_state
from machine_files import cpu_files, process_files, write_files
from noise import ar1

PID = 4321


def states(tmp_path: Path, before: dict[str, object], after: dict[str, object], seconds: float = 10.0) -> list[str]:
    """Return the kinds of what is said about ``seconds`` between two states of a machine."""
    first = read_machine_state([PID], write_files(tmp_path, before))
    second = read_machine_state([PID], write_files(tmp_path, after))
    return [found.kind for found in check_between(first, replace(second, at_s=first.at_s + seconds))]


def quiet(ticks: int = 0, **changes: object) -> dict[str, object]:
    """The machine, all of whose work is that of our process."""
    files = cpu_files(user=1000 + ticks, idle=9000 + ticks, **changes)  # type: ignore[arg-type]
    return {**files, **process_files(PID, user=100 + ticks)}


def test_a_quiet_machine_raises_no_condition(tmp_path: Path) -> None:
    assert states(tmp_path, quiet(), quiet(1000)) == []


def test_a_state_is_read_in_its_units(tmp_path: Path) -> None:
    state = read_machine_state([PID], write_files(tmp_path, quiet(stolen=50)))
    assert (state.cpus, state.busy_s, state.stolen_s, state.own_s) == (2, 10.0, 0.5, 1.0)
    assert state.governors == ("performance",)
    assert state.frequencies_mhz == (1800, 600) and state.max_frequency_mhz == 1800
    assert state.load_average == 0.1


def test_work_of_others_is_told_with_its_share(tmp_path: Path) -> None:
    first = read_machine_state([PID], write_files(tmp_path, quiet()))
    busy = {**cpu_files(user=1000 + 1500, idle=9500), **process_files(PID, user=1100)}
    second = read_machine_state([PID], write_files(tmp_path, busy))
    [found] = check_between(first, replace(second, at_s=first.at_s + 10))
    assert (found.kind, found.severity) == ("busy", "warning")
    assert "25% of the CPU time of 2 CPUs" in found.text  # (15 - 10) s of 20, less the steps of the clock


def test_the_work_of_the_process_that_is_measured_is_not_that_of_others(tmp_path: Path) -> None:
    files = {**quiet(1500), **process_files(PID, user=1600)}
    assert states(tmp_path, quiet(), files) == []
    assert read_machine_state([PID], tmp_path).own_s == 16
    assert read_machine_state([PID, 1], tmp_path).own_s == 16  # a process that has ended counts nothing


def test_the_work_of_children_that_have_ended_is_not_that_of_others(tmp_path: Path) -> None:
    files = {**quiet(1500), **process_files(PID, user=100, children=1500)}
    assert states(tmp_path, quiet(), files) == []


def test_time_that_the_hypervisor_took_is_told(tmp_path: Path) -> None:
    assert states(tmp_path, quiet(), quiet(1000, stolen=100)) == ["stolen"]
    assert states(tmp_path, quiet(), quiet(1000, stolen=10)) == []


def test_a_governor_that_follows_the_load_is_told_before_and_after(tmp_path: Path) -> None:
    assert states(tmp_path, quiet(governor="ondemand"), quiet(1000, governor="ondemand")) == ["governor"]
    [found] = check_before(read_machine_state([PID], tmp_path))
    assert "ondemand" in found.text and "cpupower" in found.text


def test_a_machine_that_was_busy_before_is_noted(tmp_path: Path) -> None:
    [found] = check_before(read_machine_state([PID], write_files(tmp_path, quiet(load=1.7))))
    assert (found.kind, found.severity) == ("busy", "note")
    assert "1.7 processes" in found.text


def test_a_clock_below_the_highest_is_told_by_the_quickest_cpu(tmp_path: Path) -> None:
    assert states(tmp_path, quiet(), quiet(1000, mhz=1500)) == ["frequency"]
    assert states(tmp_path, quiet(), quiet(1000, mhz=1700)) == []


def test_intels_throttle_counter_is_compared(tmp_path: Path) -> None:
    path = "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count"
    assert states(tmp_path, {**quiet(), path: 3}, {**quiet(1000), path: 3}) == []
    assert states(tmp_path, {**quiet(), path: 3}, {**quiet(1000), path: 5}) == ["throttled"]


@pytest.mark.parametrize(
    ("before", "after", "texts"),
    [
        ("0", "0", []),
        ("0", "50005", ["the supply voltage is too low, says", "the CPU is throttled, says"]),
        ("0", "50000", ["for a time: the supply voltage", "for a time: the CPU is throttled"]),
        ("50000", "50000", []),  # long ago
        ("50000", "50004", ["the CPU is throttled, says"]),
        ("10000", "30000", ["for a time: the clock is capped"]),
    ],
)
def test_the_throttle_bits_of_a_raspberry_pi(tmp_path: Path, before: str, after: str, texts: list[str]) -> None:
    path = "sys/devices/platform/soc/soc:firmware/get_throttled"
    first = read_machine_state([PID], write_files(tmp_path, {**quiet(), path: before}))
    second = read_machine_state([PID], write_files(tmp_path, {**quiet(1000), path: after}))
    found = check_between(first, replace(second, at_s=first.at_s + 10))
    assert len(found) == len(texts)
    for condition, text in zip(found, texts, strict=True):
        assert condition.kind == "throttled" and text in condition.text


def test_heat_is_told_near_the_point_where_the_kernel_slows_down(tmp_path: Path) -> None:
    zone = "sys/class/thermal/thermal_zone0"
    trips = {f"{zone}/trip_point_{n}_type": kind for n, kind in enumerate(["active", "passive", "critical"])}
    trips |= {f"{zone}/trip_point_{n}_temp": temp for n, temp in enumerate([50_000, 80_000, 110_000])}
    assert states(tmp_path, quiet(), {**quiet(1000), **trips, f"{zone}/temp": 60_000}) == []
    assert states(tmp_path, quiet(), {**quiet(1000), **trips, f"{zone}/temp": 76_500}) == ["hot"]


@pytest.mark.parametrize("path", ["sys/fs/cgroup/cpu.stat", "sys/fs/cgroup/cpu/cpu.stat"])
def test_a_used_up_quota_of_a_container_is_told(tmp_path: Path, path: str) -> None:
    text = "usage_usec 5\nnr_periods 10\nnr_throttled {}\nthrottled_usec 7"
    first, second = {**quiet(), path: text.format(2)}, {**quiet(1000), path: text.format(9)}
    assert states(tmp_path, first, second) == ["quota"]


def test_a_machine_that_tells_nothing_raises_nothing(tmp_path: Path) -> None:
    state = read_machine_state([PID], tmp_path)
    assert state.busy_s is None and state.frequencies_mhz == () and state.firmware_flags is None
    assert check_before(state) == []
    assert check_between(state, replace(state, at_s=state.at_s + 1)) == []


def test_this_machine_can_be_read() -> None:
    before: MachineState = read_machine_state()
    total = sum(index * index for index in range(400_000))
    after = read_machine_state()
    assert total > 0
    assert before.cpus >= 1 and after.at_s > before.at_s
    assert before.busy_s is not None and after.busy_s is not None and after.busy_s >= before.busy_s
    check_between(before, after)


def test_a_drift_is_told_and_a_constant_level_is_not() -> None:
    random = np.random.default_rng(0)
    slope = np.linspace(1, 1.3, 60) * random.normal(1, 0.02, 60)
    found = find_drift(slope)
    assert found is not None and (found.kind, found.severity) == ("drift", "warning")
    assert "longer" in found.text and "ratios of the same rounds hold" in found.text
    quicker = find_drift(slope[::-1])
    assert quicker is not None and "shorter" in quicker.text


def test_noise_and_bursts_are_seldom_taken_for_a_drift() -> None:
    random = np.random.default_rng(1)
    told = {"noise": 0, "bursts": 0, "dependent": 0}
    for _ in range(300):
        noise = random.normal(1, 0.05, 60)
        told["noise"] += find_drift(noise) is not None
        told["bursts"] += find_drift(noise + random.exponential(1, 60) * (random.random(60) < 0.15)) is not None
        told["dependent"] += find_drift(np.exp(ar1(random, 60, 0.5, 0.05))) is not None
    assert max(told["noise"], told["bursts"]) <= 6
    assert told["dependent"] <= 15


def test_a_drift_too_small_to_matter_and_a_short_series_say_nothing() -> None:
    assert find_drift(np.linspace(1, 1.03, 300)) is None
    assert find_drift([1.0, 2.0, 3.0, 4.0]) is None


def test_a_run_that_returns_before_the_result_is_there_is_noted() -> None:
    [found] = find_unwaited(np.tile([100_000, 900_000, 19_000_000], (20, 1)))
    assert (found.kind, found.severity) == ("not waited", "note")
    assert "95% of the time is spent in reading it back" in found.text
    assert find_unwaited(np.tile([10_000, 20_000_000, 90_000], (20, 1))) == []


def test_samples_that_leave_out_most_of_the_time_are_a_warning() -> None:
    parts = np.tile([0, 90_000, 0], (50, 1))
    [found] = find_unwaited(parts, wall_ns=50 * 20e6)
    assert found.severity == "warning" and "not waited for" in found.text
    assert find_unwaited(parts, wall_ns=50 * 95_000) == []


def test_parts_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(5,\).*\(runs, 3\) is wanted"):
        find_unwaited(np.ones(5))


def test_a_warm_up_that_did_not_settle_is_told() -> None:
    assert find_unsteady(True, [1, 2]) is None
    found = find_unsteady(False, [1, 2, 3])
    assert found is not None and found.kind == "not steady" and "3 runs" in found.text

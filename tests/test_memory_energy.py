from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from litedelegates.measure.cpu_time import read_cpu_time
from litedelegates.measure.energy import EnergyMeter
from litedelegates.measure.energy_meters import find_meters
from litedelegates.measure.memory import MemoryStages, read_memory, reset_peak
from machine_files import process_files, write_files

needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc on this system")


def test_memory_is_read_in_bytes(tmp_path: Path) -> None:
    write_files(tmp_path, process_files(7, VmHWM=3000, VmRSS=2000, RssAnon=500, VmSwap=40))
    found = read_memory(7, tmp_path)
    assert found is not None
    assert (found.resident_bytes, found.peak_bytes) == (2000 * 1024, 3000 * 1024)
    assert (found.own_bytes, found.swapped_bytes) == (500 * 1024, 40 * 1024)


def test_a_peak_is_never_below_what_is_there(tmp_path: Path) -> None:
    found = read_memory(7, write_files(tmp_path, process_files(7, VmHWM=1900, VmRSS=2000)))
    assert found is not None and found.peak_bytes == 2000 * 1024
    assert found.own_bytes is None


def test_a_process_that_has_ended_has_no_memory(tmp_path: Path) -> None:
    assert read_memory(8, tmp_path) is None
    assert read_cpu_time(8, tmp_path) is None
    assert not reset_peak(8, tmp_path)
    # A zombie has the file still, but no memory in it.
    assert read_memory(9, write_files(tmp_path, process_files(9))) is None


CHILD = """
import sys
blob = bytearray(60_000_000); print("loaded", flush=True); sys.stdin.readline()
peak = bytearray(90_000_000); del peak; print("ran", flush=True); sys.stdin.readline()
print("again", flush=True); sys.stdin.readline()
"""


@needs_proc
def test_the_memory_of_another_process_is_followed_through_its_stages() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None and child.stdout is not None
        stages = MemoryStages(child.pid)
        child.stdout.readline()
        assert stages.mark("load")
        for name in ("first run", "runs"):
            child.stdin.write("\n")
            child.stdin.flush()
            child.stdout.readline()
            assert stages.mark(name)
        child.stdin.write("\n")
    assert stages.stages["load"].resident_bytes > 60_000_000
    assert stages.stages["first run"].peak_bytes > 150_000_000
    assert stages.stages["first run"].resident_bytes < 140_000_000
    assert stages.peak_bytes == stages.stages["first run"].peak_bytes
    if stages.peaks_apart:
        assert stages.stages["runs"].peak_bytes < 140_000_000
    # Of that process, and not of this one.
    own = read_memory()
    assert own is not None and own.resident_bytes != stages.stages["runs"].resident_bytes
    assert not MemoryStages(child.pid).mark("after its end")


# In a process of its own: what earlier tests left to the garbage collector may go just then.
STAGE = """
import os
from litedelegates.measure import MemoryStages

stages = MemoryStages()
assert stages.begin()
kept = bytearray(os.urandom(1)) * 40_000_000
assert stages.mark("load")
print(stages.grown_bytes("load"), stages.grown_bytes("first run"), len(kept))
try:
    stages.mark("load")
except ValueError as error:
    print(error)
"""


@needs_proc
def test_what_a_stage_adds_is_told_from_before_it() -> None:
    done = subprocess.run([sys.executable, "-c", STAGE], capture_output=True, text=True, check=True)
    figures, refusal = done.stdout.splitlines()
    grown, first_run, kept = figures.split()
    assert 35_000_000 < int(grown) < 60_000_000 and first_run == "None" and kept == "40000000"
    assert "'load' has ended already; these have: ['before', 'load']" in refusal


def test_cpu_time_is_read_behind_a_name_with_brackets(tmp_path: Path) -> None:
    tick = os.sysconf("SC_CLK_TCK")
    found = read_cpu_time(7, write_files(tmp_path, process_files(7, user=250, system=50, name="a) b (c")))
    assert found is not None
    assert (found.user_s, found.system_s) == (250 / tick, 50 / tick)
    assert found.total_s == 300 / tick
    assert found.preempted == 7


@needs_proc
def test_cpu_time_grows_with_work_and_not_with_waiting() -> None:
    before = read_cpu_time()
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    worked = read_cpu_time()
    time.sleep(0.3)
    waited = read_cpu_time()
    assert before is not None and worked is not None and waited is not None
    assert worked.total_s - before.total_s >= 0.25
    assert waited.total_s - worked.total_s <= 0.15


RAPL = "sys/class/powercap/intel-rapl:0"


def rapl(package: int, wraps_at: int = 262_143_328_850) -> dict[str, object]:
    return {
        f"{RAPL}/name": "package-0",
        f"{RAPL}/energy_uj": package,
        f"{RAPL}/max_energy_range_uj": wraps_at,
        f"{RAPL}:0/name": "core",
        f"{RAPL}:0/energy_uj": package // 2,
        "sys/class/powercap/intel-rapl:1/name": "psys",
        "sys/class/powercap/intel-rapl:1/energy_uj": package * 2,
    }


def test_rapl_counts_packages_and_not_their_parts_or_the_whole_again(tmp_path: Path) -> None:
    write_files(tmp_path, rapl(5_000_000))
    with EnergyMeter(tmp_path) as meter:
        write_files(tmp_path, rapl(7_500_000))
    energy = meter.energy
    assert energy is not None and energy.joules == pytest.approx(2.5)
    assert energy.sources == ("RAPL package-0",)
    assert energy.watts == pytest.approx(2.5 / energy.seconds)
    assert energy.unavailable is None


def test_a_counter_that_starts_again_is_followed(tmp_path: Path) -> None:
    write_files(tmp_path, rapl(9_000_000, wraps_at=10_000_000))
    with EnergyMeter(tmp_path) as meter:
        write_files(tmp_path, rapl(500_000, wraps_at=10_000_000))
    assert meter.energy is not None and meter.energy.joules == pytest.approx(1.5)


def test_a_machine_without_a_meter_says_so(tmp_path: Path) -> None:
    with EnergyMeter(tmp_path) as meter:
        pass
    energy = meter.energy
    assert energy is not None and energy.joules is None and energy.watts is None
    assert energy.unavailable is not None and "no meter" in energy.unavailable


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_meter_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    write_files(tmp_path, rapl(1))
    (tmp_path / RAPL / "energy_uj").chmod(0)
    meters, reason = find_meters(tmp_path)
    assert meters == [] and reason is not None and "chmod a+r" in reason and "energy_uj" in reason


def test_a_meter_that_gives_no_number_is_not_one(tmp_path: Path) -> None:
    write_files(tmp_path, {**rapl(1), f"{RAPL}/energy_uj": ""})
    meters, reason = find_meters(tmp_path)
    assert meters == [] and reason is not None and "energy_uj may not be read" in reason


def jetson(milliamperes: int) -> dict[str, object]:
    chip = "sys/class/hwmon/hwmon3"
    return {
        f"{chip}/name": "ina3221",
        f"{chip}/in1_label": "VDD_IN",
        f"{chip}/in1_input": 5000,
        f"{chip}/curr1_input": milliamperes,
        f"{chip}/in2_label": "VDD_CPU_GPU_CV",
        f"{chip}/in2_input": 5000,
        f"{chip}/curr2_input": 700,
    }


def test_a_jetson_tells_the_power_of_the_whole_board(tmp_path: Path) -> None:
    [meter], reason = find_meters(write_files(tmp_path, jetson(1200)))
    assert reason is None
    assert (meter.name, meter.kind, meter.read()) == ("INA VDD_IN", "power", 6_000_000)


def test_power_is_integrated_over_time(tmp_path: Path) -> None:
    write_files(tmp_path, jetson(1000))  # 5 W
    with EnergyMeter(tmp_path, every_seconds=0.01) as meter:
        time.sleep(0.2)
    energy = meter.energy
    assert energy is not None and energy.joules is not None
    assert energy.watts == pytest.approx(5.0, rel=0.01)
    assert not any(thread.name.startswith("Thread") and "_sample" in thread.name for thread in threading.enumerate())


def test_an_older_jetson_tells_it_through_iio(tmp_path: Path) -> None:
    device = "sys/bus/i2c/drivers/ina3221x/1-0040/iio:device0"
    files = {f"{device}/rail_name_0": "POM_5V_IN", f"{device}/in_power0_input": 4321}
    files |= {f"{device}/rail_name_1": "POM_5V_GPU", f"{device}/in_power1_input": 500}
    [meter], _ = find_meters(write_files(tmp_path, files))
    assert (meter.name, meter.read()) == ("INA POM_5V_IN", 4_321_000)


def test_an_ina219_on_a_raspberry_pi_tells_microwatts(tmp_path: Path) -> None:
    chip = "sys/class/hwmon/hwmon1"
    files = {f"{chip}/name": "ina219", f"{chip}/power1_input": 3_500_000, f"{chip}/in1_input": 5000}
    [meter], _ = find_meters(write_files(tmp_path, {**files, f"{chip}/curr1_input": 700}))
    assert meter.kind == "power" and meter.read() == 3_500_000


def test_a_meter_that_goes_away_gives_no_figure(tmp_path: Path) -> None:
    write_files(tmp_path, rapl(1_000_000))
    with EnergyMeter(tmp_path) as meter:
        (tmp_path / RAPL / "energy_uj").unlink()
    assert meter.energy is not None and meter.energy.joules is None
    assert meter.energy.unavailable == "RAPL package-0 could not be read any more"


def test_a_chip_that_knows_temperatures_only_is_no_meter(tmp_path: Path) -> None:
    write_files(tmp_path, {"sys/class/hwmon/hwmon0/name": "cpu_thermal", "sys/class/hwmon/hwmon0/temp1_input": 50000})
    assert find_meters(tmp_path)[0] == []

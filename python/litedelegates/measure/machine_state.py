"""The state of the machine at one moment: two of them tell what happened between."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from litedelegates.measure.cpu_time import read_cpu_time
from litedelegates.measure.kernel_files import ROOT, read_fields, read_number, read_text


@dataclass(frozen=True)
class MachineState:
    """The machine now; None is what it does not tell.

    Attributes:
        at_s: The monotonic clock.
        cpus: CPUs of the machine.
        busy_s: CPU seconds used by all processes since the machine started, interrupts included.
        stolen_s: CPU seconds that the hypervisor gave to others.
        own_s: CPU seconds of the processes that measure, and of their children that have ended.
        load_average: Processes that wanted to run in the last minute.
        governors: The different governors of the CPUs.
        frequencies_mhz: The clock of each CPU.
        max_frequency_mhz: The highest that a CPU may have.
        temperature_c: The hottest sensor.
        trip_c: The lowest temperature at which the kernel slows the machine down.
        throttle_events: How often CPUs were slowed down for heat since the machine started (Intel).
        firmware_flags: The throttle bits of a Raspberry Pi.
        quota_waits: How often this control group had used up its CPU quota.
    """

    at_s: float
    cpus: int
    busy_s: float | None
    stolen_s: float | None
    own_s: float
    load_average: float | None
    governors: tuple[str, ...]
    frequencies_mhz: tuple[float, ...]
    max_frequency_mhz: float | None
    temperature_c: float | None
    trip_c: float | None
    throttle_events: int | None
    firmware_flags: int | None
    quota_waits: int | None


def read_machine_state(pids: Iterable[int] | None = None, root: Path = ROOT) -> MachineState:
    """Return the state of the machine now; costs about a millisecond.

    Args:
        pids: The processes that measure, whose CPU time is not that of others; None is this process alone.
        root: Where /proc and /sys are.
    """
    cpu = root / "sys/devices/system/cpu"
    thermal = root / "sys/class/thermal"
    busy, stolen, cpus = _cpu_times(root)
    own = [read_cpu_time(pid, root) for pid in ([None] if pids is None else pids)]
    load = read_text(root / "proc/loadavg")
    return MachineState(
        at_s=time.monotonic(),
        cpus=cpus,
        busy_s=busy,
        stolen_s=stolen,
        own_s=sum(entry.total_s + entry.children_s for entry in own if entry is not None),
        load_average=float(load.split()[0]) if load else None,
        governors=tuple(sorted({text for path in _cpu_files(cpu, "scaling_governor") if (text := read_text(path))})),
        frequencies_mhz=_frequencies(cpu, root),
        max_frequency_mhz=max(_thousandths(_cpu_files(cpu, "cpuinfo_max_freq")), default=None),
        temperature_c=max(_thousandths(thermal.glob("thermal_zone*/temp")), default=None),
        trip_c=min(_trips(thermal), default=None),
        throttle_events=_sum(cpu.glob("cpu[0-9]*/thermal_throttle/*_throttle_count")),
        firmware_flags=_firmware_flags(root),
        quota_waits=_quota_waits(root),
    )


def _cpu_times(root: Path) -> tuple[float | None, float | None, int]:
    """Return busy and stolen seconds, and the number of CPUs."""
    fields = read_fields(root / "proc/stat", None)
    cpus = sum(name.startswith("cpu") and name != "cpu" for name in fields) or os.cpu_count() or 1
    if "cpu" not in fields:
        return None, None, cpus
    ticks = [*map(int, fields["cpu"].split()), *[0] * 8][:8]
    user, nice, system, _idle, _waiting, interrupts, soft_interrupts, stolen = ticks  # guests are part of user
    second = os.sysconf("SC_CLK_TCK")
    return (user + nice + system + interrupts + soft_interrupts) / second, stolen / second, cpus


def _cpu_files(cpu: Path, name: str) -> list[Path]:
    return sorted(cpu.glob(f"cpu[0-9]*/cpufreq/{name}"))


def _thousandths(paths: Iterable[Path]) -> list[float]:
    return [value / 1000 for path in paths if (value := read_number(path)) is not None]


def _frequencies(cpu: Path, root: Path) -> tuple[float, ...]:
    if governed := _thousandths(_cpu_files(cpu, "scaling_cur_freq")):
        return tuple(governed)
    lines = (read_text(root / "proc/cpuinfo") or "").splitlines()
    return tuple(float(line.split(":")[1]) for line in lines if line.startswith("cpu MHz"))


def _trips(thermal: Path) -> list[float]:
    kinds = {path: read_text(path.with_name(path.name.replace("_temp", "_type"))) for path in _trip_files(thermal)}
    # "active" starts a fan and "critical" switches off; 0 and below are trips that are switched off.
    found = _thousandths(path for path, kind in kinds.items() if kind in ("passive", "hot"))
    return [value for value in found if value > 0]


def _trip_files(thermal: Path) -> list[Path]:
    return sorted(thermal.glob("thermal_zone*/trip_point_*_temp"))


def _sum(paths: Iterable[Path]) -> int | None:
    values = [value for path in paths if (value := read_number(path)) is not None]
    return sum(values) if values else None


def _firmware_flags(root: Path) -> int | None:
    return read_number(root / "sys/devices/platform/soc/soc:firmware/get_throttled", 16)


def _quota_waits(root: Path) -> int | None:
    for path in ("sys/fs/cgroup/cpu.stat", "sys/fs/cgroup/cpu/cpu.stat"):
        value = read_fields(root / path, None).get("nr_throttled")
        if value is not None:
            return int(value)
    return None

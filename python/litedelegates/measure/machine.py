"""What a measurement was made on: a time without its machine compares with nothing."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from litedelegates.measure.kernel_files import read_fields, read_text

PACKAGES = ("litedelegates", "ai-edge-litert", "litert-quantizer", "numpy")

_CPU_FOLDER = Path("/sys/devices/system/cpu")
_THERMAL_FOLDER = Path("/sys/class/thermal")


@dataclass(frozen=True)
class Machine:
    """The machine and the state it is in; None is what it does not tell.

    Attributes:
        cpu_model: The name of the processor.
        board: The name of the board where the device tree gives one, such as "Raspberry Pi 4 Model B Rev 1.4".
        architecture: Such as "x86_64" or "aarch64".
        cores: CPUs this process may use.
        cores_online: CPUs of the machine.
        memory_mb: Memory in all, in units of 10^6 bytes.
        memory_available_mb: Memory that is free or can be made so.
        governor: How the clock is governed; several are joined by "+".
        frequency_mhz: The highest clock of any core now.
        max_frequency_mhz: The highest clock a core may have.
        temperature_c: The hottest sensor now.
        load_average: Processes that wanted to run in the last minute: what else was going on.
        system: Name and version of the operating system.
        kernel: Release of the kernel.
        python: Version of Python.
        packages: Versions of the packages in `PACKAGES` that are installed.
    """

    cpu_model: str | None
    board: str | None
    architecture: str
    cores: int
    cores_online: int
    memory_mb: int | None
    memory_available_mb: int | None
    governor: str | None
    frequency_mhz: float | None
    max_frequency_mhz: float | None
    temperature_c: float | None
    load_average: float | None
    system: str
    kernel: str
    python: str
    packages: dict[str, str]


def read_machine() -> Machine:
    """Return the machine as it is now."""
    online = os.cpu_count() or 1
    return Machine(
        cpu_model=_read_cpu_model(),
        board=read_text(Path("/proc/device-tree/model")) or read_text(Path("/sys/firmware/devicetree/base/model")),
        architecture=platform.machine(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else online,
        cores_online=online,
        memory_mb=_read_memory("MemTotal"),
        memory_available_mb=_read_memory("MemAvailable"),
        governor=_read_governor(),
        frequency_mhz=_read_frequency(),
        max_frequency_mhz=_max_of(_CPU_FOLDER, "cpu[0-9]*/cpufreq/cpuinfo_max_freq"),
        temperature_c=read_temperature_c(),
        load_average=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        system=_read_system(),
        kernel=platform.release(),
        python=platform.python_version(),
        packages=_read_versions(),
    )


def read_temperature_c() -> float | None:
    """Return the temperature of the hottest sensor in degrees Celsius, or None without sensors."""
    return _max_of(_THERMAL_FOLDER, "thermal_zone*/temp")


def _max_of(folder: Path, pattern: str) -> float | None:
    """Return the largest number in the files, which the kernel writes in thousandths."""
    values = []
    for path in folder.glob(pattern):
        with contextlib.suppress(ValueError):
            values.append(float(read_text(path) or "") / 1000)
    return max(values, default=None)


def _read_cpu_model() -> str | None:
    fields = read_fields(Path("/proc/cpuinfo"))
    if "model name" in fields:
        return fields["model name"]
    if "CPU part" in fields:  # ARM gives numbers only
        parts = {"0xd03": "Cortex-A53", "0xd08": "Cortex-A72", "0xd0b": "Cortex-A76", "0xd42": "Cortex-A78AE"}
        part = fields["CPU part"].lower()
        return parts.get(part, f"ARM implementer {fields.get('CPU implementer')} part {part}")
    return fields.get("Hardware") or platform.processor() or None


def _read_memory(name: str) -> int | None:
    value = read_fields(Path("/proc/meminfo")).get(name)
    return None if value is None else int(value.split()[0]) * 1024 // 1_000_000


def _read_governor() -> str | None:
    found = {read_text(path) for path in _CPU_FOLDER.glob("cpu[0-9]*/cpufreq/scaling_governor")} - {None}
    return "+".join(sorted(filter(None, found))) or None


def _read_frequency() -> float | None:
    governed = _max_of(_CPU_FOLDER, "cpu[0-9]*/cpufreq/scaling_cur_freq")
    if governed is not None:
        return governed
    with contextlib.suppress(ValueError):
        return float(read_fields(Path("/proc/cpuinfo")).get("cpu MHz", ""))
    return None


def _read_system() -> str:
    with contextlib.suppress(OSError):
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    return f"{platform.system()} {platform.version()}"


def _read_versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions

"""Find what can tell the energy or the power that this machine takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from litedelegates.measure.kernel_files import ROOT, read_number, read_text

# A board has a rail for all of it and others for its parts, which must not be added to it.
WHOLE_BOARD = ("VDD_IN", "POM_5V_IN", "SYS_VIN", "VIN_SYS_5V0")


@dataclass(frozen=True)
class Meter:
    """Something that tells energy or power.

    Attributes:
        name: What it covers, such as "RAPL package-0" or "INA VDD_IN".
        kind: "energy" counts microjoules up, "power" tells microwatts of now.
        read: Returns that number, or None when it cannot be read any more.
        wraps_at_uj: Where the count starts again from 0; None if never.
    """

    name: str
    kind: str
    read: Callable[[], int | None]
    wraps_at_uj: int | None = None


def find_meters(root: Path = ROOT) -> tuple[list[Meter], str | None]:
    """Return the meters of this machine, best kind first and only of that kind, or none and the reason.

    RAPL (Intel, AMD) counts energy; hwmon chips (INA219, INA226, INA3221 on Jetson boards and on hats of Raspberry Pis)
    tell energy or power, older Jetson kernels tell it through iio.

    Args:
        root: Where /sys is.
    """
    refused: list[str] = []
    for find in (_rapl, _hwmon, _iio):
        if meters := list(find(root, refused)):
            return meters, None
    if refused:
        return [], f"{refused[0]} may not be read by this user; as root, or: sudo chmod a+r {refused[0]}"
    return [], "this machine has no meter that the kernel shows: no RAPL, no INA or other power sensor"


def _rapl(root: Path, refused: list[str]) -> Iterator[Meter]:
    # "intel-rapl:0:1" is a part of "intel-rapl:0"; psys holds the packages too.
    zones = sorted(
        zone
        for zone in (root / "sys/class/powercap").glob("intel-rapl:*")
        if zone.name.count(":") == 1 and (read_text(zone / "name") or "").startswith("package")
    )
    for zone in zones:
        path = zone / "energy_uj"
        if read_number(path) is None:
            if path.exists():
                refused.append(str(path))
            continue
        name = f"RAPL {read_text(zone / 'name')}"
        yield Meter(name, "energy", _reader(path), read_number(zone / "max_energy_range_uj"))


def _hwmon(root: Path, refused: list[str]) -> Iterator[Meter]:
    found = [meter for chip in sorted((root / "sys/class/hwmon").glob("hwmon*")) for meter in _of_chip(chip)]
    yield from _whole_board(found)


def _of_chip(chip: Path) -> Iterator[Meter]:
    name = read_text(chip / "name") or chip.name
    label = "INA" if name.startswith("ina") else name
    for path in sorted(chip.glob("energy[0-9]*_input")):
        yield Meter(f"{label} {_rail(chip, path, 'energy')}", "energy", _reader(path))
    powers = sorted(path for path in chip.glob("power[0-9]*_*") if path.name.endswith(("_input", "_average")))
    for path in powers:
        yield Meter(f"{label} {_rail(chip, path, 'power')}", "power", _reader(path))
    if powers or not name.startswith("ina"):
        return
    for voltage in sorted(chip.glob("in[0-9]*_input")):  # the INA3221 tells millivolts and milliamperes
        channel = voltage.name.removesuffix("_input").removeprefix("in")
        current = chip / f"curr{channel}_input"
        if current.exists():
            yield Meter(f"INA {_rail(chip, voltage, 'in')}", "power", _product(voltage, current))


def _iio(root: Path, refused: list[str]) -> Iterator[Meter]:
    found = []
    for path in sorted((root / "sys/bus/i2c/drivers/ina3221x").glob("*/iio:device*/in_power*_input")):
        channel = path.name.removeprefix("in_power").removesuffix("_input")
        rail = read_text(path.with_name(f"rail_name_{channel}")) or path.name
        found.append(Meter(f"INA {rail}", "power", _reader(path, 1000)))  # milliwatts
    yield from _whole_board(found)


def _whole_board(meters: list[Meter]) -> list[Meter]:
    """Return the meter of the whole board where there is one, else all of the better kind."""
    whole = [meter for meter in meters if meter.name.endswith(WHOLE_BOARD)]
    counting = [meter for meter in meters if meter.kind == "energy"]
    return whole[:1] or counting or meters


def _rail(chip: Path, path: Path, kind: str) -> str:
    channel = path.name.removeprefix(kind).split("_")[0]
    return read_text(chip / f"{kind}{channel}_label") or path.name


def _reader(path: Path, factor: int = 1) -> Callable[[], int | None]:
    def read() -> int | None:
        value = read_number(path)
        return None if value is None else value * factor

    return read


def _product(voltage: Path, current: Path) -> Callable[[], int | None]:
    def read() -> int | None:
        millivolts, milliamperes = read_number(voltage), read_number(current)
        return None if millivolts is None or milliamperes is None else millivolts * milliamperes

    return read

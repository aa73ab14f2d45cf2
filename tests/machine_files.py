"""Writes what the kernel of a known machine tells, so that reading it can be tried without that machine."""

from __future__ import annotations

from pathlib import Path


def write_files(root: Path, files: dict[str, object]) -> Path:
    """Write ``files`` (path below ``root``: content) as the kernel does, with a line break at the end."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return root


def cpu_files(
    *, user: int, idle: int, stolen: int = 0, governor: str = "performance", mhz: int = 1800, load: float = 0.1
) -> dict[str, object]:
    """Return the files of a machine of two CPUs; ticks of 10 ms since it started, both CPUs together."""
    lines = [f"cpu  {user} 0 0 {idle} 17 0 0 {stolen} 0 0"]
    lines += [f"cpu{index} {user // 2} 0 0 {idle // 2} 8 0 0 {stolen // 2} 0 0" for index in range(2)]
    files: dict[str, object] = {
        "proc/stat": "\n".join([*lines, "intr 1 2 3", "ctxt 99"]),
        "proc/loadavg": f"{load:.2f} 0.20 0.30 1/234 5678",
    }
    for index in range(2):
        folder = f"sys/devices/system/cpu/cpu{index}/cpufreq"
        files[f"{folder}/scaling_governor"] = governor
        files[f"{folder}/scaling_cur_freq"] = mhz * 1000 if index == 0 else 600_000
        files[f"{folder}/cpuinfo_max_freq"] = 1_800_000
    return files


def process_files(
    pid: int, *, user: int = 0, system: int = 0, children: int = 0, name: str = "python", **memory_kb: int
) -> dict[str, object]:
    """Return the files of a process: ticks of 10 ms, and lines such as ``VmRSS`` in kB."""
    times = f"{user} {system} {children} 0"
    stat = f"{pid} ({name}) R 1 1 1 0 -1 4194304 105 0 0 0 {times} 20 0 1 0 1406564 2998272 415 184467"
    lines = [f"Name:\t{name}", *(f"{key}:\t{value:8} kB" for key, value in memory_kb.items())]
    lines += ["voluntary_ctxt_switches:\t5", "nonvoluntary_ctxt_switches:\t7"]
    return {f"proc/{pid}/stat": stat, f"proc/{pid}/status": "\n".join(lines)}

"""The CPU time that a process has had."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from litedelegates.measure.kernel_files import ROOT, process_folder, read_fields, read_text


@dataclass(frozen=True)
class CpuTime:
    """What a process has used since it began, all threads together.

    Attributes:
        user_s: Seconds in its own code, in steps of the kernel's clock (10 ms).
        system_s: Seconds in the kernel for it.
        children_s: Seconds of its child processes that have ended and were waited for.
        preempted: How often the CPU was taken from its main thread for another one; None where it is not told.
    """

    user_s: float
    system_s: float
    children_s: float
    preempted: int | None

    @property
    def total_s(self) -> float:
        """User and system time together, without children."""
        return self.user_s + self.system_s


def read_cpu_time(pid: int | None = None, root: Path = ROOT) -> CpuTime | None:
    """Return the CPU time of a process (None: this one), or None when there is no such process or no /proc.

    Args:
        pid: The process.
        root: Where /proc is.
    """
    folder = process_folder(pid, root)
    line = read_text(folder / "stat")
    if line is None or ")" not in line:
        return None
    # The name of the program stands in brackets and may hold blanks and brackets itself.
    fields = line[line.rindex(")") + 1 :].split()
    second = os.sysconf("SC_CLK_TCK")
    user, system, *children = (int(ticks) / second for ticks in fields[11:15])
    preempted = read_fields(folder / "status").get("nonvoluntary_ctxt_switches")
    return CpuTime(user, system, sum(children), None if preempted is None else int(preempted))

"""The memory of a process: of the one that holds the model, whichever process asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from litedelegates.measure.kernel_files import ROOT, process_folder, read_fields


@dataclass(frozen=True)
class Memory:
    """What a process holds now.

    Attributes:
        resident_bytes: Memory that is in RAM, shared libraries and mapped files included.
        peak_bytes: The most that was, since it began or since the last `reset_peak`.
        own_bytes: The part that no file stands behind: heap and stacks; None on kernels before 4.5.
        swapped_bytes: What was moved out to the swap.
    """

    resident_bytes: int
    peak_bytes: int
    own_bytes: int | None
    swapped_bytes: int | None


def read_memory(pid: int | None = None, root: Path = ROOT) -> Memory | None:
    """Return the memory of a process (None: this one), or None when it has ended or there is no /proc.

    Memory that a GPU or an Edge TPU has of its own is not in it.

    Args:
        pid: The process.
        root: Where /proc is.
    """
    fields = read_fields(process_folder(pid, root) / "status")
    resident, peak = _bytes(fields.get("VmRSS")), _bytes(fields.get("VmHWM"))
    if resident is None or peak is None:
        return None
    # The kernel brings VmHWM up to date late, so that it can be below what is there now.
    return Memory(resident, max(resident, peak), _bytes(fields.get("RssAnon")), _bytes(fields.get("VmSwap")))


def reset_peak(pid: int | None = None, root: Path = ROOT) -> bool:
    """Make the peak of a process start again from what it holds now; return whether that was allowed."""
    path = process_folder(pid, root) / "clear_refs"
    if not path.exists():  # opening for writing would make it where a folder stands in for /proc
        return False
    try:
        path.write_text("5")
    except OSError:
        return False
    return True


@dataclass
class MemoryStages:
    """The memory of one process at named stages, each with a peak of its own where the kernel allows it.

    Attributes:
        pid: The process; None is this one.
        stages: What was found, in the order of the marks.
        peaks_apart: Whether each peak is that of its stage. If not, it is that of the process's life so far.
        root: Where /proc is.
    """

    pid: int | None = None
    root: Path = ROOT
    stages: dict[str, Memory] = field(default_factory=dict)
    peaks_apart: bool = False

    def begin(self) -> bool:
        """Note what the process holds before anything is loaded, and start the first stage; False without /proc."""
        return self.mark("before")

    def mark(self, name: str) -> bool:
        """Note the end of the stage ``name`` ("load", "first run", "runs") and start the next; False without /proc.

        Raises:
            ValueError: There is a stage of this name.
        """
        if name in self.stages:
            raise ValueError(f"the stage {name!r} has ended already; these have: {list(self.stages)}")
        found = read_memory(self.pid, self.root)
        if found is None:
            return False
        self.stages[name] = found
        self.peaks_apart = reset_peak(self.pid, self.root)
        return True

    def grown_bytes(self, name: str) -> int | None:
        """Return what the process held more at the end of a stage than before the first, or None if unknown."""
        if name not in self.stages or "before" not in self.stages:
            return None
        return self.stages[name].resident_bytes - self.stages["before"].resident_bytes

    @property
    def peak_bytes(self) -> int | None:
        """The most that was held in any stage but "before"; None when none was seen."""
        return max((entry.peak_bytes for name, entry in self.stages.items() if name != "before"), default=None)


def _bytes(text: str | None) -> int | None:
    """Return the bytes of "12345 kB", where the kernel's kB is 1024 bytes."""
    return None if text is None else int(text.split()[0]) * 1024

"""Run every benchmark, go on after failures and reboots, and say what happened."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import (
    NOT_REACHED,
    REPOSITORY,
    SCHEMA_VERSION,
    SKIPPED,
    HelpFormatter,
    encode_json,
    identify,
    save_json,
    save_text,
)
from litedelegates.measure.kernel_files import read_fields
from tables import format_table

DESCRIPTION = """\
Run all benchmarks one after the other, each in a process of its own, and sum up. A benchmark that fails or crashes
does not end the others; one that needs what is not installed says so and is left out.

What is measured on one board with one version lies in one folder of --out. The same command after a reboot, a power
cut or Ctrl-C goes on there: benchmarks that are done are not run again, and the study goes on within. For a new
measurement name another --out.

examples:
  python benchmarks/run_all.py
  python benchmarks/run_all.py --quick
"""
BENCHMARKS = ("study", "delegates", "overhead", "startup", "open_batch", "gpu_wait", "cut", "quantize", "method")
EPILOG = (
    "exit code: 1 when a benchmark failed, 3 when a figure wanted was not reached, 128 + the signal that interrupted it"
)
OK, MISSED, LEFT_OUT = "ok", "ok, but a figure wanted was not reached", "skipped"
# What a shutdown sends to every process: the benchmark is not at fault.
SHUTDOWN = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Of what the processor says of itself; a Raspberry Pi's serial number stays at home.
CPU_FIELDS = ("model name", "Model", "Hardware", "Revision", "Features", "flags")
CPU_NUMBERS = ("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision")


@dataclass(frozen=True)
class Ending:
    """How a benchmark ended.

    Attributes:
        ended: "ok", "skipped", or what went wrong.
        seconds: How long it took; without what was done before an interruption.
        peak_mb: Largest resident memory of one of its processes, in units of 2^20 bytes.
        printed: Everything it printed.
    """

    ended: str
    seconds: float
    peak_mb: float
    printed: str


class InterruptedRun(Exception):
    """A benchmark was ended from outside; ``args`` holds the number of the signal."""


class Run:
    """What is known of one board and one version, in a folder; written anew whenever a benchmark is done."""

    def __init__(self, options: argparse.Namespace) -> None:
        identity = identify("run_all", options)
        self.folder = options.out / name_folder(identity, options.quick)
        self._path = self.folder / "run.json"
        known = json.loads(self._path.read_text(encoding="utf-8")) if self._path.is_file() else {}
        # One entry for each start: a reboot may bring another kernel or governor.
        self.starts: list[Any] = [*known.get("starts", []), json.loads(encode_json(identity))]
        self.endings = {name: Ending(**found) for name, found in known.get("benchmarks", {}).items()}
        self.cpu = known.get("cpu") or read_cpu()

    def is_done(self, name: str) -> bool:
        """Return whether a benchmark is done; one that was skipped may have what it needs by now."""
        return name in self.endings and self.endings[name].ended != LEFT_OUT

    def record(self, name: str, ending: Ending) -> None:
        self.endings[name] = ending
        data = {"schema_version": SCHEMA_VERSION, "cpu": self.cpu, "starts": self.starts, "benchmarks": self.endings}
        save_json(self._path, data)
        save_text(self.folder / "results.txt", self.describe() + "\n")

    def describe(self) -> str:
        """Return the board, how each benchmark ended, and what they printed."""
        first, machine = self.starts[0], self.starts[0]["machine"]
        lines = [f"{name:<24} {value}" for name, value in machine.items() if value not in (None, {})]
        lines += [f"{name:<24} {value}" for name, value in self.cpu.items()]
        lines += [f"{'git':<24} {first['git']}", f"{'begun':<24} {first['time']}, {len(self.starts)} start(s)"]
        printed = (f"== {name}\n\n{self._without_paths(found.printed)}" for name, found in self.endings.items())
        return "\n\n".join(["\n".join(lines), self.summarize(), *printed])

    def summarize(self) -> str:
        rows = [
            [name, found.ended, f"{found.seconds:.0f} s", f"{found.peak_mb:.0f} MB"]
            for name, found in self.endings.items()
        ]
        return format_table(["benchmark", "ended", "took", "peak memory"], rows, left=(0, 1))

    def _without_paths(self, text: str) -> str:
        """Return a text without the names of the user's folders."""
        return text.replace(f"{self.folder}/", "").replace(f"{REPOSITORY}/", "").strip()


def name_folder(identity: Any, quick: bool) -> str:
    """Return a name that is the same for the same board, the same code and the same runtime."""
    machine, git = identity["machine"], identity["git"] or {}
    code = [
        git.get("commit"),
        git.get("dirty"),
        machine.python,
        *(machine.packages.get(p) for p in ("litedelegates", "ai-edge-litert", "numpy")),
    ]
    board = machine.board or machine.cpu_model or machine.architecture
    slug = re.sub("[^a-z0-9.]+", "-", board.lower()).strip("-")
    return f"{slug}{'-quick' if quick else ''}-{hashlib.sha256(json.dumps(code).encode()).hexdigest()[:8]}"


def read_cpu() -> dict[str, str]:
    """Return what the first processor says of itself; its instructions decide how fast int8 and half precision are."""
    fields = read_fields(Path("/proc/cpuinfo"))
    return {name: fields[name] for name in (*CPU_FIELDS, *CPU_NUMBERS) if name in fields}


def run(name: str, arguments: list[str]) -> Ending:
    """Run the benchmark ``name`` and show what it prints while it does.

    Raises:
        InterruptedRun: It, or this process, was told to end.
    """
    begin, printed = time.monotonic(), []
    command = [sys.executable, "-u", str(Path(__file__).with_name(f"{name}.py")), *arguments]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as child,
        ending_on_signals(child),
    ):
        for line in child.stdout or ():
            printed.append(line)
            print(line, end="", flush=True)
        # wait4 and not wait: it tells the peak memory, that of the children of the child included.
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    code = child.returncode
    if -code in SHUTDOWN:
        raise InterruptedRun(-code)
    endings = {0: OK, NOT_REACHED: MISSED, SKIPPED: LEFT_OUT}
    ended = endings.get(code) or (f"killed by signal {-code}" if code < 0 else f"exit code {code}")
    peak_mb = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return Ending(ended, time.monotonic() - begin, peak_mb, "".join(printed))


@contextlib.contextmanager
def ending_on_signals(child: subprocess.Popen[str]) -> Iterator[None]:
    """Hand signals that end this process to the child, whose end then ends this one."""
    before = {number: signal.signal(number, lambda number, frame: child.send_signal(number)) for number in SHUTDOWN}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main() -> int:
    parser = argparse.ArgumentParser(description=DESCRIPTION, epilog=EPILOG, formatter_class=HelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the time: to see that it works, not to publish"
    )
    parser.add_argument("--out", type=Path, default=REPOSITORY / "results", help="folder for the folders of results")
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=BENCHMARKS, help="run these alone")
    options = parser.parse_args()

    found = Run(options)
    shared = ["--out", str(found.folder), *(["--quick"] if options.quick else [])]
    own = {"study": ["--store", str(found.folder / "study.sqlite")]}
    for name in options.only:
        if found.is_done(name):
            print(f"== {name}: done before, {found.endings[name].ended}", flush=True)
            continue
        print(f"== {name}", flush=True)
        try:
            found.record(name, run(name, [*shared, *own.get(name, [])]))
        except InterruptedRun as stopped:
            print(f"\ninterrupted in {name}; the same command goes on there", file=sys.stderr)
            return 128 + stopped.args[0]
        print(flush=True)
    print(f"{found.summarize()}\n\nresults: {found.folder} (results.txt to read; to send in: benchmarks/README.md)")
    endings = {found.endings[name].ended for name in options.only}
    return 1 if endings - {OK, MISSED, LEFT_OUT} else NOT_REACHED if MISSED in endings else 0


if __name__ == "__main__":
    sys.exit(main())

"""Two network namespaces with a link between them whose bandwidth and delay are set; what `split.py` runs on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from split_link import READY

EDGE, SERVER = "edge", "server"
ADDRESSES = {EDGE: "10.201.77.1", SERVER: "10.201.77.2"}
CORES = {EDGE: 0, SERVER: 1}
PORT = 8786
_SECONDS = 60.0


class Network:
    """The namespaces, by the name of the device that lives in each."""

    def __init__(self, prefix: str) -> None:
        """Take the names that `network` made of ``prefix``."""
        self.prefix = prefix

    def namespace(self, device: str) -> str:
        """Return the name of a device's namespace."""
        return f"{self.prefix}-{device}"

    def interface(self, device: str) -> str:
        """Return the name of a device's end of the link."""
        return f"{self.prefix}{device[0]}"

    def enter(self, device: str) -> list[str]:
        """Return the beginning of a command line that runs in a device's namespace."""
        return ["ip", "netns", "exec", self.namespace(device)]

    def shape(self, mbps: float | None) -> None:
        """Let so many megabits a second through in each direction; None for all that come."""
        for device in ADDRESSES:
            at = ["dev", self.interface(device), "root"]
            subprocess.run(
                ["tc", "-n", self.namespace(device), "qdisc", "del", *at], check=False, stderr=subprocess.DEVNULL
            )
            if mbps is not None:
                # What goes through at once after a pause: little, or small messages would not feel the bandwidth.
                burst = max(4_000, round(mbps * 1e6 / 8 * 0.001))
                rate = ["rate", f"{mbps}mbit", "burst", f"{burst}b", "latency", "500ms"]
                _run("tc", "-n", self.namespace(device), "qdisc", "add", *at, "tbf", *rate)


@contextmanager
def network(delay_ms: float) -> Iterator[Network]:
    """Make the namespaces and the link, and take them away whatever happens in the ``with`` block."""
    found = Network(f"ld{os.getpid()}")
    link: subprocess.Popen[str] | None = None
    try:
        for device, address in ADDRESSES.items():
            home, interface = found.namespace(device), found.interface(device)
            _run("ip", "netns", "add", home)
            _run("ip", "-n", home, "tuntap", "add", "dev", interface, "mode", "tap")
            _run("ip", "-n", home, "addr", "add", f"{address}/24", "dev", interface)
            _run("ip", "-n", home, "link", "set", interface, "up")
            _run("ip", "-n", home, "link", "set", "lo", "up")
        link = _carrying(found, delay_ms)
        yield found
    finally:
        if link is not None:
            link.kill()
            link.wait()
        for device in ADDRESSES:
            subprocess.run(["ip", "netns", "del", found.namespace(device)], check=False, stderr=subprocess.DEVNULL)


@contextmanager
def workers(found: Network, folder: Path) -> Iterator[str]:
    """Run a scheduler and a worker for each device, bound to one core each, and yield the scheduler's address."""
    address = f"tcp://{ADDRESSES[EDGE]}:{PORT}"
    scheduler = ["-m", "distributed.cli.dask_scheduler", "--host", ADDRESSES[EDGE], "--port", str(PORT)]
    quiet = ["--no-dashboard", "--dashboard-address", "127.0.0.1:0"]  # it listens there all the same
    commands = {"scheduler": [*found.enter(EDGE), sys.executable, *scheduler, *quiet]}
    for device, core in CORES.items():
        bound = [*found.enter(device), "taskset", "-c", str(core), sys.executable]
        commands[device] = [*bound, "-m", "litedelegates", "worker", address, "--name", device, "--no-nanny"]
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for name, command in commands.items():
            log = folder / f"{name}.log"
            with log.open("wb") as file:
                environment = {**os.environ, "DASK_TEMPORARY_DIRECTORY": str(folder)}
                processes.append(subprocess.Popen(command, stdout=file, stderr=file, env=environment))
            _wait(log, "Scheduler at" if name == "scheduler" else "joined", processes[-1])
        yield address
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _carrying(found: Network, delay_ms: float) -> subprocess.Popen[str]:
    ends = [f"{found.namespace(device)}:{found.interface(device)}" for device in ADDRESSES]
    script = Path(__file__).with_name("split_link.py")
    command = [sys.executable, str(script), *ends, "--delay-ms", str(delay_ms)]
    link = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert link.stdout is not None
    if link.stdout.readline().strip() != READY:
        link.kill()
        raise RuntimeError("the link did not start")
    return link


def why_not() -> str | None:
    """Return what is missing to make namespaces here; None for nothing."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [program for program in ("ip", "tc", "taskset") if shutil.which(program) is None]
    if missing:
        return f"there is no program {', '.join(missing)}"
    if not Path("/dev/net/tun").exists():
        return "there is no /dev/net/tun to make the link of"
    if not set(CORES.values()) <= os.sched_getaffinity(0):
        return f"it needs the cores {sorted(CORES.values())} for the two devices"
    return None


def _wait(log: Path, words: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _SECONDS
    while words not in log.read_text(errors="replace"):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"it did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")

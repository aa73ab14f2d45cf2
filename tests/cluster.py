"""A Dask scheduler and workers on this machine, each a process, as stand-ins for boards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

SECONDS = 120.0  # what takes seconds alone takes so long at most on a machine with much else to do


class Cluster:
    """A scheduler on a free port of this machine, and the workers that were added to it.

    Args:
        folder: For what they write.
        host: Address that the scheduler listens on.
        within: Beginning of every command, such as that of a network namespace.
        options: Of the scheduler and of every worker.
    """

    def __init__(
        self, folder: Path, host: str = "127.0.0.1", within: Sequence[str] = (), options: Sequence[str] = ()
    ) -> None:
        self._folder, self._processes, self._workers = folder, [], {}  # type: ignore[var-annotated]
        self._within, self._options = within, options
        file = folder / "scheduler.json"
        self._start(
            "scheduler",
            "distributed.cli.dask_scheduler",
            "--host",
            host,
            "--port",
            "0",
            "--no-dashboard",
            "--dashboard-address",
            "127.0.0.1:0",
            "--scheduler-file",
            str(file),
            *options,
        )
        self.address = ""
        deadline = time.monotonic() + SECONDS
        while not self.address:
            assert time.monotonic() < deadline, self.said("scheduler")
            if file.is_file() and file.read_text().endswith("}"):
                import json

                self.address = json.loads(file.read_text())["address"]
            time.sleep(0.05)

    def add(
        self,
        name: str,
        resources: Mapping[str, float] | None = None,
        *,
        nanny: bool = False,
        options: Sequence[str] = (),
    ) -> None:
        """Start a worker with `litedelegates worker` and wait until it has joined."""
        given = [f"--resources={','.join(f'{key}={value}' for key, value in resources.items())}"] if resources else []
        given += [] if nanny else ["--no-nanny"]
        self._workers[name] = self._start(
            name, "litedelegates", "worker", self.address, "--name", name, *given, *self._options, *options
        )
        deadline = time.monotonic() + SECONDS
        while "joined" not in self.said(name):
            assert time.monotonic() < deadline and self._workers[name].poll() is None, self.said(name)
            time.sleep(0.05)

    def kill(self, name: str, signal_number: int = signal.SIGKILL) -> None:
        """Send a signal to a worker."""
        os.kill(self._workers[name].pid, signal_number)

    def said(self, name: str) -> str:
        """Return what a process has printed."""
        return (self._folder / f"{name}.log").read_text()

    def close(self) -> None:
        """End all."""
        for process in reversed(self._processes):
            process.kill()
            process.wait()

    def _start(self, name: str, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "DASK_TEMPORARY_DIRECTORY": str(self._folder),
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "3",
        }
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [*self._within, sys.executable, "-m", module, *arguments],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env=environment,
            )
        self._processes.append(process)
        return process


@contextmanager
def cluster(
    folder: Path, host: str = "127.0.0.1", within: Sequence[str] = (), options: Sequence[str] = ()
) -> Iterator[Cluster]:
    """Run a scheduler for the ``with`` block; see `Cluster`."""
    found = Cluster(folder, host, within, options)
    try:
        yield found
    finally:
        found.close()

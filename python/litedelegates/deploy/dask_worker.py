"""Makes the worker that joins a Dask scheduler: it listens where that scheduler reaches it, and nowhere else."""

from __future__ import annotations

from typing import Any

from distributed import Nanny, Worker
from distributed.comm import get_local_address_for

from litedelegates.errors import OptionError


class PlainWorker(Worker):  # type: ignore[misc]  # Dask has no types here
    """A worker without the web server that Dask opens beside each, also where it shows no dashboard."""

    def start_http_server(self, *arguments: Any, **named: Any) -> None:
        """Make the server, as other parts of Dask look for it, and close its port before anything is answered."""
        super().start_http_server(*arguments, **named)
        self.http_server.stop()
        self.services.pop("dashboard", None)


def make_worker(
    scheduler: str, *, nanny: bool, host: str | None, dashboard_address: str | None, **options: Any
) -> Worker | Nanny:
    """Return a worker that has not started.

    Dask's own workers listen on every address of the machine, and run the code of whoever connects.

    Args:
        scheduler: Its address.
        nanny: Work in a process of its own, and start another one when that ends.
        host: Address to listen on; None takes the one that reaches the scheduler, which is 127.0.0.1 for a scheduler
            at 127.0.0.1.
        dashboard_address: ``HOST:PORT`` of Dask's dashboard; None shows none.
        **options: For ``distributed.Worker``.

    Raises:
        OptionError: The dashboard's address names no host, or no port.
        OSError: The scheduler's name cannot be resolved.
        ValueError: Its address is not written as one.
    """
    if dashboard_address is not None:
        name, _, port = dashboard_address.rpartition(":")
        if not name or not port.isdecimal():
            raise OptionError(
                f"dashboard address {dashboard_address!r}: write HOST:PORT, such as 127.0.0.1:8790; whoever reaches it "
                "reads what this worker does"
            )
    kind = PlainWorker if dashboard_address is None else Worker
    options |= {
        "host": host or get_local_address_for(scheduler),
        "dashboard": dashboard_address is not None,
        "dashboard_address": dashboard_address,
    }
    return Nanny(scheduler, worker_class=kind, **options) if nanny else kind(scheduler, **options)

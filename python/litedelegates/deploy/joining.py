"""This machine as a worker of a Dask scheduler."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Mapping
from typing import Any

from litedelegates.deploy.dask_cluster import Offer, require_distributed
from litedelegates.deploy.failures import PipelineError
from litedelegates.errors import OptionError


def parse_resources(text: str) -> dict[str, float]:
    """Return what ``gpu=1,edgetpu=2`` says; a name alone means 1.

    Raises:
        OptionError: An amount is no number above 0, or a name is missing.
    """
    found = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, amount = part.partition("=")
        try:
            number = float(amount) if equals else 1.0
        except ValueError:
            number = 0.0
        if not name or not number > 0:
            raise OptionError(f"resources {text!r}: {part!r} must be NAME=AMOUNT with an amount above 0, such as gpu=1")
        found[name.strip()] = number
    return found


def join(
    address: str,
    name: str,
    resources: Mapping[str, float],
    *,
    nanny: bool = True,
    host: str | None = None,
    dashboard_address: str | None = None,
    limit: float = 60.0,
    joined: Callable[[Offer], None] | None = None,
) -> None:
    """Work for a scheduler until Ctrl-C, SIGTERM, or until the scheduler ends.

    Args:
        address: Of the scheduler, such as ``tcp://server:8786``.
        name: Of this worker.
        resources: That it offers.
        nanny: Work in a process of its own, and start another one when that ends.
        host: Address to listen on; None takes the one that reaches the scheduler.
        dashboard_address: ``HOST:PORT`` of Dask's dashboard; None shows none.
        limit: Seconds that joining may take.
        joined: Called once it has joined.

    Raises:
        OptionError: The dashboard's address is not written so.
        PipelineError: The scheduler does not answer, or has a worker of that name.
        MissingExtraError: Dask is not installed.
    """
    require_distributed()
    listening = {"host": host, "dashboard_address": dashboard_address}
    asyncio.run(_work(address, name, resources, nanny, listening, limit, joined))


async def _work(
    address: str,
    name: str,
    resources: Mapping[str, float],
    nanny: bool,
    listening: Mapping[str, str | None],
    limit: float,
    joined: Callable[[Offer], None] | None,
) -> None:
    from litedelegates.deploy.dask_worker import make_worker

    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    # One model runs at a time, so that times are those of the board and not of two that share it. Dask would give such
    # a worker the memory of one core and stop it there, but a board has all of its memory for its model.
    options: dict[str, Any] = {
        "name": name,
        "resources": dict(resources),
        "nthreads": 1,
        "memory_limit": 0,
        "death_timeout": limit,
    }
    worker = None
    try:
        try:
            worker = make_worker(address, nanny=nanny, **listening, **options)
            await asyncio.wait_for(_started(worker), limit)
        except OptionError:
            raise
        except (asyncio.TimeoutError, OSError, ValueError, RuntimeError, TypeError) as error:
            raise PipelineError(
                "no worker", f"cannot join {address} within {limit:g} s: {type(error).__name__}: {error}", worker=name
            ) from error
        if joined is not None:
            joined(Offer(name, worker.worker_address if nanny else worker.address, resources))
        waits = [asyncio.ensure_future(ended.wait()), asyncio.ensure_future(worker.finished())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
    finally:
        if worker is not None:
            with contextlib.suppress(asyncio.TimeoutError, OSError):
                await asyncio.wait_for(worker.close(), 10)


async def _started(worker: object) -> None:
    await worker  # type: ignore[misc]

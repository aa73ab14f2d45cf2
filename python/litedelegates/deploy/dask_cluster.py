"""The workers of a Dask scheduler: who is there, and what each of them offers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from litedelegates.deploy.failures import PipelineError
from litedelegates.errors import MissingExtraError, install_extra

if TYPE_CHECKING:
    from distributed import Client

_SECONDS = 30.0  # in which a scheduler that is there answers, on a loaded machine too


@dataclass(frozen=True)
class Offer:
    """A worker and what it offers.

    Attributes:
        name: What it calls itself.
        address: Where it is.
        resources: Such as {"gpu": 1}.
    """

    name: str
    address: str
    resources: Mapping[str, float]

    def covers(self, resources: Mapping[str, float]) -> bool:
        """Return whether it has so much of everything."""
        return all(self.resources.get(name, 0.0) >= amount for name, amount in resources.items())

    def __str__(self) -> str:
        return f"{self.name} at {self.address} ({describe_resources(self.resources)})"


def require_distributed() -> Any:
    """Return the package distributed.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import distributed
    except ImportError as error:
        raise MissingExtraError(
            f"workers on other machines need Dask: {install_extra('dask')}, here and on each of them"
        ) from error
    return distributed


def connect(address: str, limit: float) -> Client:
    """Return a client of the scheduler at an address.

    Raises:
        PipelineError: It does not answer within ``limit`` seconds.
        MissingExtraError: Dask is not installed.
    """
    distributed = require_distributed()
    try:
        # Arrays go straight between here and the workers, not by way of the scheduler.
        client: Client = distributed.Client(address, timeout=limit, set_as_default=False, direct_to_workers=True)
    except (OSError, ValueError, RuntimeError, TypeError) as error:  # the latter where certificates are missing
        raise PipelineError(
            "no worker",
            f"no Dask scheduler answers at {address} within {limit:g} s ({error}); start one with "
            "`dask scheduler --host ADDRESS --dashboard-address 127.0.0.1:8787`",
        ) from error
    return client


def read_offers(client: Client) -> dict[str, Offer]:
    """Return the workers that are there, by address.

    Raises:
        PipelineError: The scheduler does not answer.
    """
    # Not `Client.scheduler_info`: it returns what another thread may just have replaced by a summary without workers.
    try:
        try:
            workers = client.sync(client.scheduler.identity, n_workers=-1, callback_timeout=_SECONDS)["workers"]
        except TypeError:  # older schedulers tell of all without being asked
            workers = client.sync(client.scheduler.identity, callback_timeout=_SECONDS)["workers"]
    except Exception as error:  # of many kinds, as the connection may be in any state
        raise PipelineError("no worker", f"the scheduler does not answer: {type(error).__name__}: {error}") from error
    return {
        address: Offer(str(worker["name"]), address, dict(worker["resources"])) for address, worker in workers.items()
    }


def describe_offers(offers: Iterable[Offer]) -> str:
    """Return the workers in words."""
    return "; ".join(sorted(map(str, offers))) or "none"


def describe_resources(resources: Mapping[str, float]) -> str:
    """Return resources as they are written on the command line."""
    return ", ".join(f"{name}={amount:g}" for name, amount in sorted(resources.items())) or "no resources"

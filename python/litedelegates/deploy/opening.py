"""The places that a user asked for, in one word or with an address."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, TypeAlias

from litedelegates.deploy.places import Places
from litedelegates.deploy.records import Manifest
from litedelegates.errors import OptionError, nearest

if TYPE_CHECKING:
    from distributed import Client

Workers: TypeAlias = "str | Client"
KINDS = ("threads", "processes")


def open_places(
    workers: Workers, manifest: Manifest, cpus: Mapping[str, Collection[int]] | None, limit: float
) -> Places:
    """Return the places that ``workers`` names; see `Pipeline`.

    Raises:
        OptionError: There are no such workers, or ``cpus`` makes no sense for them.
        PipelineError: The scheduler does not answer within ``limit`` seconds.
        MissingExtraError: Dask is not installed.
    """
    if cpus:
        if workers != "processes":
            raise OptionError(f"cpus={dict(cpus)}: only processes of this machine can be bound to cores")
        devices = {stage.device for stage in (*manifest.stages, *manifest.fallback)}
        for device in cpus:
            if device not in devices:
                raise OptionError(f"cpus: no stage runs on {device!r}. {nearest(device, devices)}")
    if workers == "threads":
        from litedelegates.deploy.threads import ThreadPlaces

        return ThreadPlaces(manifest.exits)
    if workers == "processes":
        from litedelegates.deploy.processes import ProcessPlaces

        return ProcessPlaces(manifest.exits, cpus or {})
    if isinstance(workers, str) and "://" not in workers:
        raise OptionError(
            f"workers={workers!r}: give threads, processes or the address of a Dask scheduler such as "
            f"tcp://server:8786. {nearest(workers, KINDS)}"
        )
    from litedelegates.deploy.dask_places import DaskPlaces

    return DaskPlaces(workers, manifest.exits, limit)

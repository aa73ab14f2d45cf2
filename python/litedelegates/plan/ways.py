"""Which way a tensor goes, and which links are networks."""

from __future__ import annotations

from collections.abc import Container, Iterable

from litedelegates.plan.records import HERE, Link


def way_of(
    maker: str, reader: str, links: Container[frozenset[str]], *, is_input: bool, is_output: bool
) -> tuple[str, str]:
    """Return who sends a tensor and who receives it; the same name twice where nothing has to travel.

    The calling program hands inputs to a device straight, and gets outputs so, where it has a link to that device.
    Without one they go by way of the first device, which then has them for nothing.

    Args:
        maker: Name of the device that hands it on; the first one for an input.
        reader: Name of the device that wants it; the first one for an output.
        links: The ends of each.
        is_input: Whether the caller gives it.
        is_output: Whether the caller gets it.
    """
    straight = (HERE, reader) if is_input else (maker, HERE) if is_output else (maker, reader)
    return straight if frozenset(straight) in links else (maker, reader)


def networks(links: Iterable[Link], first: str) -> tuple[Link, ...]:
    """Return the links but the one from the calling program to the first device, whose bytes stay on one machine."""
    call = {HERE, first}
    return tuple(link for link in links if set(link.ends) != call)

"""What the package asks of every delegate."""

from __future__ import annotations

from typing import Any

from litedelegates import _core

Payloads = dict[str, dict[str, Any]]

CPU, GPU, NPU = 1, 2, 4  # bits of the runtime's hardware set


class Delegate:
    """Base of the options classes: how their delegate is asked for.

    Attributes:
        name: What it is called in chains and placements.
        hardware: The runtime's bit for the hardware it drives.
    """

    name = ""
    hardware = CPU

    def payloads(self) -> Payloads:
        """Return the options that were set, as the runtime's identifiers, keys and values."""
        return {}

    def step(self) -> _core.Step | None:
        """Return how the native core registers it; None when the runtime applies it by itself.

        Raises:
            DelegateUnavailableError: It cannot work on this machine; says why.
        """
        raise NotImplementedError

    def environment(self) -> dict[int, str]:
        """Return further options of the runtime's environment, by tag."""
        return {}

    def for_official(self) -> object | None:
        """Return an object that the official interpreters take as a delegate; None when they apply it themselves.

        Raises:
            DelegateError: The delegate cannot be created; says why.
        """
        return None

    def why_not_classic(self) -> str | None:
        """Return why the classic runtime cannot take it with these options; None when it can."""
        return None

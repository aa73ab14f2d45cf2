"""What the package asks of every delegate."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from litedelegates import _core

if TYPE_CHECKING:
    from litedelegates.model import Model

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

    def check_model(self, model: Model) -> None:
        """Refuse a model of which it could take nothing.

        Raises:
            DelegateError: Says what the model lacks.
        """

    def environment(self) -> dict[int, str]:
        """Return further options of the runtime's environment, by tag."""
        return {}

    def compile(self, make: Callable[[], _core.CompiledModel], in_effect: Payloads) -> _core.CompiledModel:
        """Return what ``make`` compiles; for a delegate that has something to prepare before or to check after.

        Args:
            make: Compiles the model.
            in_effect: Takes what the delegate found to be in effect.
        """
        return make()

    def for_official(self) -> object | None:
        """Return an object that the official interpreters take as a delegate; None when they apply it themselves.

        Raises:
            DelegateError: The delegate cannot be created; says why.
        """
        return None

    def why_it_failed(self, message: str) -> str | None:
        """Return what a failed compilation says about this delegate; None when it says nothing."""
        return None

    def why_not_classic(self) -> str | None:
        """Return why the classic runtime cannot take it with these options; None when it can."""
        return None


class Created(Delegate):
    """Base of the delegates that the native core creates: a new one for each model."""

    def create(self) -> _core.LoadedDelegate:
        """Create the delegate; whoever uses it keeps it alive.

        Raises:
            DelegateError: It cannot be created; says why.
        """
        raise NotImplementedError

    def step(self) -> _core.Step:
        """Return a new delegate, kept by the model that is compiled with it."""
        return _core.Step.loaded(self.name, self.create())

    def for_official(self) -> object:
        """Return a new delegate, which the official interpreters take."""
        return self.create()

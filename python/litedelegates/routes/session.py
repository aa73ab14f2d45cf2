"""What a loaded model offers, on either route."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from litedelegates.placement import Placement
from litedelegates.routes import Array, Route

if TYPE_CHECKING:
    from litedelegates.routes.compiled import CompiledSession


class Session(Protocol):
    """A loaded model on one of the routes; positions count inputs or outputs, indices count tensors."""

    @property
    def route(self) -> Route:
        """How the model runs, and why that way."""

    @property
    def running(self) -> CompiledSession:
        """What runs the model for its current shapes; on the compiled route only."""

    def set_tensor(self, index: int, value: Any) -> None:
        """Copy a value into an input."""

    def get_tensor(self, index: int, subgraph: int = 0) -> Array:
        """Return a copy of a tensor's value."""

    def view(self, index: int) -> Array:
        """Return a tensor's value without copying it."""

    def invoke(self) -> None:
        """Run the model on the inputs that were set; outputs are there when it returns."""

    def invoke_within(self, time_limit_s: float) -> None:
        """Run the model as `invoke` does and stop when the time limit is over.

        Raises:
            RunTimeoutError: It was.
            UnsupportedError: A run cannot be stopped here.
        """

    def is_running(self, was_in_run: bool) -> bool:
        """Return whether a thread is in the middle of a run; ``was_in_run`` is what the Interpreter's lock says."""

    def allocate(self) -> None:
        """Prepare memory for the current shapes."""

    def resize_input(self, index: int, shape: tuple[int, ...], strict: bool) -> None:
        """Give an input another shape."""

    def shape(self, index: int) -> tuple[int, ...]:
        """Return the current shape of an input or output."""

    def reset_variables(self) -> None:
        """Set the variable tensors back to their first values."""

    def time_runs(self, min_runs: int, max_runs: int, max_seconds: float) -> Array:
        """Return nanoseconds of upload, run and read-back of each run, shape (runs, 3)."""

    def run_signature(self, key: str, values: dict[str, Any]) -> dict[str, Array]:
        """Run a signature on inputs by name."""

    def placement(self) -> tuple[Placement, ...]:
        """Return where each op ran."""

    @property
    def device(self) -> str:
        """Name of the GPU in use; empty when there is none."""

    def options_in_effect(self) -> dict[str, dict[str, Any]]:
        """Return the options as the runtime holds them."""

    def close(self) -> None:
        """Free everything; the session cannot be used afterwards."""

"""A TFLite delegate that lives in this process, given by its address."""

from __future__ import annotations

from typing import Any

from litedelegates import _core
from litedelegates.delegates.base import Delegate
from litedelegates.delegates.options import delegate_options
from litedelegates.errors import DelegateError


@delegate_options
class Hosted(Delegate):
    """Run on a TFLite delegate that something else created.

    Attributes:
        address: Address of the ``TfLiteDelegate``.
        title: What to call it in placements and messages.
        owner: Kept alive as long as models use the delegate.
    """

    address: int
    title: str = "delegate"
    owner: object | None = None

    name = "hosted"

    @staticmethod
    def from_official(delegate: Any) -> Hosted:
        """Take over a delegate that ``ai_edge_litert.interpreter.load_delegate`` (or tf.lite's) returned.

        Raises:
            DelegateError: The object does not tell where its delegate is.
        """
        try:
            address = int(delegate._get_native_delegate_pointer())
        except (AttributeError, TypeError):
            raise DelegateError(
                f"{type(delegate).__name__} is not a delegate: experimental_delegates takes what load_delegate returns"
            ) from None
        return Hosted(address=address, title=type(delegate).__name__, owner=delegate)

    def _get_native_delegate_pointer(self) -> int:
        # What the official interpreters ask of the objects in `experimental_delegates`.
        return self.address

    def for_official(self) -> object:
        """Return this object, which tells where its delegate is."""
        return self

    def step(self) -> _core.Step:
        """Return the delegate by its address."""
        return _core.Step.hosted(self.title, address=self.address)

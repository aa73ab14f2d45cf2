"""Delegates of this package in the official interpreters."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from litedelegates.delegates import Delegate
from litedelegates.errors import OptionError, UnsupportedError

if TYPE_CHECKING:
    import ctypes


class OfficialDelegate:
    """A delegate as ``experimental_delegates`` of the official interpreters takes it; `load_delegate` makes them.

    The interpreter holds on to this object, and this object to the delegate.

    Attributes:
        options: The options object that it was made from.
    """

    def __init__(self, options: Delegate, native: Any) -> None:
        self.options = options
        self._native = native

    def _get_native_delegate_pointer(self) -> int:
        address: int = self._native._get_native_delegate_pointer()
        return address

    @property
    def _delegate_ptr(self) -> int:
        return self._get_native_delegate_pointer()

    def __repr__(self) -> str:
        return f"<delegate of {self.options!r}>"


class LibraryDelegate(OfficialDelegate):
    """An external delegate of a shared library; made as the official ``Delegate(library, options)``."""

    def __init__(self, library: str | os.PathLike[str], options: dict[str, Any] | None = None) -> None:
        """Create the delegate.

        Raises:
            DelegateError: The library cannot be opened, is no delegate, or refused; says why. It is a ValueError too.
        """
        from litedelegates.delegates import External  # making the class takes a millisecond that most programs save

        external = External(library, options=options)
        super().__init__(external, external.for_official())

    @property
    def _library(self) -> ctypes.PyDLL:
        """The library, for functions of its own."""
        import ctypes

        return ctypes.PyDLL(os.fspath(self.options.library))  # type: ignore[attr-defined]


def load_delegate(
    delegate: Delegate | str | os.PathLike[str], options: dict[str, Any] | None = None
) -> OfficialDelegate:
    """Create a delegate for ``ai_edge_litert.interpreter.Interpreter`` or ``tf.lite.Interpreter``.

    ``Interpreter(model_path="model.tflite", experimental_delegates=[load_delegate(External("libvendor.so"))])``

    Args:
        delegate: An options object such as ``External("libvendor.so")``, or the path of an external delegate's
            library, as in the official ``load_delegate``.
        options: Keys and values for a library that is given by its path.

    Raises:
        DelegateError: The delegate cannot be created; says why.
        OptionError: Options beside an options object, or something that is no delegate.
        UnsupportedError: There is no such TFLite delegate to hand out.
    """
    if isinstance(delegate, (str, os.PathLike)):
        return LibraryDelegate(delegate, options)
    if options is not None:
        raise OptionError("load_delegate: give the options to the delegate itself")
    if not isinstance(delegate, Delegate):
        raise OptionError(f"load_delegate takes an object such as External('libvendor.so'), not {delegate!r}")
    native = delegate.for_official()
    if native is None:
        raise UnsupportedError(
            f"{type(delegate).__name__} is no TFLite delegate that could be handed out: it is part of the LiteRT "
            "runtime and works through litedelegates.Interpreter. An official Interpreter has its own XNNPACK, with "
            "num_threads, and no GPU"
        )
    return OfficialDelegate(delegate, native)

"""TensorFlow's own ops in a LiteRT model, through the Flex delegate."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import sys
from collections.abc import Sequence

from litedelegates.delegates.base import Delegate
from litedelegates.delegates.opened import open_once
from litedelegates.delegates.options import delegate_options
from litedelegates.errors import CompileError, DelegateError, OptionError

_SYMBOL = "TF_AcquireFlexDelegate"
_LIBRARY_NAME = {"darwin": "libtensorflowlite_flex.dylib"}.get(sys.platform, "libtensorflowlite_flex.so")


@delegate_options
class Flex(Delegate):
    """Run a model's TensorFlow ops (their names begin with "Flex").

    The runtime finds the delegate by itself among the symbols of the process and gives it its ops before any other
    delegate; this loads the library that has it. Once loaded it serves every later model of the process.

    Attributes:
        library: Path of ``libtensorflowlite_flex.so``, built from TensorFlow's sources; TensorFlow's wheel does not
            export what is needed. Unset: where the system's loader finds a library of that name.
    """

    library: str | None = dataclasses.field(default=None, kw_only=False)

    name = "flex"

    def __post_init__(self) -> None:
        if isinstance(self.library, os.PathLike):
            object.__setattr__(self, "library", os.fspath(self.library))
        if self.library == "":
            raise OptionError("Flex(library=''): library must be a path")

    def load(self) -> None:
        """Make the delegate visible to the runtime.

        Raises:
            DelegateError: The library cannot be loaded, or is not Flex.
        """
        if self.library is None and is_loaded():
            return
        library = self.library or _LIBRARY_NAME
        try:
            if not hasattr(open_once(library, ctypes.RTLD_LOCAL), _SYMBOL):
                raise DelegateError(f"cannot load the Flex delegate {library}: it does not export {_SYMBOL}")
            open_once(library, ctypes.RTLD_GLOBAL)
        except OSError as error:
            raise DelegateError(f"cannot load the Flex delegate {library}: {error}") from error

    def step(self) -> None:
        """Load the library; the runtime itself applies the delegate."""
        self.load()

    def for_official(self) -> None:
        """Load the library; the official Interpreter applies the delegate too."""
        self.load()


def is_loaded() -> bool:
    """Return whether the runtime can find a Flex delegate in this process."""
    return hasattr(open_once(None), _SYMBOL)


def require_flex(ops: Sequence[str], chain: Sequence[Delegate]) -> None:
    """Check that something in this process can run TensorFlow ops.

    Args:
        ops: Names of the model's TensorFlow ops.
        chain: The delegates that were asked for; those from other hands may take such ops.

    Raises:
        CompileError: Nothing can; names the ops and what to give.
    """
    if is_loaded() or any(delegate.name not in ("xnnpack", "gpu") for delegate in chain):
        return
    raise CompileError(
        f"the model has TensorFlow ops ({', '.join(ops)}), which need the Flex delegate: build "
        f"{_LIBRARY_NAME} from TensorFlow's sources (//tensorflow/lite/delegates/flex:tensorflowlite_flex) and give "
        'delegate=[Flex("path/to/it"), ...]; or convert the model without SELECT_TF_OPS'
    )

"""External delegates: shared libraries of hardware vendors that create a TFLite delegate from keys and values."""

from __future__ import annotations

import dataclasses
import os

from litedelegates import _core
from litedelegates.delegates.base import Created
from litedelegates.delegates.options import delegate_options
from litedelegates.errors import OptionError


@delegate_options
class External(Created):
    """Run on the delegate of a shared library, as ``load_delegate`` of the official package does.

    ``External("libvx_delegate.so", options={"cache_file_path": "/tmp/graph.nb"})``

    The library's own keys are not known here, so they cannot be checked; what the library says of them is part of the
    error.

    Attributes:
        library: Path of the library. A name without a slash is looked for as the system's loader does.
        options: Keys and values for the library. It reads text, so numbers are written with `str`, as the official
            loader does: ``True`` becomes "True". Give text where the library wants another spelling.
    """

    library: str | os.PathLike[str] = dataclasses.field(kw_only=False)
    options: dict[str, str | int | float | bool] | None = dataclasses.field(default=None, hash=False)

    name = "external"

    def __post_init__(self) -> None:
        if isinstance(self.library, os.PathLike):
            object.__setattr__(self, "library", os.fspath(self.library))
        if isinstance(self.options, dict):
            object.__setattr__(self, "options", dict(self.options))
            for text in (text for pair in self.texts() for text in pair):
                if "\0" in text:
                    raise OptionError(f"External(options=...): {text!r} has a zero in it, which ends a C string")
        if self.library == "":
            raise OptionError("External(library=''): library must name a file")

    def texts(self) -> list[tuple[str, str]]:
        """Return the options as the library reads them."""
        return [(str(key), str(value)) for key, value in (self.options or {}).items()]

    def create(self) -> _core.LoadedDelegate:
        """Create the delegate.

        Raises:
            DelegateError: The library cannot be opened, is no delegate, or refused; says which and why.
        """
        return _core.ExternalDelegate(os.fspath(self.library), options=self.texts())

"""Delegates of TFLite's stable ABI: shared libraries that work with any version of the runtime."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from litedelegates import _core
from litedelegates.delegates.base import Delegate
from litedelegates.delegates.options import delegate_options
from litedelegates.delegates.settings import read_settings_file, to_flatbuffer
from litedelegates.errors import OptionError

_LOADER = "stable_delegate_loader_settings"


@delegate_options
class Stable(Delegate):
    """Run on a delegate of the stable ABI (one that exports ``TFL_TheStableDelegate``).

    ``Stable("libvendor_delegate.so", settings={"xnnpack_settings": {"num_threads": 2}})``

    Attributes:
        library: Path of its shared library, or its name where the system's loader finds it. Unset: the
            ``delegate_path`` of the settings' ``stable_delegate_loader_settings``.
        settings: What it is told: the fields of TFLite's ``TFLiteSettings`` by name, tables as mappings.
        settings_file: The same in a JSON file, as LiteRT's benchmark_model takes it.
        prefer_host_accessors: True uses this package's functions for reading the model also where the library
            carries its own, which some builds of a runtime crash on. Libraries that carry none get these anyway.
    """

    library: str | None = dataclasses.field(default=None, kw_only=False)
    settings: Mapping[str, Any] | None = None
    settings_file: str | None = None
    prefer_host_accessors: bool | None = None

    name = "stable"

    def __post_init__(self) -> None:
        for option in ("library", "settings_file"):
            value = getattr(self, option)
            if isinstance(value, os.PathLike):
                object.__setattr__(self, option, os.fspath(value))
        if self.settings is not None and self.settings_file is not None:
            raise OptionError("Stable(settings=..., settings_file=...): give one of the two")
        if isinstance(self.settings, Mapping):
            to_flatbuffer(self.settings)  # refuses wrong ones now, where they were written

    def load(self) -> _core.StableDelegate:
        """Return a new delegate; it is destroyed when nobody holds it any more.

        Raises:
            OptionError: The settings file cannot be read or holds wrong settings, or no library is named.
            DelegateError: The library cannot be loaded or makes no delegate; says why.
        """
        settings = self.settings if self.settings_file is None else read_settings_file(self.settings_file)
        content = to_flatbuffer(settings or {})
        library = self.library or ((settings or {}).get(_LOADER) or {}).get("delegate_path")
        if not library:
            raise OptionError(f"Stable() needs a library: give its path, or settings with {_LOADER}.delegate_path")
        return _core.StableDelegate(
            os.fspath(library), settings=content, prefers_host_accessors=bool(self.prefer_host_accessors)
        )

    def step(self) -> _core.Step:
        """Return a new delegate of the library."""
        loaded = self.load()
        return _core.Step.loaded(loaded.name or self.name, loaded)

    def for_official(self) -> object:
        """Return a new delegate of the library, for ``experimental_delegates``."""
        return self.load()

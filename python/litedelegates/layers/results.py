"""What a layer study found, to be read: by layer, by setting, ranked, and in the formats that other tools read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from litedelegates import notebook
from litedelegates.errors import OptionError, nearest
from litedelegates.files import path_in
from litedelegates.layers import export
from litedelegates.layers.config import FLOAT32, relocated
from litedelegates.layers.mixed import MixedTiming
from litedelegates.layers.records import Alone, InPlace, LayerError, LayerInfo, Record, Setting, VariantInfo
from litedelegates.layers.store import LayerStore
from litedelegates.layers.sums import SumOfLayers, sum_report
from litedelegates.study import RecordError, Store
from litedelegates.study.records import read_as

_CLASSES: Mapping[str, type[Record]] = {
    "layers": LayerInfo,
    "variants": VariantInfo,
    "in_place": InPlace,
    "alone": Alone,
    "errors": LayerError,
    "mixed": MixedTiming,
}


@dataclass(frozen=True, eq=False)
class LayerStudy:
    """A layer study as far as it has been measured.

    ``study = LayerStudy.open("study.sqlite"); study.slowest(5)``

    Attributes:
        key: What it is called in its store.
        config: What was asked of it, as plain values.
        layers: The layers of the float32 model in the order they run.
        variants: The models in the other precisions.
        in_place: Times of the whole model, part by part, one for each setting.
        alone: Times of layers that were taken out.
        errors: Differences.
        mixed: Whole models whose layers have different precisions, and the uniform ones beside them.
    """

    key: str
    config: Mapping[str, Any]
    layers: tuple[LayerInfo, ...] = ()
    variants: tuple[VariantInfo, ...] = ()
    in_place: tuple[InPlace, ...] = ()
    alone: tuple[Alone, ...] = ()
    errors: tuple[LayerError, ...] = ()
    mixed: tuple[MixedTiming, ...] = ()
    _by_index: dict[int, LayerInfo] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._by_index.update({layer.index: layer for layer in self.layers})

    @classmethod
    def open(cls, store: str | os.PathLike[str] | Store, key: str | None = None) -> LayerStudy:
        """Read a study, also while it is being measured.

        Args:
            store: The file, or the store that is open.
            key: Which of its layer studies; by default the last that was begun.

        Raises:
            FileNotFoundError: There is no such file.
            StoreError: It is no store.
            OptionError: It holds no such study.
        """
        if not isinstance(store, Store):
            with Store.open(store) as opened:
                return cls.open(opened, key)
        own = LayerStore(store)
        key, record = own.study(key)
        config = relocated(record, lambda path: path_in(Path(own.path).parent, path))
        read: dict[str, Any] = {name: tuple(own.records(key, of)) for name, of in _CLASSES.items()}
        return cls(key, config, **read)

    @property
    def model(self) -> str:
        """Path of the model; where a relative one was given, it is found from where the store lies."""
        return str(self.config.get("model", ""))

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The settings that something is known of, those in place first."""
        found = [record.setting for record in self.in_place] + [record.setting for record in self.alone]
        return tuple(dict.fromkeys(found))

    @cached_property
    def sums(self) -> tuple[SumOfLayers, ...]:
        """Sum of the layers alone against the whole model, for each setting in which all layers were taken out."""
        tried: dict[Setting, set[int]] = {}
        for record in self.alone:
            tried.setdefault(record.setting, set()).add(record.layer)
        timed = {record.setting for record in self.alone if record.median_us is not None}
        whole = {setting for setting in timed if tried[setting] == self._by_index.keys()}
        return tuple(found for found in sum_report(self.alone, self.in_place) if found.setting in whole)

    def layer(self, index: int) -> LayerInfo:
        """Return the layer of an index.

        Raises:
            KeyError: There is none.
        """
        return self._by_index[index]

    def setting(self, precision: str, delegate: str | None = None, threads: int | None = None) -> Setting:
        """Return the first setting that fits.

        Raises:
            OptionError: None does; names those that there are.
        """
        for known in self.settings:
            if known.precision == precision and delegate in (None, known.delegate) and threads in (None, known.threads):
                return known
        asked = " ".join(str(part) for part in (precision, delegate, threads) if part is not None)
        raise OptionError(
            f"nothing was measured of {asked!r}. {nearest(asked, [known.label for known in self.settings])}"
        )

    def in_place_of(self, setting: Setting) -> InPlace | None:
        """Return the times in place of a setting; None where there are none."""
        return self._in_place.get(setting)

    def alone_of(self, layer: int, setting: Setting) -> Alone | None:
        """Return the time alone of a layer in a setting; None where there is none."""
        return self._alone.get((layer, setting))

    def error_of(self, layer: int, precision: str, kind: str, delegate: str | None = None) -> LayerError | None:
        """Return the error of a kind of a layer; of the first delegate where none is named."""
        found = self._errors.get((layer, precision, kind), {})
        return next(iter(found.values()), None) if delegate is None else found.get(delegate)

    def layer_us(self, layer: int, setting: Setting) -> float | None:
        """Return the microseconds of a layer in place; None where it has none of its own."""
        return self._layer_us.get(setting, {}).get(layer)

    def base_of(self, setting: Setting) -> Setting:
        """Return what a setting is compared with: float32 on the same delegate with the same threads."""
        return Setting(FLOAT32, setting.delegate, setting.threads)

    def slowest(self, count: int = 10, setting: Setting | None = None) -> list[LayerInfo]:
        """Return the layers that take the longest in a setting, by default the first that has times.

        Times in place count, or those alone where there are none in place.
        """
        for chosen in self.settings if setting is None else (setting,):
            times = dict(self._layer_us.get(chosen, {})) or {
                layer: record.median_us
                for (layer, own), record in self._alone.items()
                if own == chosen and record.median_us is not None
            }
            if times:
                return [self.layer(index) for index in sorted(times, key=lambda index: -times[index])[:count]]
        return []

    def worst_error(self, count: int = 10, kind: str = "local", precision: str | None = None) -> list[LayerError]:
        """Return the errors of a kind with the least signal to noise (``sqnr_db``); those that are no number first."""
        found = [
            error
            for error in self.errors
            if error.kind == kind and error.sqnr_db is not None and precision in (None, error.precision)
        ]
        return sorted(found, key=_badness)[:count]

    def largest_transfer(self, count: int = 10) -> list[LayerInfo]:
        """Return the layers after which a cut would send the most bytes, as they are."""
        return sorted(self._cuts, key=lambda layer: -_cut_nbytes(layer))[:count]

    def smallest_transfer(self, count: int = 10) -> list[LayerInfo]:
        """Return the layers after which a cut would send the fewest bytes, as they are."""
        return sorted(self._cuts, key=_cut_nbytes)[:count]

    def rows(self) -> list[dict[str, Any]]:
        """Return one flat row a layer and setting; every row has the same names, None where nothing was measured."""
        return export.rows(self)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values, samples included, with a version of the schema."""
        return export.to_json(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LayerStudy:
        """Return the study that `to_json` wrote.

        Raises:
            RecordError: It is of another version, or a record cannot be read.
        """
        with read_as(cls, data):
            if data.get("schema_version") != export.SCHEMA:
                raise RecordError(
                    f"a layer study of schema {data.get('schema_version')!r} cannot be read; this version reads "
                    f"{export.SCHEMA}"
                )
            read: dict[str, Any] = {
                name: tuple(of.from_json(record) for record in data.get(name, ())) for name, of in _CLASSES.items()
            }
            return cls(str(data["key"]), dict(data["config"]), **read)

    def to_csv(self) -> str:
        """Return `rows` as lines of text."""
        return export.to_csv(self)

    def to_pandas(self) -> Any:
        """Return `rows` as a pandas DataFrame.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return export.to_frame(self)

    def __repr__(self) -> str:
        settings = ", ".join(setting.label for setting in self.settings) or "no times yet"
        return f"<LayerStudy {self.key} of {self.model}: {len(self.layers)} layers; {settings}>"

    def _repr_html_(self) -> str:
        """Return the layers with their times in place in each setting, for notebooks."""
        settings = [record.setting for record in self.in_place]
        header = ["layer", "type", "name", "bytes across the cut", *(f"us {setting.label}" for setting in settings)]
        rows = [
            (
                layer.index,
                layer.type,
                layer.name,
                layer.cut_nbytes.get(FLOAT32),
                *(self.layer_us(layer.index, setting) for setting in settings),
            )
            for layer in self.layers
        ]
        return notebook.page(repr(self), notebook.table(header, rows))

    @property
    def _cuts(self) -> list[LayerInfo]:
        return [layer for layer in self.layers if layer.cut_nbytes.get(FLOAT32) is not None]

    @cached_property
    def _in_place(self) -> dict[Setting, InPlace]:
        return {record.setting: record for record in self.in_place}

    @cached_property
    def _layer_us(self) -> dict[Setting, dict[int, float]]:
        return {record.setting: record.layer_us() for record in self.in_place}

    @cached_property
    def _alone(self) -> dict[tuple[int, Setting], Alone]:
        return {(record.layer, record.setting): record for record in self.alone}

    @cached_property
    def _errors(self) -> dict[tuple[int, str, str], dict[str, LayerError]]:
        found: dict[tuple[int, str, str], dict[str, LayerError]] = {}
        for error in self.errors:
            found.setdefault((error.layer, error.precision, error.kind), {})[error.delegate] = error
        return found


def _cut_nbytes(layer: LayerInfo) -> int:
    return layer.cut_nbytes[FLOAT32] or 0


def _badness(error: LayerError) -> tuple[bool, float]:
    value = error.sqnr_db
    assert value is not None
    return value == value, value  # what is no number sorts first

"""A layer study as a table, as JSON and as a data frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from litedelegates.errors import MissingExtraError, install_extra
from litedelegates.layers.records import LayerError, Setting
from litedelegates.study.peer_formats import to_csv_lines

if TYPE_CHECKING:
    from litedelegates.layers.results import LayerStudy

SCHEMA = 1
_FIGURES = ("rmse", "rmse_over_scale", "sqnr_db", "cosine", "max_abs", "saturated")


def rows(study: LayerStudy) -> list[dict[str, Any]]:
    """Return one flat row a layer and setting; every row has the same names, None where nothing was measured."""
    settings = study.settings or tuple(Setting(info.precision, "", 0) for info in study.variants)
    held = {info.precision: info for info in study.variants}
    found = []
    for setting in settings:
        in_place = study.in_place_of(setting)
        conversions = {} if in_place is None else in_place.conversion_us()
        for layer in study.layers:
            variant = held.get(setting.precision)
            row: dict[str, Any] = {
                "layer": layer.index,
                "type": layer.type,
                "name": layer.name,
                "output": layer.output,
                "shape": None if layer.shape is None else "x".join(map(str, layer.shape)),
                "precision": setting.precision,
                "delegate": setting.delegate,
                "threads": setting.threads,
                **_sizes("nbytes", layer.nbytes),
                "nbytes_held": None if variant is None else variant.nbytes.get(layer.index),
                **_sizes("cut_nbytes", layer.cut_nbytes),
                "cut_nbytes_held": None if variant is None else variant.cut_nbytes.get(layer.index),
                "cut_refusal": layer.refusal,
                "in_place_us": study.layer_us(layer.index, setting),
                "in_place_conversion_us": conversions.get(layer.index),
                "in_place_speed_up": speed_up_in_place(study, layer.index, setting),
                "in_place_is_estimate": None if in_place is None else in_place.is_estimate,
                "in_place_refusal": None if in_place is None else in_place.refusal,
            }
            row |= _alone(study, layer.index, setting)
            # What the reference kernels computed is true of the precision, whatever runs it.
            for kind in ("local", "propagated", "output"):
                row |= _error(kind, study.error_of(layer.index, setting.precision, kind))
            row |= _error("delegate", study.error_of(layer.index, setting.precision, "delegate", setting.delegate))
            found.append(row)
    return found


def speed_up_in_place(study: LayerStudy, layer: int, setting: Setting) -> float | None:
    """Return the time in float32 over that in a setting, both in place; None for float32 itself, or without times.

    The two were not measured in turn, so there is no interval: `Alone.speed_up` has one.
    """
    base, own = study.layer_us(layer, study.base_of(setting)), study.layer_us(layer, setting)
    return None if setting == study.base_of(setting) or not base or not own else base / own


def to_csv(study: LayerStudy) -> str:
    """Return one line a layer and setting."""
    return to_csv_lines(rows(study))


def to_json(study: LayerStudy) -> dict[str, Any]:
    """Return everything as plain values, samples included, with a version of the schema."""
    return {
        "schema_version": SCHEMA,
        "key": study.key,
        "config": dict(study.config),
        "layers": [record.to_json() for record in study.layers],
        "variants": [record.to_json() for record in study.variants],
        "in_place": [record.to_json() for record in study.in_place],
        "alone": [record.to_json() for record in study.alone],
        "errors": [record.to_json() for record in study.errors],
        "mixed": [record.to_json() for record in study.mixed],
        "sums": [record.to_json() for record in study.sums],
    }


def to_frame(study: LayerStudy) -> Any:
    """Return the rows as a pandas DataFrame.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingExtraError(f"tables of layers need pandas: {install_extra('tables')}") from error
    return pandas.DataFrame(rows(study))


def _sizes(name: str, sizes: Mapping[str, int | None]) -> dict[str, int | None]:
    return {f"{name}_{precision}": sizes.get(precision) for precision in ("float32", "float16", "int8")}


def _alone(study: LayerStudy, layer: int, setting: Setting) -> dict[str, Any]:
    record = study.alone_of(layer, setting)
    names = {
        "alone_us": "median_us",
        "alone_low_us": "low_us",
        "alone_high_us": "high_us",
        "alone_speed_up": "speed_up",
        "alone_speed_up_low": "speed_up_low",
        "alone_speed_up_high": "speed_up_high",
        "alone_verdict": "verdict",
        "alone_ran": "ran",
        "alone_refusal": "refusal",
    }
    return {name: None if record is None else getattr(record, attribute) for name, attribute in names.items()}


def _error(kind: str, error: LayerError | None) -> dict[str, Any]:
    row = {f"{kind}_{name}": None if error is None else getattr(error, name) for name in _FIGURES}
    if kind == "output":
        row |= {f"output_{n}": None if error is None else getattr(error, n) for n in ("accuracy", "agreement")}
    row[f"{kind}_flags"] = None if error is None else " ".join(error.flags)
    row[f"{kind}_refusal"] = None if error is None else error.refusal
    return row

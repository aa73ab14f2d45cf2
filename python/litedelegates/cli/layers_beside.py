"""A second model of the same network beside the one that `litedelegates layers` studies."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from litedelegates.graph import Graph, load
from litedelegates.layers import BesideLayer, LayersConfig, LayerStudy, match_layers, open_inputs, stand_beside


def config_beside(config: LayersConfig, other: str) -> LayersConfig:
    """Return what to ask of the other model: the same, on the same delegates where they are of its format."""
    is_alike = _is_onnx(config.model) == _is_onnx(other)
    return replace(
        config,
        model=other,
        delegates=config.delegates if is_alike else None,
        shapes=(config.shapes or _same_batch(config.model, other)) if _is_onnx(other) else {},
        variants={},
        layers=(),
    )


def _same_batch(model: str, other: str) -> dict[str, tuple[int, ...]]:
    """Return shapes for the inputs of ``other`` that leave their batch open: those of ``model``, in order."""
    first, second = load(model), load(other)
    found, is_open = {}, open_inputs(second)
    for mine, its in zip(first.inputs, second.inputs, strict=False):
        name = second.public_name(its)
        batch, *rest = is_open.get(name, (0,))
        if batch < 0 and mine.shape and mine.shape[0] > 0 and min(rest, default=1) > 0:
            found[name] = (mine.shape[0], *rest)
    return found


def beside(first: LayerStudy, second: LayerStudy, configs: Sequence[LayersConfig]) -> list[BesideLayer]:
    """Match the layers of two models that were studied, and put their figures side by side.

    Raises:
        OptionError: They are not of the same network: their inputs do not fit each other.
    """
    one, other = (_load(config) for config in configs)
    return stand_beside(first, second, match_layers(one, other))


def beside_lines(layers: Sequence[BesideLayer], studies: Sequence[LayerStudy]) -> Iterator[str]:
    """Yield a table: the layers of both models, and what each takes in the precisions that both were studied in."""
    names = [os.path.basename(study.model) for study in studies]  # noqa: PTH119  what the user wrote, not a file
    precisions = [p for p in _precisions(layers, "first_us") if p in _precisions(layers, "second_us")]
    matched = sum(layer.pair.is_matched for layer in layers)
    yield ""
    yield f"{names[0]} beside {names[1]}: {matched} of {len(layers)} layers are in both; us in place, local dB"
    yield f"{'':>60}" + "".join(f"{precision:>40}" for precision in precisions)
    for layer in layers:
        first, second = (
            ", ".join(f"{index} {study.layer(index).type}" for index in side[:2]) + (", ..." if len(side) > 2 else "")
            for study, side in zip(studies, (layer.pair.first, layer.pair.second), strict=True)
        )
        cells = "".join(_cell(layer, precision) for precision in precisions)
        yield f"{first or '-':<30}{second or '-':<30}{cells}".rstrip()


def _cell(layer: BesideLayer, precision: str) -> str:
    times = [_number(side.get(precision)) for side in (layer.first_us, layer.second_us)]
    errors = [_number(side.get(precision)) for side in (layer.first_db, layer.second_db)]
    shown = "" if errors == ["-", "-"] else f"{errors[0]:>7}{errors[1]:>7}"
    return f"{times[0]:>13}{times[1]:>13}{shown:>14}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _precisions(layers: Sequence[BesideLayer], side: str) -> list[str]:
    found: dict[str, None] = {}
    for layer in layers:
        figures: Mapping[str, float] = getattr(layer, side)
        found.update(dict.fromkeys(figures))
    return list(found)


def _load(config: LayersConfig) -> Graph:
    return load(config.model, shapes=dict(config.shapes) or None)


def _is_onnx(path: str) -> bool:
    return path.endswith(".onnx")

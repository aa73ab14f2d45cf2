"""What a layer study has to do: a step for each call of a measuring function, and the records that each will give."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from litedelegates.errors import LiteDelegatesError
from litedelegates.graph import Graph
from litedelegates.layers.alone import time_alone
from litedelegates.layers.carrying import is_real
from litedelegates.layers.config import FLOAT32, LayersConfig
from litedelegates.layers.error_jobs import reference_engine
from litedelegates.layers.errors_apart import ErrorOrder, errors_apart
from litedelegates.layers.in_place import in_place
from litedelegates.layers.infos import layer_ops
from litedelegates.layers.mixed import MixedTiming, draw_mixes, mix_name
from litedelegates.layers.mixed_models import Mixer, time_mixes
from litedelegates.layers.quantizing_apart import Quantizer
from litedelegates.layers.recipe import changed_layers
from litedelegates.layers.records import ErrorKind, InPlace, Record, Setting
from litedelegates.layers.store import alone_key, error_key, key_of
from litedelegates.layers.variants import Variant
from litedelegates.layers.whole_errors import WholeErrorsApart
from litedelegates.measure import read_machine
from litedelegates.study.process import CellFailed


@dataclass(frozen=True)
class Step:
    """A call of a measuring function.

    Attributes:
        kind: What its records are counted as, such as "alone" or "local": records of a kind take about as long.
        doing: What to call it.
        precisions: The variants it needs.
        missing: How many records it will give.
        records: Measures; takes those of its variants that could be made.
    """

    kind: str
    doing: str
    precisions: tuple[str, ...]
    missing: int
    records: Callable[[Sequence[Variant]], Iterator[Record]]


class Steps:
    """The steps of a study, without those that have nothing to do."""

    def __init__(
        self,
        config: LayersConfig,
        graph: Graph,
        model: str,
        layers: Sequence[int],
        known: Callable[[str, str], bool],
        folder: Path,
    ) -> None:
        """Plan a study.

        Args:
            config: What to measure.
            graph: The float32 model.
            model: Its file.
            layers: The layers to run alone and to take errors of.
            known: Whether the record of a kind and a key need not be measured.
            folder: Where models in other precisions are kept.
        """
        self._config, self._graph, self._model, self._layers = config, graph, model, layers
        self._known, self._folder = known, folder

    def __iter__(self) -> Iterator[Step]:
        """Yield the steps in the order of doing."""
        parts = {"in_place": self._in_place, "alone": self._alone, "error": self._chosen_errors, "mixed": self._mixed}
        for name, steps in parts.items():
            if name in self._config.parts:
                yield from (step for step in steps() if step.missing)

    def _in_place(self) -> Iterator[Step]:
        for setting in self._config.settings():
            missing = not self._known("in_place", setting.label)
            yield Step("in_place", f"in place {setting.label}", (setting.precision,), missing, self._placed(setting))

    def _placed(self, setting: Setting) -> Callable[[Sequence[Variant]], Iterator[Record]]:
        def records(variants: Sequence[Variant]) -> Iterator[Record]:
            config = self._config
            for variant in variants:
                try:
                    yield in_place(
                        variant,
                        setting,
                        runs=config.runs,
                        seconds=config.seconds,
                        seed=config.seed,
                        time_limit=config.time_limit,
                    )
                except CellFailed:
                    raise  # it is not the setting's fault that no process can be started
                except LiteDelegatesError as error:
                    yield InPlace(setting, refusal=str(error))

        return records

    def _alone(self) -> Iterator[Step]:
        timed = [layer for layer in self._layers if not self._graph.ops[layer].computes_shape]
        keys = [(layer, setting) for layer in timed for setting in self._config.settings()]
        skip = {key for key in keys if self._known("alone", alone_key(*key))}
        missing = {setting.precision for layer, setting in keys if (layer, setting) not in skip}
        # With float32, which the others are timed in turn with, whether its own times are there or not.
        wanted = tuple(name for name in self._config.names if name in {FLOAT32, *missing})

        def records(variants: Sequence[Variant]) -> Iterator[Record]:
            return time_alone(
                variants,
                self._config.delegates or (),
                self._config.threads,
                layers=timed,
                skip=skip,
                seconds=self._config.seconds,
                time_limit=self._config.time_limit,
                seed=self._config.seed,
            )

        yield Step("alone", "each layer alone", wanted, len(keys) - len(skip), records)

    def _chosen_errors(self) -> Iterator[Step]:
        return (step for step in self._errors() if step.kind in self._config.errors)

    def _errors(self) -> Iterator[Step]:
        others = tuple(name for name in self._config.names if name != FLOAT32)
        delegates = self._config.delegates or ()
        yield self._error("local", None, others)
        yield self._error("propagated", None, others)
        # The rest of the model runs once a layer and precision, so that the kernels' speed counts.
        yield self._error("output", "xnnpack" if "xnnpack" in delegates else None, others)
        for delegate in delegates:
            # The reference of ONNX Runtime is called like a provider as well, but fuses nothing.
            if delegate != reference_engine(self._graph).name or self._graph.format == "onnx":
                yield self._error("delegate", delegate, self._config.names)

    def _error(self, kind: ErrorKind, delegate: str | None, precisions: tuple[str, ...]) -> Step:
        """Return a step for the errors of a kind on a delegate, or on the reference kernels."""
        config = self._config
        engine = reference_engine(self._graph).name if delegate is None else delegate
        # Integers without a scale, such as indices and masks, have no error that would mean something.
        real = [layer for layer in self._layers if any(map(is_real, self._graph.ops[layer].makes))]
        missing = [
            (layer, precision)
            for layer, precision in itertools.product(real, precisions)
            if not self._known("error", error_key(kind, layer, precision, engine))
        ]
        wanted = tuple(name for name in precisions if name in {precision for _, precision in missing})

        def records(variants: Sequence[Variant]) -> Iterator[Record]:
            order = self._order(kind, delegate, {variant.precision: variant.path for variant in variants})
            return errors_apart(order, missing, config.time_limit)

        return Step(kind, f"{kind} errors", wanted, len(missing), records)

    def _order(self, kind: ErrorKind, delegate: str | None, variants: Mapping[str, str]) -> ErrorOrder:
        config = self._config
        return ErrorOrder(
            kind=kind,
            model=self._model,
            variants=variants,
            engine=reference_engine(self._graph).name if delegate is None else delegate,
            delegate=delegate,
            inputs=config.inputs,
            labels=config.labels,
            samples=config.samples,
            seed=config.seed,
            num_threads=read_machine().cores,  # errors are no times: all may take part, whatever the settings say
        )

    def _mixed(self) -> Iterator[Step]:
        config, layers = self._config, [op.index for op in layer_ops(self._graph)]
        names = tuple(name for name in config.precisions if ";" not in name)  # `quantize` takes no options by layer
        delegates = config.delegates or ()
        mixes = [dict.fromkeys(layers, name) for name in names]
        mixes += draw_mixes(layers, names, config.mixes, config.seed)

        def is_known(record: MixedTiming) -> bool:
            return self._known("mixed", key_of(record))

        keys = itertools.product(config.threads, delegates, mixes)
        missing = sum(
            not is_known(MixedTiming(mix, Setting(mix_name(mix), delegate, threads))) for threads, delegate, mix in keys
        )

        def records(variants: Sequence[Variant]) -> Iterator[Record]:
            uniforms = {variant.precision: variant.path for variant in variants}
            changed = {variant.precision: changed_layers(variant) for variant in variants}
            order = self._order("output", "xnnpack" if "xnnpack" in delegates else None, {})
            with (
                closing(Quantizer(config.time_limit)) as quantizer,
                closing(WholeErrorsApart(order, config.time_limit)) as errors,
            ):
                mixer = Mixer(
                    self._graph,
                    uniforms,
                    self._folder,
                    changed,
                    quantizer,
                    config.calibration,
                    config.allow_float32_ops,
                )
                yield from time_mixes(
                    mixer,
                    mixes,
                    names,
                    delegates,
                    config.threads,
                    errors,
                    is_known=is_known,
                    seconds=config.seconds,
                    time_limit=config.time_limit,
                    seed=config.seed,
                )

        yield Step("mixed", "mixed precisions", names, missing, records)

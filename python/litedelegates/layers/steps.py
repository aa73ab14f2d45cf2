"""What a layer study has to do: a step for each call of a measuring function, and the records that each will give."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litedelegates.errors import LiteDelegatesError
from litedelegates.graph import Graph
from litedelegates.layers.alone import time_alone
from litedelegates.layers.config import FLOAT32, LayersConfig
from litedelegates.layers.error_jobs import Engine, reference_engine
from litedelegates.layers.errors import Key, delegate_errors, local_errors, output_errors, propagated_errors
from litedelegates.layers.in_place import in_place
from litedelegates.layers.infos import layer_ops
from litedelegates.layers.mixed import MixedTiming, draw_mixes, mix_name
from litedelegates.layers.mixed_models import Mixer, time_mixes
from litedelegates.layers.recipe import changed_layers
from litedelegates.layers.records import ErrorKind, InPlace, Record, Setting
from litedelegates.layers.samples import Samples
from litedelegates.layers.sessions import parse_providers
from litedelegates.layers.store import alone_key, error_key, key_of
from litedelegates.layers.variants import Variant
from litedelegates.measure import read_machine
from litedelegates.study.delegates import make_chain, parse_delegate


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
        layers: Sequence[int],
        samples: Samples,
        known: Callable[[str, str], bool],
        folder: Path,
    ) -> None:
        """Plan a study.

        Args:
            config: What to measure.
            graph: The float32 model.
            layers: The layers to run alone and to take errors of.
            samples: What errors are taken over.
            known: Whether the record of a kind and a key need not be measured.
            folder: Where models in other precisions are kept.
        """
        self._config, self._graph, self._layers = config, graph, layers
        self._samples, self._known, self._folder = samples, known, folder

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
            for variant in variants:
                try:
                    yield in_place(
                        variant, setting, runs=self._config.runs, seconds=self._config.seconds, seed=self._config.seed
                    )
                except LiteDelegatesError as error:
                    yield InPlace(setting, refusal=str(error))

        return records

    def _alone(self) -> Iterator[Step]:
        keys = [(layer, setting) for layer in self._layers for setting in self._config.settings()]
        skip = {key for key in keys if self._known("alone", alone_key(*key))}
        missing = {setting.precision for layer, setting in keys if (layer, setting) not in skip}
        # With float32, which the others are timed in turn with, whether its own times are there or not.
        wanted = tuple(name for name in self._config.names if name in {FLOAT32, *missing})

        def records(variants: Sequence[Variant]) -> Iterator[Record]:
            return time_alone(
                variants,
                self._config.delegates or (),
                self._config.threads,
                layers=self._layers,
                skip=skip,
                seconds=self._config.seconds,
                seed=self._config.seed,
            )

        yield Step("alone", "each layer alone", wanted, len(keys) - len(skip), records)

    def _chosen_errors(self) -> Iterator[Step]:
        return (step for step in self._errors() if step.kind in self._config.errors)

    def _errors(self) -> Iterator[Step]:
        others = tuple(name for name in self._config.names if name != FLOAT32)
        delegates = self._config.delegates or ()
        reference = reference_engine(self._graph)
        yield self._error("local", reference, others)
        yield self._error("propagated", reference, others)
        # The rest of the model runs once a layer and precision, so that the kernels' speed counts.
        yield self._error("output", self._engine("xnnpack") if "xnnpack" in delegates else reference, others)
        for delegate in delegates:
            if delegate != reference.name or self._graph.format == "onnx":  # there the reference fuses nothing
                yield self._error("delegate", self._engine(delegate), self._config.names)

    def _error(self, kind: ErrorKind, engine: Engine, precisions: tuple[str, ...]) -> Step:
        skip: set[Key] = set()
        missing: list[str] = []
        for layer, precision in itertools.product(self._layers, precisions):
            if self._known("error", error_key(kind, layer, precision, engine.name)):
                skip.add((layer, precision, kind, engine.name))
            else:
                missing.append(precision)
        wanted = tuple(precision for precision in precisions if precision in missing)

        def records(variants: Sequence[Variant]) -> Iterator[Record]:
            # Errors are no times: all processors may take part, whatever the settings say.
            shared: dict[str, Any] = {"layers": self._layers, "skip": skip, "num_threads": read_machine().cores}
            feeds, labels = self._samples.feeds, self._samples.labels
            if kind == "local":
                return local_errors(variants, feeds, **shared)
            if kind == "propagated":
                return propagated_errors(variants, feeds, **shared)
            if kind == "output":
                return output_errors(variants, feeds, labels=labels, engine=engine, **shared)
            return delegate_errors(variants, feeds, [engine], **shared)

        return Step(kind, f"{kind} errors", wanted, len(missing), records)

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
            mixer = Mixer(self._graph, uniforms, self._folder, changed, config.calibration, config.allow_float32_ops)
            engine = self._engine("xnnpack") if "xnnpack" in delegates else reference_engine(self._graph)
            return time_mixes(
                mixer,
                mixes,
                names,
                delegates,
                config.threads,
                self._samples,
                engine,
                is_known=is_known,
                seconds=config.seconds,
                seed=config.seed,
            )

        yield Step("mixed", "mixed precisions", names, missing, records)

    def _engine(self, delegate: str) -> Engine:
        if self._graph.format == "onnx":
            return Engine(delegate, {"providers": parse_providers(delegate)})
        return Engine(delegate, {"delegate": make_chain(*parse_delegate(delegate))})

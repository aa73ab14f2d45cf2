"""What the process in which errors are taken can be told to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from litedelegates.errors import LiteDelegatesError
from litedelegates.graph import Graph, load
from litedelegates.layers.error_jobs import Engine, engine_of, reference_engine
from litedelegates.layers.errors import delegate_errors, local_errors, output_errors, propagated_errors
from litedelegates.layers.errors_apart import ErrorOrder
from litedelegates.layers.owners import identity
from litedelegates.layers.records import LayerError
from litedelegates.layers.samples import Samples
from litedelegates.layers.variants import Variant, load_variant
from litedelegates.layers.watching import Key
from litedelegates.layers.whole_errors import WholeErrors
from litedelegates.quantize.request import FLOAT32
from litedelegates.study.worker import Tell

_QUIET_SECONDS = 0.1  # between two words that say no more than that it goes on


class ErrorDesk:
    """Answers orders about errors; each is a method."""

    def __init__(self, tell: Tell) -> None:
        """Start with nothing loaded.

        Args:
            tell: Tells of a record (``record``) or of a model's errors (``figures``), or of what is in work (``at``,
                empty where that is the same).
        """
        self._tell = tell
        self._told_at = 0.0
        self._wholes: tuple[ErrorOrder, WholeErrors] | None = None
        self._orders: dict[str, Callable[..., dict[str, Any]]] = {
            order.__name__: order for order in (self.greet, self.errors, self.wholes)
        }

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a message says and return the answer."""
        arguments = dict(message)
        return self._orders[arguments.pop("do")](**arguments)

    def errors(self, order: dict[str, Any], wanted: Sequence[tuple[int, str]]) -> dict[str, Any]:
        """Take errors of layers in some precisions, and tell of each as it is there."""
        for record in self._records(ErrorOrder.from_json(order), wanted):
            self._tell({"record": record.to_json()})
        return {}

    def wholes(self, order: dict[str, Any], path: str) -> dict[str, Any]:
        """Take the errors of a whole model, and tell of them: ``figures`` are fields of `MixedTiming`."""
        asked = ErrorOrder.from_json(order)
        try:
            if self._wholes is None or self._wholes[0] != asked:
                source = load(asked.model)
                samples = Samples.load(source, asked.inputs, asked.labels, asked.samples, asked.seed)
                engine = _engine(asked, source)
                self._wholes = asked, WholeErrors(source, samples, engine, asked.num_threads, self._watch)
            figures = self._wholes[1].of(load(path))
        except (LiteDelegatesError, OSError) as error:
            figures = {"error_refusal": str(error)}
        self._tell({"figures": figures})
        return {}

    def greet(self) -> dict[str, Any]:
        """Do nothing, which shows that the process is there."""
        return {}

    def close(self) -> None:
        """Leave: no model is loaded between two orders."""

    def _records(self, order: ErrorOrder, wanted: Sequence[tuple[int, str]]) -> Iterator[LayerError]:
        source = load(order.model)
        self._watch(())
        samples = Samples.load(source, order.inputs, order.labels, order.samples, order.seed)
        variants = []
        for precision in dict.fromkeys(precision for _, precision in wanted):
            variants.append(_variant(source, precision, order.variants[precision]))
            self._watch(())
        engine = _engine(order, source)
        layers = sorted({layer for layer, _ in wanted})
        asked = {(layer, precision) for layer, precision in wanted}
        keys = {(layer, variant.precision) for layer in layers for variant in variants}
        shared: dict[str, Any] = {
            "layers": layers,
            "skip": {(layer, precision, order.kind, order.engine) for layer, precision in keys - asked},
            "num_threads": order.num_threads,
            "watch": self._watch,
        }
        if order.kind == "local":
            return local_errors(variants, samples.feeds, **shared)
        if order.kind == "propagated":
            return propagated_errors(variants, samples.feeds, **shared)
        if order.kind == "output":
            return output_errors(variants, samples.feeds, labels=samples.labels, engine=engine, **shared)
        return delegate_errors(variants, samples.feeds, [engine], **shared)

    def _watch(self, keys: Sequence[Key]) -> None:
        now = time.monotonic()
        if keys or now > self._told_at + _QUIET_SECONDS:
            self._told_at = now
            self._tell({"at": [(layer, precision) for layer, precision, _, _ in keys]})


def _variant(source: Graph, precision: str, path: str) -> Variant:
    if precision == FLOAT32:
        return Variant(precision, path, source, source, identity(source))
    return load_variant(source, path, precision)


def _engine(order: ErrorOrder, graph: Graph) -> Engine:
    return reference_engine(graph) if order.delegate is None else engine_of(order.delegate, graph)

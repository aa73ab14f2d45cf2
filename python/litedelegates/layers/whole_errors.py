"""The errors of whole models, taken in a process that may fall."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

from litedelegates.engines import Array
from litedelegates.errors import RunError
from litedelegates.graph import Graph
from litedelegates.layers.carrying import is_real
from litedelegates.layers.error_jobs import Engine
from litedelegates.layers.errors_apart import MODULE, PATIENCE, ErrorOrder
from litedelegates.layers.helper import Helper
from litedelegates.layers.samples import Samples
from litedelegates.layers.tallies import Tally
from litedelegates.layers.watching import Watch

_WHOLE = -1  # stands for the layer in the record of a whole model


class WholeErrors:
    """Compares outputs of models with those of the float32 model."""

    def __init__(self, source: Graph, samples: Samples, engine: Engine, num_threads: int | None, watch: Watch) -> None:
        """Run the float32 model on all samples.

        Args:
            source: The float32 model.
            samples: What errors are taken over.
            engine: What computes.
            num_threads: Threads of the kernels.
            watch: Called after each run.

        Raises:
            RunError: It cannot be run.
        """
        self._source, self._samples, self._engine = source, samples, engine
        self._num_threads, self._watch = num_threads, watch
        self._wanted = list(self._outputs(source))

    def of(self, graph: Graph) -> dict[str, Any]:
        """Return ``error``, ``agreement``, ``accuracy`` and ``samples`` as in `MixedTiming`.

        Raises:
            RunError: The model cannot be run.
        """
        tally = Tally(_WHOLE, "", "output", self._engine.name)
        labels = self._samples.labels
        for sample, (wanted, found) in enumerate(zip(self._wanted, self._outputs(graph), strict=True)):
            for true, own, reference, values in zip(self._source.outputs, graph.outputs, wanted, found, strict=True):
                if is_real(true):
                    tally.add(true, reference, own, values)
            tally.add_largest(wanted[0], found[0], None if labels is None else labels[sample])
            tally.samples += 1
        result = tally.record()
        error = None if result.sqnr_db is None else 10.0 ** (-result.sqnr_db / 10)
        return {"error": error, **{name: getattr(result, name) for name in ("agreement", "accuracy", "samples")}}

    def _outputs(self, graph: Graph) -> Iterator[list[Array]]:
        with closing(self._engine.open(graph, self._num_threads)) as session:
            for feed in self._samples.feeds:
                given = [feed[name] for name in self._source.input_names]
                found = session.run(dict(zip(graph.input_names, given, strict=True)))
                self._watch(())
                yield [found[name] for name in graph.output_names]


class WholeErrorsApart:
    """Has the errors of models taken in a process of its own, each model once."""

    def __init__(self, order: ErrorOrder, time_limit: float, memory_limit: int | None = None) -> None:
        """Start nothing yet.

        Args:
            order: The float32 model, the samples and the engine; it names no variants.
            time_limit: Seconds that a load or a run may take.
            memory_limit: Bytes of memory at which the process is ended; by default most of what is free.
        """
        self._order, self._time_limit = order, time_limit
        self._helper = Helper(MODULE, memory_limit)
        self._known: dict[str, Mapping[str, Any]] = {}
        self._falls = 0  # in a row

    def of(self, path: str | os.PathLike[str]) -> Mapping[str, Any]:
        """Return what `WholeErrors.of` does, or ``error_refusal``: why there is nothing.

        Raises:
            CellFailed: No process can be started.
        """
        name = os.fspath(path)
        if name not in self._known:
            self._known[name] = self._take(name)
        return self._known[name]

    def _take(self, path: str) -> Mapping[str, Any]:
        if self._falls >= PATIENCE:
            return {"error_refusal": f"not tried: it ended the process the last {PATIENCE} times"}
        found: Mapping[str, Any] = {}
        try:
            for told in self._helper.follow("wholes", self._time_limit, order=self._order.to_json(), path=path):
                found = told.get("figures", found)
        except RunError as error:
            self._falls += 1
            return {"error_refusal": str(error)}
        self._falls = 0
        return found

    def close(self) -> None:
        """End the process."""
        self._helper.close()

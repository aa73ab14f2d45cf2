"""What is measured of a layer, or of a few, once the values that this takes are at hand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np

from litedelegates.engines import Array, Session, open_session
from litedelegates.errors import CutError
from litedelegates.graph import Graph, Tensor, expose, extract
from litedelegates.layers.carrying import is_real
from litedelegates.layers.cutouts import CutOut
from litedelegates.layers.sessions import parse_providers
from litedelegates.layers.tallies import Tally, at_hand, refusing
from litedelegates.layers.walking import Values
from litedelegates.layers.watching import Watch
from litedelegates.study.delegates import make_chain, parse_delegate

_Run: TypeAlias = Callable[[Mapping[Tensor, Array]], dict[Tensor, Array]]


@dataclass(frozen=True)
class Engine:
    """What computes.

    Attributes:
        name: As in `LayerError.delegate`.
        options: Those of `engines.open_session`, such as ``{"delegate": "xnnpack"}``.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def open(self, graph: Graph, num_threads: int | None) -> Session:
        """Load a graph; see `engines.open_session`."""
        return open_session(graph.to_bytes(), num_threads=num_threads, **self.options)


def reference_engine(graph: Graph) -> Engine:
    """Return the engine on which each op runs on the kernel that it would have in any model."""
    return Engine("none" if graph.format == "tflite" else "cpu", {"same_kernels": True})


def engine_of(delegate: str, graph: Graph) -> Engine:
    """Return the engine that a delegate is for a graph, or an execution provider for an ``.onnx``; see `Setting`."""
    if graph.format == "onnx":
        return Engine(delegate, {"providers": parse_providers(delegate)})
    return Engine(delegate, {"delegate": make_chain(*parse_delegate(delegate))})


class Job(Protocol):
    """Some records that take the same values."""

    @property
    def tallies(self) -> Sequence[Tally]:
        """The records."""
        ...

    @property
    def demands(self) -> Mapping[Graph, Collection[Tensor]]:
        """The tensors whose values it takes, by model."""
        ...

    def measure(self, values: Values, samples: range, watch: Watch) -> None:
        """Count in some samples (their places among all), whose values are given."""
        ...


class LocalJob:
    """A layer in some precisions, fed with its true inputs."""

    def __init__(
        self, source: Graph, tallies: Sequence[Tally], cutouts: Mapping[Tally, CutOut], num_threads: int | None
    ) -> None:
        """Make one of the layer's cut-outs, by the record that each is for."""
        self.tallies = tallies
        self.demands = {source: _each_once(cutout.touched for cutout in cutouts.values())}
        self._cutouts, self._num_threads = cutouts, num_threads

    def measure(self, values: Values, samples: range, watch: Watch) -> None:
        """Run each cut-out and compare its outputs with the true ones."""
        for tally in _open(self._cutouts):
            watch([tally.key])
            with refusing(tally):
                cutout = self._cutouts[tally]
                known = at_hand(values, cutout.touched)
                for index, found in enumerate(cutout.run(known, len(samples), num_threads=self._num_threads)):
                    for true, array in found.items():
                        tally.add(true, known[true][index], cutout.results[true], array)
                    tally.samples += 1
                    watch(())


class PropagatedJob:
    """A layer in some precisions, each in the midst of its whole model."""

    def __init__(
        self, source: Graph, tallies: Sequence[Tally], held: Mapping[Tally, tuple[Graph, Mapping[Tensor, Tensor]]]
    ) -> None:
        """Make one of the graphs, and what holds the layer's outputs there, by the record that each is for."""
        self.tallies, self._held = tallies, {tally: pairs for tally, (_, pairs) in held.items()}
        demands = {source: _each_once(self._held.values())}
        for graph, pairs in held.values():
            demands[graph] = _each_once([demands.get(graph, ()), pairs.values()])
        self.demands = demands

    def measure(self, values: Values, samples: range, watch: Watch) -> None:
        """Compare the outputs of the layer with those in float32."""
        for tally in _open(self._held):
            with refusing(tally):
                pairs = self._held[tally]
                known = at_hand(values, [*pairs, *pairs.values()])
                for index in range(len(samples)):
                    for true, own in pairs.items():
                        tally.add(true, known[true][index], own, known[own][index])
                    tally.samples += 1


class DelegateJob:
    """Some layers in one precision on an engine, their outputs exposed, against those on the reference kernels."""

    def __init__(
        self, graph: Graph, engine: Engine, held: Mapping[Tally, Sequence[Tensor]], num_threads: int | None
    ) -> None:
        """Make one of what holds the layers' outputs, by the record that each layer is for."""
        self.tallies = list(held)
        self._tensors = _each_once(held.values())
        self.demands = {graph: [*graph.inputs, *self._tensors]}
        self._graph, self._engine, self._held, self._num_threads = graph, engine, held, num_threads

    def measure(self, values: Values, samples: range, watch: Watch) -> None:
        """Run the whole model on the engine and compare what the layers give with what they should."""
        tallies = _open(self._held)
        if not tallies:
            return
        watch([tally.key for tally in tallies])
        with refusing(*tallies):
            inputs = at_hand(values, self._graph.inputs)
            known = at_hand(values, self._tensors)
            graph = expose(self._graph, self._tensors)
            with closing(self._engine.open(graph, self._num_threads)) as session:
                watch(())
                for index in range(len(samples)):
                    found = session.run({graph.public_name(t): arrays[index] for t, arrays in inputs.items()})
                    for tally in tallies:
                        for tensor in self._held[tally]:
                            tally.add(tensor, known[tensor][index], tensor, found[graph.public_name(tensor)])
                        tally.samples += 1
                    watch(())


class OutputJob:
    """A layer in some precisions, its outputs put in the place of the true ones and the rest run on in float32."""

    def __init__(
        self,
        source: Graph,
        tallies: Sequence[Tally],
        cutouts: Mapping[Tally, CutOut],
        engine: Engine,
        labels: Sequence[Any] | None,
        num_threads: int | None,
    ) -> None:
        """Make one of the layer's cut-outs, by the record that each is for."""
        self.tallies, self._cutouts = tallies, cutouts
        self._engine, self._labels, self._num_threads = engine, labels, num_threads
        self.demands: Mapping[Graph, Collection[Tensor]] = {source: ()}
        with refusing(*_open(cutouts)):
            self._rest = Rest(source, tallies[0].layer)
            touched = [cutout.touched for cutout in cutouts.values()]
            self.demands = {source: _each_once([*touched, self._rest.needs])}

    def measure(self, values: Values, samples: range, watch: Watch) -> None:
        """Run the rest with the true values and with those of each cut-out, and compare what comes out."""
        tallies = _open(self._cutouts)
        if not tallies:
            return
        watch([tally.key for tally in tallies])
        with refusing(*tallies), ExitStack() as stack:
            known = at_hand(values, self._rest.needs)
            run = self._rest.open(stack, self._engine, self._num_threads, watch)
            wanted = [run({tensor: arrays[index] for tensor, arrays in known.items()}) for index in range(len(samples))]
            for tally in tallies:
                watch([tally.key])
                with refusing(tally):
                    cutout = self._cutouts[tally]
                    given = at_hand(values, cutout.touched)
                    results = cutout.run(given, len(samples), num_threads=self._num_threads)
                    for index, (sample, found) in enumerate(zip(samples, results, strict=True)):
                        watch(())
                        own = cutout.real(found)
                        if all(np.array_equal(array, given[tensor][index]) for tensor, array in own.items()):
                            outputs = wanted[index]  # as in many layers that store no weights
                        else:
                            outputs = run({**{tensor: arrays[index] for tensor, arrays in known.items()}, **own})
                        for tensor, array in outputs.items():
                            tally.add(tensor, wanted[index][tensor], tensor, array)
                        first = next(iter(outputs))
                        label = None if self._labels is None else self._labels[sample]
                        tally.add_largest(wanted[index][first], outputs[first], label)
                        tally.samples += 1


class Rest:
    """What comes after a layer in the float32 model, as a model of its own.

    Attributes:
        outputs: The real outputs of the whole that the layer may change.
        needs: The tensors that it takes, the layer's own outputs among them.
    """

    def __init__(self, source: Graph, layer: int) -> None:
        """Cut it off.

        Raises:
            CutError: It cannot be, or the layer changes no output; says why.
        """
        own = source.ops[layer].makes
        later = [op for op in source.ops[layer + 1 :] if not op.is_fixed]
        made = {tensor for op in later for tensor in op.makes}
        outputs = [tensor for tensor in dict.fromkeys(source.outputs) if is_real(tensor)]
        self.outputs = [tensor for tensor in outputs if tensor in made or tensor in own]
        if not self.outputs:
            raise CutError("no output of the model that holds real numbers comes from it or from a later layer")
        self._made = [tensor for tensor in self.outputs if tensor in made]
        self._graph = extract(source, later, outputs=self._made) if self._made else None
        inputs = () if self._graph is None else self._graph.inputs
        self.needs = _each_once([inputs, (tensor for tensor in self.outputs if tensor in own)])

    def open(self, stack: ExitStack, engine: Engine, num_threads: int | None, watch: Watch) -> _Run:
        """Load it until ``stack`` ends, and return what runs it on values by tensor."""
        graph = self._graph
        if graph is None:
            return lambda values: {tensor: values[tensor] for tensor in self.outputs}
        session = stack.enter_context(closing(engine.open(graph, num_threads)))
        watch(())

        def run(values: Mapping[Tensor, Array]) -> dict[Tensor, Array]:
            found = session.run({graph.public_name(tensor): values[tensor] for tensor in graph.inputs})
            watch(())
            return {t: found[graph.public_name(t)] if t in self._made else values[t] for t in self.outputs}

        return run


def _open(tallies: Iterable[Tally]) -> list[Tally]:
    return [tally for tally in tallies if tally.refusal is None]


def _each_once(groups: Iterable[Iterable[Tensor]]) -> list[Tensor]:
    return list(dict.fromkeys(tensor for group in groups for tensor in group))

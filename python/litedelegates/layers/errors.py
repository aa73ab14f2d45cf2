"""The error of every layer: alone, after all layers before it, on another delegate, and what it does to the output.

Each function yields one record after the other, in the order of the layers, so that a caller can store each at once,
stop, and go on later with ``skip``. Of the inner tensors only those are held that a later layer needs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from litedelegates.engines import Array
from litedelegates.errors import CutError, OptionError
from litedelegates.graph import Graph, Tensor
from litedelegates.layers.carrying import Carriers, is_real, samples_of
from litedelegates.layers.cutouts import CutOut, cut_out, real_outputs, why_hidden
from litedelegates.layers.error_jobs import (
    DelegateJob,
    Engine,
    Job,
    LocalJob,
    OutputJob,
    PropagatedJob,
    reference_engine,
)
from litedelegates.layers.layouts import without_turned
from litedelegates.layers.records import ErrorKind, LayerError
from litedelegates.layers.tallies import Tally, refusing
from litedelegates.layers.variants import Variant
from litedelegates.layers.walking import PIECE_NBYTES, Walk, nbytes, peak_of
from litedelegates.layers.watching import Key, Watch, unwatched

Feeds: TypeAlias = "Sequence[Mapping[str, Array]]"

BUDGET_NBYTES = 256 << 20


def local_errors(
    variants: Sequence[Variant],
    feeds: Feeds,
    *,
    layers: Collection[int] | None = None,
    skip: Collection[Key] = frozenset(),
    num_threads: int | None = None,
    budget_nbytes: int = BUDGET_NBYTES,
    watch: Watch = unwatched,
) -> Iterator[LayerError]:
    """Yield the error of each layer where only this layer is quantized: its inputs are those of the float32 model.

    Args:
        variants: Of one float32 model, in as many precisions as are wanted.
        feeds: Samples: arrays by input name of the float32 model, as that takes them.
        layers: Which; by default all.
        skip: Records that are there already, by layer, precision, kind and delegate.
        num_threads: Threads of the kernels, which are the reference ones (see `engines.open_session`).
        budget_nbytes: The most bytes of inner tensors to hold at once. More samples than fit are run in several passes,
            and the records come in the last of them.
        watch: Told what is in work.

    Raises:
        OptionError: There are no samples or variants, a sample lacks an input, or there is no such layer.
        MissingExtraError: The engine is not installed.
    """
    source, samples, models = _start(variants, feeds, watch)
    rows = _rows(models, layers, skip, "local", reference_engine(source))
    jobs = [LocalJob(source, list(row), _cutouts(row, watch), num_threads) for row in rows]
    yield from _measured(jobs, {source: samples}, num_threads, budget_nbytes, watch)


def propagated_errors(
    variants: Sequence[Variant],
    feeds: Feeds,
    *,
    layers: Collection[int] | None = None,
    skip: Collection[Key] = frozenset(),
    num_threads: int | None = None,
    budget_nbytes: int = BUDGET_NBYTES,
    watch: Watch = unwatched,
) -> Iterator[LayerError]:
    """Yield the error of each layer's output in the whole quantized model, on the reference kernels.

    Arguments and errors as in `local_errors`.
    """
    source, samples, models = _start(variants, feeds, watch)
    fed = {source: samples}
    jobs = []
    for row in _rows(models, layers, skip, "propagated", reference_engine(source)):
        held = {}
        for tally, model in row.items():
            with refusing(tally):
                graph = model.variant.graph
                if graph not in fed:
                    fed[graph] = model.samples(samples)
                held[tally] = (graph, _held(model.variant, tally.layer))
        watch(())
        jobs.append(PropagatedJob(source, list(row), held))
    makers = {model.variant.graph: model.variant.precision for model in models if model.variant.graph is not source}
    yield from _measured(jobs, fed, num_threads, budget_nbytes, watch, makers)


def delegate_errors(
    variants: Sequence[Variant],
    feeds: Feeds,
    engines: Sequence[Engine],
    *,
    layers: Collection[int] | None = None,
    skip: Collection[Key] = frozenset(),
    num_threads: int | None = None,
    budget_nbytes: int = BUDGET_NBYTES,
    watch: Watch = unwatched,
) -> Iterator[LayerError]:
    """Yield how far each layer's output on an engine is from the same precision on the reference kernels.

    The engine runs the whole model with some layers' outputs exposed, as many at a time as fit into half the budget.
    Exposed tensors break up what a delegate fuses, so it may compute in other pieces than it would without.

    Args:
        variants: As in `local_errors`, like what is not named here.
        feeds: Samples.
        engines: Each is compared with the reference kernels, one precision after the other.
        layers: Which.
        skip: Records that are there already.
        num_threads: Threads of the kernels.
        budget_nbytes: The most bytes of inner tensors to hold at once.
        watch: Told what is in work.

    Raises:
        OptionError: As in `local_errors`.
        MissingExtraError: The engine is not installed.
    """
    _, samples, models = _start(variants, feeds, watch)
    for model in models:
        graph = model.variant.graph
        for engine in engines:
            fed: dict[Graph, dict[Tensor, list[Array]]] = {}
            held: dict[Tally, list[Tensor]] = {}
            for tally in (tally for row in _rows([model], layers, skip, "delegate", engine) for tally in row):
                held[tally] = []
                with refusing(tally):
                    if graph not in fed:
                        fed[graph] = model.samples(samples)
                    held[tally] += _held(model.variant, tally.layer).values()
            watch(())
            windows = _windows(held, budget_nbytes // (2 * len(feeds)))
            jobs = [DelegateJob(graph, engine, window, num_threads) for window in windows]
            yield from _measured(jobs, fed, num_threads, budget_nbytes, watch)


def output_errors(
    variants: Sequence[Variant],
    feeds: Feeds,
    *,
    labels: Sequence[Any] | None = None,
    engine: Engine | None = None,
    layers: Collection[int] | None = None,
    skip: Collection[Key] = frozenset(),
    num_threads: int | None = None,
    budget_nbytes: int = BUDGET_NBYTES,
    watch: Watch = unwatched,
) -> Iterator[LayerError]:
    """Yield what quantizing each layer alone does to the model's output.

    The layer's outputs, computed as in `local_errors`, take the place of the true ones, and the rest of the float32
    model runs on from there: what a model with only this layer quantized computes. The rest is loaded once a layer.

    Args:
        variants: As in `local_errors`, like what is not named here.
        feeds: Samples.
        labels: For each sample the place of the output's largest value (or the places in each row of a batch).
        engine: What runs the rest of the model; by default the reference kernels. A delegate is faster, and what it
            computes differently it does so for the true values as well, which it is compared with.
        layers: Which: each takes a load and ``len(feeds) * (len(variants) + 1)`` runs of the rest.
        skip: Records that are there already.
        num_threads: Threads of the kernels.
        budget_nbytes: The most bytes of inner tensors to hold at once.
        watch: Told what is in work.

    Raises:
        OptionError: As in `local_errors`, or there are not as many labels as samples.
        MissingExtraError: The engine is not installed.
    """
    source, samples, models = _start(variants, feeds, watch)
    if labels is not None and len(labels) != len(feeds):
        raise OptionError(f"{len(labels)} labels were given for {len(feeds)} samples: give one for each")
    used = engine or reference_engine(source)
    jobs = [
        OutputJob(source, list(row), _cutouts(row, watch), used, labels, num_threads)
        for row in _rows(models, layers, skip, "output", used)
    ]
    yield from _measured(jobs, {source: samples}, num_threads, budget_nbytes, watch)


def _start(
    variants: Sequence[Variant], feeds: Feeds, watch: Watch
) -> tuple[Graph, dict[Tensor, list[Array]], list[Carriers]]:
    if not variants:
        raise OptionError("no variants were given: errors are those of a model in another precision")
    source = variants[0].source
    for variant in variants:
        if variant.source is not source:
            raise OptionError(f"the {variant.precision} variant is one of another float32 model than the first one")
    samples = samples_of(source, feeds)
    return source, samples, [without_turned(Carriers(variant), samples, watch=watch) for variant in variants]


def _rows(
    models: Sequence[Carriers], layers: Collection[int] | None, skip: Collection[Key], kind: ErrorKind, engine: Engine
) -> list[dict[Tally, Carriers]]:
    """Return what is to be measured: for each layer, the records that are wanted and not there yet."""
    ops = models[0].variant.source.ops
    for layer in layers or ():
        if not 0 <= layer < len(ops) or ops[layer].is_fixed:
            raise OptionError(
                f"there is no layer {layer}: layers are those of ops 0 to {len(ops) - 1} that make no constants"
            )
    rows = []
    for op in ops:
        if not op.is_fixed and (layers is None or op.index in layers):
            tallies = {Tally(op.index, model.variant.precision, kind, engine.name): model for model in models}
            rows.append({tally: model for tally, model in tallies.items() if tally.key not in skip})
    return [row for row in rows if row]


def _cutouts(row: Mapping[Tally, Carriers], watch: Watch) -> dict[Tally, CutOut]:
    watch(())  # of a large model they take long
    found = {}
    for tally, model in row.items():
        with refusing(tally):
            found[tally] = cut_out(model, tally.layer)
    return found


def _held(variant: Variant, layer: int) -> dict[Tensor, Tensor]:
    """Return what holds the real outputs of a layer in a variant.

    Raises:
        CutError: Nothing does; says why.
    """
    found = {}
    for tensor in real_outputs(variant.source.ops[layer]):
        own = variant.tensor_of(tensor)
        if own is not None and is_real(own):
            found[tensor] = own
    if not found:
        raise CutError(why_hidden(variant, layer))
    return found


def _windows(held: Mapping[Tally, list[Tensor]], most_nbytes: int) -> Iterator[dict[Tally, list[Tensor]]]:
    """Yield the layers in groups whose outputs take at most so many bytes, one layer at least."""
    window: dict[Tally, list[Tensor]] = {}
    size = 0
    for tally, tensors in held.items():
        if window and size + nbytes(tensors) > most_nbytes:
            yield window
            window, size = {}, 0
        window[tally] = tensors
        size += nbytes(tensors)
    if window:
        yield window


def _measured(
    jobs: Sequence[Job],
    samples: Mapping[Graph, Mapping[Tensor, Sequence[Array]]],
    num_threads: int | None,
    budget_nbytes: int,
    watch: Watch,
    precisions: Mapping[Graph, str] | None = None,
) -> Iterator[LayerError]:
    """Walk all models side by side, hand each job the values it takes, and yield the records of the last pass.

    ``precisions`` tells of a model whose values only the records of one precision take which that is.
    """
    only = precisions or {}
    demands = {graph: [job.demands.get(graph, ()) for job in jobs] for graph in samples}
    count = max((len(arrays) for inputs in samples.values() for arrays in inputs.values()), default=0)
    at_once, pieces_nbytes = max(1, count), min(PIECE_NBYTES, budget_nbytes // 2)
    if not any(op.states for graph in samples for op in graph.ops):  # state goes on from sample to sample
        peak = sum(peak_of(graph, wanted) for graph, wanted in demands.items())
        at_once = min(at_once, max(1, (budget_nbytes - pieces_nbytes) // max(peak, 1)))
    for first in range(0, max(count, 1), at_once):
        places = range(first, min(first + at_once, count))
        walks = [
            Walk(
                graph,
                {tensor: arrays[first : places.stop] for tensor, arrays in inputs.items()},
                demands[graph],
                num_threads=num_threads,
                piece_nbytes=pieces_nbytes // len(samples),
                watch=watch,
            )
            for graph, inputs in samples.items()
        ]
        steps = [(walk.graph, iter(walk)) for walk in walks]
        for job in jobs:
            values: dict[Tensor, Sequence[Array] | str] = {}
            for graph, step in steps:
                watch([tally.key for tally in job.tallies if only.get(graph, tally.precision) == tally.precision])
                values.update(next(step))
            job.measure(values, places, watch)
            del values
            if places.stop == count:
                yield from (tally.record() for tally in job.tallies)

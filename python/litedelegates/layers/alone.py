"""Time each layer as a model of its own, in each precision and on each delegate side by side."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from litedelegates.errors import CutError, LiteDelegatesError, OptionError
from litedelegates.free_memory import memory_share
from litedelegates.graph import Graph, Op, extract
from litedelegates.layers.inner_shapes import InnerShapes
from litedelegates.layers.records import Alone, Setting
from litedelegates.layers.sessions import check_delegate
from litedelegates.layers.side_by_side import Bench, Piece, SideBySide
from litedelegates.layers.variants import Variant
from litedelegates.study.config import FLOAT32


def time_alone(
    variants: Sequence[Variant],
    delegates: Sequence[str],
    threads: Sequence[int] = (1,),
    *,
    layers: Iterable[int] | None = None,
    skip: Collection[tuple[int, Setting]] = (),
    seconds: float = 0.16,
    time_limit: float = 30.0,
    memory_limit: int | None = None,
    seed: int = 0,
) -> Iterator[Alone]:
    """Cut each layer out of each variant and time all that come of it in turn.

    The models of a layer are loaded side by side in a process of their own, several times over (see
    `measure.interleave_loads`), and get one block of runs in every round. Each runs on random inputs, its weights are
    the true ones, and a time includes the waiting for the device. One that cannot be cut out, loaded or run, or that
    brings the process down, gives a record that says why.

    An op that computes several layers at once is timed as the first of them, and held against the float32 model of all
    of them.

    Args:
        variants: The model in each precision, "float32" among them for speed-ups.
        delegates: As in `Setting.delegate`.
        threads: Numbers of threads of the CPU kernels.
        layers: Which layers; by default all but those that only compute shapes, which random inputs say nothing of.
        skip: Layers and settings that are not to be measured, because they were before.
        seconds: Time for each model, its warm-up included; two rounds after each load are measured in any case.
        time_limit: Seconds that a load, or a block of runs, may take.
        memory_limit: Bytes of memory at which the process is ended; by default most of what is free now.
        seed: Of the orders and the random inputs.

    Yields:
        A record for every layer and setting, all of a layer as soon as it is measured.

    Raises:
        OptionError: There is no such delegate, option or layer, or a number is too small.
        CellFailed: While measuring: no process can be started.
    """
    if not variants:
        raise OptionError("variants is empty: give the model in at least one precision")
    for delegate in delegates:
        check_delegate(delegate, variants[0].graph.format)
    for name, values in (("threads", threads), ("seconds", [seconds]), ("time_limit", [time_limit])):
        for value in values:
            if not value > 0:
                raise OptionError(f"{name}={value!r}: it must be above 0")
    known = [op.index for op in variants[0].source.ops if not op.is_fixed]
    of_shapes = [op.index for op in variants[0].source.ops if op.computes_shape]
    chosen = [layer for layer in known if layer not in of_shapes] if layers is None else list(layers)
    for layer in chosen:
        if layer not in known:
            raise OptionError(f"layers={layer!r} is no layer of this model: they are {known[0]} to {known[-1]}")
    if memory_limit is None:
        memory_limit = memory_share()
    settings = dict.fromkeys(
        Setting(variant.precision, delegate, count)
        for count in threads
        for delegate in delegates
        for variant in variants
    )
    bench = Bench(seconds, time_limit, memory_limit, seed)
    shapes = {variant.precision: InnerShapes(variant.path, time_limit) for variant in variants}
    by_name = {variant.precision: variant for variant in variants}
    return _time(by_name, shapes, chosen, list(settings), set(skip), bench)


def _time(
    variants: dict[str, Variant],
    shapes: Mapping[str, InnerShapes],
    layers: list[int],
    settings: list[Setting],
    skip: Collection[tuple[int, Setting]],
    bench: Bench,
) -> Iterator[Alone]:
    with bench:
        for layer in layers:
            wanted = [setting for setting in settings if (layer, setting) not in skip]
            if wanted:
                # Times that are there are not lost to a folder that cannot be removed.
                with tempfile.TemporaryDirectory(prefix="litedelegates-", ignore_cleanup_errors=True) as folder:
                    records = _time_layer(_Cutter(variants, shapes, Path(folder)), layer, wanted, bench)
                yield from records


def _time_layer(cutter: _Cutter, layer: int, settings: list[Setting], bench: Bench) -> list[Alone]:
    pieces: dict[Setting, Piece] = {}
    bases: dict[Setting, Piece] = {}
    refusals: dict[Setting, str] = {}
    for setting in settings:
        try:
            pieces[setting] = cutter.cut(layer, setting)
        except LiteDelegatesError as error:
            refusals[setting] = str(error)
        else:
            # Without it, it has a time all the same.
            with contextlib.suppress(LiteDelegatesError):
                bases[setting] = cutter.cut_base(pieces[setting])
    found = bench.time(list(dict.fromkeys([*bases.values(), *pieces.values()])))
    return [
        Alone(layer, setting, refusal=refusals[setting])
        if setting in refusals
        else _record(layer, pieces[setting], bases.get(setting), found)
        for setting in settings
    ]


class _Cutter:
    """Writes layers of variants to files of their own."""

    def __init__(self, variants: dict[str, Variant], shapes: Mapping[str, InnerShapes], folder: Path) -> None:
        self._variants, self._shapes, self._folder = variants, shapes, folder

    def cut(self, layer: int, setting: Setting) -> Piece:
        """Cut a layer out of the variant of a setting."""
        variant = self._variants[setting.precision]
        ops = variant.ops_of(layer)
        together = tuple(sorted({each for op in ops for each in variant.owners[op.index].layers}))
        if not together:
            raise CutError(f"no op computes it in {setting.precision}")
        if together[0] != layer:
            raise CutError(f"it is timed as part of layer {together[0]}: in {setting.precision} one op computes both")
        return Piece(setting, together, self._write(variant, [layer]))

    def cut_base(self, piece: Piece) -> Piece:
        """Cut out of the float32 model what a piece computes."""
        if FLOAT32 not in self._variants:
            raise CutError("the model in float32 is not among the variants")
        setting = Setting(FLOAT32, piece.setting.delegate, piece.setting.threads)
        return Piece(setting, piece.layers, self._write(self._variants[FLOAT32], piece.layers))

    def _write(self, variant: Variant, layers: Sequence[int]) -> str:
        name = "-".join(map(str, [list(self._variants).index(variant.precision), *layers]))
        path = self._folder / f"{name}.{variant.graph.format}"
        if not path.exists():
            ops = _with_shapes(variant.graph, [op for layer in layers for op in variant.group_of(layer)])
            # `Graph.save` waits for the disk, which takes longer than all the rest.
            try:
                part = self._shapes[variant.precision].completed(extract(variant.graph, ops))
                path.write_bytes(part.to_bytes())
            except LiteDelegatesError as error:
                raise CutError(f"it cannot be cut out of the model in {variant.precision}: {error}") from error
        return str(path)


def _with_shapes(graph: Graph, ops: Iterable[Op]) -> list[Op]:
    """Return ops and those that compute the shapes they read: a random shape would be none that they can make."""
    found = dict.fromkeys(ops)
    waiting = [tensor for op in found for tensor in op.reads]
    while waiting:
        maker = graph.producer(waiting.pop())
        if maker is not None and maker.computes_shape and maker not in found:
            found[maker] = None
            waiting += maker.reads
    return list(found)


def _record(layer: int, piece: Piece, base: Piece | None, found: SideBySide) -> Alone:
    together = piece.layers if len(piece.layers) > 1 else ()
    if piece in found.refusals or found.timed is None:
        return Alone(layer, piece.setting, together=together, refusal=found.refusals[piece])
    timed = found.timed[piece.name]
    interval = timed.median_interval_ns()
    ratio = None
    if base is not None and base != piece and base in found.ran:
        ratio = found.timed.ratio(piece.name, base.name)
    speed_up = None if ratio is None else ratio.inverted()
    return Alone(
        layer,
        piece.setting,
        median_us=timed.median_ns / 1e3,
        low_us=None if interval is None else interval.low / 1e3,
        high_us=None if interval is None else interval.high / 1e3,
        speed_up=None if speed_up is None else speed_up.ratio,
        speed_up_low=None if speed_up is None else speed_up.low,
        speed_up_high=None if speed_up is None else speed_up.high,
        verdict=None if ratio is None else ratio.verdict,
        samples=len(timed.samples_ns),
        ran=found.ran[piece],
        together=together,
    )

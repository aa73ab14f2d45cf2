"""Make models with a precision for each layer, time them side by side, and take the error of their outputs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from litedelegates.engines import Array
from litedelegates.errors import LiteDelegatesError
from litedelegates.graph import Graph, load
from litedelegates.layers.carrying import is_real
from litedelegates.layers.error_jobs import Engine
from litedelegates.layers.mixed import MixedTiming, mix_name
from litedelegates.layers.precisions import cached_name
from litedelegates.layers.recipe import quantize_plan
from litedelegates.layers.records import Setting
from litedelegates.layers.samples import Samples
from litedelegates.layers.side_by_side import Bench, Piece
from litedelegates.layers.tallies import Tally
from litedelegates.quantize import CalibrationWarning, quantize_file
from litedelegates.quantize.request import FLOAT32, STATIC_PRECISIONS

# Of files that are loaded at the same time; a runtime holds some twice.
_AT_ONCE_NBYTES = 1 << 30
_WHOLE = -1  # stands for the layer in errors of whole models


@dataclass(frozen=True)
class Mixer:
    """Makes the files of mixes, each once.

    Attributes:
        graph: The float32 model.
        uniforms: Files of the uniform models, by precision; float32 is among them.
        folder: Where files are kept.
        changed: By precision, the layers that are not what they are in float32 (see `recipe.changed_layers`).
        calibration: As `quantize` takes it.
        allow_float32_ops: As `quantize` takes it.
    """

    graph: Graph
    uniforms: Mapping[str, str]
    folder: Path
    changed: Mapping[str, frozenset[int]]
    calibration: Any = None
    allow_float32_ops: bool = True

    @property
    def path(self) -> str:
        """The float32 model's file."""
        return self.uniforms[FLOAT32]

    def file_of(self, precisions: Mapping[int, str]) -> Path:
        """Return the file of a mix; it is made where it is not there yet.

        Raises:
            LiteDelegatesError: It cannot be made; says why.
            OSError: It cannot be written.
        """
        names = set(precisions.values())
        if len(names) == 1 and names <= self.uniforms.keys():
            return Path(self.uniforms[next(iter(names))])
        chosen = quantize_plan(self.graph, precisions, self.changed)
        if not chosen:
            return Path(self.path)
        calibration = self.calibration if set(chosen.values()) & set(STATIC_PRECISIONS) else None
        keywords = {"plan": chosen, "allow_float32_ops": self.allow_float32_ops}
        target = self.folder / cached_name(self.path, mix_name(precisions), calibration, keywords, self.graph.format)
        if not target.is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CalibrationWarning)
                quantize_file(self.path, target, None, calibration, progress=False, **keywords)
        return target


def time_mixes(
    mixer: Mixer,
    mixes: Sequence[Mapping[int, str]],
    uniforms: Sequence[str],
    delegates: Sequence[str],
    threads: Sequence[int],
    samples: Samples,
    engine: Engine,
    *,
    is_known: Callable[[MixedTiming], bool] = lambda record: False,
    seconds: float = 0.2,
    time_limit: float = 60.0,
    seed: int = 0,
) -> Iterator[MixedTiming]:
    """Time mixed models in turn with the uniform ones, and take the errors of their outputs.

    The models of a delegate are loaded side by side in a process of their own, several times over. Where all their
    files together are larger than 1 GiB they are timed in groups, the uniform ones in each.

    Args:
        mixer: Makes their files.
        mixes: Precision by layer of each, in the order of doing; uniform ones among them get records too.
        uniforms: The precisions of the uniform models that run in the same rounds.
        delegates: As in `Setting.delegate`.
        threads: Numbers of threads of the CPU kernels.
        samples: What errors are taken over.
        engine: What computes the outputs that are compared.
        is_known: Whether a record, given without figures, is there already.
        seconds: Time for each model, its warm-up included.
        time_limit: Seconds that a load, or a block of runs, may take.
        seed: Of the orders and the random inputs.

    Yields:
        A record for each mix, delegate and number of threads that is not known.

    Raises:
        CellFailed: No process can be started.
    """
    layers = list(dict.fromkeys(layer for mix in mixes for layer in mix))
    base = [dict.fromkeys(layers, name) for name in uniforms]
    errors = _Errors(mixer.graph, samples, engine)
    settings = [(delegate, count) for count in threads for delegate in delegates]
    with Bench(seconds, time_limit, None, seed) as bench:
        for delegate, count in settings:
            wanted = [MixedTiming(mix, Setting(mix_name(mix), delegate, count)) for mix in mixes]
            wanted = [record for record in wanted if not is_known(record)]
            for group in _groups(mixer, wanted, base):
                for record in _time(bench, mixer, group, base, delegate, count):
                    yield record if record.refusal is not None else errors.added(record, mixer)


def _time(
    bench: Bench,
    mixer: Mixer,
    records: Sequence[MixedTiming],
    base: Sequence[Mapping[int, str]],
    delegate: str,
    threads: int,
) -> list[MixedTiming]:
    pieces: dict[str, Piece] = {}
    refusals: dict[str, str] = {}
    for mix in [*base, *(record.precisions for record in records)]:
        setting = Setting(mix_name(mix), delegate, threads)
        try:
            pieces[setting.precision] = Piece(setting, (), str(mixer.file_of(mix)))
        except (LiteDelegatesError, OSError) as error:
            refusals[setting.precision] = str(error)
    found = bench.time(pieces.values())
    refusals |= {piece.setting.precision: reason for piece, reason in found.refusals.items()}
    timed = (
        {}
        if found.timed is None
        else {name: found.timed[piece.name] for name, piece in pieces.items() if piece in found.ran}
    )
    uniform_us = {name: timed[name].median_ns / 1e3 for name in map(mix_name, base) if name in timed}
    done = []
    for record in records:
        name = record.setting.precision
        if name not in timed:
            done.append(replace(record, refusal=refusals[name]))
            continue
        interval = timed[name].median_interval_ns()
        done.append(
            replace(
                record,
                whole_us=timed[name].median_ns / 1e3,
                low_us=None if interval is None else interval.low / 1e3,
                high_us=None if interval is None else interval.high / 1e3,
                uniform_us=uniform_us,
                file_nbytes=Path(pieces[name].path).stat().st_size,
                ran=found.ran[pieces[name]],
            )
        )
    return done


def _groups(
    mixer: Mixer, records: Sequence[MixedTiming], base: Sequence[Mapping[int, str]]
) -> Iterator[list[MixedTiming]]:
    """Yield records in groups whose files can be loaded at the same time, by the size of the float32 file."""
    size = max(1, Path(mixer.path).stat().st_size)
    most = max(2, _AT_ONCE_NBYTES // size - len(base))
    for start in range(0, len(records), most):
        yield list(records[start : start + most])


class _Errors:
    """Compares outputs of mixes with those of the float32 model, each mix once."""

    def __init__(self, graph: Graph, samples: Samples, engine: Engine) -> None:
        self._graph, self._samples, self._engine = graph, samples, engine
        self._wanted: list[list[Array]] = []
        self._known: dict[str, dict[str, Any]] = {}

    def added(self, record: MixedTiming, mixer: Mixer) -> MixedTiming:
        """Return a record with its errors; without, where the engine cannot run the model."""
        name = record.setting.precision
        if name not in self._known:
            try:
                self._known[name] = self._compare(load(str(mixer.file_of(record.precisions))))
            except (LiteDelegatesError, OSError):
                self._known[name] = {}
        return replace(record, **self._known[name])

    def _compare(self, graph: Graph) -> dict[str, Any]:
        if not self._wanted:
            self._wanted = list(self._outputs(self._graph))
        tally = Tally(_WHOLE, "", "output", self._engine.name)
        labels = self._samples.labels
        for sample, (wanted, found) in enumerate(zip(self._wanted, self._outputs(graph), strict=True)):
            for true, own, reference, values in zip(self._graph.outputs, graph.outputs, wanted, found, strict=True):
                if is_real(true):
                    tally.add(true, reference, own, values)
            tally.add_largest(wanted[0], found[0], None if labels is None else labels[sample])
            tally.samples += 1
        result = tally.record()
        error = None if result.sqnr_db is None else 10.0 ** (-result.sqnr_db / 10)
        return {
            "error": error,
            "agreement": result.agreement,
            "accuracy": result.accuracy,
            "samples": result.samples,
        }

    def _outputs(self, graph: Graph) -> Iterator[list[Array]]:
        with closing(self._engine.open(graph, None)) as session:
            for feed in self._samples.feeds:
                given = [feed[name] for name in self._graph.input_names]
                found = session.run(dict(zip(graph.input_names, given, strict=True)))
                yield [found[name] for name in graph.output_names]

"""Make models with a precision for each layer, time them side by side, and take the error of their outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from litedelegates.errors import QuantizationError
from litedelegates.graph import Graph
from litedelegates.layers.mixed import MixedTiming, mix_name
from litedelegates.layers.precisions import cached_name, keeping
from litedelegates.layers.quantizing_apart import Quantizer
from litedelegates.layers.recipe import quantize_plan
from litedelegates.layers.records import Setting
from litedelegates.layers.side_by_side import Bench, Piece
from litedelegates.layers.whole_errors import WholeErrorsApart
from litedelegates.quantize.request import FLOAT32, STATIC_PRECISIONS

# Of files that are loaded at the same time; a runtime holds some twice.
_AT_ONCE_NBYTES = 1 << 30


@dataclass(frozen=True)
class Mixer:
    """Makes the files of mixes, each once.

    Attributes:
        graph: The float32 model.
        uniforms: Files of the uniform models, by precision; float32 is among them.
        folder: Where files are kept.
        changed: By precision, the layers that are not what they are in float32 (see `recipe.changed_layers`).
        quantizer: Makes a file.
        calibration: As `quantize` takes it.
        allow_float32_ops: As `quantize` takes it.
    """

    graph: Graph
    uniforms: Mapping[str, str]
    folder: Path
    changed: Mapping[str, frozenset[int]]
    quantizer: Quantizer
    calibration: str | None = None
    allow_float32_ops: bool = True

    @property
    def path(self) -> str:
        """The float32 model's file."""
        return self.uniforms[FLOAT32]

    def file_of(self, precisions: Mapping[int, str]) -> Path:
        """Return the file of a mix; it is made where it is not there yet.

        Raises:
            QuantizationError: It cannot be made; says why.
            CellFailed: No process can be started.
            OSError: The folder cannot be made.
        """
        names = set(precisions.values())
        if len(names) == 1 and names <= self.uniforms.keys():
            return Path(self.uniforms[next(iter(names))])
        chosen = quantize_plan(self.graph, precisions, self.changed)
        if not chosen:
            return Path(self.path)
        calibration = self.calibration if set(chosen.values()) & set(STATIC_PRECISIONS) else None
        keywords = {"plan": chosen, "allow_float32_ops": self.allow_float32_ops}

        def named() -> str:
            return cached_name(self.path, mix_name(precisions), calibration, keywords, self.graph.format)

        target = self.folder / named()
        if not target.is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            with keeping(target, named, self.path, calibration):
                self.quantizer.quantize_file(self.path, target, None, calibration, **keywords)
        return target


def time_mixes(
    mixer: Mixer,
    mixes: Sequence[Mapping[int, str]],
    uniforms: Sequence[str],
    delegates: Sequence[str],
    threads: Sequence[int],
    errors: WholeErrorsApart,
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
        errors: Takes the errors of their outputs.
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
    settings = [(delegate, count) for count in threads for delegate in delegates]
    with Bench(seconds, time_limit, None, seed) as bench:
        for delegate, count in settings:
            wanted = [MixedTiming(mix, Setting(mix_name(mix), delegate, count)) for mix in mixes]
            wanted = [record for record in wanted if not is_known(record)]
            for group in _groups(mixer, wanted, base):
                for record, path in _time(bench, mixer, group, base, delegate, count):
                    yield record if path is None else replace(record, **errors.of(path))


def _time(
    bench: Bench,
    mixer: Mixer,
    records: Sequence[MixedTiming],
    base: Sequence[Mapping[int, str]],
    delegate: str,
    threads: int,
) -> list[tuple[MixedTiming, str | None]]:
    """Return records without their errors, and the file of each that has times."""
    pieces: dict[str, Piece] = {}
    refusals: dict[str, str] = {}
    for mix in [*base, *(record.precisions for record in records)]:
        setting = Setting(mix_name(mix), delegate, threads)
        try:
            pieces[setting.precision] = Piece(setting, (), str(mixer.file_of(mix)))
        except (QuantizationError, OSError) as error:
            refusals[setting.precision] = str(error)
    mixer.quantizer.close()  # its memory and its time are for what is timed now
    found = bench.time(pieces.values())
    refusals |= {piece.setting.precision: reason for piece, reason in found.refusals.items()}
    timed = (
        {}
        if found.timed is None
        else {name: found.timed[piece.name] for name, piece in pieces.items() if piece in found.ran}
    )
    uniform_us = {name: timed[name].median_ns / 1e3 for name in map(mix_name, base) if name in timed}
    done: list[tuple[MixedTiming, str | None]] = []
    for record in records:
        name = record.setting.precision
        if name not in timed:
            done.append((replace(record, refusal=refusals[name]), None))
            continue
        interval = timed[name].median_interval_ns()
        times = replace(
            record,
            whole_us=timed[name].median_ns / 1e3,
            low_us=None if interval is None else interval.low / 1e3,
            high_us=None if interval is None else interval.high / 1e3,
            uniform_us=uniform_us,
            file_nbytes=Path(pieces[name].path).stat().st_size,
            ran=found.ran[pieces[name]],
        )
        done.append((times, pieces[name].path))
    return done


def _groups(
    mixer: Mixer, records: Sequence[MixedTiming], base: Sequence[Mapping[int, str]]
) -> Iterator[list[MixedTiming]]:
    """Yield records in groups whose files can be loaded at the same time, by the size of the float32 file."""
    size = max(1, Path(mixer.path).stat().st_size)
    most = max(2, _AT_ONCE_NBYTES // size - len(base))
    for start in range(0, len(records), most):
        yield list(records[start : start + most])

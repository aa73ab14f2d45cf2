"""Measure the layers of a model: every record in the store the moment it is there, a rerun goes on from there."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from litedelegates.delegates.saturation import pairs_saturate
from litedelegates.engines.onnxruntime.saturation import saturating_nodes, say_saturation
from litedelegates.errors import LiteDelegatesError, OptionError
from litedelegates.files import remove_unfinished
from litedelegates.graph import Graph, load
from litedelegates.layers.config import FLOAT32, LIMITS, LayersConfig
from litedelegates.layers.infos import choose_layers, layer_infos, variant_info
from litedelegates.layers.open_sizes import with_known_sizes
from litedelegates.layers.precisions import installed_versions
from litedelegates.layers.progress import LayerProgress, Pace, Watcher
from litedelegates.layers.quantizing_apart import Quantizer
from litedelegates.layers.records import LayerError, LayerInfo, Record, VariantInfo
from litedelegates.layers.results import LayerStudy
from litedelegates.layers.samples import Samples
from litedelegates.layers.steps import Step, Steps
from litedelegates.layers.store import KINDS, Known, LayerStore, key_of
from litedelegates.layers.variants import Variant, load_variant, make_variant
from litedelegates.measure import read_machine
from litedelegates.quantize import read_record
from litedelegates.quantize.request import STATIC_PRECISIONS
from litedelegates.study import Store, StoreError
from litedelegates.study.process import CellFailed
from litedelegates.study.runner import LITERT, check_same, read_versions
from litedelegates.study.sources import Sources

ENGINES = {"tflite": LITERT, "onnx": ("onnxruntime",)}
RANDOM_NOTE = "calibrated with random values: good for measuring speed only"


def study_layers(
    config: LayersConfig,
    path: str | os.PathLike[str],
    *,
    progress: Watcher | None = None,
    retry: bool = False,
    command: Sequence[str] = (),
) -> LayerStudy:
    """Measure what is not measured yet of a layer study, and write it to a store as it comes.

    What cannot be measured is written down with the reason, and the study goes on. The store is valid whenever this is
    interrupted or killed; another call goes on from there, and one with more precisions, delegates or layers adds them.

    Args:
        config: What to measure.
        path: The store, new or of an earlier call; cells of `run_study` may lie in it as well.
        progress: Called after each record, and before what takes long.
        retry: Try again what was refused before.
        command: What to write down as the command that was given.

    Returns:
        What is in the store of this study now.

    Raises:
        OSError: A file cannot be read, or the store cannot be written.
        InvalidModelError: The model cannot be read.
        SamplesError: The inputs or labels do not fit the model.
        OptionError: The model has no layers, a layer or input that was named does not exist, or sizes are left open.
        StoreError: The store was measured on another machine or runtime, a variant or a delegate's library was another
            file before, or another study writes to it.
        FileChangedError: The model, or another file of the study, was changed while it was measured. What was measured
            before is in the store.
    """
    config = with_known_sizes(config)
    folder = Path(path).with_name(f"{Path(path).name}.models")
    sources = Sources()
    key = config.key_by(sources.sha256)
    for variant in config.variants.values():
        sources.sha256(variant)
    graph = load(config.model, shapes=config.shapes or None)
    sources.check_untouched()  # what was read is what was hashed
    model = _kept_with_shapes(config, graph, folder, key)
    if model != config.model:
        graph = load(model)
    chosen = choose_layers(graph, config.layers)
    if not chosen:
        raise OptionError(f"{config.model} computes nothing: it has no layers")
    # Those who take errors load them too; here it is so that what does not fit is told before anything is measured.
    Samples.load(graph, config.inputs, config.labels, config.samples, config.seed)
    machine, versions = asdict(read_machine()), _versions()
    with Store.create(path, {"layers": config.to_record(Path(path).parent)}) as store:
        check_same(store, machine, versions, ENGINES[config.format])
        session = store.add_session(machine, versions, command or sys.argv).index
        how = "interrupted"
        try:
            remove_unfinished(folder)  # of an earlier call that was killed
            _Work(config, key, sources, graph, model, chosen, store, session, retry, progress).do()
            how = "finished"
        finally:
            store.end_session(session, how)
        return LayerStudy.open(store, key)


class _Work:
    """A call of `study_layers`: what it knows, and what it has still to do."""

    def __init__(
        self,
        config: LayersConfig,
        key: str,
        sources: Sources,
        graph: Graph,
        model: str,
        chosen: Sequence[int],
        store: Store,
        session: int,
        retry: bool,
        progress: Watcher | None,
    ) -> None:
        self._config, self._graph, self._model = config, graph, model
        self._chosen = chosen
        self._store, self._key, self._session = LayerStore(store), key, session
        self._sources = sources
        self._progress = progress
        self._begin = self._last = time.monotonic()
        self._folder = Path(store.path).with_name(f"{Path(store.path).name}.models")
        before = self._store.studies().get(self._key, {})
        libraries = self._check_same_libraries(before)
        self._store.begin(self._key, {**_widened(before, config.to_record(Path(store.path).parent)), **libraries})
        records = self._store.known(self._key)
        asked = config.to_json()
        tries_again = retry or any(before.get(name) != asked[name] for name in LIMITS)
        self._known = {(record.kind, record.key) for record in records if not (tries_again and record.is_refusal)}
        self._pace = Pace()
        self._refused = {record.key for record in records if record.kind == KINDS[VariantInfo] and record.is_refusal}
        measured = [record for record in records if record.kind not in (KINDS[LayerInfo], KINDS[VariantInfo])]
        for record in measured:
            self._pace.saw(_pace_kind(record), record.seconds)
        self._done = sum((record.kind, record.key) in self._known for record in measured)

    def do(self) -> None:
        """Measure all that is missing."""
        for layer in layer_infos(self._graph):
            if not self._is_known(KINDS[LayerInfo], key_of(layer)):
                self._store.add(self._key, layer, self._session)
        refused = {name for name in self._refused if self._is_known(KINDS[VariantInfo], name)}
        steps = self._plan(refused)
        variants = self._variants({precision for step in steps for precision in step.precisions})
        if failed := {precision for step in steps for precision in step.precisions} - variants.keys():
            steps = self._plan(refused | failed)
        for step in steps:
            self._say(step.doing)
            for record in step.records([variants[precision] for precision in step.precisions]):
                self._add(record, step)
        self._say("done")

    def _plan(self, without: set[str]) -> list[Step]:
        """Return what there is to do without some precisions."""
        config = self._config.without(without)
        steps = list(Steps(config, self._graph, self._model, self._chosen, self._is_known, self._folder))
        self._pace.plan((step.kind, step.missing) for step in steps)
        return steps

    def _is_known(self, kind: str, key: str) -> bool:
        return (kind, key) in self._known

    def _variants(self, wanted: set[str]) -> dict[str, Variant]:
        """Return the variants that can be made; why others cannot is written down."""
        with closing(Quantizer(self._config.time_limit)) as quantizer:
            return self._variants_by(quantizer, wanted)

    def _variants_by(self, quantizer: Quantizer, wanted: set[str]) -> dict[str, Variant]:
        found = {}
        for precision in [name for name in self._config.names if name in wanted]:
            self._say(f"making {precision}")
            self._last = time.monotonic()
            try:
                variant = self._variant(precision, quantizer)
                info = variant_info(variant, self._note(variant))
                found[precision] = variant
            except CellFailed:
                raise  # it is not the precision's fault that no process can be started
            except (LiteDelegatesError, OSError) as error:
                if precision == FLOAT32:
                    raise  # what all others are held against cannot be read any more
                info = VariantInfo(precision, refusal=str(error))
            self._sources.check_untouched()
            self._check_same_variant(info)
            self._store.add(self._key, info, self._session, time.monotonic() - self._last)
        self._last = time.monotonic()
        return found

    def _variant(self, precision: str, quantizer: Quantizer) -> Variant:
        given = self._config.variants.get(precision)
        if given is not None:
            return load_variant(self._graph, given, precision)
        return make_variant(
            self._graph,
            self._model,
            precision,
            self._folder,
            calibration=self._config.calibration if _is_calibrated(precision) else None,
            allow_float32_ops=self._config.allow_float32_ops,
            write=quantizer.quantize_file,
        )

    def _note(self, variant: Variant) -> str:
        precision = variant.precision
        is_random = self._config.calibration == "random" and _is_calibrated(precision)
        notes = [RANDOM_NOTE] if is_random and precision not in self._config.variants else []
        open_sizes = [info.name for info in self._graph.inputs if min(info.shape or (1,)) < 0]
        if open_sizes and precision == FLOAT32:
            names = ", ".join(map(repr, open_sizes))
            notes.append(f"sizes that {names} leaves open were taken as 1: give them with shapes (--shape)")
        if self._config.format == "onnx" and pairs_saturate() and (nodes := saturating_nodes(variant.path)):
            notes.append(say_saturation(nodes))
        if precision != FLOAT32:
            record = read_record(variant.path)
            notes += record.warnings if record is not None else ()
        return "; ".join(notes)

    def _check_same_libraries(self, before: Mapping[str, Any]) -> dict[str, Any]:
        """Return what to write down of the delegates' libraries.

        Raises:
            StoreError: One is not what it was when the store's records were measured.
        """
        known, now = dict(before.get("libraries", {})), self._config.libraries()
        for path in known.keys() & now.keys():
            if known[path] != now[path]:
                raise StoreError(
                    f"{path} is another library than when {self._store.path} was begun, so that its records would not "
                    f"belong together: it was {known[path][:12]}, now it is {now[path][:12]}. Name another --store"
                )
        found = {**known, **now}
        return {"libraries": found} if found else {}

    def _check_same_variant(self, info: VariantInfo) -> None:
        """Refuse to mix records of different files.

        Raises:
            StoreError: The file is not what it was when the store's records were measured, or cannot be made any more.
        """
        before = {known.precision: known for known in self._store.records(self._key, VariantInfo)}.get(info.precision)
        if before is None or before.refusal is not None or before.sha256 == info.sha256:
            return
        now = info.refusal or f"it was {before.sha256[:12]}, now it is {info.sha256[:12]}"
        raise StoreError(
            f"{info.precision} is another file than when {self._store.path} was begun, so that its records would not "
            f"belong together: {now}. Name another --store"
        )

    def _add(self, record: Record, step: Step) -> None:
        self._sources.check_untouched()
        now = time.monotonic()
        self._store.add(self._key, record, self._session, now - self._last)
        self._done += 1
        self._pace.did(step.kind, now - self._last)
        self._last = now
        self._say(step.doing)

    def _say(self, doing: str) -> None:
        if self._progress is not None:
            seconds = time.monotonic() - self._begin
            left, is_rough = self._pace.remaining()
            self._progress(LayerProgress(self._done, self._done + self._pace.left, seconds, left, is_rough, doing))


def _kept_with_shapes(config: LayersConfig, graph: Graph, folder: Path, key: str) -> str:
    """Return the path of the model with the shapes that were asked for, of a copy where it leaves them open."""
    if not config.shapes:
        return config.model
    copy = folder / f"{key}.{config.format}"
    if not copy.is_file():  # written whole or not at all
        folder.mkdir(parents=True, exist_ok=True)
        graph.save(copy)
    return str(copy)


def _is_calibrated(precision: str) -> bool:
    return precision.partition(";")[0] in STATIC_PRECISIONS


def _pace_kind(record: Known) -> str:
    return record.key.partition(" ")[0] if record.kind == KINDS[LayerError] else record.kind


def _widened(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was asked of a study in this call and the calls before."""
    asked = dict(now)
    for name in ("precisions", "delegates", "threads", "parts", "errors"):
        asked[name] = list(dict.fromkeys([*before.get(name, ()), *asked[name]]))
    asked["variants"] = {**before.get("variants", {}), **asked["variants"]}
    return asked


def _versions() -> dict[str, str]:
    return {**read_versions(), **installed_versions(("onnxruntime", "onnx"))}

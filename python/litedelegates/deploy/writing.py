"""From a plan to a folder: the whole model in the plan's precisions, its stages, and the manifest."""

from __future__ import annotations

import errno
import fcntl
import glob
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from litedelegates.deploy.reading import is_deployed
from litedelegates.deploy.records import MANIFEST, ExitRule, Manifest, Port, StageFile
from litedelegates.errors import CutError, DeployError, NothingToQuantizeError, OptionError
from litedelegates.files import hash_file, path_from, write_whole
from litedelegates.graph import Graph, Op, Tensor, load, split
from litedelegates.graph.border import computed_reads
from litedelegates.layers import LayerStudy
from litedelegates.layers.precisions import installed_versions, parse_precision
from litedelegates.layers.recipe import quantize_plan
from litedelegates.layers.variants import Variant, load_variant
from litedelegates.model import numpy_dtype
from litedelegates.plan import Plan, relocated
from litedelegates.quantize import quantize_file
from litedelegates.quantize.request import FLOAT32, STATIC_PRECISIONS
from litedelegates.study import StoreError

Watcher: TypeAlias = Callable[[str], None]
# A plan may say int8 of an op that has no such kernel and float16 of one without weights: they stay as they are.
_FREELY = {"allow_float32_ops": True, "allow_unchanged": True}
_MAKERS = ("litedelegates", "ai-edge-litert", "litert-quantizer", "onnxruntime", "onnx")


def deploy(
    plan: Plan,
    out: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | None = None,
    calibration: Any = None,
    exits: Mapping[str, float] | None = None,
    progress: Watcher | None = None,
) -> Manifest:
    """Write the models of a plan, each stage in its precisions, and the manifest that says who runs them.

    The whole model is quantized first, as the plan says for each layer, and then split: run one after the other, the
    stages compute what the whole does. At a quantized border the quantized tensor travels.

    The folder appears when it is complete; one that is there is replaced if it is a deployed plan.

    Args:
        plan: What to deploy.
        out: The folder.
        model: The float32 model, if it is not where the plan says.
        calibration: For int8 and int16x8, as `quantize` takes it; by default what the study of the plan's first device
            was calibrated with.
        exits: Outputs of the model at which an input may leave early, with the probability from which it does.
        progress: Called with what is being done.

    Returns:
        The manifest.

    Raises:
        DeployError: The model is another than the one planned for, the layers of a stage cannot be one model, or the
            folder holds something else.
        OptionError: Calibration is missing, or an exit is no output of the model.
        QuantizationError: The model cannot be made in these precisions.
        OSError: A file cannot be read or written.
    """
    path, target = os.fspath(model if model is not None else plan.model), Path(out)
    if not Path(path).exists():
        raise FileNotFoundError(errno.ENOENT, "the float32 model is not here: name it with model (--model)", path)
    _check(plan, path, target)
    say = progress or (lambda doing: None)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _part_of(target) as folder:
        source = load(path, shapes=plan.shapes or None)
        writer = _Writer(plan, source, path, folder, say)
        if isinstance(calibration, Iterator):  # the fallback is calibrated with the same samples
            calibration = list(calibration)
        manifest = writer.write(_calibration(plan, calibration), exits or {})
        folder.chmod(0o755)
        _replace(target, folder)
    return manifest


@contextmanager
def _part_of(target: Path) -> Iterator[Path]:
    """Yield a new folder beside ``target``, which goes away unless it was renamed; so do those of killed processes.

    Whoever fills one holds a lock on it, which ends with the process.
    """
    for left in target.parent.glob(f".{glob.escape(target.name)}.*.part"):
        with suppress(OSError), _locked(left):
            if any(left.iterdir()):  # one that was just made has no lock yet
                shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        with suppress(OSError):  # some network file systems lock no folders
            stack.enter_context(_locked(folder))
        yield folder


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder for the ``with`` block.

    Raises:
        OSError: Another process has it, or the file system locks no folders.
    """
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(opened)


class _Writer:
    """Fills a folder."""

    def __init__(self, plan: Plan, source: Graph, path: str, folder: Path, say: Watcher) -> None:
        self._plan, self._source, self._path, self._folder, self._say = plan, source, path, folder, say
        self._suffix = ".onnx" if source.format == "onnx" else ".tflite"

    def write(self, calibration: Any, exits: Mapping[str, float]) -> Manifest:
        whole, stages = self._stages(self._plan, "", calibration)
        alone: tuple[StageFile, ...] = ()
        if self._plan.fallback is not None:
            _, alone = self._stages(self._plan.fallback, "fallback_", calibration)
        manifest = Manifest(
            model=Path(self._path).name,
            model_sha256=self._plan.sha256,
            whole=whole.name,
            whole_sha256=hash_file(whole),
            stages=stages,
            inputs=tuple(port(self._source, tensor) for tensor in self._source.inputs),
            outputs=tuple(port(self._source, tensor) for tensor in self._source.outputs),
            fallback=alone,
            exits=tuple(_exit(name, limit, stages) for name, limit in exits.items()),
            plan=self._planned().to_json(),
            versions=installed_versions(_MAKERS),
        )
        write_whole(self._folder / MANIFEST, [json.dumps(manifest.to_json(), indent=1).encode()])
        return manifest

    def _planned(self) -> Plan:
        """Return the plan as it is written into the folder: relative paths in it go from there."""
        return relocated(replace(self._plan, model=self._path), lambda path: path_from(self._folder, path))

    def _stages(self, plan: Plan, prefix: str, calibration: Any) -> tuple[Path, tuple[StageFile, ...]]:
        whole = self._folder / f"{prefix}whole{self._suffix}"
        self._say(f"making {whole.name}")
        if not self._quantize(plan, whole, calibration):
            self._source.save(whole)
            graph, stage_of = self._source, {layer.layer: layer.stage for layer in plan.layers}
        else:
            variant = load_variant(self._source, whole, "plan")
            graph, stage_of = variant.graph, _stage_of_ops(variant, plan)
        groups = [[index for index, own in stage_of.items() if own == stage.number] for stage in plan.stages]
        try:
            parts = split(graph, groups) if len(groups) > 1 else [graph]
        except CutError as error:
            raise DeployError(f"the plan's stages cannot be models of their own: {error}") from error
        found = []
        for stage, part in zip(plan.stages, parts, strict=True):
            file = self._folder / f"{prefix}stage{stage.number}{self._suffix}"
            self._say(f"writing {file.name}")
            part.save(file)
            own = {layer.layer: layer.choice.precision for layer in plan.layers if layer.stage == stage.number}
            resources = next((device.resources for device in plan.devices if device.name == stage.device), {})
            found.append(
                StageFile(
                    number=stage.number,
                    file=file.name,
                    sha256=hash_file(file),
                    device=stage.device,
                    delegate=stage.delegate,
                    threads=stage.threads,
                    inputs=tuple(port(part, tensor) for tensor in part.inputs),
                    outputs=tuple(port(part, tensor) for tensor in part.outputs),
                    layers=stage.layers,
                    precisions={layer: precision for layer, precision in own.items() if precision != FLOAT32},
                    resources=resources or {stage.device: 1.0},
                    predicted_us=stage.predicted_us,
                )
            )
        return whole, tuple(found)

    def _quantize(self, plan: Plan, target: Path, calibration: Any) -> bool:
        """Write the whole model in a plan's precisions; return False where they leave all of it in float32."""
        precisions, options = _recipe(plan, self._source.format)
        if set(precisions.values()) == {FLOAT32}:
            return False
        is_static = any(name in STATIC_PRECISIONS for name in precisions.values())
        if is_static and calibration is None:
            raise OptionError(
                f"the plan has int8 layers and {_why_no_samples(plan)}: give calibration (on the command line "
                "--calibration samples.npz), or 'random' where only the speed matters"
            )
        # Not named, a Relu may stay float32 by being part of an int8 op before it.
        others = {name: precisions for name in precisions.values() if name != FLOAT32}
        recipe = quantize_plan(self._source, precisions, others)
        given = calibration if is_static else None
        with self._fixed() as path:
            try:
                quantize_file(path, target, None, given, plan=recipe, progress=False, **_FREELY, **options)
            except NothingToQuantizeError:  # such as float16 of layers without weights, and of no others
                return False
        return True

    @contextmanager
    def _fixed(self) -> Iterator[str]:
        """Yield the path of the model, of a copy where the plan says what its open sizes are."""
        if not self._plan.shapes:
            yield self._path
            return
        with tempfile.TemporaryDirectory(prefix="litedelegates.") as folder:
            copy = Path(folder, f"fixed{self._suffix}")
            self._source.save(copy)
            yield str(copy)


def port(graph: Graph, tensor: Tensor) -> Port:
    """Return what a manifest says of an input or output of a graph."""
    quantization = tensor.quantization
    scale = () if quantization is None else tuple(map(float, quantization.scales))
    return Port(
        name=graph.public_name(tensor),
        shape=tuple(tensor.shape or ()),
        dtype=numpy_dtype(tensor.element_type).name,
        nbytes=tensor.nbytes,
        scale=scale,
        zero_point=() if quantization is None else tuple(map(int, quantization.zero_points)),
        axis=quantization.axis if quantization is not None and len(scale) > 1 else None,
    )


def _recipe(plan: Plan, model_format: str) -> tuple[dict[Any, str], dict[str, Any]]:
    """Return what `quantize` takes: the precision by layer, and the options that all of them share."""
    precisions, options = {}, dict[str, Any]()
    for layer, text in plan.precisions.items():
        name, own = parse_precision(text, model_format)
        precisions[layer] = name
        for option, value in own.items():
            if options.setdefault(option, value) != value:
                raise DeployError(f"the plan wants {option}={options[option]} and {option}={value} in one model")
    return precisions, options


def _stage_of_ops(variant: Variant, plan: Plan) -> dict[int, int]:
    """Return the stage of each op of the quantized model, never before that of what it reads.

    An op that computes several layers, because the quantizer fused them, runs where the last of them does. What no
    layer is known of runs as early as it can.
    """
    stage = {layer.layer: layer.stage for layer in plan.layers}
    found: dict[int, int] = {}
    for op in variant.graph.ops:
        if op.is_fixed:
            continue
        owner = variant.owners[op.index]
        own = max((stage[layer] for layer in owner.layers if layer in stage), default=0)
        found[op.index] = max([own, *(found[maker.index] for maker in _makers(variant.graph, op))])
    return found


def _makers(graph: Graph, op: Op) -> Iterable[Op]:
    makers = (graph.producer(tensor) for tensor in computed_reads(graph, op))
    return (maker for maker in makers if maker is not None)


def _exit(name: str, limit: float, stages: Iterable[StageFile]) -> ExitRule:
    if not 0 < limit <= 1:
        raise OptionError(f"exit {name}={limit!r}: the probability must be above 0 and at most 1")
    for stage in stages:
        if name in (output.name for output in stage.outputs):
            return ExitRule(name, stage.number, limit)
    raise OptionError(f"exit {name!r}: no stage gives this output")


def _calibration(plan: Plan, given: Any) -> Any:
    """Return what to calibrate with: what was given, or what the first device's study says."""
    return known_calibration(plan) if given is None else given


def known_calibration(plan: Plan) -> str | None:
    """Return what the study of a plan's first device was calibrated with; None where that is not known, or gone."""
    known = _studied_with(plan)
    return known if known == "random" or (known is not None and Path(known).exists()) else None


def _studied_with(plan: Plan) -> str | None:
    device = plan.devices[0]
    if not device.store:
        return None
    try:
        known = LayerStudy.open(device.store, device.key).config.get("calibration")
    except (OSError, StoreError, OptionError):
        return None
    return None if known is None else str(known)


def _why_no_samples(plan: Plan) -> str:
    known, store = _studied_with(plan), plan.devices[0].store
    if known is not None:
        return f"{known}, which the layer study was calibrated with, is not here"
    if store and not Path(store).exists():
        return f"{store}, whose layer study says what to calibrate them with, is not here"
    return "nothing says what to calibrate them with"


def _check(plan: Plan, path: str, target: Path) -> None:
    if hash_file(path) != plan.sha256:
        raise DeployError(f"{path} is not the model that was planned for (sha256 {plan.sha256[:16]}...): plan again")
    if target.exists() and not is_deployed(target) and (not target.is_dir() or any(target.iterdir())):
        raise DeployError(f"{target} holds something else than a deployed plan: give another folder, or empty this one")


def _replace(target: Path, folder: Path) -> None:
    """Put a finished folder in the place of another."""
    if not target.exists():
        folder.rename(target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".old", dir=target.parent))
    target.rename(old / "out")
    try:
        folder.rename(target)
    except BaseException:
        (old / "out").rename(target)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)

"""The flags of LiteRT's benchmark_model, so that scripts move over: ``litedelegates bench --graph=MODEL ...``."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from litedelegates.cli.outcome import INTERRUPTED, complain
from litedelegates.errors import OptionError
from litedelegates.files import write_whole
from litedelegates.measure.statistics import SAMPLES_FOR_PERCENTILE
from litedelegates.study import Cell, Outcome, Store, StudyConfig, cell_worker, run_study
from litedelegates.study.delegates import parse_delegate
from litedelegates.study.process import CellFailed, Worker
from litedelegates.tables import csv_lines

_PREFIX = "flag_"


@dataclass(frozen=True)
class Flag:
    """A flag as benchmark_model has it.

    Attributes:
        name: Without the dashes.
        kind: Its type.
        default: What it is when it is not given.
        why_not: Why it is refused here, unless it is given its default; None when it is understood.
    """

    name: str
    kind: type[Any]
    default: Any = None
    why_not: str | None = None


_NOT_HERE = "this tool has no such delegate"
FLAGS = (
    Flag("num_runs", int, 50),
    Flag("min_secs", float, 1.0),
    Flag("max_secs", float, 150.0),
    Flag("warmup_runs", int, 1),
    Flag("warmup_min_secs", float, 0.5),
    Flag("num_threads", int, -1),
    Flag("use_gpu", bool, False),
    Flag("gpu_precision_loss_allowed", bool, True),
    Flag("use_xnnpack", bool, True),
    Flag("xnnpack_force_fp16", bool, False),
    Flag("external_delegate_path", str, ""),
    Flag("external_delegate_options", str, ""),
    Flag("stable_delegate_settings_file", str, "", "name the library: --delegates 'stable:LIB;settings_file=FILE'"),
    Flag("require_full_delegation", bool, False),
    Flag("enable_op_profiling", bool, False),
    Flag("profiling_output_csv_file", str, ""),
    Flag("report_peak_memory_footprint", bool, False),
    Flag("verbose", bool, False),
    Flag("use_nnapi", bool, False, _NOT_HERE),
    Flag("use_hexagon", bool, False, _NOT_HERE),
    Flag("use_coreml", bool, False, _NOT_HERE),
    Flag("allow_fp16", bool, False, "use --xnnpack_force_fp16=true or the GPU"),
    Flag("run_delay", float, -1.0, "runs are back to back; a pause changes what is measured"),
    Flag("input_layer", str, "", "the shapes are those of the model"),
    Flag("input_layer_shape", str, "", "the shapes are those of the model"),
    Flag("input_layer_value_files", str, "", "give samples with --inputs FILE.npz"),
    Flag("signature_to_run_for", str, "", "the first subgraph is measured"),
)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags; the help tells of them in one line."""
    group = parser.add_argument_group("benchmark_model", "its flags are understood after --graph=MODEL")
    group.add_argument("--graph", metavar="MODEL", help="measure one model as benchmark_model would be asked to")
    for flag in FLAGS:
        how: dict[str, Any] = (
            {"type": _truth, "nargs": "?", "const": True} if flag.kind is bool else {"type": flag.kind}
        )
        group.add_argument(f"--{flag.name}", dest=_PREFIX + flag.name, default=None, help=argparse.SUPPRESS, **how)


def given_flags(options: argparse.Namespace) -> list[str]:
    """Return the flags that were given."""
    return [f"--{flag.name}" for flag in FLAGS if getattr(options, _PREFIX + flag.name) is not None]


def call(options: argparse.Namespace) -> int:
    """Measure one model and print the lines that scripts read."""
    if options.models or options.precisions or options.delegates or options.threads:
        raise OptionError("--graph measures one model with benchmark_model's flags: leave out the options of a matrix")
    flags = {flag.name: _value(flag, options) for flag in FLAGS}
    config = _config(options, flags)
    ((cell, _),) = config.cells()
    with tempfile.TemporaryDirectory(prefix="litedelegates-") as folder:
        store = Path(options.store) if options.store else Path(folder) / "study.sqlite"
        try:
            run_study(config, store, retry=options.retry, command=sys.argv)
        except KeyboardInterrupt:
            complain("bench", "interrupted")
            return INTERRUPTED
        with Store.open(store) as results:
            outcome = results.outcome(cell)
            blocks = [block.latency_ns for block in results.blocks(cell)]
        if outcome is None or outcome.status != "ok" or not blocks:
            complain("bench", outcome.reason or outcome.status if outcome else "not measured")
            return 1
        left = (outcome.placement or {}).get("builtin", 0)
        if flags["require_full_delegation"] and left:
            complain("bench", f"{left} ops stayed on the built-in kernels: {outcome.placement}")
            return 1
        _print(config.models[0], outcome, np.concatenate(blocks) / 1e3, flags)
        if flags["enable_op_profiling"] or flags["profiling_output_csv_file"]:
            _profile(cell, config, flags["profiling_output_csv_file"])
    return 0


def _config(options: argparse.Namespace, flags: dict[str, Any]) -> StudyConfig:
    cpu = "xnnpack" if flags["use_xnnpack"] else ""
    if flags["xnnpack_force_fp16"]:
        cpu = "xnnpack;precision_loss_allowed=True"
    gpu = f"gpu;precision_loss_allowed={flags['gpu_precision_loss_allowed']}" if flags["use_gpu"] else ""
    external = ""
    if flags["external_delegate_path"]:
        pairs = [pair.partition(":") for pair in flags["external_delegate_options"].split(";") if pair]
        external = ";".join(
            [f"external:{flags['external_delegate_path']}", *(f"{key}={value}" for key, _, value in pairs)]
        )
    elif flags["external_delegate_options"]:
        raise OptionError("--external_delegate_options go with --external_delegate_path")
    delegate = "+".join(filter(None, [external, gpu, cpu])) or "none"
    parse_delegate(delegate)
    threads = flags["num_threads"] if flags["num_threads"] > 0 else len(os.sched_getaffinity(0))
    return StudyConfig(
        (options.graph,),
        delegates=(delegate,),
        threads=(threads,),
        seconds=flags["min_secs"],
        max_seconds=flags["max_secs"],
        num_runs=max(1, flags["num_runs"]),
        rounds=1,
        warmup_seconds=flags["warmup_min_secs"],
        warmup_runs=max(0, flags["warmup_runs"]),
        inputs=options.inputs,
    )


def _print(model: str, outcome: Outcome, samples_us: Any, flags: dict[str, Any]) -> None:
    first, init = (outcome.first_run_ns or 0) / 1e3, (outcome.load_ns or 0) / 1e3
    warmup = float(np.mean(outcome.warmup_ns or (0,))) / 1e3
    mean, std = float(np.mean(samples_us)), float(np.std(samples_us))
    # From fewer runs the 95th percentile is one of the last samples and says little.
    count, enough = len(samples_us), SAMPLES_FOR_PERCENTILE[95]
    tails = {percent: f"{np.percentile(samples_us, percent):.3f}" if count >= enough else "n/a" for percent in (5, 95)}
    print(f"Graph: [{model}]")
    print(f"Ops by who ran them: {outcome.placement}")
    print(
        f"count={count} first={samples_us[0]:.3f} curr={samples_us[-1]:.3f} min={samples_us.min():.3f} "
        f"max={samples_us.max():.3f} avg={mean:.3f} std={std:.3f} p5={tails[5]} "
        f"median={np.median(samples_us):.3f} p95={tails[95]}"
    )
    print(
        f"Inference timings in us: Init: {init:.0f}, First inference: {first:.0f}, Warmup (avg): {warmup:.6g}, "
        f"Inference (avg): {mean:.6g}"
    )
    memory = outcome.memory or {}
    before = memory.get("before", 0)
    loaded, overall = ((memory.get(name, before) - before) / 2**20 for name in ("loaded", "first_run"))
    print(f"Memory footprint delta from the start of the tool (MB): init={loaded:.6g} overall={overall:.6g}")
    if flags["report_peak_memory_footprint"]:
        print(f"Overall peak memory footprint (MB) via periodic monitoring: {memory.get('peak', 0) / 2**20:.6g}")


def _profile(cell: Cell, config: StudyConfig, path: str) -> None:
    """Profile the ops in a process and runs of their own: the profiler takes time itself."""
    worker = Worker(None, cell_worker.MODULE)
    try:
        worker.ask(
            "load",
            config.time_limit,
            model=cell.model,
            sha256=cell.model_sha256,
            delegate=cell.delegate,
            threads=cell.threads,
            options=dict(cell.options),
            inputs=config.inputs,
            seed=config.seed,
        )
        found = worker.ask("profile", max(config.time_limit, 300.0), runs=50)
    except CellFailed as failure:
        complain("bench", f"profiling failed: {failure.reason}")
        return
    finally:
        worker.close()
    header = ["node type", "first", "avg_ms", "%", "cdf%", "times called", "name"]
    means = [float(np.mean(op["us"])) / 1e3 for op in found["ops"]]
    total, sofar, rows = sum(means) or 1.0, 0.0, []
    for op, mean in zip(found["ops"], means, strict=True):
        sofar += mean
        name = f"[{op['name']}]:{'' if op['op_index'] is None else op['op_index']}"
        shares = [f"{100 * mean / total:.3f}%", f"{100 * sofar / total:.3f}%"]
        rows.append([op["name"], f"{op['us'][0] / 1e3:.3f}", f"{mean:.3f}", *shares, 1, f"{name} ({op['ran']})"])
    if found["note"]:
        print(found["note"])
    if path:
        write_whole(path, [csv_lines(header, rows).encode()])
        return
    print("============================== Run Order ==============================")
    for row in [header, *rows]:
        print(f"{row[0]:>36} {row[1]:>9} {row[2]:>9} {row[3]:>9} {row[4]:>9} {row[5]!s:>12}  {row[6]}")


def _value(flag: Flag, options: argparse.Namespace) -> Any:
    given = getattr(options, _PREFIX + flag.name)
    if given is None:
        return flag.default
    if flag.why_not is not None and given != flag.default:
        raise OptionError(f"--{flag.name}={given}: {flag.why_not}")
    return given


def _truth(text: str) -> bool:
    known = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in known:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return known[text.lower()]

"""``litedelegates pipeline``: run a deployed plan and say what each stage took."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from litedelegates.cli.arguments import HelpFormatter, count
from litedelegates.cli.records import print_json
from litedelegates.cli.status_line import StatusLine
from litedelegates.cli.tls_arguments import add_tls_arguments, tls_of
from litedelegates.deploy.records import Manifest, StageTiming
from litedelegates.deploy.timings import Summary
from litedelegates.engines import Array
from litedelegates.engines.inputs import random_value
from litedelegates.engines.records import PortInfo
from litedelegates.errors import OptionError, nearest

SCHEMA_VERSION = 1
EXAMPLES = """examples:
  litedelegates pipeline out/
  litedelegates pipeline out/ --workers processes --cpus pi=0 --cpus server=1 --runs 200
  litedelegates pipeline out/ --workers tcp://server:8786 --inputs images.npz --output outputs.npz"""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "pipeline",
        help="run a deployed plan on threads, processes or Dask workers",
        description="Run a deployed plan: each input by itself for the latency, then all of them in a stream for the "
        "time between two outputs.",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("folder", metavar="FOLDER", help="what `litedelegates deploy` wrote")
    parser.add_argument(
        "--workers", default="threads", metavar="W", help="threads, processes or tcp://SCHEDULER (default: threads)"
    )
    add_tls_arguments(parser, "with a scheduler: ")
    parser.add_argument(
        "--inputs", metavar="FILE", help="a .npy (one input) or .npz (by name) with samples along the first axis"
    )
    parser.add_argument("--runs", type=count, default=20, metavar="N", help="inputs to run (default: 20)")
    parser.add_argument(
        "--depth", type=count, default=2, metavar="N", help="inputs that wait before a stage (default: 2)"
    )
    parser.add_argument("--batch", type=count, default=1, metavar="N", help="inputs gathered into one run (default: 1)")
    parser.add_argument("--timeout", type=float, default=60.0, metavar="S", help="of a run of a stage (default: 60)")
    parser.add_argument(
        "--retries", type=int, default=1, metavar="N", help="at a stage whose worker is lost (default: 1)"
    )
    parser.add_argument("--no-fallback", action="store_true", help="fail where the plan has a fallback")
    parser.add_argument(
        "--cpus",
        action="append",
        default=[],
        metavar="DEVICE=N,N",
        help="with processes: the cores of a device; may be repeated",
    )
    parser.add_argument("--output", metavar="FILE", help="save the outputs as .npz, by name, one row an input")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    parser.set_defaults(call=call)


def call(options: argparse.Namespace) -> int:
    """Run and print."""
    from litedelegates.deploy import Pipeline

    with (
        StatusLine(quiet=options.quiet) as line,
        tls_of(options),
        Pipeline(
            options.folder,
            workers=options.workers,
            depth=options.depth,
            batch=options.batch,
            timeout_s=options.timeout,
            retries=options.retries,
            fallback=not options.no_fallback,
            cpus=dict(map(_cpus, options.cpus)) or None,
        ) as pipeline,
    ):
        feeds = list(itertools.islice(_feeds(pipeline.manifest, options.inputs), options.runs))
        pipeline.run(feeds[0])
        pipeline.forget_timings()
        for number, feed in enumerate(feeds):
            line.show(f"alone {number + 1}/{len(feeds)}", is_a_step=False)
            pipeline.run(feed)
        alone = pipeline.summary()
        pipeline.forget_timings()
        outputs = []
        for output in pipeline.map(feeds):
            outputs.append(output)
            line.show(f"stream {len(outputs)}/{len(feeds)}", is_a_step=False)
        stream = pipeline.summary()
        events = list(pipeline.events)
    if options.output:
        names = sorted(set.intersection(*(set(output) for output in outputs)))
        np.savez(
            options.output, allow_pickle=False, **{name: np.stack([one[name] for one in outputs]) for name in names}
        )
    if options.json:
        print_json(
            {
                "schema_version": SCHEMA_VERSION,
                "folder": options.folder,
                "workers": options.workers,
                "alone": alone.to_json(),
                "stream": stream.to_json(),
                "events": events,
            }
        )
    else:
        _print(pipeline.manifest, alone, stream, events)
    return 0


def _print(manifest: Manifest, alone: Summary, stream: Summary, events: list[str]) -> None:
    rows: list[tuple[str, ...]]
    rows = [("stage", "device", "wait", "transfer", "upload", "run", "read", "predicted", "received", "worker")]
    files = {stage.number: stage for stage in manifest.stages}
    for timing in alone.stages:
        rows.append(_row(timing, files[timing.stage].device, files[timing.stage].predicted_us))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    print(f"\nlatency  {alone.latency_us / 1e3:.3f} ms (median of {alone.inputs}, one input at a time)")
    if stream.period_us is not None:
        print(f"period   {stream.period_us / 1e3:.3f} ms between two of {stream.inputs} outputs in a stream")
    for summary in (alone, stream):
        if summary.left_early or summary.fell_back or summary.retries:
            print(
                f"of {summary.inputs} inputs {summary.left_early} left early, {summary.fell_back} were computed by the "
                f"fallback; {summary.retries} attempts were repeated"
            )
    for event in events:
        print(f"event    {event}")


def _row(timing: StageTiming, device: str, predicted_us: float | None) -> tuple[str, ...]:
    times = (timing.wait_us, timing.transfer_us, timing.upload_us, timing.run_us, timing.read_us)
    return (
        str(timing.stage),
        device,
        *(f"{time / 1e3:.3f} ms" for time in times),
        "" if predicted_us is None else f"{predicted_us / 1e3:.3f} ms",
        f"{timing.received_nbytes / 1e3:.1f} kB",
        timing.worker,
    )


def _cpus(text: str) -> tuple[str, set[int]]:
    device, _, cores = text.rpartition("=")
    if not device or not all(core.strip().isdecimal() for core in cores.split(",")):
        raise OptionError(f"--cpus {text}: write it as DEVICE=N,N, such as pi=0")
    return device, {int(core) for core in cores.split(",")}


def _feeds(manifest: Manifest, path: str | None) -> Iterator[Mapping[str, Array]]:
    """Yield inputs without end: the samples of a file over and over, or random values."""
    if path is None:
        rng = np.random.default_rng(0)
        infos = [PortInfo(port.name, port.shape, port.dtype) for port in manifest.inputs]
        while True:
            yield {info.name: random_value(info, rng) for info in infos}
    loaded = np.load(path, allow_pickle=False)
    names = [port.name for port in manifest.inputs]
    if isinstance(loaded, np.ndarray):
        if len(names) != 1:
            raise OptionError(f"{path} holds one array and the model takes {len(names)} inputs: use a .npz file")
        loaded = {names[0]: loaded}
    for name in names:
        if name not in loaded:
            raise OptionError(f"{path} has no array for the input {name!r}. {nearest(name, loaded)}")
    arrays = {name: np.asarray(loaded[name]) for name in names}
    rows = {len(array) for array in arrays.values()}
    if len(rows) != 1 or rows == {0}:
        raise OptionError(f"{path}: its arrays must have the same number of samples, at least one")
    ranks = {port.name: len(port.shape) for port in manifest.inputs}
    while True:
        for row in range(rows.copy().pop()):
            yield {
                name: array[row : row + 1] if array.ndim == ranks[name] else array[row]
                for name, array in arrays.items()
            }

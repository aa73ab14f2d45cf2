"""``litedelegates layers``: time, bytes and error of every layer, in every precision, on every delegate."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from litedelegates.cli.arguments import HelpFormatter, add_shapes, count, integer, seconds, shapes_of
from litedelegates.cli.layers_beside import beside, beside_lines, config_beside
from litedelegates.cli.layers_table import study_lines
from litedelegates.cli.outcome import INTERRUPTED
from litedelegates.cli.status_line import StatusLine
from litedelegates.errors import OptionError
from litedelegates.files import writable, write_whole
from litedelegates.layers import (
    DEFAULT_PARTS,
    LayerProgress,
    LayersConfig,
    LayerStudy,
    study_layers,
    to_trace,
    with_known_sizes,
    write_overlays,
)
from litedelegates.study import StoreError

DEFAULT_STORE = "study.sqlite"

EPILOG = """examples:
  litedelegates layers model.tflite
  litedelegates layers model.tflite --precisions float32,float16,dynamic,int8 --delegates none,xnnpack,gpu
  litedelegates layers model.tflite --inputs images.npz --labels labels.npy --calibration samples.npz
  litedelegates layers model.onnx --precisions 'float32,int8,int8;format=qoperator' --shape image=1,3,224,224
  litedelegates layers model.tflite --parts alone --layers 3,10-20,CONV_2D --precisions float32,int8
  litedelegates layers model.tflite --variant vendor=int8_of_vendor.tflite --csv layers.csv --overlay nodes/
  litedelegates layers model.tflite --trace trace.json        # for ui.perfetto.dev or chrome://tracing
  litedelegates layers model.tflite --beside model.onnx       # the same network, its layers matched

What is measured goes to the store at once; the same command goes on where it was interrupted or killed, and more
precisions, delegates or layers add to what is there. Layers that cannot run alone, and settings that fail, crash or
hang, are part of the result; --retry tries them again. Other inputs, samples or times are a study of their own in the
store. Exit codes: 0 done, 1 nothing of what was asked for could be measured or an error, 2 wrong arguments, 130 Ctrl-C
(the store is valid).
"""

_LISTS = ("precisions", "delegates", "threads", "parts", "layers")
_PLAIN = (
    ("calibration", str, "SOURCE", "for int8 and int16x8: a .npy or .npz with samples, or random (the default)"),
    ("inputs", str, "FILE", "a .npy (one input) or .npz (by name) with samples along the first axis, for errors"),
    ("labels", str, "FILE", "a .npy with the label of each sample, for accuracy"),
    ("samples", count, "N", "samples that errors are taken over, at most (default: 8)"),
    ("mixes", count, "N", "mixed models of --parts mixed, drawn at random (default: 12)"),
    ("runs", count, "N", "profiled runs of each setting (default: 20)"),
    ("seconds", seconds, "S", "time of runs measured of each layer alone, and of each whole model (default: 0.2)"),
    ("time_limit", seconds, "S", "a step that takes longer counts as hanging (default: 60)"),
    ("seed", int, "N", "of the orders and the random inputs (default: 0)"),
)


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "layers",
        help="measure time, bytes and error of every layer",
        description="Measure each layer of a float32 model in each precision on each delegate: its time in place and "
        "alone, the bytes a cut after it would send, and its error.",
        epilog=EPILOG,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="a float32 .tflite or .onnx")
    parser.add_argument(
        "--precisions",
        metavar="P,P",
        help="what the model is made into, options behind ; (default: float32,float16,dynamic,int8)",
    )
    parser.add_argument(
        "--delegates",
        metavar="D,D",
        help="chains such as none, xnnpack, gpu (default: none,xnnpack); providers such as cpu for an .onnx",
    )
    parser.add_argument("--threads", metavar="N,N", help="threads of the CPU kernels (default: 1)")
    parser.add_argument(
        "--parts", metavar="P,P", help=f"what to find out (default: {','.join(DEFAULT_PARTS)}; also mixed)"
    )
    parser.add_argument(
        "--layers",
        metavar="L,L",
        help="layers to run alone and to take errors of: indices, ranges, types, names (default: all)",
    )
    parser.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="a file that is the model in another precision already; may be repeated",
    )
    parser.add_argument(
        "--beside",
        metavar="FILE",
        help="a second model of the same network, such as its .onnx: studied too, and its layers matched",
    )
    add_shapes(parser)
    for name, kind, metavar, text in _PLAIN:
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar=metavar, help=text)
    parser.add_argument("--store", metavar="FILE", default=DEFAULT_STORE, help=f"default: {DEFAULT_STORE}")
    parser.add_argument("--retry", action="store_true", help="try again what failed before")
    out = parser.add_argument_group("output")
    out.add_argument("--top", type=count, default=10, metavar="N", help="layers of each list that is printed")
    out.add_argument("--json", action="store_true", help="print everything as JSON")
    out.add_argument("--csv", metavar="FILE", help="write a table: one row a layer and setting")
    out.add_argument("--overlay", metavar="FOLDER", help="write node data for Model Explorer, a file a figure")
    out.add_argument("--trace", metavar="FILE", help="write a trace for Perfetto and Chrome")
    out.add_argument("--quiet", action="store_true", help="no progress on stderr")
    parser.set_defaults(call=call)


def call(options: argparse.Namespace) -> int:
    """Measure, write the files, and print what was found."""
    config = _config(options)
    more_configs = [] if options.beside is None else [config_beside(config, options.beside)]
    configs = [with_known_sizes(own) for own in (config, *more_configs)]
    keys = [own.key for own in configs]
    interrupted, studies = False, list[LayerStudy]()
    try:
        for own in configs:
            with ProgressLine(quiet=options.quiet) as line:
                studies.append(study_layers(own, options.store, retry=options.retry, progress=line, command=sys.argv))
    except KeyboardInterrupt:
        interrupted = True
        try:
            studies = [LayerStudy.open(options.store, keys[0])]
        except (StoreError, FileNotFoundError, OptionError):
            return INTERRUPTED  # before there was anything to tell of
    study = studies[0]
    written = _write(study, options)
    matched = beside(studies[0], studies[1], configs) if len(studies) > 1 else []
    if options.json:
        more = {"beside": [layer.to_json() for layer in matched]} if matched else {}
        print(json.dumps({"store": options.store, "interrupted": interrupted, **study.to_json(), **more}))
    else:
        for shown in studies:
            print(f"{shown.model}: {len(shown.layers)} layers")
            for text in study_lines(shown, options.top):
                print(text)
        for text in beside_lines(matched, studies) if matched else ():
            print(text)
        if any(refused for shown in studies for refused in _refusals(shown)):
            print("\nwhat failed is tried again with --retry")
        print(f"\nresults in {', '.join([options.store, *written])}")
    if interrupted:
        print("litedelegates layers: interrupted; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    return 0 if _is_measured(study, config, options) else 1


def _refusals(study: LayerStudy) -> list[str]:
    groups = (study.variants, study.in_place, study.alone, study.errors, study.mixed)
    return [record.refusal for records in groups for record in records if record.refusal is not None]


def _is_measured(study: LayerStudy, config: LayersConfig, options: argparse.Namespace) -> bool:
    """Return whether there is a figure of what was asked for now: a store may hold those of other settings."""
    # float32 is measured whether it was asked for or not.
    wanted = set(config.names if options.precisions is None else [*_parts(options.precisions), *config.variants])
    groups = (study.in_place, study.alone, study.mixed)
    measured = [record.setting for records in groups for record in records if record.refusal is None]
    mixed = {record.setting.precision for record in study.mixed}
    return any(
        setting.precision in wanted | mixed
        and setting.delegate in (config.delegates or ())
        and setting.threads in config.threads
        for setting in measured
    ) or any(record.refusal is None and record.precision in wanted for record in study.errors)


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _write(study: LayerStudy, options: argparse.Namespace) -> list[str]:
    written = []
    for path, content in ((options.csv, LayerStudy.to_csv), (options.trace, to_trace)):
        if path is not None:
            write_whole(path, [writable(content(study)).encode()])
            written.append(path)
    if options.overlay is not None:
        write_overlays(study, options.overlay)
        written.append(options.overlay)
    return written


def _config(options: argparse.Namespace) -> LayersConfig:
    variants = dict(_variant(text) for text in options.variant)
    fields: dict[str, Any] = {"model": options.model, "variants": variants, "shapes": shapes_of(options) or {}}
    for name in _LISTS:
        text = getattr(options, name)
        if text is not None:
            fields[name] = _parts(text)
    if options.threads is not None:
        fields["threads"] = tuple(integer("--threads", part) for part in fields["threads"])
    fields |= {name: getattr(options, name) for name, *_ in _PLAIN if getattr(options, name) is not None}
    for name in ("csv", "trace"):
        path = getattr(options, name)
        if path is not None and not Path(path).absolute().parent.is_dir():
            raise OptionError(f"--{name} {path}: the folder to write to does not exist")
    return LayersConfig(**fields)


def _variant(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not equals or not name or not path:
        raise OptionError(f"--variant {text}: write it as NAME=FILE, such as vendor=int8.tflite")
    return name, path


class ProgressLine(StatusLine):
    """Shows every record; elsewhere than on a terminal each step and each tenth of the work."""

    _last = (-1, "")

    def __call__(self, progress: LayerProgress) -> None:
        """Show where the study is."""
        now = (10 * progress.done // max(1, progress.total), progress.doing)
        line = f"[{progress.done}/{progress.total}] {progress.seconds:.0f} s, {_left(progress)}  {progress.doing}"
        self.show(line, is_a_step=now != self._last)
        self._last = now


def _left(progress: LayerProgress) -> str:
    if progress.remaining_s is None:
        return "time left unknown"
    seconds = round(progress.remaining_s)
    shown = f"{seconds} s" if seconds < 120 else f"{seconds // 60} min {seconds % 60} s"
    return f"{'roughly' if progress.is_rough else 'about'} {shown} left"

"""``litedelegates cut``: write the parts of a model as models of their own."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from litedelegates.cli.arguments import HelpFormatter, add_shapes, shapes_of
from litedelegates.errors import OptionError
from litedelegates.graph import Graph, Layer, check, cut, extract, layers, load

EXAMPLES = """examples:
  litedelegates cut model.tflite --at 40 --out parts/ --check
  litedelegates cut model.onnx --at 40,120 --out parts/
  litedelegates cut model.tflite --tensors block3/add --out parts/

`litedelegates graph model.tflite` shows the positions and what travels at each."""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "cut",
        help="cut a model into models",
        description="Cut a .tflite or .onnx into models that, run one after the other, compute the same. Names, "
        "quantization, signatures and metadata are kept; at a quantized border the quantized tensor travels.",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("model", help="a .tflite or .onnx file")
    add_shapes(parser)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--at", type=_integers, metavar="N[,N...]", help="positions: 40 cuts before op 40")
    where.add_argument(
        "--tensors",
        action="append",
        metavar="NAME[;NAME...]",
        help="the tensors that shall travel, wherever they are; repeated for several cuts",
    )
    where.add_argument("--ops", type=_range, metavar="FIRST:END", help="write only these ops, END not included")
    where.add_argument("--layers", action="store_true", help="write one model for each op")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="where to write the parts; made if missing")
    parser.add_argument("--check", action="store_true", help="run parts and whole on random inputs, compare every bit")
    parser.add_argument("--json", action="store_true", help="what was written, as JSON")
    parser.set_defaults(call=call)


def call(options: argparse.Namespace) -> int:
    """Cut, write, and compare where asked; exit code 1 when parts and whole differ."""
    graph = load(options.model, shapes=shapes_of(options))
    if options.check and (options.ops or options.layers):
        raise OptionError(
            "--check compares the parts with the whole; --ops and --layers leave no whole to compare with"
        )
    parts, refused = _parts(graph, options)
    folder = Path(options.out)
    if folder.exists() and not folder.is_dir():
        raise OptionError(f"--out {folder}: this is a file, and the parts go into a folder")
    folder.mkdir(parents=True, exist_ok=True)
    for layer in () if options.json else refused:
        print(f"no model of {layer.op}: {layer.refusal}")
    written = []
    for part in parts:
        path = folder / f"{part.name}.{part.format}"
        part.save(path)
        written.append(_record(part, path))
        if not options.json:
            print(_line(written[-1]))
    report = check(parts, graph) if options.check else None
    if options.json:
        equal = {} if report is None else {"equal": report.equal}
        missing = {"refused": [{"op": entry.op.index, "reason": entry.refusal} for entry in refused]}
        print(json.dumps({"model": options.model, "parts": written, **missing, **equal}, indent=1))
    elif report is not None:
        print(report)
    return 0 if report is None or report.equal else 1


def _parts(graph: Graph, options: argparse.Namespace) -> tuple[list[Graph], list[Layer]]:
    """Return the parts to write, and the ops of which there can be none."""
    if options.at is not None:
        return cut(graph, at=options.at), []
    if options.tensors is not None:
        return cut(graph, tensors=[names.split(";") for names in options.tensors]), []
    if options.ops is not None:
        return [extract(graph, options.ops)], []
    found = layers(graph)
    return [layer.graph for layer in found if layer.graph], [layer for layer in found if layer.refusal]


def _record(part: Graph, path: Path) -> dict[str, Any]:
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "ops": len(part.ops),
        "inputs": [_tensor(part, tensor) for tensor in part.inputs],
        "outputs": [_tensor(part, tensor) for tensor in part.outputs],
    }


def _tensor(part: Graph, tensor: Any) -> dict[str, Any]:
    shape = None if tensor.shape is None else list(tensor.shape)
    return {
        "name": part.public_name(tensor),
        "element_type": tensor.element_type,
        "shape": shape,
        "nbytes": tensor.nbytes,
    }


def _line(record: dict[str, Any]) -> str:
    def listed(tensors: list[dict[str, Any]]) -> str:
        return ", ".join(f"{t['name']} ({t['element_type']} {_shape(t)}, {_nbytes(t)} bytes)" for t in tensors)

    head = f"{record['file']}: {record['ops']} ops, {record['bytes']} bytes"
    return f"{head}\n  in  {listed(record['inputs'])}\n  out {listed(record['outputs'])}"


def _shape(tensor: dict[str, Any]) -> str:
    if tensor["shape"] is None:
        return "?"
    return f"[{', '.join('?' if size < 0 else str(size) for size in tensor['shape'])}]"


def _nbytes(tensor: dict[str, Any]) -> str:
    return "?" if tensor["nbytes"] is None else str(tensor["nbytes"])


def _integers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number, or several such as 40,120") from None


def _range(text: str) -> range:
    first, colon, end = text.partition(":")
    try:
        found = range(int(first), int(end) if colon else int(first) + 1)
    except ValueError:
        found = range(0)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not FIRST:END, such as 40:120 for ops 40 to 119")
    return found

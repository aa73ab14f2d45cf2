"""``litedelegates graph``: the ops of a model, and what would travel if it were cut after each."""

from __future__ import annotations

import argparse
import json
from typing import Any

from litedelegates.cli.arguments import HelpFormatter, add_shapes, count, shapes_of
from litedelegates.graph import Graph, Op, Tensor, load
from litedelegates.graph.dot import to_dot
from litedelegates.graph.records import to_record

EXAMPLES = """examples:
  litedelegates graph model.tflite
  litedelegates graph model.onnx --cheapest 10
  litedelegates graph model.tflite --dot | dot -Tsvg -o model.svg"""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "graph",
        help="show the ops of a model and the bytes at every cut",
        description="Show the ops of a .tflite or .onnx in the order they run, and what would travel if the model were "
        "cut after each: skip connections included, as it is and sent as float16 or int8.",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("model", help="a .tflite or .onnx file")
    add_shapes(parser)
    parser.add_argument("--all", action="store_true", help="also the ops that only make constants")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--cheapest", type=count, metavar="N", help="only the N cuts at which the fewest bytes travel")
    how.add_argument("--json", action="store_true", help="ops, tensors, signatures and cuts as JSON")
    how.add_argument("--dot", action="store_true", help="a drawing for Graphviz")
    parser.set_defaults(call=call)


def call(options: argparse.Namespace) -> int:
    """Print the graph."""
    graph = load(options.model, shapes=shapes_of(options))
    if options.json:
        print(json.dumps(to_record(graph), indent=1))
    elif options.dot:
        print(to_dot(graph), end="")
    else:
        _print_table(graph, options.cheapest, options.all)
    return 0


def _print_table(graph: Graph, cheapest: int | None, with_fixed: bool) -> None:
    shown = [op for op in graph.ops if with_fixed or not op.is_fixed]
    hidden = len(graph.ops) - len(shown)
    sizes = sum(op.computes_shape for op in graph.ops)
    print(
        f"{graph.name}: {len(graph.ops)} ops"
        + (f", {hidden} of them only make constants (--all)" if hidden else "")
        + (f", {sizes} only compute shapes" if sizes else "")
    )
    for word, names, tensors in (
        ("in ", graph.input_names, graph.inputs),
        ("out", graph.output_names, graph.outputs),
    ):
        for name, tensor in zip(names, tensors, strict=True):
            print(f"  {word} {name}: {_type(tensor)}")
    if cheapest is not None:
        legal = [cut for cut in graph.cuts if not cut.refusal and cut.nbytes is not None]
        shown = [cut.after for cut in sorted(legal, key=lambda cut: (cut.nbytes or 0, cut.position))[:cheapest]]
    rows: list[tuple[str, ...]] = [("op", "type", "makes", "cut at", "tensors", "bytes", "float16", "int8")]
    rows += [_row(graph, op) for op in shown]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        texts = [
            text.ljust(width) if i in (1, 2) else text.rjust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(texts).rstrip())
    if any(cut.nbytes is None and not cut.refusal for cut in graph.cuts):
        is_open = any(tensor.shape is None or min(tensor.shape, default=0) < 0 for tensor in graph.inputs)
        remedy = ": give the inputs sizes, --shape INPUT=N,N,..." if is_open else ""
        print(f"the bytes of some cuts are not known before the model runs{remedy}")
    refused = {cut.refusal: cut.position for cut in reversed(graph.cuts) if cut.refusal and cut.after in shown}
    for reason, position in sorted(refused.items(), key=lambda item: item[1]):
        print(f"no cut at {position}: {reason}")


def _row(graph: Graph, op: Op) -> tuple[str, ...]:
    made = op.makes[0] if op.makes else None
    start = (str(op.index), op.type, _type(made) if made is not None else "")
    if op.index == len(graph.ops) - 1:
        return (*start, "", "", "", "", "")
    cut = graph.cuts[op.index]
    if cut.refusal:
        return (*start, "no", "", "", "", "")
    sizes = (cut.nbytes, cut.float16_nbytes, cut.int8_nbytes)
    return (*start, str(cut.position), str(len(cut.tensors)), *("?" if size is None else str(size) for size in sizes))


def _type(tensor: Tensor) -> str:
    shape = "?" if tensor.shape is None else ",".join("?" if size < 0 else str(size) for size in tensor.shape)
    return f"{tensor.element_type}[{shape}]"

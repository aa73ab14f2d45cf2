"""``litedelegates bench --workers``: a study on boards, each board with a store of its own."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from litedelegates.cli.bench_table import cell_line, describe_cells, note_lines
from litedelegates.cli.outcome import INTERRUPTED
from litedelegates.cli.status_line import StatusLine
from litedelegates.cli.tls_arguments import tls_of
from litedelegates.study import Store, StoreError, StudyConfig

_CONNECT_SECONDS = 30.0


def call(options: argparse.Namespace, config: StudyConfig, path: Path) -> int:
    """Measure on all boards that were asked for, and print what was found on each."""
    from litedelegates.deploy.boards import BoardStudy, choose_boards, run_on_boards, store_of
    from litedelegates.deploy.dask_cluster import connect
    from litedelegates.deploy.joining import parse_resources

    names = None if options.boards is None else [name.strip() for name in options.boards.split(",")]
    resources = None if options.resources is None else parse_resources(options.resources)
    interrupted = False
    with tls_of(options), connect(options.workers, _CONNECT_SECONDS) as client:
        boards = choose_boards(client, names, resources)
        try:
            with StatusLine(quiet=options.quiet) as line:

                def show(board: str, told: Mapping[str, Any]) -> None:
                    what = f"{told['doing']} {told['cell'] or ''}".rstrip()
                    line.show(f"{board} [{told['done']}/{told['total']}]  {what}", is_a_step=False)

                found = run_on_boards(
                    config, path, client, boards, retry=options.retry, progress=show, command=sys.argv
                )
        except KeyboardInterrupt:
            interrupted = True
            found = [BoardStudy(board.name, store_of(path, board.name), "interrupted") for board in boards]
    records = [_describe(study, config) for study in found]
    if options.json:
        print(json.dumps({"interrupted": interrupted, "boards": records}, indent=2))
    else:
        for record in records:
            _print(record)
    if interrupted:
        print("litedelegates bench: interrupted; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    is_measured = any(cell["status"] == "ok" for record in records for cell in record["cells"])
    return 0 if is_measured and not any(study.failure for study in found) else 1


def _describe(study: Any, config: StudyConfig) -> dict[str, Any]:
    cells: list[dict[str, Any]] = []
    try:
        with Store.open(study.store) as results:
            cells = describe_cells(results, [cell for cell, _ in config.cells()])
    except (StoreError, FileNotFoundError):
        pass  # it failed before there was anything to tell of
    return {"board": study.board, "store": str(study.store), "failure": study.failure, "cells": cells}


def _print(record: Mapping[str, Any]) -> None:
    print(f"{record['board']}: results in {record['store']}")
    width = max((len(cell["label"]) for cell in record["cells"]), default=0)
    for cell in record["cells"]:
        print(f"  {cell_line(cell, width)}")
    for note in note_lines(record["cells"]):
        print(f"  {note}")
    if record["failure"]:
        print(f"  not finished: {record['failure']}; the same command goes on from here")
    print()

"""Measure a matrix: every cell in a process of its own, interleaved in groups, every block in the store at once."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from litedelegates.files import hash_file, remove_unfinished
from litedelegates.free_memory import memory_share
from litedelegates.measure import read_machine
from litedelegates.study.config import StudyConfig
from litedelegates.study.database import StoreError
from litedelegates.study.group import Group
from litedelegates.study.grouping import group_cells
from litedelegates.study.inputs import check_samples
from litedelegates.study.loaded import LoadedCell
from litedelegates.study.models import ModelFiles
from litedelegates.study.question import Question, check_asked, is_answered, question_of
from litedelegates.study.records import FINAL, Cell
from litedelegates.study.reference import References
from litedelegates.study.sources import Sources
from litedelegates.study.store import Store

LITERT = ("ai-edge-litert", "libLiteRt sha256")


@dataclass(frozen=True)
class Progress:
    """Where a study is.

    Attributes:
        done: Cells that have ended.
        total: Cells of the matrix.
        seconds: Time since the study began.
        doing: What it does now.
        cell: The cell that this is about; None for all.
        round_index: The round of the block that was just written to the store; None for another step.
    """

    done: int
    total: int
    seconds: float
    doing: str
    cell: Cell | None = None
    round_index: int | None = None


Watcher: TypeAlias = Callable[[Progress], None]


def run_study(
    config: StudyConfig,
    path: str | os.PathLike[str],
    *,
    retry: bool = False,
    progress: Watcher | None = None,
    command: Sequence[str] = (),
) -> None:
    """Measure what is not measured yet of a matrix, and write it to a store as it comes.

    A cell that crashes, hangs, runs out of memory or fails is written down with the reason, and the study goes on. The
    store is valid whenever this is interrupted or killed; another call goes on from there.

    Args:
        config: The matrix.
        path: The store, new or of an earlier call.
        retry: Measure cells again that failed before.
        progress: Called after each step and each block.
        command: What to write down as the command that was given.

    Raises:
        OSError: A model cannot be read, or the store cannot be written.
        OptionError: A file is no model of this kind, or samples or labels do not fit it.
        StoreError: The store was measured on another machine or runtime, holds the answer to another question (other
            inputs, another time), or another study writes to it.
    """
    sources = Sources()
    pairs = config.cells(sources.sha256)
    asked = {cell.key: question_of(config, cell, sources) for cell, _ in pairs}
    check_samples(config.models, config.inputs, config.labels)
    machine, versions = asdict(read_machine()), read_versions()
    with Store.create(path, config.to_json()) as store:
        check_same(store, machine, versions)
        check_asked(store, ((cell, asked[cell.key]) for cell, _ in pairs))
        session = store.add_session(machine, versions, command or sys.argv).index
        how = "interrupted"
        try:
            for cell, base in pairs:
                store.add_cell(cell, base)
            _run(config, store, session, pairs, asked, sources, retry, progress)
            how = "finished"
        finally:
            store.end_session(session, how)


def _run(
    config: StudyConfig,
    store: Store,
    session: int,
    pairs: list[tuple[Cell, Cell]],
    asked: Mapping[str, Question],
    sources: Sources,
    retry: bool,
    progress: Watcher | None,
) -> None:
    begin = time.monotonic()

    def is_ok(cell: Cell) -> bool:
        outcome = store.outcome(cell)
        return outcome is not None and outcome.status == "ok"

    def is_to_do(cell: Cell, base: Cell) -> bool:
        if not is_answered(store.outcome(cell), asked[cell.key], retry=retry):
            return True
        # Measured beside another base: the two cannot be compared.
        return cell.key != base.key and is_ok(cell) and is_ok(base) and not store.shares_rounds(cell, base)

    to_do = {cell.key for cell, base in pairs if is_to_do(cell, base)}

    def report(doing: str, cell: Cell | None = None, round_index: int | None = None) -> None:
        if cell is not None and doing in FINAL:
            to_do.discard(cell.key)
        if progress is not None:
            done = len(pairs) - len(to_do)
            progress(Progress(done, len(pairs), time.monotonic() - begin, doing, cell, round_index))

    given = config.memory_limit_mb
    memory_limit = given * 1_000_000 if given is not None else memory_share()
    files = ModelFiles(Path(store.path), config, memory_limit, sources)
    remove_unfinished(files.folder)  # of an earlier call that was killed
    references = References(files.folder, config, memory_limit, sources)
    for name, cells in group_cells(pairs, config.max_loaded):
        pending = {cell.key for cell in cells} & to_do
        if pending:
            loaded = [LoadedCell(cell, config, memory_limit, session, asked[cell.key], sources) for cell in cells]
            Group(name, loaded, pending, config, store, session, files, references, report).measure()
    report("done")


def read_versions() -> dict[str, str]:
    """Return the versions that times depend on, by package, and the digest of the runtime's library."""
    from litedelegates.runtime import find_runtime

    versions: dict[str, str] = dict(read_machine().packages)
    library = find_runtime().library
    return {**versions, "libLiteRt sha256": hash_file(library)}


def check_same(
    store: Store, machine: Mapping[str, Any], versions: Mapping[str, str], engine: Sequence[str] = LITERT
) -> None:
    """Refuse to go on with a study where its times would not compare with those it holds.

    Args:
        store: The study.
        machine: What measures now.
        versions: What runs now.
        engine: The names among ``versions`` that have to be the same.

    Raises:
        StoreError: Another machine or runtime measured it.
    """
    sessions = store.sessions()
    if not sessions:
        return
    before = sessions[0]
    for name in ("cpu_model", "board", "architecture", "cores"):
        if before.machine.get(name) != machine[name]:
            raise StoreError(
                f"{store.path} was measured on another machine ({name}: {before.machine.get(name)}, here: "
                f"{machine[name]}): name another --store"
            )
    for name in engine:
        measured_with = next((session.versions[name] for session in sessions if name in session.versions), None)
        if measured_with is not None and measured_with != versions.get(name):
            raise StoreError(
                f"{store.path} was measured with another runtime ({name}: {measured_with}, here: "
                f"{versions.get(name)}): name another --store"
            )

"""Studies on several boards at once, each in a store of its own that lies here and grows while it is measured."""

from __future__ import annotations

import os
import queue
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litedelegates.deploy import board_study
from litedelegates.deploy.dask_calls import Calls
from litedelegates.deploy.dask_cluster import Offer, describe_offers, describe_resources, read_offers
from litedelegates.deploy.failures import PipelineError
from litedelegates.errors import LiteDelegatesError, OptionError, nearest
from litedelegates.files import hash_file
from litedelegates.study import Store, StudyConfig
from litedelegates.study.replica import add_rows, marks_of, snapshot

if TYPE_CHECKING:
    from distributed import Client, Future

_LOOK_SECONDS = 0.3
_SEND_LIMIT = 600.0  # for a model to travel
_FIRST_LIMIT = 900.0  # for the first message: the board may have to quantize its models


@dataclass(frozen=True)
class BoardStudy:
    """What became of a study on a board.

    Attributes:
        board: Its name.
        store: Where the results are, which are valid also after a failure: another call goes on from there.
        failure: Why it did not come to its end; None where it did.
    """

    board: str
    store: Path
    failure: str | None


def choose_boards(client: Client, names: Collection[str] | None, resources: Mapping[str, float] | None) -> list[Offer]:
    """Return the workers with these names that have these resources; all where nothing is asked.

    Raises:
        OptionError: There is no worker of a name, or none that has the resources; lists those there are.
    """
    offers = {offer.name: offer for offer in read_offers(client).values()}
    for name in names or ():
        if name not in offers:
            raise OptionError(f"there is no worker {name!r}. {nearest(name, offers)}")
    chosen = [offer for name, offer in sorted(offers.items()) if names is None or name in names]
    able = [offer for offer in chosen if offer.covers(resources or {})]
    if not able:
        raise OptionError(
            f"no worker has {describe_resources(resources or {})}; there: {describe_offers(offers.values())}"
        )
    return able


def store_of(path: str | os.PathLike[str], board: str) -> Path:
    """Return the store of a board: ``study.sqlite`` becomes ``study-pi4.sqlite``."""
    whole = Path(path)
    safe = "".join(char if char.isalnum() or char in "-_." else "_" for char in board)
    return whole.with_name(f"{whole.stem}-{safe}{whole.suffix}")


def run_on_boards(
    config: StudyConfig,
    path: str | os.PathLike[str],
    client: Client,
    boards: Sequence[Offer],
    *,
    retry: bool = False,
    progress: Callable[[str, Mapping[str, Any]], None] | None = None,
    command: Sequence[str] = (),
) -> list[BoardStudy]:
    """Measure the whole matrix on each board at the same time, and return what became of it.

    Each block comes home when it is measured, so that what a board has done is here when it is lost.

    Args:
        config: The matrix; its files lie here and are sent.
        path: Each board has its own store beside it, see `store_of`: its times compare only with themselves.
        client: Of the scheduler of the boards.
        boards: Where.
        retry: Measure cells again that failed before.
        progress: Called from several threads with the name of a board and what it does.
        command: What to write down as the command that was given.

    Raises:
        OSError: A file cannot be read, or a store cannot be written.
        OptionError: A file is no model of this kind.
    """
    config.cells()  # raises before anything is sent
    stop = threading.Event()
    found: dict[str, BoardStudy] = {}

    def study(board: Offer) -> None:
        store = store_of(path, board.name)
        failure = None
        try:
            _BoardRun(config, store, client, board, retry, command, progress, stop).run()
        except (LiteDelegatesError, OSError) as error:
            failure = str(error)
        except Exception as error:
            failure = f"{type(error).__name__}: {error}"
        found[board.name] = BoardStudy(board.name, store, failure)

    threads = [threading.Thread(target=study, args=(board,), name=board.name) for board in boards]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(_LOOK_SECONDS)
    finally:  # Ctrl-C: the boards stop after the block that they measure
        stop.set()
        for thread in threads:
            thread.join()
    return [found[board.name] for board in boards]


class _BoardRun:
    """The home of a study that is measured on a board."""

    def __init__(
        self,
        config: StudyConfig,
        path: Path,
        client: Client,
        board: Offer,
        retry: bool,
        command: Sequence[str],
        progress: Callable[[str, Mapping[str, Any]], None] | None,
        stop: threading.Event,
    ) -> None:
        self._config, self._path, self._client, self._board = config, path, client, board
        self._retry, self._command, self._progress, self._stop = retry, command, progress, stop
        self._calls = Calls(client)
        self._topic = f"litedelegates-{uuid.uuid4().hex}"
        self._messages: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()

    def run(self) -> None:
        """Send the files, have the study run and write down what comes.

        Raises:
            PipelineError: The board was lost, or the study failed there.
        """
        self._client.subscribe_topic(self._topic, lambda event: self._messages.put(event[1]))
        try:
            with Store.create(self._path, self._config.to_json()) as store:
                for cell, base in self._config.cells():
                    store.add_cell(cell, base)
                config = self._send_files()
                future = self._client.submit(
                    board_study.study_here,
                    self._topic,
                    uuid.uuid4().hex[:8],
                    config,
                    snapshot(store),
                    self._retry,
                    list(self._command),
                    workers=[self._board.address],
                    pure=False,
                )
                try:
                    self._listen(store, future)
                finally:
                    future.cancel()
                    self._write(store)
        finally:
            self._client.unsubscribe_topic(self._topic)
            self._calls.close()

    def _listen(self, store: Store, future: Future) -> None:
        # A step may take its time limit; whoever is silent for longer hangs.
        limit = _FIRST_LIMIT
        heard = time.monotonic()
        while not future.done():
            if self._stop.is_set():
                return
            if self._write(store):
                limit, heard = max(_FIRST_LIMIT, 2 * self._config.time_limit), time.monotonic()
            if time.monotonic() - heard > limit:
                raise PipelineError("timeout", f"no sign of life for {limit:g} s", worker=str(self._board))
            self._calls.wait_a_while(future, self._board)
        marks = self._calls.result(future, self._board, 60.0, about=None)
        deadline = time.monotonic() + 10
        while marks != marks_of(store):
            if time.monotonic() > deadline:
                raise PipelineError(
                    "inputs lost", "not all that was measured has arrived: run the same command again",
                    worker=str(self._board),
                )  # fmt: skip
            self._write(store)
            time.sleep(0.05)

    def _write(self, store: Store) -> bool:
        """Add what came to the store, and return whether something did."""
        came = False
        while not self._messages.empty():
            message = self._messages.get()
            add_rows(store, message["rows"])
            if self._progress is not None and message["progress"] is not None:
                self._progress(self._board.name, message["progress"])
            came = True
        return came

    def _send_files(self) -> dict[str, Any]:
        """Send the files of the study, unless they are there, and return its configuration with their paths there."""
        fields = self._config.to_json()
        fields["models"] = [self._send(model) for model in self._config.models]
        for name in ("inputs", "labels"):
            if fields[name] is not None:
                fields[name] = self._send(fields[name])
        if Path(self._config.calibration).is_file():
            fields["calibration"] = self._send(self._config.calibration)
        return fields

    def _send(self, path: str) -> str:
        digest, name = hash_file(path), Path(path).name

        def put(content: bytes | None) -> str | None:
            future = self._client.submit(
                board_study.put_file, digest, name, content, workers=[self._board.address], pure=False
            )
            found: str | None = self._calls.result(future, self._board, _SEND_LIMIT, about=None)
            return found

        there = put(None) or put(Path(path).read_bytes())
        assert there is not None
        return there

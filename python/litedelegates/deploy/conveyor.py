"""A line of stations, each a thread, with short queues between them, so that the slowest sets the pace of all."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
_POLL_SECONDS = 0.1


class _Closed(Exception):
    """Nobody waits for what this thread would do next."""


class _Broken:
    """Stands behind the last item when the source raised."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


_END = object()


class _Line:
    """Lets the lanes of a station take items from its queue, and hand them on in the order they were taken."""

    def __init__(self) -> None:
        self.taking = threading.Lock()
        self.changed = threading.Condition()
        self.taken, self.given, self.is_over = 0, 0, False


class Conveyor(Generic[Item]):
    """Carries items past stations in order.

    What goes wrong with an item is to be written on the item: a station that raises ends everything.
    """

    def __init__(
        self, stations: Sequence[Callable[[Item], None]], depth: int, lanes: Sequence[int] | None = None
    ) -> None:
        """Prepare.

        Args:
            stations: What is done with each item, in this order.
            depth: Items that may wait before each station, and behind the last one.
            lanes: How many items each station may have at the same time; by default one. Their order stays.
        """
        self._lanes = tuple(lanes) if lanes is not None else (1,) * len(stations)
        self._queues: list[queue.Queue[Any]] = [queue.Queue(depth) for _ in range(len(stations) + 1)]
        self._stations = stations
        self._closed = threading.Event()

    def carry(self, items: Iterable[Item]) -> Generator[Item, None, None]:
        """Yield the items when all stations have had them; more are taken only when there is room.

        Raises:
            BaseException: What taking the next item raised, after those before it.
        """
        threads = [threading.Thread(target=self._feed, args=(items,), daemon=True)]
        for number, (station, lanes) in enumerate(zip(self._stations, self._lanes, strict=True)):
            line = _Line()
            threads += [
                threading.Thread(target=self._serve, args=(number, station, line), daemon=True) for _ in range(lanes)
            ]
        for thread in threads:
            thread.start()
        try:
            while (item := self._get(self._queues[-1])) is not _END:
                if isinstance(item, _Broken):
                    raise item.error
                yield item
        finally:
            self._closed.set()
            for thread in threads[1:]:  # the source may take as long as it likes for its next item
                thread.join()

    def _feed(self, items: Iterable[Item]) -> None:
        try:
            try:
                for item in items:
                    self._put(self._queues[0], item)
            except _Closed:
                raise
            except BaseException as error:
                self._put(self._queues[0], _Broken(error))
            self._put(self._queues[0], _END)
        except _Closed:
            pass

    def _serve(self, number: int, station: Callable[[Item], None], line: _Line) -> None:
        try:
            while True:
                with line.taking:
                    if line.is_over:
                        return
                    item = self._get(self._queues[number])
                    line.is_over = item is _END
                    turn = line.taken
                    line.taken += 1
                if item is not _END and not isinstance(item, _Broken):
                    try:
                        station(item)
                    except BaseException as error:
                        item = _Broken(error)
                self._wait_for(line, turn)
                self._put(self._queues[number + 1], item)
                with line.changed:
                    line.given += 1
                    line.changed.notify_all()
        except _Closed:
            pass

    def _wait_for(self, line: _Line, turn: int) -> None:
        with line.changed:
            while line.given != turn:
                if self._closed.is_set():
                    raise _Closed
                line.changed.wait(_POLL_SECONDS)

    def _put(self, line: queue.Queue[Any], item: Any) -> None:
        while True:
            if self._closed.is_set():
                raise _Closed
            try:
                line.put(item, timeout=_POLL_SECONDS)
                return
            except queue.Full:
                continue

    def _get(self, line: queue.Queue[Any]) -> Any:
        while True:
            if self._closed.is_set():
                raise _Closed
            try:
                return line.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue

"""Calls of workers of Dask that always come to an end: with what was told, or with the reason why nothing was."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from litedelegates.deploy.dask_cluster import Offer, describe_offers, read_offers
from litedelegates.deploy.failures import Kind, PipelineError

if TYPE_CHECKING:
    from distributed import Client, Future

_LOOK_SECONDS = 0.3  # between two looks at who is still there


class Calls:
    """Submits tasks and waits for the messages that they send.

    A message goes from the worker through the scheduler to here with nothing to ask for, so that the next stage can be
    submitted as soon as it is there; the result stays where it is.

    Attributes:
        topic: Under which the tasks send their messages.
    """

    def __init__(self, client: Client) -> None:
        """Listen to messages."""
        self.topic = f"litedelegates-{uuid.uuid4().hex}"
        self._client = client
        self._told: dict[str, Any] = {}
        self._asked: dict[str, str] = {}  # addresses by number
        self._answered: dict[str, float] = {}  # when an address last did
        self._changed = threading.Condition()
        client.subscribe_topic(self.topic, self._hear)

    def close(self) -> None:
        """Listen no longer."""
        self._client.unsubscribe_topic(self.topic)

    def ask(
        self,
        function: Callable[..., Any],
        offer: Offer,
        limit: float,
        *,
        about: int | None,
        sources: Mapping[str, str],
        resources: Mapping[str, float] | None = None,
        **arguments: Any,
    ) -> tuple[Future, dict[str, Any]]:
        """Run a function that takes ``topic`` and ``number`` on a worker; return its future and its message.

        Args:
            function: What is run.
            offer: Where.
            limit: Seconds that it may take, from when the worker last answered: it does one thing at a time.
            about: Number of the stage, for errors.
            sources: Names of the workers that hold what it reads, by address.
            resources: That it takes while it runs.
            **arguments: Of the function.

        Raises:
            PipelineError: It failed, or the worker or the inputs were lost, or the time is over.
        """
        number = uuid.uuid4().hex
        self._asked[number] = offer.address
        future = self._client.submit(
            function,
            topic=self.topic,
            number=number,
            **arguments,
            workers=[offer.address],
            resources=dict(resources or {}) or None,
            pure=False,
        )
        try:
            return future, self._wait(number, future, offer, limit, about, sources)
        except BaseException:
            self._asked.pop(number, None)
            future.cancel()
            raise

    def result(self, future: Future, offer: Offer, limit: float, *, about: int | None) -> Any:
        """Return the result of a task of a worker.

        Raises:
            PipelineError: As for `ask`.
        """
        deadline = time.monotonic() + limit
        self._wait_done(future, offer, limit, about=about)
        return self._gather(future, max(deadline - time.monotonic(), 1.0), about)

    def _wait_done(self, future: Future, offer: Offer, limit: float, *, about: int | None = None) -> None:
        """Wait until a task of a worker is done.

        Raises:
            PipelineError: As for `ask`.
        """
        deadline = time.monotonic() + limit
        while not future.done():
            if time.monotonic() > deadline:
                future.cancel()
                raise PipelineError("timeout", f"no answer within {limit:g} s", stage=about, worker=str(offer))
            self.wait_a_while(future, offer, about=about)
        self._check_failed(future, offer, about)

    def wait_a_while(self, future: Future, offer: Offer, *, about: int | None = None) -> None:
        """Wait until a task of a worker is done, but not for long.

        Raises:
            PipelineError: The worker is gone.
        """
        _wait_for(future, _LOOK_SECONDS)
        if not future.done():
            self._check_there(offer, about, {})

    def _gather(self, future: Future, limit: float, about: int | None) -> Any:
        """Return the result of a task that is done.

        Raises:
            PipelineError: It did not come within ``limit`` seconds.
        """
        try:
            return future.result(timeout=limit)
        except Exception as error:  # a time limit, a lost key or a lost connection
            reason = f"the result did not come within {limit:g} s ({type(error).__name__}: {error})"
            raise PipelineError("inputs lost", reason, stage=about) from error

    def _wait(
        self, number: str, future: Future, offer: Offer, limit: float, about: int | None, sources: Mapping[str, str]
    ) -> dict[str, Any]:
        begin = time.monotonic()
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: number in self._told, _LOOK_SECONDS):
                    return dict(self._told.pop(number))
            self._check_failed(future, offer, about)
            if time.monotonic() > max(begin, self._answered.get(offer.address, begin)) + limit:
                raise PipelineError("timeout", f"no answer within {limit:g} s", stage=about, worker=str(offer))
            self._check_there(offer, about, sources)

    def _check_failed(self, future: Future, offer: Offer, about: int | None) -> None:
        if future.status == "error":
            error = future.exception()
            kind: Kind = "died" if type(error).__name__ == "KilledWorker" else "failed"
            raise PipelineError(kind, f"{type(error).__name__}: {error}", stage=about, worker=str(offer))
        if future.status in ("cancelled", "lost"):
            reason = f"the task was {future.status}: the scheduler dropped it or was restarted"
            raise PipelineError("died", reason, stage=about, worker=str(offer))

    def _check_there(self, offer: Offer, about: int | None, sources: Mapping[str, str]) -> None:
        offers = read_offers(self._client)
        there = f"workers that are there: {describe_offers(offers.values())}"
        if offer.address not in offers:
            raise PipelineError("died", f"the worker is gone; {there}", stage=about, worker=str(offer))
        lost = [name for address, name in sources.items() if address not in offers]
        if lost:
            reason = f"{', '.join(lost)} is gone with what it had made; {there}"
            raise PipelineError("inputs lost", reason, stage=about, worker=str(offer))

    def _hear(self, event: tuple[float, Any]) -> None:
        message = dict(event[1])
        with self._changed:
            number = message.pop("number")
            if number in self._asked:
                self._answered[self._asked.pop(number)] = time.monotonic()
                self._told[number] = message
                self._changed.notify_all()


def _wait_for(future: Future, seconds: float) -> None:
    from distributed import wait

    try:
        wait([future], timeout=seconds)
    except Exception:  # a time limit, or what the task raised
        return

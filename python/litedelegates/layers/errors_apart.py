"""Errors of layers taken in a process that may fall: what was in work then is refused, and a new one goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import TypeAlias

from litedelegates.layers.helper import start
from litedelegates.layers.records import ErrorKind, LayerError, Record
from litedelegates.study.process import CellFailed

Wanted: TypeAlias = "tuple[int, str]"  # layer, precision

MODULE = "litedelegates.layers.error_worker"
PATIENCE = 3  # falls of a precision without a record between, after which it is not tried any more
_NONE = ""  # stands for the precision where it fell when nothing was in work


@dataclass(frozen=True)
class ErrorOrder(Record):
    """Errors of a kind: what the process that takes them has to know.

    Attributes:
        kind: As in `LayerError.kind`.
        model: Path of the float32 model.
        variants: By precision, the path of each model that errors are taken of.
        engine: As in `LayerError.delegate`.
        delegate: What computes, as in `Setting.delegate`; None for the reference kernels.
        inputs: As in `LayersConfig.inputs`, like the next three.
        labels: A file with the label of each sample.
        samples: How many.
        seed: Of random samples.
        num_threads: Threads of the kernels.
    """

    kind: ErrorKind
    model: str
    variants: Mapping[str, str] = field(hash=False)
    engine: str
    delegate: str | None = None
    inputs: str | None = None
    labels: str | None = None
    samples: int = 1
    seed: int = 0
    num_threads: int | None = None

    def refusal(self, wanted: Wanted, reason: str) -> LayerError:
        """Return the record that says why there is no figure."""
        return LayerError(*wanted, self.kind, self.engine, refusal=reason)


def errors_apart(
    order: ErrorOrder, wanted: Iterable[Wanted], time_limit: float, memory_limit: int | None = None
) -> Iterator[LayerError]:
    """Yield an error for each layer and precision that is wanted, with figures or the reason why there are none.

    The arrays stay in the process that computes them; only the records come from there.

    Args:
        order: What to measure.
        wanted: Layers and precisions.
        time_limit: Seconds that a load or a run may take.
        memory_limit: Bytes of memory at which the process is ended; by default most of what is free now.

    Raises:
        CellFailed: No process can be started.
    """
    left = dict.fromkeys(wanted)
    falls: Counter[str] = Counter()
    while left:
        in_work: list[Wanted] = []
        with closing(start(MODULE, memory_limit)) as worker:
            try:
                for told in worker.follow("errors", time_limit, order=order.to_json(), wanted=list(left)):
                    if "record" in told:
                        record = LayerError.from_json(told["record"])
                        del left[record.layer, record.precision], falls[record.precision], falls[_NONE]
                        yield record
                    elif told["at"]:
                        in_work = [(layer, precision) for layer, precision in told["at"]]
                return
            except CellFailed as failure:
                reason = failure.reason
        fallen = [key for key in in_work if key in left]
        for key in fallen:
            del left[key]
            yield order.refusal(key, reason)
        falls.update({precision for _, precision in fallen} or {_NONE})
        for key in [key for key in left if PATIENCE in (falls[key[1]], falls[_NONE])]:
            del left[key]
            yield order.refusal(key, f"not tried: it ended the process the last {PATIENCE} times; the last: {reason}")

"""Running parts one after the other, and comparing what they give with what the whole gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from litedelegates.engines import Session, open_session
from litedelegates.engines.inputs import random_value
from litedelegates.errors import CutError, OptionError, RunError
from litedelegates.graph.loading import ModelLike, load, load_all

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class OutputCheck:
    """How an output of the parts compares with that of the whole.

    Attributes:
        name: The output's name.
        equal: Whether every bit is the same, in all runs.
        different: How many elements differ, in all runs together.
        max_difference: The largest absolute difference of two numbers; 0.0 where only NaNs differ, None for strings.
    """

    name: str
    equal: bool
    different: int
    max_difference: float | None


@dataclass(frozen=True)
class CheckReport:
    """What `check` found.

    Attributes:
        outputs: The outputs of the whole.
        runs: How many different inputs were tried.
    """

    outputs: tuple[OutputCheck, ...]
    runs: int

    @property
    def equal(self) -> bool:
        """Whether the parts give, bit for bit, what the whole gives."""
        return all(output.equal for output in self.outputs)

    def __str__(self) -> str:
        if self.equal:
            return f"{len(self.outputs)} outputs equal bit for bit in {self.runs} runs"
        lines = [
            f"{output.name}: {output.different} elements differ, by at most {output.max_difference}"
            for output in self.outputs
            if not output.equal
        ]
        return "\n".join(lines)


def check(
    parts: ModelLike | Iterable[ModelLike],
    whole: ModelLike,
    inputs: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    *,
    runs: int = 3,
    seed: int = 0,
    **engine: Any,
) -> CheckReport:
    """Run parts one after the other and the whole on the same inputs, and compare the outputs bit for bit.

    By default both run on the runtime's built-in kernels (ONNX Runtime: without fusing ops), which are the same for an
    op wherever it stands. A delegate may choose other kernels for a part than for the whole, and then last bits differ.
    So may float16 models on ONNX Runtime's CPU provider, which keeps float32 between ops where a cut rounds.

    Args:
        parts: The parts in the order in which they run, as `cut` returns them; or paths or bytes; or one model, such
            as `join` returns.
        whole: The model that they shall equal.
        inputs: Arrays by input name, or several such mappings; by default random values.
        runs: How many random inputs to try.
        seed: The same seed gives the same inputs.
        **engine: Options of the engine (see `engines.open_session`), such as ``delegate="xnnpack"``.

    Raises:
        CutError: The parts do not give an output of the whole, or need an input that nobody gives.
        OptionError: There is nothing to run: no runs, or no inputs.
        RunError: One of the models cannot run; says which and why.
    """
    graphs, complete = load_all(parts), load(whole)
    engine = engine or {"same_kernels": True}
    with closing(open_session(complete.to_bytes(), **engine)) as session:
        feeds = _random_feeds(session, runs, seed) if inputs is None else _feeds(inputs)
        if not feeds:
            raise OptionError("nothing to compare: give at least one run, or inputs for one")
        try:
            expected = [session.run(feed) for feed in feeds]
        except RunError as error:
            guessed = [info.name for info in session.inputs if min(info.shape, default=1) < 1]
            if inputs is not None or not guessed:
                raise
            raise RunError(
                f"{error}\nSizes that {', '.join(map(repr, guessed))} leaves open were taken as 1: load the model with "
                "shapes (--shape), or give inputs"
            ) from error
    values: list[dict[str, Array]] = [dict(feed) for feed in feeds]
    for number, graph in enumerate(graphs):
        with closing(open_session(graph.to_bytes(), **engine)) as session:
            for known in values:
                known.update(session.run(_feed(session, known, number)))
    return CheckReport(tuple(_compare(name, expected, values) for name in complete.output_names), len(feeds))


def _random_feeds(session: Session, runs: int, seed: int) -> list[Mapping[str, Any]]:
    rng = np.random.default_rng(seed)
    return [{info.name: random_value(info, rng) for info in session.inputs} for _ in range(runs)]


def _feeds(inputs: Any) -> list[Mapping[str, Any]]:
    feeds = [inputs] if isinstance(inputs, Mapping) else list(inputs)
    wrong = [type(feed).__name__ for feed in feeds if not isinstance(feed, Mapping)]
    if wrong:
        raise OptionError(f"inputs is a dictionary of arrays by input name, or a list of such; it has a {wrong[0]}")
    return feeds


def _feed(session: Session, known: Mapping[str, Array], number: int) -> dict[str, Array]:
    missing = [info.name for info in session.inputs if info.name not in known]
    if missing:
        raise CutError(
            f"part {number} needs {', '.join(map(repr, missing))}, which neither the caller nor an earlier part gives"
        )
    return {info.name: known[info.name] for info in session.inputs}


def _compare(name: str, expected: Sequence[Mapping[str, Array]], got: Sequence[Mapping[str, Array]]) -> OutputCheck:
    different, largest = 0, 0.0
    numeric = True
    for wanted, found in zip(expected, got, strict=True):
        if name not in found:
            raise CutError(f"no part gives the output {name!r} of the whole")
        a, b = np.atleast_1d(wanted[name]), np.atleast_1d(found[name])
        if a.shape != b.shape or a.dtype != b.dtype:
            raise CutError(f"output {name!r} is {a.dtype} {a.shape} in the whole and {b.dtype} {b.shape} in the parts")
        numeric = a.dtype.kind not in "OSU"
        unequal = _bits_differ(a, b) if numeric else a != b
        different += int(np.count_nonzero(unequal))
        if numeric and unequal.any():
            gap = np.abs(a[unequal].astype(np.complex128) - b[unequal].astype(np.complex128))
            largest = max(largest, float(np.nan_to_num(gap, nan=0.0, posinf=np.inf).max()))
    return OutputCheck(name, different == 0, different, largest if numeric else None)


def _bits_differ(a: Array, b: Array) -> Array:
    raw = (np.ascontiguousarray(x).view(np.uint8).reshape(*x.shape, x.dtype.itemsize) for x in (a, b))
    first, second = raw
    differ: Array = (first != second).any(axis=-1)
    return differ

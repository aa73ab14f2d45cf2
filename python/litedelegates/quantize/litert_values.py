"""Runs a quantized ``.tflite`` beside its source on a few samples; see `value_check` for what is judged."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, TypeAlias

from numpy.typing import NDArray

from litedelegates.errors import QuantizationError
from litedelegates.graph.kinds import RANDOM
from litedelegates.interpreter import Interpreter
from litedelegates.measure.agreement import output_precisions
from litedelegates.model import Model
from litedelegates.quantize.calibration import CalibrationError, random_samples
from litedelegates.quantize.litert_inputs import Signature
from litedelegates.quantize.litert_names import PlacedOp
from litedelegates.quantize.litert_origin import describe_failure, describe_origin
from litedelegates.quantize.litert_ranges import Samples
from litedelegates.quantize.request import Request
from litedelegates.quantize.value_check import MOST_SAMPLES, ValueCheck, check_outputs, explained_error, spread

Row: TypeAlias = "Sequence[NDArray[Any]]"
Run: TypeAlias = Callable[["Mapping[str, NDArray[Any]]"], Row]

# Large models are run on fewer samples: after these seconds no further one is begun.
_SECONDS = 10.0
_UNCHECKED = "the values of the result were not checked"


@dataclass(frozen=True)
class Given:
    """The samples that a model and its quantized copy are compared on.

    Attributes:
        samples: By key of the signature.
        is_random: Made up: they may be far from what the model is for, so values that are off are no error.
    """

    samples: Mapping[str, Samples]
    is_random: bool

    @property
    def words(self) -> str:
        """What to call them."""
        return "random inputs" if self.is_random else "calibration samples"


def check_against_source(
    source: bytes,
    result: bytes,
    signatures: Sequence[Signature],
    given: Given,
    request: Request,
    ops: Sequence[PlacedOp],
) -> list[str]:
    """Return what is off in the values of ``result``, as warnings.

    Args:
        source: The model that was quantized.
        result: What it became.
        signatures: Of both.
        given: Samples; those of signatures that have none are made up.
        request: What was asked for.
        ops: Those of the source.

    Raises:
        QuantizationError: The result does not run, or its values have nothing to do with the source's.
    """
    label, num_threads = request.label, request.num_threads
    explained = explained_error(request.precisions, len(ops))
    warnings = []
    ops_of_source = {op.type for graph in Model.load(source).subgraphs for op in graph.operators}
    is_drawn = not RANDOM.isdisjoint(ops_of_source)
    for signature in signatures:
        key, names = signature.key, [spec.name for spec in signature.inputs]
        own = given
        if key not in given.samples:
            try:
                own = Given({key: random_samples(signature.inputs, MOST_SAMPLES)}, True)
            except (CalibrationError, TypeError) as error:
                warnings.append(f"{_UNCHECKED}, for want of inputs: {error}")
                continue
        rows = own.samples[key]
        is_main = signature.subgraph == 0
        try:
            check = _check(source, result, rows, names, None if is_main else key, explained, num_threads)
        except _SourceFailed as error:
            warnings.append(f"{_UNCHECKED}: the model itself does not run on {own.words}: {_one_line(error)}")
            continue
        except (ValueError, RuntimeError) as error:
            raise QuantizationError(describe_failure(ops, result, label, _one_line(error))) from error
        if is_drawn:  # it ran, and there is nothing to compare with
            drawn = ", ".join(sorted(RANDOM & ops_of_source))
            warnings.append(f"{_UNCHECKED}: {drawn} draws other values in each run")
            continue
        if check.verdict == "fine":
            continue
        count = f"{check.samples} {own.words[:-1] if check.samples == 1 else own.words}"
        origin = describe_origin(source, result, rows, names, check, num_threads) if is_main else ""
        text = f"in {label}, {check.text} (over {count}){origin}"
        if check.verdict == "error" and not (own.is_random and _is_finite(check)):
            raise QuantizationError(f"{text}. check_values=False accepts the model as it is")
        warnings.append(text)
    return warnings


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _is_finite(check: ValueCheck) -> bool:
    return all(math.isfinite(output.relative_error) for output in check.outputs if output.verdict == "error")


class _SourceFailed(Exception):
    """The model that was quantized does not run itself."""


def _check(
    source: bytes,
    result: bytes,
    rows: Samples,
    names: Sequence[str],
    key: str | None,
    explained: float,
    num_threads: int,
) -> ValueCheck:
    with ExitStack() as stack:
        try:
            reference = stack.enter_context(closing(Interpreter(source, num_threads=num_threads, fallback=True)))
        except (ValueError, RuntimeError) as error:
            raise _SourceFailed(str(error)) from error
        other = stack.enter_context(closing(Interpreter(result, num_threads=num_threads, fallback=True)))
        pairs = _pairs(_runner(reference, names, key), _runner(other, names, key), rows)
        left, right = itertools.tee(pairs)
        if key is None:
            outputs = [info.name for info in reference.outputs]
            steps = [precision.step for precision in output_precisions(Model.load(result))]
        else:
            outputs = list(reference.get_signature_runner(key).get_output_details())
            steps = [None] * len(outputs)
        return check_outputs(outputs, (x for x, _ in left), (y for _, y in right), explained, steps)


def _runner(interpreter: Interpreter, names: Sequence[str], key: str | None) -> Run:
    """Return a function that takes a sample by input name and returns the real values of the outputs."""
    if key is not None:
        runner = interpreter.get_signature_runner(key)
        return lambda sample: list(runner(**sample).values())

    def run(sample: Mapping[str, NDArray[Any]]) -> Row:
        found = interpreter.run(*(sample[name] for name in names), quantize=True)
        return found if isinstance(found, tuple) else (found,)

    return run


def _pairs(reference: Run, other: Run, rows: Samples) -> Iterator[tuple[Row, Row]]:
    start = time.monotonic()
    for row in spread(rows):
        try:
            wanted = reference(row)
        except (ValueError, RuntimeError) as error:
            raise _SourceFailed(str(error)) from error
        yield wanted, other(row)
        if time.monotonic() - start > _SECONDS:
            return

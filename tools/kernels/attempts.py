"""What is tried of each template: types, ranks, missing inputs, quantization, one change at a time."""

from __future__ import annotations

import functools
import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kernels.templates import DATA, Slot, Template, all_templates

TEMPLATES: dict[str, list[Template]] = {}
for _template in all_templates():
    TEMPLATES.setdefault(_template.op, []).append(_template)

ALL_TYPES = (
    *("FLOAT32", "FLOAT16", "INT32", "UINT8", "INT64", "STRING", "BOOL", "INT16", "COMPLEX64", "INT8", "FLOAT64"),
    *("COMPLEX128", "UINT64", "RESOURCE", "VARIANT", "UINT32", "UINT16", "INT4", "BFLOAT16", "INT2", "UINT4"),
    *("FLOAT8_E4M3FN", "FLOAT8_E5M2"),
)
# Types that stand for the others where one tensor of an op is changed alone.
MAIN_TYPES = (
    *("FLOAT32", "FLOAT16", "INT32", "UINT8", "INT64", "STRING", "BOOL", "INT16", "INT8", "FLOAT64", "UINT32"),
    *("COMPLEX64", "VARIANT", "INT4"),
)
FEW_TYPES = ("FLOAT32", "INT32", "UINT8", "STRING", "BOOL", "INT16", "INT8", "FLOAT64")
QUANTIZED = ("INT8", "UINT8", "INT16", "INT4")
# A type that kernels compute in, and whether it is quantized.
BASES = (("FLOAT32", False), ("INT8", True), ("UINT8", True), ("INT16", True))
SCALES: tuple[tuple[float, ...], ...] = (
    *((scale,) for scale in (1e-43, 1e-35, 1e-18, 1e-10, 1e-4, 0.5, 1.0, 3.0, 1e4, 1e10, 1e18, 1e38)),
    *((0.1, 1.0), (1e-35, 1e10), ()),
)
EXTREMES = ((1e-35,), (1.0,), (1e35,))
MANY_SLOTS = 10  # LSTMs, of whose tensors most are alike
OF_TWO_TYPES = ("CAST", "BITCAST", "QUANTIZE", "DEQUANTIZE")

Change = tuple[int | str, str, Any]  # the slot (or "all"), what, and the value


@dataclass(frozen=True)
class Attempt:
    """A template with a type for its data and changes; its key reads ``OP/0/INT8q/[[1,"type","BOOL"]]``."""

    op: str
    number: int
    base: str
    quantized: bool
    changes: tuple[Change, ...] = ()

    @property
    def template(self) -> Template:
        """The template that is changed."""
        return TEMPLATES[self.op][self.number]

    def has(self, slot: int | str, what: str) -> bool:
        """Return whether this is changed."""
        return any((at, name) == (slot, what) for at, name, _ in self.changes)

    @property
    def key(self) -> str:
        """The attempt as text."""
        changes = json.dumps(self.changes, separators=(",", ":"))
        return f"{self.op}/{self.number}/{self.base}{'q' if self.quantized else ''}/{changes}"

    @classmethod
    def from_key(cls, key: str) -> Attempt:
        """Return the attempt with this key."""
        op, number, base, changes = key.split("/", 3)
        made = tuple(
            (at, what, tuple(value) if isinstance(value, list) else value) for at, what, value in json.loads(changes)
        )
        return cls(op, int(number), base.rstrip("q"), base.endswith("q"), made)


def attempts(op: str) -> Iterator[Attempt]:
    """Return everything that is tried of an op, each once."""
    seen: set[Attempt] = set()
    for number in range(len(TEMPLATES[op])):
        for made in _attempts_of(op, number):
            if made not in seen:
                seen.add(made)
                yield made


def _attempts_of(op: str, number: int) -> Iterator[Attempt]:
    template = TEMPLATES[op][number]
    slots = [*template.inputs, *template.outputs]
    given = [index for index, slot in enumerate(slots) if slot.value != "none"]
    of_data = [index for index in given if slots[index].of_type == DATA]
    is_large = len(given) > MANY_SLOTS
    bases = BASES[: (2 if is_large else 4) if of_data else 1]

    def one(base: tuple[str, bool], *changes: Change) -> Attempt:
        return Attempt(op, number, *base, changes)

    for of_type in ALL_TYPES if of_data else ("FLOAT32",):
        yield one((of_type, False))
        if of_type in (*QUANTIZED, "INT32", "INT2", "UINT4"):
            yield one((of_type, True))
        for rank in range(7) if of_type in MAIN_TYPES else ():
            yield one((of_type, of_type in QUANTIZED), *_ranks(slots, given, rank))
        if op in OF_TWO_TYPES:
            yield from (one((of_type, False), (len(template.inputs), "type", to)) for to in ALL_TYPES)
    # A handle that nobody gave ends the process whatever is beside it.
    for base in bases if not any(slot.of_type == "RESOURCE" for slot in template.inputs) else ():
        yield one(base, ("all", "options", None))
        yield one(base, *((index, "shape", ()) for index in given), *((index, "norank", None) for index in given))
        for index in given:
            yield from (one(base, (index, "type", of_type)) for of_type in (FEW_TYPES if is_large else MAIN_TYPES))
            if base in BASES[:2]:
                yield from (one(base, (index, "shape", _of_rank(slots[index], rank))) for rank in range(7))
                yield one(base, (index, "shape", ()), (index, "norank", None))
                yield one(base, (index, "shape", tuple(0 for _ in slots[index].shape)))
            if index < len(template.inputs):
                yield one(base, (index, "missing", None))
                yield one(base, *((later, "cut", None) for later in range(index, len(template.inputs))))
                if not isinstance(slots[index].value, tuple):
                    yield one(base, (index, "value", "input" if slots[index].value == "constant" else "constant"))
        if base[1]:
            yield from _quantizations(one, base, slots, given)


def _quantizations(one: Any, base: tuple[str, bool], slots: list[Slot], given: list[int]) -> Iterator[Attempt]:
    of_data = [index for index in given if slots[index].of_type == DATA]
    yield one(base, *((index, "zero", 0) for index in of_data), *((index, "scales", (1.0,)) for index in of_data))
    for scales in SCALES:
        yield one(base, *((index, "scales", scales) for index in of_data))
        for index in given:
            yield one(base, (index, "scales", scales))
    yield from (one(base, (index, "zero", 5)) for index in of_data)
    for index, other in itertools.combinations(of_data[:MANY_SLOTS], 2):
        for scales, others in itertools.product(EXTREMES, EXTREMES):
            yield one(base, (index, "scales", scales), (other, "scales", others))


def _ranks(slots: list[Slot], given: list[int], rank: int) -> list[Change]:
    return [(index, "shape", _of_rank(slots[index], rank)) for index in given if slots[index].of_type == DATA]


def _of_rank(slot: Slot, rank: int) -> tuple[int, ...]:
    """Return the slot's shape with another number of dimensions: ones in front, or its last dimensions."""
    shape = slot.shape
    return (1,) * (rank - len(shape)) + shape if rank > len(shape) else shape[len(shape) - rank :]


def random_attempt(rng: random.Random) -> Attempt:
    """Return an attempt with the changes of one to three others."""
    op = rng.choice(sorted(TEMPLATES))
    chosen = rng.choice(_all_attempts(op))
    others = [other for other in _all_attempts(op) if other.number == chosen.number]
    changes = [change for other in rng.choices(others, k=rng.randrange(3)) for change in other.changes]
    return Attempt(op, chosen.number, chosen.base, chosen.quantized, (*chosen.changes, *changes))


@functools.cache
def _all_attempts(op: str) -> list[Attempt]:
    return list(attempts(op))


def plain(op: str) -> Attempt:
    """Return the first attempt of an op: float32, nothing changed."""
    return Attempt(op, 0, "FLOAT32", False)

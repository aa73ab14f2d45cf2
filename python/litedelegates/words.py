"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Sequence


def say_us(us: float) -> str:
    """Return microseconds to three digits in the unit that suits them."""
    size, unit = next((entry for entry in ((1e6, "s"), (1e3, "ms")) if abs(us) >= entry[0]), (1.0, "µs"))
    return f"{digits(us / size)} {unit}"


def say_nbytes(nbytes: float) -> str:
    """Return a number of bytes in the unit that suits it."""
    if abs(nbytes) >= 1e6:
        return f"{nbytes / 1e6:.3g} MB"
    return f"{nbytes / 1e3:.3g} kB" if abs(nbytes) >= 1e3 else f"{nbytes:.0f} bytes"


def say_share(share: float) -> str:
    """Return a share as a percentage."""
    return f"{share:.0%}" if share >= 0.095 or share == 0 else f"{share:.1%}"


def listed(words: Sequence[str]) -> str:
    """Return "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def counted(count: int, word: str) -> str:
    """Return "1 layer", "2 layers"."""
    return f"{count} {word}{'' if count == 1 else 's'}"


def digits(value: float) -> str:
    """Return a number to three significant digits, without an exponent where it can be read."""
    if 0.001 <= abs(value) < 1e6:
        return f"{value:#.3g}".rstrip(".") if abs(value) < 999.5 else f"{value:.0f}"
    return f"{value:.3g}"

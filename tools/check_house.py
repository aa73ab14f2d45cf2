"""Check the walls of the package: what may import what, how large modules and folders are, and how things are named.

    python tools/check_house.py                 every rule; ends with 1 where one is broken
    python tools/check_house.py --counts        the figures alone
    python tools/check_house.py --list RULE     the places that one rule finds, also those within its limit

Floors, words and limits are in ``house/tables.py``. A rule that is not kept everywhere yet has a limit there: the
number of today. More breaks the rule, and fewer asks for a lower limit, so that it only goes down.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from house.reading import House, read_house
from house.rules import RULES, Finding, find, folder_sizes
from house.tables import LIMITS, Tables

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what is wrong, or the figures, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", action="store_true", help="print the figures alone")
    parser.add_argument("--list", choices=[rule.name for rule in RULES], metavar="RULE", help="print what it finds")
    parser.add_argument("--root", type=Path, default=ROOT, metavar="FOLDER", help="checkout to read; default: this one")
    options = parser.parse_args(arguments)
    house = read_house(options.root)
    found = find(house, Tables())
    if options.counts:
        print("\n".join(f"{name:24} {number:6}" for name, number in counts(house, found).items()))
    elif options.list:
        print("\n".join(map(str, found[options.list])) or f"{options.list}: none")
    else:
        complaints = list(judge(found, LIMITS))
        print("\n".join(complaints) or f"house: {len(house.modules)} modules keep {len(RULES)} rules")
        return 1 if complaints else 0
    return 0


def counts(house: House, found: Mapping[str, Sequence[Finding]]) -> dict[str, int]:
    """Return the figures by name."""
    lengths = [module.lines for module in house.modules.values()]
    return {
        "modules": len(lengths),
        "lines": sum(lengths),
        "median length": round(statistics.median(lengths)),
        "longest module": max(lengths),
        "largest folder": max(folder_sizes(house).values()),
        **{rule: len(places) for rule, places in found.items()},
    }


def judge(found: Mapping[str, Sequence[Finding]], limits: Mapping[str, int]) -> Iterator[str]:
    """Yield a sentence for each rule that is broken more often than its limit allows, or less often."""
    for rule in RULES:
        places, limit = found[rule.name], limits.get(rule.name, 0)
        if len(places) > limit:
            yield f"{rule.name}: {len(places)}, at most {limit}; {rule.advice}"
            yield from (f"  {place}" for place in places)
        elif len(places) < limit:
            yield f"{rule.name}: {len(places)}, fewer than {limit}: lower the limit in tools/house/tables.py"


if __name__ == "__main__":
    sys.exit(main())

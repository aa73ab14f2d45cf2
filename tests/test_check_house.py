"""The rules of the house: each finds its fault in a small tree, and passes where there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parent.parent / "tools"
sys.path.insert(0, str(TOOLS))

import check_house  # noqa: E402
from house.circles import circles  # noqa: E402
from house.reading import read_house  # noqa: E402
from house.rules import RULES, Finding, find  # noqa: E402
from house.tables import LIMITS, Tables  # noqa: E402

TABLES = Tables(
    floors=("ground", "room", "attic", "__init__"),
    inner_floors={"room": ("low", "high")},
    open_rooms=frozenset({"ground"}),
    mirrors=frozenset({"attic"}),
    lists=frozenset({"attic"}),
    longest_module=3,
    largest_folder=2,
    retired={"desk": "handler", "last_words": "stderr tail"},
    units={"seconds": "_s", "nbytes": "_bytes"},
)


def findings(root: Path, rule: str, files: dict[str, str], tables: Tables = TABLES) -> list[str]:
    """Write a package, and return what a rule finds in it. A path that begins with "/" lies beside the package."""
    for path, text in files.items():
        file = root / path[1:] if path.startswith("/") else root / "python/litedelegates" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return [str(found).removeprefix("python/litedelegates/") for found in find(read_house(root), tables)[rule]]


def test_an_import_of_a_higher_floor_goes_up_also_inside_a_function(tmp_path: Path) -> None:
    files = {"ground.py": "def f():\n    from litedelegates.room import x\n", "room.py": "x = 1\n"}

    assert findings(tmp_path, "imports up", files) == ["ground.py:2: ground imports room, which is above it"]


def test_an_import_of_a_lower_floor_goes_down(tmp_path: Path) -> None:
    files = {"ground.py": "x = 1\n", "room.py": "from litedelegates.ground import x\n"}

    assert findings(tmp_path, "imports up", files) == []


def test_the_face_of_the_package_is_above_its_rooms(tmp_path: Path) -> None:
    files = {"__init__.py": "version = 1\n", "room.py": "from litedelegates import version\n"}

    assert findings(tmp_path, "imports up", files) == ["room.py:1: room imports the package itself, which is above it"]


def test_a_module_without_a_floor_is_named(tmp_path: Path) -> None:
    found = findings(tmp_path, "imports up", {"shed.py": ""})

    assert found == ["shed.py:1: shed has no floor: add it to FLOORS in tools/house/tables.py"]


def test_a_submodule_that_is_imported_from_the_package_is_that_submodule(tmp_path: Path) -> None:
    files = {"__init__.py": "", "ground.py": "from litedelegates import room\n", "room.py": ""}

    assert findings(tmp_path, "imports up", files) == ["ground.py:1: ground imports room, which is above it"]


def test_sub_packages_of_a_room_import_downwards_only(tmp_path: Path) -> None:
    files = {
        "room/__init__.py": "",
        "room/low/__init__.py": "",
        "room/low/a.py": "from litedelegates.room.high.b import y\n",
        "room/high/__init__.py": "",
        "room/high/b.py": "y = 1\n",
    }

    found = findings(tmp_path, "imports up", files)
    assert found == ["room/low/a.py:1: room.low imports room.high.b, which is above it"]


def test_a_higher_sub_package_imports_a_lower_one(tmp_path: Path) -> None:
    files = {
        "room/__init__.py": "",
        "room/low/__init__.py": "x = 1\n",
        "room/high/__init__.py": "from ..low import x\n",
    }

    assert findings(tmp_path, "imports up", files) == []


def test_a_sub_package_without_a_floor_is_named(tmp_path: Path) -> None:
    found = findings(tmp_path, "imports up", {"room/__init__.py": "", "room/cellar/__init__.py": ""})

    assert found == [
        "room/cellar/__init__.py:1: room.cellar has no floor: add it to INNER_FLOORS in tools/house/tables.py"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "from litedelegates.room.inner import x\n",
        "from litedelegates.room import inner\n",
        "import litedelegates.room.inner\n",
    ],
)
def test_an_import_of_a_submodule_passes_the_door(tmp_path: Path, text: str) -> None:
    files = {"room/__init__.py": "", "room/inner.py": "x = 1\n", "attic.py": text}

    found = findings(tmp_path, "imports past a door", files)
    assert found == ["attic.py:1: imports room.inner in place of what room offers"]


def test_an_import_of_a_private_name_passes_the_door(tmp_path: Path) -> None:
    files = {"room/__init__.py": "_x = 1\n", "attic.py": "from litedelegates.room import _x\n"}

    assert findings(tmp_path, "imports past a door", files) == ["attic.py:1: imports _x, private to room"]


def test_benchmarks_enter_by_the_door_too(tmp_path: Path) -> None:
    files = {"room/__init__.py": "", "room/inner.py": "", "/benchmarks/cut.py": "import litedelegates.room.inner\n"}

    found = findings(tmp_path, "imports past a door", files)
    assert found == ["benchmarks/cut.py:1: imports room.inner in place of what room offers"]


def test_a_submodule_that_the_door_imports_itself_is_still_behind_it(tmp_path: Path) -> None:
    files = {
        "room/__init__.py": "from litedelegates.room import inner\n",
        "room/inner.py": "",
        "attic.py": "from litedelegates.room import inner\n",
    }

    found = findings(tmp_path, "imports past a door", files)
    assert found == ["attic.py:1: imports room.inner in place of what room offers"]


def test_a_version_is_not_private(tmp_path: Path) -> None:
    files = {"room/__init__.py": "__version__ = 1\n", "attic.py": "from litedelegates.room import __version__\n"}

    assert findings(tmp_path, "imports past a door", files) == []


def test_a_function_of_a_submodules_name_is_taken_from_the_door(tmp_path: Path) -> None:
    files = {
        "room/__init__.py": "from litedelegates.room.compare import compare\n",
        "room/compare.py": "def compare(): ...\n",
        "attic.py": "from litedelegates.room import compare\n",
    }

    assert findings(tmp_path, "imports past a door", files) == []


def test_the_own_room_and_open_rooms_have_no_door(tmp_path: Path) -> None:
    files = {
        "ground/__init__.py": "",
        "ground/files.py": "x = 1\n",
        "room/__init__.py": "",
        "room/a.py": "from litedelegates.ground.files import x\nfrom litedelegates.room.b import _y\n",
        "room/b.py": "_y = 1\n",
    }

    assert findings(tmp_path, "imports past a door", files) == []


def test_a_circle_over_three_modules_is_found_once(tmp_path: Path) -> None:
    files = {
        "room/__init__.py": "",
        "room/a.py": "from litedelegates.room.b import y\n",
        "room/b.py": "def f():\n    from litedelegates.room.c import z\n",
        "room/c.py": "from litedelegates.room.a import x\n",
        "room/outside.py": "from litedelegates.room.a import x\n",
    }

    found = findings(tmp_path, "import circles", files)
    assert found == ["room/a.py:1: room.a, room.b, room.c import each other"]
    assert findings(tmp_path, "circles of sub-packages", files) == []


def test_a_module_that_imports_its_own_door_is_in_a_circle_with_it(tmp_path: Path) -> None:
    files = {
        "room/__init__.py": "from litedelegates.room.a import x\n",
        "room/a.py": "from litedelegates.room import y\n",
    }

    assert findings(tmp_path, "import circles", files) == ["room/__init__.py:1: room, room.a import each other"]


def test_modules_that_share_what_they_import_are_in_no_circle(tmp_path: Path) -> None:
    files = {
        "room/__init__.py": "from litedelegates.room.a import x\nfrom litedelegates.room.b import y\n",
        "room/a.py": "from litedelegates.room.b import y\n",
        "room/b.py": "y = 1\n",
    }

    assert findings(tmp_path, "import circles", files) == []


def test_sub_packages_import_each_other_by_modules_that_do_not(tmp_path: Path) -> None:
    files = {
        "room/__init__.py": "from litedelegates.room.low.a import x\n",
        "room/low/__init__.py": "",
        "room/low/a.py": "from litedelegates.room.high.b import y\n",
        "room/low/c.py": "z = 1\n",
        "room/high/__init__.py": "",
        "room/high/b.py": "y = 1\n",
        "room/high/d.py": "from litedelegates.room.low.c import z\n",
    }

    assert findings(tmp_path, "import circles", files) == []
    found = findings(tmp_path, "circles of sub-packages", files)
    assert found == ["room: room.high, room.low import each other"]


def test_a_module_beside_a_sub_package_may_only_lie_on_one_side_of_it(tmp_path: Path) -> None:
    files = {
        "room/__init__.py": "",
        "room/low/__init__.py": "",
        "room/low/a.py": "from litedelegates.room.records import x\n",
        "room/records.py": "x = 1\n",
        "room/entry.py": "from litedelegates.room.low.a import x\n",
    }

    assert findings(tmp_path, "circles of sub-packages", files) == []
    files["room/records.py"] = "def f():\n    from litedelegates.room.low.b import y\n"
    files["room/low/b.py"] = "y = 1\n"
    found = findings(tmp_path, "circles of sub-packages", files)
    assert found == ["room: room.low, room.records import each other"]


def test_a_module_is_too_long_from_the_first_line_past_the_limit(tmp_path: Path) -> None:
    found = findings(tmp_path, "long modules", {"ground.py": "\n" * 3, "room.py": "\n" * 4})

    assert found == ["room.py:1: 4 lines, 3 at most"]


def test_a_folder_is_too_large_but_for_its_door_its_sub_packages_and_lists(tmp_path: Path) -> None:
    files = {f"{room}/{name}.py": "" for room in ("room", "attic") for name in ("__init__", "a", "b")}
    files |= {"attic/c.py": "", "room/low/__init__.py": "", "room/low/c.py": ""}

    assert findings(tmp_path, "large folders", files) == []
    assert findings(tmp_path, "large folders", {"room/d.py": ""}) == ["room: 3 modules, 2 at most"]


def test_two_public_types_of_one_name_are_one_finding(tmp_path: Path) -> None:
    files = {"ground.py": "class Plan: ...\n", "room.py": "Plan = dict[str, int]\n"}

    found = findings(tmp_path, "types of one name", files)
    assert found == ["ground.py:1: Plan, also in python/litedelegates/room.py:1"]


def test_private_types_imported_ones_and_those_of_a_mirror_may_have_one_name(tmp_path: Path) -> None:
    files = {
        "ground.py": "class _Plan: ...\nclass Plan: ...\nLIMIT = 1\n",
        "room.py": "from litedelegates.ground import Plan\nclass _Plan: ...\nLIMIT = 2\n",
        "attic.py": "class Plan: ...\n",
    }

    assert findings(tmp_path, "types of one name", files) == []


def test_two_doors_that_offer_one_name_are_one_finding(tmp_path: Path) -> None:
    files = {"ground/__init__.py": '__all__ = ["Plan"]\n', "room/__init__.py": '__all__ = ["Plan", "load"]\n'}

    found = findings(tmp_path, "offers of one name", files)
    assert found == ["ground/__init__.py:1: Plan, also offered by room"]


def test_the_face_repeats_what_a_door_offers_and_imports_are_no_offer(tmp_path: Path) -> None:
    files = {
        "__init__.py": '__all__ = ["Plan"]\n',
        "ground/__init__.py": "from typing import Any\nclass Plan: ...\n",
        "room/__init__.py": "from typing import Any\ndef load(): ...\n",
    }

    assert findings(tmp_path, "offers of one name", files) == []


def test_each_loose_record_counts_and_one_in_a_text_does_not(tmp_path: Path) -> None:
    text = 'x: dict[str, Any] = {}\ndef f(y: list[dict[str, Any]]) -> dict[str, int]:\n    "dict[str, Any]"\n'

    found = findings(tmp_path, "dict[str, Any]", {"room.py": text})
    assert found == ["room.py:1: dict[str, Any]", "room.py:2: dict[str, Any]"]


@pytest.mark.parametrize(
    ("text", "line", "name"),
    [
        ("class StageDesk: ...\n", 1, "StageDesk"),
        ("def make_desk(): ...\n", 1, "make_desk"),
        ("def make(desk): ...\n", 1, "desk"),
        ("class Host:\n    desk: int\n", 2, "desk"),
        ("class Host:\n    def desk(self): ...\n", 2, "desk"),
        ("DESK = 1\n", 1, "DESK"),
    ],
)
def test_a_retired_word_is_found_in_any_public_name(tmp_path: Path, text: str, line: int, name: str) -> None:
    found = findings(tmp_path, "retired words", {"room.py": text})

    assert found == [f"room.py:{line}: {name}: for desk, write handler"]


def test_a_retired_word_is_found_in_the_name_of_a_module_and_of_a_package(tmp_path: Path) -> None:
    found = findings(tmp_path, "retired words", {"room/bench_desk.py": "", "room/desk/__init__.py": ""})

    assert found == [
        "room/bench_desk.py:1: bench_desk: for desk, write handler",
        "room/desk/__init__.py:1: desk: for desk, write handler",
    ]


def test_parts_of_words_private_names_and_half_of_a_pair_are_not_retired(tmp_path: Path) -> None:
    text = "def desktop(): ...\ndef _desk(desk): ...\nlast = words_last = 1\nclass _Desk:\n    desk: int\n"

    assert findings(tmp_path, "retired words", {"room.py": text, "attic.py": "desk = 1\n"}) == []
    found = findings(tmp_path, "retired words", {"room.py": "LAST_WORDS = 1\n"})
    assert found == ["room.py:1: LAST_WORDS: for last_words, write stderr tail"]


def test_a_unit_that_is_not_the_houses_ends_no_field_and_no_parameter(tmp_path: Path) -> None:
    text = "class Limit:\n    max_seconds: float\n    def __init__(self, *, nbytes: int): ...\n"

    found = findings(tmp_path, "unit suffixes", {"room.py": text})
    assert found == [
        "room.py:2: max_seconds: end in _s, not in seconds",
        "room.py:3: nbytes: end in _bytes, not in nbytes",
    ]


def test_the_houses_units_private_names_and_functions_pass(tmp_path: Path) -> None:
    text = "def seconds(limit_s: float, _seconds: int, seconds_left: int): ...\nPROBE_SECONDS = 1\n"

    assert findings(tmp_path, "unit suffixes", {"room.py": text}) == []


def test_circles_that_share_no_name_are_two() -> None:
    reached = {"a": ["b"], "b": ["a", "c"], "c": ["d"], "d": ["c", "elsewhere"], "e": ["e", "a"]}

    assert circles(reached) == [["a", "b"], ["c", "d"]]


def test_a_limit_holds_exactly_so_that_it_only_goes_down() -> None:
    found = {rule.name: [] for rule in RULES} | {
        "long modules": [Finding("a.py:1", "9 lines"), Finding("b.py:1", "8 lines")]
    }

    assert list(check_house.judge(found, {"long modules": 2})) == []
    assert list(check_house.judge(found, {"long modules": 1})) == [
        "long modules: 2, at most 1; split by subject",
        "  a.py:1: 9 lines",
        "  b.py:1: 8 lines",
    ]
    assert list(check_house.judge(found, {"long modules": 3})) == [
        "long modules: 2, fewer than 3: lower the limit in tools/house/tables.py"
    ]


def test_each_limit_is_of_a_rule_and_above_zero() -> None:
    assert set(LIMITS) <= {rule.name for rule in RULES}
    assert all(limit > 0 for limit in LIMITS.values())


def test_the_command_prints_counts_and_places_and_its_exit_code_tells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    findings(tmp_path, "imports up", {"errors.py": "import litedelegates.plan\n", "plan/__init__.py": ""})
    root = ["--root", str(tmp_path)]

    assert check_house.main([*root, "--counts"]) == 0
    rows = dict(line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert (rows["modules"], rows["lines"], rows["imports up"]) == ("2", "1", "1")
    assert check_house.main([*root, "--list", "imports up"]) == 0
    place = "python/litedelegates/errors.py:1: errors imports plan, which is above it\n"
    assert capsys.readouterr().out == place
    assert check_house.main(root) == 1
    assert f"imports up: 1, at most 0; move what is shared down, or the module up\n  {place}" in capsys.readouterr().out

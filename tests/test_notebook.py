"""What objects show of themselves in a notebook."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from litedelegates import Interpreter, notebook
from litedelegates.graph import load

DIGITS = Path(__file__).parent.parent / "models/digits.tflite"
HOSTILE = "<img src=x onerror=alert(1)> & co"


class Reader(HTMLParser):
    """The elements and the rows of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.elements.add(tag)
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data


@pytest.fixture
def interpreter(tmp_path: Path) -> Interpreter:
    path = tmp_path / f"{HOSTILE}.tflite"
    path.write_bytes(DIGITS.read_bytes())
    return Interpreter(path, delegate="none", num_threads=1)


def read(shown: object) -> Reader:
    reader = Reader(shown._repr_html_())  # type: ignore[attr-defined]
    assert reader.open == []
    assert reader.elements <= {"div", "p", "b", "table", "thead", "tbody", "tr", "th", "td"}
    return reader


def test_an_interpreter_shows_where_ops_ran_and_its_options(interpreter: Interpreter) -> None:
    shown = read(interpreter)
    assert HOSTILE in shown.words and "compiled route" in shown.words
    ran = shown.rows[1]
    assert ran[:2] == ["builtin", "15"] and "CONV_2D 6" in ran[3]
    in_effect = {
        (name, key): str(value) for name, part in interpreter.options_in_effect.items() for key, value in part.items()
    }
    assert {(row[0], row[1]): row[2] for row in shown.rows[3:]} == in_effect


def test_a_closed_interpreter_says_so(interpreter: Interpreter) -> None:
    interpreter.close()
    assert "closed" in read(interpreter).words


def test_a_profile_shows_each_op_with_a_bar(interpreter: Interpreter) -> None:
    interpreter.allocate_tensors()
    profile = interpreter.profile(3)
    page = profile._repr_html_()
    header, *rows = read(profile).rows
    assert header[0] == "op" and [row[0] for row in rows] == [op.name for op in profile.ops]
    longest = max(profile.ops, key=lambda op: op.median_us)
    assert page.count("width:100.0%") >= 1 and f"{longest.median_us:,.1f}" in [row[5] for row in rows]


def test_a_graph_shows_its_ops_and_the_bytes_at_each_cut(tmp_path: Path) -> None:
    graph = load(DIGITS)
    rows = read(graph).rows[1:]
    assert [row[1] for row in rows] == [op.type for op in graph.ops]
    assert [row[4:6] for row in rows[:-1]] == [[str(cut.position), f"{cut.nbytes:,}"] for cut in graph.cuts]
    assert rows[-1][4:] == ["", "", "", ""]


def test_long_tables_say_that_they_are_cut() -> None:
    page = notebook.table(("number",), [(number,) for number in range(1000)])
    assert page.count("<tr>") == 201 and "the first 200 of 1000 rows" in page

"""A plan shown: its document, its page, its Markdown and its plots say what its records say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from litedelegates.errors import OptionError
from litedelegates.plan.simulation import Load, simulate, timeline
from litedelegates.report import render_plan_summary, write_plan_page
from litedelegates.report.plan_document import build_plan_document, plain
from litedelegates.report.plan_plots import draw_front, draw_simulation, draw_timeline, draw_what_if, save_plot
from plans_by_hand import chain_outlook, one_stage, split_plan


def test_the_document_has_the_cuts_where_the_stage_changes() -> None:
    document = build_plan_document(split_plan())
    assert [cut["at"] for cut in document["cuts"]] == [24, 40]
    assert [[one["nbytes"] for one in cut["tensors"]] for cut in document["cuts"]] == [[38_400], [4_000]]
    assert [layer["device"] for layer in document["layers"]].count("pi") == 24
    assert document["best"]["name"] == "pi: float16 xnnpack 1t everywhere"
    assert [rival["keeps"] for rival in document["rivals"]] == [True, True, True, False]


def test_a_page_is_one_file_that_asks_the_network_for_nothing_and_holds_the_numbers(tmp_path: Path) -> None:
    path = write_plan_page(split_plan(), tmp_path / "plan.html")
    page = path.read_text(encoding="utf-8")
    assert not re.findall(r"(?:src|href)=[\"'](?!#)", page)
    assert "default-src &#x27;none&#x27;" in page
    assert "{{" not in page
    data = re.search(r'<script type="application/json" id="study">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    document = json.loads(data[1])
    assert document["costs"]["nbytes"] == 42_400
    assert document["what_if"] is None


def test_the_summary_has_every_decision_and_escapes_names() -> None:
    text = render_plan_summary(split_plan())
    assert text.startswith("# Plan of model.tflite")
    assert text.count("\n| ") == 40 + 1
    assert "pi: float16 xnnpack 1t everywhere is the best that keeps the bounds; the plan has 47% less" in text
    assert "<" not in text


def test_numbers_are_rounded_to_what_can_be_seen() -> None:
    assert plain({"a": 1 / 3, "b": [2 / 3, {"c": 1}], "d": True}) == {
        "a": 0.333333,
        "b": [0.666667, {"c": 1}],
        "d": True,
    }


def test_plots_are_written_in_the_format_of_their_ending(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("simpy")
    plan = split_plan()
    points, moved = chain_outlook()
    found = simulate(plan, Load(2.0), clients=5, seconds=5)
    figures = {
        "front": lambda: draw_front(points, plan),
        "bytes": lambda: draw_front(points, plan, over="nbytes"),
        "what-if": lambda: draw_what_if(moved),
        "timeline": lambda: draw_timeline(timeline(plan, 3), ["pi", "server"]),
        "simulation": lambda: draw_simulation(found),
    }
    for name, draw in figures.items():
        assert save_plot(draw, tmp_path / f"{name}.png").startswith(b"\x89PNG"), name
    drawing = save_plot(figures["what-if"], "what-if.svg").decode()
    assert "all on server" in drawing
    assert "bandwidth in Mbit/s" in drawing
    with pytest.raises(OptionError, match=r"ends in \.svg or \.png"):
        save_plot(figures["front"], "front.jpeg")
    with pytest.raises(OptionError, match="Did you mean 'nbytes'"):
        draw_front(points, plan, over="nbyte")


def test_a_plan_of_one_stage_has_a_page_too(tmp_path: Path) -> None:
    document = build_plan_document(one_stage(1000.0))
    assert document["cuts"] == []
    assert write_plan_page(one_stage(1000.0), tmp_path / "one.html").stat().st_size > 10_000

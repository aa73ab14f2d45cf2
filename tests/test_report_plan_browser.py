"""The page of a plan in a real browser: it draws everything, is used by keyboard, and trusts no name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import browser, console
from litedelegates.plan.records import Plan
from litedelegates.plan.simulation import Load, simulate
from litedelegates.report import write_plan_page
from plans_by_hand import chain_outlook, one_stage, split_plan

pytestmark = pytest.mark.browser
pytest.importorskip("simpy")

HOSTILE = "</script><img src=x onerror=document.title='owned'><b>x</b>"
SECTIONS = (
    "overview",
    "depth",
    "uniform",
    "time",
    "front",
    "what-if",
    "simulation",
    "decisions",
    "provenance",
    "method",
)


def write_everything(plan: Plan, path: Path) -> str:
    points, moved = chain_outlook()
    found = simulate(plan, Load(2.0), clients=10, seconds=5)
    return write_plan_page(plan, path, front=points, what_if=moved, simulation=found).as_uri()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_everything(split_plan(), tmp_path_factory.mktemp("plan") / "plan.html")


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    with browser() as opened:
        yield opened


@pytest.fixture
def desk(driver: Any, page: str) -> Any:
    driver.get(page)
    return driver


def marks(driver: Any, section: str) -> int:
    return len(driver.find_elements("css selector", f"#{section} .mark"))


def press(driver: Any, selector: str) -> None:
    driver.execute_script("document.querySelector(arguments[0]).click()", selector)


def test_it_draws_everything_without_a_complaint(desk: Any) -> None:
    assert desk.title == "model"
    shown = [node.get_attribute("id") for node in desk.find_elements("css selector", "main section")]
    assert tuple(shown) == SECTIONS
    assert marks(desk, "depth") == 40 + 2
    assert marks(desk, "uniform") == 1 + 4
    assert marks(desk, "time") == 4
    text = desk.execute_script("return document.querySelector('main').outerHTML")
    assert all(bad not in text for bad in ("NaN", "undefined", "[object", "Infinity"))
    assert console(desk) == []


def test_the_bars_are_as_long_as_the_latencies(desk: Any) -> None:
    widths = desk.execute_script(
        "return [...document.querySelectorAll('#uniform .rival')].map(r => +r.getAttribute('width'))"
    )
    plan = split_plan()
    rivals = {rival.name: rival.costs.latency_us for rival in plan.rivals}
    assert widths[1] / widths[0] == pytest.approx(
        rivals["pi: float16 xnnpack 1t everywhere"] / plan.costs.latency_us, rel=1e-3
    )
    assert "beyond" in desk.find_elements("css selector", "#uniform .rival")[-1].get_attribute("class")


def test_a_choice_draws_its_chart_again_and_keeps_the_focus(desk: Any) -> None:
    desk.execute_script("document.querySelector('#time [data-pick=\"1\"]').focus()")
    press(desk, "#time [data-pick='1']")
    assert marks(desk, "time") == 16
    assert desk.execute_script("return document.activeElement.dataset.pick") == "1"
    press(desk, "#front [data-pick=nbytes]")
    assert "Latency and bytes sent" in desk.find_element("css selector", "#front figcaption").text


def test_the_charts_are_walked_through_by_keyboard_and_enter_finds_the_decision(desk: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    desk.execute_script("document.querySelector('#depth .mark[tabindex=\"0\"]').focus()")
    desk.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert "1 DEPTHWISE_CONV_2D" in desk.find_element("id", "tip").text
    assert "next best is float16" in desk.find_element("id", "tip").text
    desk.switch_to.active_element.send_keys(Keys.ENTER)
    assert desk.find_element("css selector", "#decisions tr.lit th").text.startswith("1 DEPTHWISE_CONV_2D")


def test_the_decisions_are_searched(desk: Any) -> None:
    field = desk.find_element("css selector", "#decisions input")
    field.send_keys("add")
    assert desk.find_element("css selector", "#decisions .count").text == "10 of 40 layers"
    press(desk, "#decisions [data-pick=server]")
    assert desk.find_element("css selector", "#decisions .count").text == "4 of 40 layers"


def test_every_chart_has_its_numbers_as_a_table_and_words_for_a_screen_reader(desk: Any) -> None:
    for figure in desk.find_elements("css selector", "figure"):
        assert figure.find_element("css selector", "svg[role=group]").get_attribute("aria-label")
        assert figure.find_elements("css selector", "details.alt table tbody tr")
    assert desk.find_elements("css selector", ".mark:not([aria-label]), button:empty, img") == []


@pytest.mark.parametrize("width", [320, 390, 768])
def test_nothing_but_the_tables_scrolls_sideways_on_a_small_screen(page: str, width: int) -> None:
    with browser(width, 800) as driver:
        driver.get(page)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        outside = (
            "return [...document.querySelectorAll('.canvas svg text')].filter(t => {"
            "const own = t.getBoundingClientRect(), all = t.closest('figure').getBoundingClientRect();"
            "return own.left < all.left - 1 || own.right > all.right + 1; }).map(t => t.textContent)"
        )
        assert driver.execute_script(outside) == []


def test_it_is_dark_where_the_system_is(page: str) -> None:
    with browser(dark=True) as driver:
        driver.get(page)
        assert driver.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(19, 20, 22)"


def test_a_hostile_name_is_shown_and_does_nothing(driver: Any, tmp_path: Path) -> None:
    plan = split_plan()
    layers = tuple(dataclasses.replace(layer, name=HOSTILE, reason=HOSTILE) for layer in plan.layers)
    rivals = tuple(dataclasses.replace(rival, name=HOSTILE, objection=HOSTILE) for rival in plan.rivals)
    crossings = tuple(dataclasses.replace(crossing, tensor=HOSTILE) for crossing in plan.crossings)
    hostile = dataclasses.replace(plan, layers=layers, rivals=rivals, crossings=crossings, notes=(HOSTILE,))
    driver.get(write_everything(hostile, tmp_path / "hostile.html"))
    assert driver.find_elements("css selector", "img, main b") == []
    assert HOSTILE in driver.find_element("css selector", "#decisions tbody td.wrap").text
    assert driver.title == "model"
    assert console(driver) == []


def test_without_scripts_the_decisions_are_still_there(page: str) -> None:
    with browser(script=False) as driver:
        driver.get(page)
        text = driver.find_element("css selector", "noscript").text
        assert "next best is float16" in text
        assert "the plan has 47% less" in text


def test_a_plan_of_one_stage_is_drawn(driver: Any, tmp_path: Path) -> None:
    driver.get(write_plan_page(one_stage(1000.0), tmp_path / "one.html").as_uri())
    assert marks(driver, "depth") == 1
    assert console(driver) == []


def test_a_thousand_layers_are_drawn(driver: Any, tmp_path: Path) -> None:
    driver.get(write_plan_page(split_plan(1000), tmp_path / "deep.html").as_uri())
    assert marks(driver, "depth") == 1002
    assert console(driver) == []

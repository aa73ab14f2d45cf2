"""The report's page in a real browser: it loads, draws, filters, can be used by keyboard, and trusts no name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import browser, console
from litedelegates.report import write_report
from litedelegates.study import Store
from synthetic_study import write_study

pytestmark = pytest.mark.browser

HOSTILE = "</script><img src=x onerror=document.title='owned'><b>x</b>"
CHARTS = ("speed", "trade", "times", "placement")


def write_page(folder: Path, **study: Any) -> str:
    """Return the address of the page of a synthetic study."""
    with Store.open(write_study(folder / "study.sqlite", **study)) as store:
        page = write_report(store, folder / "report", ["html"])[0]
    return page.as_uri()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_page(tmp_path_factory.mktemp("page"))


@pytest.fixture
def desk(page: str) -> Iterator[Any]:
    with browser() as driver:
        driver.get(page)
        yield driver


def marks(driver: Any, chart: str) -> int:
    return len(driver.find_elements("css selector", f"#{chart} .mark"))


def rows(driver: Any) -> list[str]:
    return [node.text for node in driver.find_elements("css selector", ".results tbody tr")]


def press(driver: Any, selector: str) -> None:
    driver.execute_script("document.querySelector(arguments[0]).click()", selector)


def focused(driver: Any, attribute: str) -> str | None:
    return driver.execute_script("return document.activeElement.getAttribute(arguments[0])", attribute)


def test_it_loads_without_a_complaint_and_draws_every_chart(desk: Any) -> None:
    assert desk.title == "digits · face_detection_short · hand_landmarks"
    assert {chart: marks(desk, chart) for chart in CHARTS} == dict.fromkeys(CHARTS, 16)
    assert len(desk.find_elements("css selector", ".card")) == 3
    assert "Infinity" not in desk.page_source.split("<main")[1].split("<noscript")[0]
    for bad in ("NaN", "undefined", "[object"):
        assert bad not in desk.execute_script("return document.querySelector('main').outerHTML")
    assert console(desk) == []


def test_the_longest_bar_is_the_fastest_configuration(desk: Any) -> None:
    widths = desk.execute_script(
        "return [...document.querySelectorAll('#speed .mark')].map(m => "
        "[m.getAttribute('aria-label'), m.querySelector('.bar').getBoundingClientRect()]"
        ".flatMap(x => x.width === undefined ? [x] : [x.left, x.right]))"
    )
    reference = desk.execute_script("return document.querySelector('#speed .base').getBoundingClientRect().left")
    assert widths[0][0].startswith("digits int8 xnnpack 1t. Median 27.")
    assert widths[0][2] == max(right for _, _, right in widths)
    gpu = [(left, right) for label, left, right in widths if "gpu" in label]
    assert all(right == pytest.approx(reference, abs=2) and left < right for left, right in gpu)


def test_filters_change_charts_and_table_alike(desk: Any) -> None:
    press(desk, "[data-filter=delegate][title=xnnpack]")
    assert marks(desk, "speed") == marks(desk, "times") == len(rows(desk)) == 8
    press(desk, "[data-filter=threads][title='2']")
    assert marks(desk, "trade") == len(rows(desk)) == 4
    assert desk.find_element("css selector", ".count").text == "4 of 54 configurations"
    desk.find_element("css selector", ".toolbar input").send_keys("int8")
    assert marks(desk, "speed") == len(rows(desk)) == 1
    desk.find_element("css selector", ".toolbar input").send_keys("nothing like it")
    assert desk.find_element("css selector", "#results .empty").is_displayed()
    press(desk, ".toolbar .quiet")
    assert len(rows(desk)) == 54
    press(desk, ".card:nth-child(3) [data-show]")
    assert len(rows(desk)) == 18
    assert all("hand_landmarks" in row for row in rows(desk))


def test_a_heading_sorts_the_table_and_keeps_the_focus(desk: Any) -> None:
    press(desk, "[data-column='0']")
    assert rows(desk)[0].startswith("int8 xnnpack 2t")
    assert focused(desk, "data-column") == "0"
    press(desk, "[data-column='0']")
    assert rows(desk)[0].startswith("float32 gpu 1t")
    assert "crashed" in rows(desk)[-1]


def test_a_configuration_lights_up_in_all_charts_and_tells_about_itself(desk: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    bar = desk.find_element("css selector", "#speed .mark .bar")
    desk.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", bar)
    # The page hears of the scrolling in the next frame, and what hovers over it goes away then.
    desk.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    ActionChains(desk).move_to_element(bar).perform()
    tip = desk.find_element("id", "tip")
    assert tip.is_displayed()
    assert "int8 xnnpack 1t" in tip.text
    assert "Ran on xnnpack 41/42, builtin 1" in tip.text
    assert len(desk.find_elements("css selector", ".mark.lit")) == 4


def test_the_charts_are_used_by_keyboard_alone(desk: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    desk.execute_script("document.querySelector('#speed .mark[tabindex=\"0\"]').focus()")
    for key, expected in (
        (Keys.ARROW_DOWN, "digits int8 xnnpack 2t"),
        (Keys.END, "digits float32 gpu 2t"),
        (Keys.HOME, "digits int8 xnnpack 1t"),
    ):
        desk.switch_to.active_element.send_keys(key)
        assert str(focused(desk, "aria-label")).startswith(expected)
    assert len(desk.find_elements("css selector", "#speed .mark[tabindex='0']")) == 1
    desk.switch_to.active_element.send_keys(Keys.ENTER)
    dialog = desk.find_element("id", "detail")
    assert dialog.is_displayed()
    for words in ("int8 xnnpack 1t", "Upload, run, read-back", "Median of each round", "SHA-256", "num_threads"):
        assert words in dialog.text
    desk.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not dialog.is_displayed()


def test_every_chart_can_be_read_by_a_screen_reader(desk: Any) -> None:
    for chart in CHARTS:
        section = desk.find_element("id", chart)
        assert section.get_attribute("aria-labelledby") == f"{chart}-title"
        assert section.find_element("css selector", "svg[role=group]").get_attribute("aria-label")
        table = section.find_element("css selector", "details.alt table")
        assert len(table.find_elements("css selector", "tbody tr")) == 16
    assert desk.find_elements("css selector", ".mark:not([aria-label]), button:empty, img") == []
    levels = desk.execute_script("return [...document.querySelectorAll('main h2, main h3')].map(h => h.tagName)")
    assert levels[0] == "H2"


def test_a_crashed_configuration_shows_its_reason_where_its_number_would_be(desk: Any) -> None:
    missing = desk.find_element("css selector", "#speed .unmeasured")
    assert "killed by signal 11" in missing.text
    press(desk, "#speed .unmeasured button")
    assert "crashed: the worker was killed" in desk.find_element("css selector", "#detail .reason").text


def test_it_is_dark_where_the_system_is_and_the_button_changes_it(page: str) -> None:
    paper = "return getComputedStyle(document.body).backgroundColor"
    with browser(dark=True) as driver:
        driver.get(page)
        dark = driver.execute_script(paper)
        assert dark == "rgb(19, 20, 22)"
        press(driver, "#theme")
        assert driver.execute_script(paper) == "rgb(250, 249, 246)"
        press(driver, "#theme")
        assert driver.execute_script(paper) == dark
    with browser() as driver:
        driver.get(page)
        assert driver.execute_script(paper) == "rgb(250, 249, 246)"


@pytest.mark.parametrize("width", [320, 390, 768])
def test_nothing_but_the_tables_scrolls_sideways_on_a_small_screen(page: str, width: int) -> None:
    with browser(width, 800) as driver:
        driver.get(page)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        # What is drawn stays within its chart.
        assert (
            driver.execute_script(
                "return [...document.querySelectorAll('.canvas svg text')].filter(t => {"
                "const own = t.getBoundingClientRect(), all = t.closest('figure').getBoundingClientRect();"
                "return own.left < all.left - 1 || own.right > all.right + 1; }).map(t => t.textContent)"
            )
            == []
        )


def test_charts_follow_the_width_of_the_window(desk: Any) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    metrics = {"width": 700, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    desk.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    drawn = "return Number(document.querySelector('#speed .canvas svg').getAttribute('viewBox').split(' ')[2])"
    canvas = "return document.querySelector('#speed .canvas').clientWidth"
    WebDriverWait(desk, 10).until(lambda driver: abs(driver.execute_script(drawn) - driver.execute_script(canvas)) < 1)
    assert desk.execute_script(drawn) < 700


def test_a_hostile_name_is_shown_and_does_nothing(tmp_path: Path) -> None:
    address = write_page(tmp_path, models={HOSTILE: 300.0, "digits": 376.0}, threads=(1,), rounds=8)
    with browser() as driver:
        driver.get(address)
        # The name of a model is its path's last part, so what stands before the slash is not shown.
        shown = HOSTILE.rsplit("/", 1)[-1]
        assert driver.title != "owned"
        assert shown in driver.find_element("css selector", ".card h3").text
        press(driver, ".card .choice button")
        assert shown in driver.find_element("id", "detail").text
        assert driver.find_elements("css selector", "img, main b, dialog b") == []
        assert driver.title != "owned"
        assert console(driver) == []


def test_without_scripts_the_results_are_still_there(page: str) -> None:
    with browser(script=False) as driver:
        driver.get(page)
        text = driver.find_element("css selector", "noscript").text
        assert "digits: int8 xnnpack 2t" in text
        assert "killed by signal 11" in text


def test_a_study_with_nothing_measured_has_a_page_too(tmp_path: Path) -> None:
    with Store.create(tmp_path / "empty.sqlite", {}) as store:
        address = write_report(store, tmp_path, ["html"])[0].as_uri()
    with browser() as driver:
        driver.get(address)
        assert driver.find_element("id", "provenance").is_displayed()
        assert console(driver) == []


def test_a_study_of_five_hundred_configurations_is_drawn_when_all_are_asked_for(tmp_path: Path) -> None:
    models = {f"network_{index}": 100.0 * index for index in range(1, 15)}
    address = write_page(tmp_path, models=models, threads=(1, 2, 3, 4), rounds=8, runs=10)
    with browser() as driver:
        driver.get(address)
        assert driver.find_element("css selector", ".count").text == "36 of 504 configurations"
        driver.execute_script("document.querySelector('.toolbar .quiet').click()")
        assert len(rows(driver)) == 504
        assert console(driver) == []

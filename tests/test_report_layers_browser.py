"""The layer charts in a real browser: drawn, zoomed, one selection in charts and table, and no name is trusted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import browser, console
from litedelegates.report import build_document, render_page, write_report
from litedelegates.report.layers import layers_document
from litedelegates.study import Store
from synthetic_depth import NO_CUT, layer_records, write_layers
from synthetic_study import write_study

pytestmark = pytest.mark.browser

HOSTILE = "</script><img src=x onerror=document.title='owned'><b>x</b>"
TRACKS = ("times", "gains", "errors", "bytes")


def page_of(path: Path) -> str:
    """Return the address of the page of a store."""
    with Store.open(path) as store:
        return write_report(store, path.parent / "report", ["html"])[0].as_uri()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return page_of(write_layers(tmp_path_factory.mktemp("layers") / "s.sqlite"))


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    with browser() as opened:
        yield opened


@pytest.fixture
def desk(driver: Any, page: str) -> Any:
    """Return the browser with the page just loaded."""
    driver.get(page)
    return driver


def track(driver: Any, name: str) -> Any:
    node = driver.find_element("css selector", f"[data-track={name}]")
    # A scroll hides the tooltip, and the page is told of it a frame later.
    driver.execute_async_script(
        "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'});"
        "requestAnimationFrame(() => requestAnimationFrame(arguments[1]))",
        node,
    )
    return node


def press(driver: Any, selector: str) -> None:
    driver.execute_script("document.querySelector(arguments[0]).click()", selector)


def chosen(driver: Any) -> list[int | None]:
    """Return the layer that each chart marks as chosen, read from where the mark is; all layers are shown."""
    return driver.execute_script(
        "return [...document.querySelectorAll('.track')].map(c => { const m = c.querySelector('.chosen');"
        "if (m.getAttribute('visibility') !== 'visible') return null;"
        "const {left, right} = c.plot;"
        "return Math.round((Number(m.getAttribute('x')) - left) / (right - left) * 40); })"
    )


def shown(driver: Any) -> str:
    return driver.find_element("css selector", ".range").text


def row(driver: Any) -> str:
    found = driver.find_elements("css selector", ".layer-table tr[aria-current=true]")
    return found[0].text if len(found) == 1 else f"{len(found)} rows"


def at(driver: Any, node: Any, layer: float) -> tuple[int, int]:
    """Return where a layer is in a chart, from its middle; all layers are shown."""
    left, right, width = driver.execute_script(
        "const {left, right} = arguments[0].plot; return [left, right, arguments[0].clientWidth]", node
    )
    return round(left + (right - left) * (layer + 0.5) / 40 - width / 2), 0


def test_it_loads_without_a_complaint_and_draws_every_chart(desk: Any) -> None:
    drawn = desk.execute_script(
        "return [...document.querySelectorAll('.track')].map(c => [c.dataset.track, "
        "[...c.querySelectorAll('svg > path')].filter(p => p.getAttribute('d')).length])"
    )
    assert [name for name, _ in drawn] == list(TRACKS)
    assert all(paths >= 3 for _, paths in drawn)
    html = desk.execute_script("return document.querySelector('main').outerHTML")
    for bad in ("NaN", "undefined", "[object", "Infinity", "null"):
        assert bad not in html
    assert desk.find_elements("css selector", ".toolbar, #overview, #results") == []
    assert console(desk) == []


def test_the_height_of_a_bar_is_the_time_of_its_layer(desk: Any) -> None:
    heights = desk.execute_script(
        "return [...document.querySelectorAll('[data-track=times] .depth-area')].map(p => p.getBBox().height)"
    )
    data = desk.execute_script(
        "return study.layers[0].settings.filter(s => s.host === 'xnnpack 2t').map(s => s.in_place)"
    )
    most = [
        max(us - (part or 0) for us, part in zip(one["us"], one["conversion_us"], strict=True) if us is not None)
        for one in data
    ]
    assert [height / heights[0] for height in heights] == pytest.approx([us / most[0] for us in most], rel=0.01)


def test_the_arrow_keys_choose_a_layer_in_all_charts_and_the_table_and_say_it(desk: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    node = track(desk, "gains")
    assert chosen(desk) == [None] * 4
    for key, expected in ((Keys.ARROW_RIGHT, 0), (Keys.END, 39), (Keys.HOME, 0), (Keys.PAGE_DOWN, 10), (Keys.LEFT, 9)):
        node.send_keys(key)
        assert chosen(desk) == [expected] * 4
        assert row(desk).startswith(f"{expected} ")
    said = desk.find_element("id", "live").text
    assert said.startswith("Layer 9 DEPTHWISE_CONV_2D, block_2/depthwise_conv_2d. float32: in place ")
    for words in ("speed-up", "int8 local: SQNR", "RMSE/scale", "Output", "Cut after it"):
        assert words in said
    assert desk.find_element("id", "tip").is_displayed()
    node.send_keys(Keys.ESCAPE)
    assert chosen(desk) == [None] * 4
    assert not desk.find_element("id", "tip").is_displayed()


def test_a_click_chooses_a_layer_and_a_row_marks_the_charts(desk: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    node = track(desk, "bytes")
    ActionChains(desk).move_to_element_with_offset(node, *at(desk, node, 16)).click().perform()
    assert chosen(desk) == [16] * 4
    assert row(desk).startswith("16 CONV_2D")
    assert f"No cut after it: {NO_CUT}" in desk.find_element("id", "tip").text
    press(desk, ".layer-table tr[data-at='20'] button")
    assert chosen(desk) == [20] * 4
    assert row(desk).startswith("20 CONV_2D")
    press(desk, ".ranks .link")
    assert row(desk).startswith(desk.find_element("css selector", ".ranks .link").text)


def test_a_table_is_gone_through_by_keyboard(desk: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    assert len(desk.find_elements("css selector", ".layer-table tbody [tabindex='0']")) == 1
    desk.execute_script("document.querySelector('.layer-table tbody [tabindex=\"0\"]').focus()")
    for _ in range(3):
        desk.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    assert chosen(desk) == [2] * 4
    assert desk.switch_to.active_element.text == "2 CONV_2D"


def test_dragging_zooms_all_charts_and_the_table_and_all_of_it_comes_back(desk: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    node = track(desk, "times")
    start, end = at(desk, node, 10), at(desk, node, 19)
    drag = ActionChains(desk).move_to_element_with_offset(node, *start).click_and_hold()
    drag.move_by_offset((end[0] - start[0]) // 2, 0).move_by_offset((end[0] - start[0] + 1) // 2, 0).release().perform()
    assert shown(desk) == "layers 10 to 19"
    assert len(desk.find_elements("css selector", ".layer-table tbody tr")) == 10
    assert desk.execute_script("return [...document.querySelectorAll('.track')].map(c => c.plot.at.length)") == [10] * 4
    assert chosen(desk) == [None] * 4
    press(desk, "[data-zoom=all]")
    assert shown(desk) == "all 40 layers"


def test_buttons_keys_and_the_wheel_zoom_too(desk: Any) -> None:
    node = track(desk, "errors")
    press(desk, "[data-zoom=in]")
    assert shown(desk) == "layers 10 to 29"
    node.send_keys("+")
    assert shown(desk) == "layers 15 to 24"
    node.send_keys("0")
    assert shown(desk) == "all 40 layers"
    wheel = (
        "const box = arguments[0].getBoundingClientRect(); return arguments[0].dispatchEvent(new WheelEvent('wheel', "
        "{deltaY: -100, ctrlKey: arguments[1], clientX: box.left + 300, clientY: box.top + 50, cancelable: true}))"
    )
    assert desk.execute_script(wheel, node, False)  # not taken: the page scrolls
    assert shown(desk) == "all 40 layers"
    assert not desk.execute_script(wheel, node, True)
    assert shown(desk) != "all 40 layers"


def test_a_layer_outside_of_the_range_is_brought_in_when_it_is_chosen(desk: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    press(desk, "[data-zoom=in]")
    track(desk, "times").send_keys(Keys.END)
    assert shown(desk) == "layers 20 to 39"
    assert row(desk).startswith("39 SOFTMAX")


def test_precisions_delegates_and_measures_can_be_chosen(desk: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    def series() -> int:
        return len(desk.find_elements("css selector", "[data-track=times] .depth-area"))

    assert series() == 3
    desk.execute_script("document.querySelector('[data-precision=float16]').focus()")
    desk.switch_to.active_element.send_keys(Keys.SPACE)
    assert series() == 2
    assert desk.execute_script("return document.activeElement.dataset.precision") == "float16"
    press(desk, "[data-host='gpu 2t']")
    assert series() == 1  # int8 is refused there
    gains = desk.execute_script("return arguments[0].nextElementSibling.innerText", track(desk, "gains"))
    assert "Nothing measured alone on gpu 2t" in gains
    notes = desk.find_element("css selector", ".track-notes").text
    assert "float32: an estimate, differences between prefixes" in notes
    assert "int8: the delegate runs no int8 convolutions" in notes
    press(desk, "[data-layers='kind:propagated']")
    press(desk, "[data-layers='measure:rmse_over_scale']")
    assert "makes 0.29" in desk.execute_script("return arguments[0].parentNode.innerText", track(desk, "errors"))
    press(desk, "[data-layers='form:int8']")
    press(desk, "[data-layers='timing:alone']")
    assert console(desk) == []


def test_what_cannot_be_drawn_is_listed_and_a_hover_gives_the_reason(desk: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    node = track(desk, "errors")
    notes = desk.execute_script("return arguments[0].nextElementSibling.innerText", node)
    assert "No difference: layers 4, 14, 24, 34 (float16, int8)" in notes
    assert "Not finite: layer 7 (float16)" in notes
    assert "the layer has no quantized output to compare: layer 11 (int8)" in notes
    ActionChains(desk).move_to_element_with_offset(node, *at(desk, node, 11)).perform()
    tip = desk.find_element("id", "tip")
    assert tip.is_displayed()
    for words in ("11 ADD", "in 10", "int8, local error: the layer has no quantized output to compare"):
        assert words in tip.text


def test_every_chart_can_be_read_by_a_screen_reader(desk: Any) -> None:
    for name in TRACKS:
        node = desk.find_element("css selector", f"[data-track={name}]")
        assert (node.get_attribute("role"), node.get_attribute("tabindex")) == ("img", "0")
        assert "40 layers, float32, float16, int8 on xnnpack 2t." in node.get_attribute("aria-label")
    assert "int8 is worst at 26 CONV_2D" in track(desk, "errors").get_attribute("aria-label")
    assert desk.find_elements("css selector", "#layers button:empty:not([aria-label]), img") == []
    assert desk.find_element("css selector", ".skip").get_attribute("href").endswith("#layers")


@pytest.mark.parametrize("width", [320, 768])
def test_nothing_is_wider_than_a_phone(page: str, width: int) -> None:
    from selenium.webdriver.common.keys import Keys

    with browser(width, 800) as phone:
        phone.get(page)
        assert phone.execute_script("return document.documentElement.scrollWidth") <= width
        track(phone, "times").send_keys(Keys.END)
        edges = phone.execute_script(
            "const t = document.getElementById('tip'), all = t.getBoundingClientRect(); return [all.left, all.right, "
            "...[...t.querySelectorAll('td')].map(c => c.getBoundingClientRect().right)]"
        )
        assert edges[0] >= 0
        assert max(edges[1:]) <= width
        outside = phone.execute_script(
            "return [...document.querySelectorAll('.track svg text')].filter(t => {"
            "const own = t.getBoundingClientRect(), all = t.closest('figure').getBoundingClientRect();"
            "return own.left < all.left - 1 || own.right > all.right + 1; }).map(t => t.textContent)"
        )
        assert outside == []


@pytest.mark.parametrize(
    ("part", "tracks"),
    [
        ("infos", ["bytes"]),
        ("in_place", ["times", "gains", "bytes"]),
        ("alone", ["times", "gains", "bytes"]),
        ("errors", ["errors", "bytes"]),
    ],
)
def test_a_study_that_was_asked_for_one_part_has_the_charts_of_that_part(
    driver: Any, tmp_path: Path, part: str, tracks: list[str]
) -> None:
    from selenium.webdriver.common.keys import Keys

    records = layer_records(12)
    own = {name: getattr(records, name) for name in ("in_place", "alone", "errors") if name == part}
    with Store.open(write_layers(tmp_path / "s.sqlite", 4)) as store:
        document = {**build_document(store), "layers": [layers_document("net", records.infos, **own)]}
    (tmp_path / "index.html").write_text(render_page(document), encoding="utf-8")
    driver.get((tmp_path / "index.html").as_uri())
    found = driver.find_elements("css selector", ".track")
    assert [node.get_attribute("data-track") for node in found] == tracks
    found[0].send_keys(Keys.END)
    assert row(driver).startswith("11 SOFTMAX")
    assert "undefined" not in driver.execute_script("return document.body.innerText")
    assert console(driver) == []


def test_a_tap_shows_the_numbers_until_the_next_one(page: str) -> None:
    with browser(390, 800) as phone:
        phone.get(page)
        box = phone.execute_script(
            "const b = arguments[0].getBoundingClientRect(); return [b.left, b.top]", track(phone, "times")
        )
        spot = {"x": box[0] + 150, "y": box[1] + 60}
        phone.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
        phone.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [spot]})
        phone.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        assert phone.find_element("id", "tip").is_displayed()
        assert chosen(phone)[0] is not None
        assert len(set(chosen(phone))) == 1


def test_a_hostile_name_is_shown_and_does_nothing(driver: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    address = page_of(write_layers(tmp_path / "s.sqlite", 8, name=HOSTILE, model=f"models/{HOSTILE}.onnx"))
    driver.get(address)
    track(driver, "times").send_keys(Keys.HOME)
    assert HOSTILE[:60] in driver.find_element("id", "tip").text
    assert HOSTILE[:50] in row(driver)
    assert driver.find_elements("css selector", "img, main td b, #tip div b, main script") == []
    assert driver.title != "owned"
    assert console(driver) == []


def test_cells_and_layers_stand_on_one_page_and_filters_leave_the_layers_alone(driver: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    path = write_study(tmp_path / "s.sqlite", {"mobilenet": 300.0}, (1,), rounds=8)
    address = page_of(write_layers(path))
    driver.get(address)
    track(driver, "times").send_keys(Keys.END)
    press(driver, "[data-filter=delegate][title=xnnpack]")
    assert len(driver.find_elements("css selector", "#speed .mark")) == 4
    assert chosen(driver) == [39] * 4
    assert console(driver) == []


def test_a_network_of_a_thousand_layers_is_a_page_of_few_elements(driver: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    address = page_of(write_layers(tmp_path / "s.sqlite", 1000))
    driver.get(address)
    assert driver.execute_script("return document.querySelectorAll('#layers *').length") < 2000
    assert "A step is the largest of" in driver.find_element("css selector", ".track-notes").text
    track(driver, "times").send_keys(Keys.END)
    assert row(driver).startswith("999 ")
    assert len(driver.find_elements("css selector", ".layer-table tbody tr")) == 50
    press(driver, ".table-foot button")
    assert len(driver.find_elements("css selector", ".layer-table tbody tr")) == 1000
    assert row(driver).startswith("999 ")
    assert console(driver) == []

"""Links as people write them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from litedelegates.errors import OptionError
from litedelegates.plan.links import parse_link, read_link
from litedelegates.plan.records import HERE, Link

DEVICES = ("pi", "server", "pi-zero", "server-2")


def test_a_link_is_read_with_all_that_it_says() -> None:
    link = parse_link("wifi=pi-server:20mbps,latency=2ms,jitter=1ms,loss=0.01,overhead=300us,energy=80nJ", DEVICES)
    assert link == Link("wifi", ("pi", "server"), 20.0, 2000.0, 300.0, 1000.0, 0.01, 80.0)
    assert link.transfer_us(2500) == pytest.approx((300 + 2000 + 1000) / 0.99)


@pytest.mark.parametrize(
    ("text", "mbps"), [("5Mbit/s", 5.0), ("1gbps", 1000.0), ("250 kbit", 0.25), ("1e6bps", 1.0), ("2.5Mbps", 2.5)]
)
def test_bandwidths_are_read_in_the_usual_units(text: str, mbps: float) -> None:
    assert parse_link(f"l=pi-server:{text}", DEVICES).bandwidth_mbps == pytest.approx(mbps)


def test_a_link_may_end_at_the_calling_program() -> None:
    back = parse_link("call=here-pi:1gbps,overhead=5ms,overhead_back=2ms", DEVICES)
    assert [round(back.transfer_us(0, end)) for end in back.ends] == [5000, 2000]
    assert parse_link("call=here-pi-zero:1gbps,overhead=5ms", DEVICES).ends == (HERE, "pi-zero")


def test_devices_may_have_hyphens_in_their_names() -> None:
    assert parse_link("l=pi-zero-server-2:1mbps", DEVICES).ends == ("pi-zero", "server-2")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pi-server:20mbps", "NAME=DEVICE-DEVICE"),
        ("wifi=pi-server", "NAME=DEVICE-DEVICE"),
        ("wifi=pi:20mbps", "NAME=DEVICE-DEVICE"),
        ("wifi=pi-servr:20mbps", "there is no device 'servr'. Did you mean 'server'"),
        ("wifi=pi-pi:20mbps", "'pi' and itself"),
        ("wifi=pi-server:20", "no unit"),
        ("wifi=pi-server:20mpbs", "Did you mean 'mbps'"),
        ("wifi=pi-server:fast", "no number with a unit"),
        ("wifi=pi-server:1.2.3mbps", "no number with a unit"),
        ("wifi=pi-server:20mbps,latancy=2ms", "Did you mean 'latency'"),
        ("wifi=pi-server:20mbps,loss=1", "nothing would ever arrive"),
        ("wifi=pi-server:0mbps", "nothing would ever arrive"),
    ],
)
def test_what_is_written_wrongly_is_refused_with_what_is_right(text: str, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        parse_link(text, DEVICES)


def test_a_measured_link_is_read_from_its_file_and_can_be_given_other_ends(tmp_path: Path) -> None:
    link = Link("tcp://10.0.0.1:8786", ("pi", "server"), 19.2, 210.0, 1500.0, 80.0, measured="20 round trips")
    path = tmp_path / "link.json"
    path.write_text(json.dumps(link.to_json()))
    assert read_link(path) == link
    assert parse_link(f"wifi={path}", DEVICES) == dataclasses.replace(link, name="wifi")
    assert parse_link(f"wifi=pi-zero-server-2:{path}", DEVICES).ends == ("pi-zero", "server-2")


@pytest.mark.parametrize("content", ["[]", "{", "{}", '{"name": "a", "ends": ["x"], "bandwidth_mbps": 1}'])
def test_a_file_that_holds_no_link_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "link.json"
    path.write_text(content)
    with pytest.raises(OptionError, match="holds no link"):
        read_link(path)

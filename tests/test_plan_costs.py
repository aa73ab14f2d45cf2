"""The planner's problem: what layers, conversions and messages cost, from studies with known numbers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from litedelegates.errors import OptionError
from litedelegates.graph import Graph, Op, Tensor
from litedelegates.layers import Alone, LayerStudy, Setting
from litedelegates.layers.infos import layer_infos
from litedelegates.plan.costs import Source, build_problem
from litedelegates.plan.problem import BUSY, ENERGY, ERROR, LATENCY, MEMORY, NBYTES, Problem
from litedelegates.plan.records import HERE, Device, Link
from litedelegates.plan.terms import Line, Terms
from planted_study import GRAPH, LAYERS, in_place, layer_us, output_errors, planted

TERMS = Terms({"xnnpack 1t": Line(2.0, 0.01)}, {"xnnpack 1t": Line(3.0, 0.02)}, handover=Line(50.0, 0.001))
WIFI = Link("wifi", ("pi", "server"), 8.0, latency_us=100.0, overhead_us=10.0, nanojoules_per_byte=4.0)


def source(name: str, study: LayerStudy | None = None, **fields: float) -> Source:
    return Source(Device(name, **fields), planted() if study is None else study, TERMS)  # type: ignore[arg-type]


def assign(problem: Problem, chosen: dict[int, str], otherwise: str) -> np.ndarray:
    """Return an assignment by label: of some layers, and of all others."""
    labels = [choice.label for choice in problem.choices]
    found = [labels.index(chosen.get(layer, otherwise)) for layer in problem.layers]
    found[0] = found[-1] = int(np.argmax(problem.allowed[0]))
    return np.array(found)


def total(problem: Problem, assignment: np.ndarray, quantity: str) -> float:
    return float(problem.totals(assignment)[problem.index(quantity)])


def test_uniform_plan_costs_the_sum_of_its_layers() -> None:
    problem = build_problem(GRAPH, [source("pi")])
    assert problem.layers == (-1, *(layer.index for layer in LAYERS), -1)
    float32 = assign(problem, {}, "pi: float32 xnnpack 1t")
    assert total(problem, float32, LATENCY) == pytest.approx(sum(layer_us("float32").values()))
    assert total(problem, float32, BUSY + "pi") == pytest.approx(total(problem, float32, LATENCY))
    int8 = assign(problem, {}, "pi: int8 xnnpack 1t")
    borders = (2.0 + 0.01 * 64) + (3.0 + 0.02 * 10)  # the image of 8 x 8 in, ten logits out
    assert total(problem, int8, LATENCY) == pytest.approx(sum(layer_us("int8").values()) + borders)


def test_a_border_between_precisions_is_paid_once_for_each_type_its_readers_want() -> None:
    problem = build_problem(GRAPH, [source("pi")])
    # The output of layer 1 (8,192 elements) is read by layers 2 and 4.
    base = assign(problem, {}, "pi: float32 xnnpack 1t")
    one = assign(problem, {2: "pi: int8 xnnpack 1t"}, "pi: float32 xnnpack 1t")
    both = assign(problem, {2: "pi: int8 xnnpack 1t", 4: "pi: int8 xnnpack 1t"}, "pi: float32 xnnpack 1t")
    us, fast = layer_us("float32"), layer_us("int8")
    quantize, dequantize = 2.0 + 0.01 * 8192, 3.0 + 0.02 * 8192
    saved = us[2] - fast[2]
    assert total(problem, base, LATENCY) - total(problem, one, LATENCY) == pytest.approx(saved - quantize - dequantize)
    saved += us[4] - fast[4]
    # Layer 1's output is quantized once for both; layer 3, between them, and the readers of layer 4 are in float32.
    more = 2 * quantize + 2 * dequantize
    assert total(problem, base, LATENCY) - total(problem, both, LATENCY) == pytest.approx(saved - more)


def test_dynamic_and_float32_hand_each_other_floats() -> None:
    problem = build_problem(GRAPH, [source("pi")])
    mixed = assign(problem, {5: "pi: dynamic xnnpack 1t"}, "pi: float32 xnnpack 1t")
    expected = sum(layer_us("float32").values()) - layer_us("float32")[5] + layer_us("dynamic")[5]
    assert total(problem, mixed, LATENCY) == pytest.approx(expected)


def test_what_travels_is_the_smaller_side_of_a_conversion() -> None:
    problem = build_problem(GRAPH, [source("pi", watts=2.0), source("server")], [WIFI])
    server = {layer.index: "server: int8 xnnpack 1t" for layer in LAYERS if layer.index > 7}
    split = assign(problem, server, "pi: float32 xnnpack 1t")
    # After layer 7 (32,768 bytes of float32) integers travel, for its reader wants them; 40 bytes of logits come back.
    assert total(problem, split, NBYTES) == 8192 + 40
    wire = 2 * 110 + (8192 + 40) * 8 / 8.0
    head = sum(us for layer, us in layer_us("float32").items() if layer <= 7) + 2.0 + 0.01 * 8192
    tail = sum(us for layer, us in layer_us("int8").items() if layer > 7) + 3.0 + 0.02 * 10
    assert total(problem, split, LATENCY) == pytest.approx(head + tail + wire)
    assert total(problem, split, BUSY + "pi") == pytest.approx(head)  # it quantizes before it sends
    assert total(problem, split, BUSY + "server") == pytest.approx(tail)
    assert total(problem, split, BUSY + "wifi") == pytest.approx(wire - 2 * 100)
    assert total(problem, split, ENERGY) == pytest.approx(head * 2.0 / 1e3 + (8192 + 40) * 4.0 / 1e6)


def test_integers_travel_to_a_reader_that_widens_them() -> None:
    problem = build_problem(GRAPH, [source("pi"), source("server")], [WIFI])
    server = {layer.index: "server: float32 xnnpack 1t" for layer in LAYERS if layer.index > 7}
    split = assign(problem, server, "pi: int8 xnnpack 1t")
    assert total(problem, split, NBYTES) == 8192 + 40
    tail = sum(us for layer, us in layer_us("float32").items() if layer > 7) + 3.0 + 0.02 * 8192
    assert total(problem, split, BUSY + "server") == pytest.approx(tail)


def test_a_message_is_paid_once_for_two_readers_on_a_device() -> None:
    problem = build_problem(GRAPH, [source("pi"), source("server")], [WIFI])
    server = {layer.index: "server: float32 xnnpack 1t" for layer in LAYERS if layer.index > 1}
    split = assign(problem, server, "pi: float32 xnnpack 1t")
    assert total(problem, split, NBYTES) == 32768 + 40  # layers 2 and 4 read it


def test_the_calling_program_hands_inputs_to_the_first_device_and_gets_what_it_makes() -> None:
    call = Link("call", (HERE, "pi"), 800.0, overhead_us=500.0)
    devices = [source("pi"), source("server")]
    free, paid = (build_problem(GRAPH, devices, links) for links in ([WIFI], [WIFI, call]))
    alone = assign(paid, {}, "pi: float32 xnnpack 1t")
    calls = 2 * 500.0 + (256 + 40) * 8 / 800.0  # 64 pixels there, ten logits back
    assert total(paid, alone, LATENCY) - total(free, alone, LATENCY) == pytest.approx(calls)
    assert total(paid, alone, BUSY + "call") == pytest.approx(calls)
    assert total(paid, alone, NBYTES) == 0  # they stay on the first device
    server = {layer.index: "server: float32 xnnpack 1t" for layer in LAYERS if layer.index > 7}
    split = assign(paid, server, "pi: float32 xnnpack 1t")
    # The server's logits come straight back over the link between the devices.
    there = 500.0 + 256 * 8 / 800.0
    assert total(paid, split, LATENCY) - total(free, split, LATENCY) == pytest.approx(there)


def test_a_link_of_the_calling_program_to_another_device_takes_what_it_gives_and_gets_there() -> None:
    straight = Link("straight", (HERE, "server"), 16.0, overhead_us=100.0, overhead_back_us=30.0)
    devices = [source("pi"), source("server")]
    around, direct = (build_problem(GRAPH, devices, links) for links in ([WIFI], [WIFI, straight]))
    server = {layer.index: "server: float32 xnnpack 1t" for layer in LAYERS if layer.index > 7}
    split = assign(direct, server, "pi: float32 xnnpack 1t")
    back = 30.0 + 40 * 8 / 16.0
    saved = WIFI.transfer_us(40) - back
    assert total(around, split, LATENCY) - total(direct, split, LATENCY) == pytest.approx(saved)
    assert total(direct, split, BUSY + "straight") == pytest.approx(back)
    assert total(direct, split, NBYTES) == total(around, split, NBYTES)  # they go over a network all the same
    alone = assign(direct, {}, "server: float32 xnnpack 1t")
    assert total(direct, alone, BUSY + "wifi") == 0
    assert total(direct, alone, BUSY + "straight") == pytest.approx(100.0 + 256 * 8 / 16.0 + back)
    assert total(direct, alone, NBYTES) == 256 + 40
    only = build_problem(GRAPH, devices, [straight])
    assert total(only, alone, LATENCY) == total(direct, alone, LATENCY)


def test_devices_without_a_link_hand_nothing_on() -> None:
    problem = build_problem(GRAPH, [source("pi"), source("server")])
    split = assign(problem, {8: "server: int8 xnnpack 1t"}, "pi: int8 xnnpack 1t")
    assert total(problem, split, LATENCY) == np.inf


def test_two_models_on_a_device_cost_a_hand_over() -> None:
    xnnpack, builtin = planted(), planted("none")
    both = dataclasses.replace(xnnpack, in_place=xnnpack.in_place + builtin.in_place, _by_index={})
    problem = build_problem(GRAPH, [source("pi", both)])
    split = assign(problem, {14: "pi: float32 none 1t"}, "pi: float32 xnnpack 1t")
    whole = assign(problem, {}, "pi: float32 xnnpack 1t")
    handover = total(problem, split, LATENCY) - total(problem, whole, LATENCY)
    assert handover == pytest.approx(50.0 + 0.001 * 128)


def test_layers_that_no_cut_parts_stay_together() -> None:
    study = planted()
    layers = tuple(
        dataclasses.replace(layer, refusal="a table is used on both sides") if layer.index == 6 else layer
        for layer in study.layers
    )
    problem = build_problem(
        GRAPH,
        [source("pi", dataclasses.replace(study, layers=layers, _by_index={})), source("server")],
        [WIFI],
    )
    for first, price in ((6, np.isfinite), (7, np.isinf), (8, np.isfinite)):
        server = {layer.index: "server: float32 xnnpack 1t" for layer in LAYERS if layer.index >= first}
        assert price(total(problem, assign(problem, server, "pi: float32 xnnpack 1t"), LATENCY)), first


def test_a_fused_layer_takes_its_own_time_when_it_is_parted_from_its_neighbour() -> None:
    study = planted(precisions=("float32", "int8"))
    us = layer_us("float32")
    parts = in_place(Setting("float32", "xnnpack"), us).parts
    fused = dataclasses.replace(parts[12], layers=(12, 13), samples_us=(90.0,) * 3)
    placed = dataclasses.replace(study.in_place[0], parts=(*parts[:12], fused, *parts[14:]), whole_us=None)
    alone = (Alone(13, Setting("float32", "xnnpack"), 17.0, 16.0, 18.0),)
    study = dataclasses.replace(study, in_place=(placed, *study.in_place[1:]), alone=alone, _by_index={})
    problem = build_problem(GRAPH, [source("pi", study)])
    float32, int8 = "pi: float32 xnnpack 1t", "pi: int8 xnnpack 1t"
    parted = total(problem, assign(problem, {12: int8}, float32), LATENCY)
    together = total(problem, assign(problem, {}, float32), LATENCY)
    borders = (2.0 + 0.01 * 56 * 64) + (3.0 + 0.02 * 56)
    assert parted - together == pytest.approx(layer_us("int8")[12] - 90.0 + 17.0 + borders)


def test_errors_add_up_to_that_of_the_whole_model() -> None:
    study = planted()
    errors = output_errors("int8", 30.0) + output_errors("dynamic", 40.0)
    study = dataclasses.replace(study, errors=errors, _by_index={})
    problem = build_problem(GRAPH, [source("pi", study)])
    int8 = assign(problem, {3: "pi: float32 xnnpack 1t", 4: "pi: dynamic xnnpack 1t"}, "pi: int8 xnnpack 1t")
    assert total(problem, int8, ERROR) == pytest.approx(13e-3 + 1e-4)
    whole = dataclasses.replace(errors[14], kind="propagated", sqnr_db=20.0)
    study = dataclasses.replace(study, errors=(*errors, whole), _by_index={})
    problem = build_problem(GRAPH, [source("pi", study)])
    assert total(problem, assign(problem, {}, "pi: int8 xnnpack 1t"), ERROR) == pytest.approx(1e-2)


def test_a_study_without_errors_gives_a_problem_without_them() -> None:
    assert ERROR not in build_problem(GRAPH, [source("pi")]).quantities


def test_weights_take_the_share_of_memory_that_the_file_has() -> None:
    problem = build_problem(GRAPH, [source("pi")])
    float32 = total(problem, assign(problem, {}, "pi: float32 xnnpack 1t"), MEMORY + "pi")
    int8 = total(problem, assign(problem, {}, "pi: int8 xnnpack 1t"), MEMORY + "pi")
    assert float32 > 200_000  # of a file of 233,296 bytes
    assert int8 == pytest.approx(float32 / 4)


def test_layers_without_a_time_cannot_have_the_choice() -> None:
    study = planted(precisions=("float32", "int8"))
    parts = study.in_place[1].parts
    alone = tuple(
        Alone(part.layers[0], Setting("int8", "xnnpack"), part.median_us) for part in parts if part.layers != (5,)
    )
    study = dataclasses.replace(study, in_place=study.in_place[:1], alone=alone, _by_index={})
    problem = build_problem(GRAPH, [source("pi", study)])
    int8 = [choice.precision for choice in problem.choices].index("int8")
    assert not problem.allowed[1 + 5, int8]
    assert problem.allowed[1 + 6, int8]
    with pytest.raises(OptionError, match=r"layer 5 .* has no time"):
        build_problem(GRAPH, [source("pi", study)], precisions=["int8"])


def test_what_does_not_fit_is_refused_with_the_reason() -> None:
    with pytest.raises(OptionError, match=r"ends at 'sever'.*server"):
        build_problem(GRAPH, [source("pi"), source("server")], [Link("wifi", ("pi", "sever"), 8.0)])
    with pytest.raises(OptionError, match="two devices are called 'pi'"):
        build_problem(GRAPH, [source("pi"), source("pi")])
    with pytest.raises(OptionError, match="one link between two devices"):
        build_problem(GRAPH, [source("pi"), source("server")], [WIFI, dataclasses.replace(WIFI, name="lan")])
    with pytest.raises(OptionError, match="no times of layers in float8"):
        build_problem(GRAPH, [source("pi")], precisions=["float8"])
    with pytest.raises(OptionError, match="cannot be called 'here'"):
        build_problem(GRAPH, [source(HERE)])
    other = dataclasses.replace(planted(), layers=planted().layers[:3], _by_index={})
    with pytest.raises(OptionError, match="other layers"):
        build_problem(GRAPH, [source("pi"), source("server", other)])


def test_tensors_of_one_size_share_their_tolls_in_a_long_model() -> None:
    graph = chain(1000)
    layers = tuple(layer_infos(graph))
    names = ("float32", "dynamic", "int8")
    placed = tuple(in_place(Setting(name, "xnnpack"), {layer.index: 5.0 for layer in layers}) for name in names)
    study = LayerStudy("long", {}, layers, (), placed)  # without variants the precision says what is handed on
    links = [Link("ab", ("a", "b"), 10.0), Link("bc", ("b", "c"), 10.0), Link("ac", ("a", "c"), 10.0)]
    problem = build_problem(graph, [source(name, study) for name in ("a", "b", "c")], links)
    assert problem.cost.shape[:2] == (1002, 9)
    inner = [flow for flow in problem.flows if flow.source > 0 and flow.readers[0] < 1001]
    assert len(inner) == 999
    assert len({id(toll) for flow in inner for toll in flow.tolls}) == len(inner[0].tolls)


def chain(count: int) -> Graph:
    """Return a graph of layers that each read what the one before made."""
    tensors = [Tensor(f"t{place}", (1, 100), "float32") for place in range(count + 1)]
    ops = [Op(place, "RELU", f"op{place}", (tensors[place],), (tensors[place + 1],)) for place in range(count)]
    return Graph(GRAPH.source, ops, tensors, tensors[:1], tensors[-1:])

"""The errors of layers: against plain float64 computations, and on models with all that models have."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import small_models_dynamic
import small_models_edges
import small_models_state
from digits_model import DIGITS, digits_data
from hand_quantized import (
    NETS,
    SAMPLES,
    VARIANTS,
    Array,
    Grid,
    feeds,
    figures,
    local_by_hand,
    output_by_hand,
    propagated_by_hand,
    tflite_variant,
    true_values,
)
from hand_variants import HandVariant, by_hand, by_name, digits_feeds, itself, mul_chain
from litedelegates.engines import open_session
from litedelegates.errors import OptionError
from litedelegates.graph import Graph, expose, load
from litedelegates.layers.errors import Engine, delegate_errors, local_errors, output_errors, propagated_errors
from litedelegates.layers.records import LayerError
from small_models_builder import ModelBuilder, Op, Type, schema

XNNPACK = Engine("xnnpack", {"delegate": "xnnpack"})


def check(record: LayerError, wanted: dict[str, float], stored: Array | None = None, grid: Grid | None = None) -> None:
    assert record.refusal is None
    assert (record.samples, record.flags) == (len(SAMPLES), ())
    # What is left is that the network itself was computed in float32 and not in float64.
    assert {name: getattr(record, name) for name in wanted} == pytest.approx(wanted, rel=2e-5)
    if stored is not None and grid is not None:
        ends = np.iinfo(grid.dtype)
        assert record.saturated == np.mean((stored == ends.min) | (stored == ends.max))
        assert record.rmse_over_scale == pytest.approx(wanted["rmse"] / grid.scale, rel=2e-5)


@pytest.mark.parametrize("make", VARIANTS.values(), ids=VARIANTS)
def test_errors_are_those_of_a_plain_computation_in_float64(make):
    variant = make()
    net = NETS[variant.precision]
    reference = "none" if variant.source.format == "tflite" else "cpu"
    local = list(local_errors([variant], feeds(), num_threads=1))
    propagated = list(propagated_errors([variant], feeds(), num_threads=1))
    output = list(output_errors([variant], feeds(), num_threads=1))
    for layer, grid in enumerate((net.h, net.y)):
        check(local[layer], *local_by_hand(net, layer), grid)
        check(propagated[layer], *propagated_by_hand(net, layer), grid)
        check(output[layer], output_by_hand(net, layer))
        assert output[layer].agreement is not None
    for kind, records in {"local": local, "propagated": propagated, "output": output}.items():
        keys = [(record.layer, record.precision, record.kind, record.delegate) for record in records]
        assert keys == [(layer, variant.precision, kind, reference) for layer in range(2)]
    # Before the first layer nothing has gone wrong yet; after it the error of the first is in that of the second.
    assert propagated[0] == LayerError(**{**vars(local[0]), "kind": "propagated"})
    assert propagated[1].rmse != pytest.approx(local[1].rmse, rel=1e-6)


def test_stored_values_below_the_zero_point_would_wrap_around_in_their_own_type():
    net = NETS["uint8"]
    wanted, stored = local_by_hand(net, 0)
    assert (stored < net.h.zero).mean() > 0.25
    wrapped = (stored.astype(np.uint8) - np.uint8(net.h.zero)) * net.h.scale
    wrong = figures([true_values(sample)[1] for sample in SAMPLES], list(wrapped))
    assert wrong["rmse"] > 50 * wanted["rmse"]
    (record,) = local_errors([tflite_variant("uint8")], feeds(), layers=[0])
    assert record.rmse == pytest.approx(wanted["rmse"], rel=2e-5)


def test_values_cut_off_at_the_ends_are_counted():
    wanted, stored = local_by_hand(NETS["int8 per channel"], 1)
    share = np.mean((stored == -128) | (stored == 127))
    assert 0.05 < share < 0.95
    records = list(local_errors([tflite_variant("int8 per channel")], feeds()))
    assert [record.saturated for record in records] == [0.0, share]
    assert records[1].rmse_over_scale == pytest.approx(wanted["rmse"] / 0.11, rel=2e-5)
    assert records[1].rmse > 2 * records[0].rmse


def digits_variants(precisions: list[str]) -> list[HandVariant]:
    pytest.importorskip("litert_quantizer", reason="needs the extra litedelegates[quantize]")
    from litedelegates.quantize import quantize

    source, variants = load(DIGITS), []
    for precision in precisions:
        more = {"calibration": digits_data()["calibration"]} if precision == "int8" else {}
        variants.append(by_name(precision, source, load(quantize(DIGITS, precision, **more))))
    return variants


def key(record: LayerError) -> tuple[int, str, str, str]:
    return record.layer, record.precision, record.kind, record.delegate


def test_a_local_error_is_that_of_the_layer_and_a_propagated_one_has_all_before_it():
    source = mul_chain(2, 3, 5)
    variant = by_name("rough", source, mul_chain(2.2, 3, 5.5))
    samples = [{"x": np.array([[1, -2, 3, 4]], np.float32)}]
    local = [record.max_abs for record in local_errors([variant], samples)]
    assert local == pytest.approx([0.2 * 4, 0, 6 * 0.5 * 4], rel=1e-5)
    propagated = [record.max_abs for record in propagated_errors([variant], samples)]
    assert propagated == pytest.approx([0.2 * 4, 0.6 * 4, (6.6 * 5.5 - 30) * 4], rel=1e-5)
    output = [record.max_abs for record in output_errors([variant], samples)]
    assert output == pytest.approx([0.2 * 15 * 4, 0, 6 * 0.5 * 4], rel=1e-5)


@pytest.mark.parametrize(("factor", "flags"), [(math.nan, ("nan",)), (0.0, ("all zero",))])
def test_values_that_are_no_figures_are_flagged_where_they_arise(factor, flags):
    source = mul_chain(2, 5, 3)
    variant = by_name("broken", source, mul_chain(2, factor, 3))
    samples = [{"x": np.array([[1, -2, 3, 4]], np.float32)}]
    assert [record.flags for record in local_errors([variant], samples)] == [(), flags, ()]
    assert [record.flags for record in propagated_errors([variant], samples)] == [(), flags, flags]
    (output,) = output_errors([variant], samples, layers=[1])
    assert (output.flags, output.rmse) == (flags, math.inf if factor else pytest.approx(math.sqrt(7.5) * 30))
    assert output.cosine is None


def test_an_overflow_is_flagged_where_it_arises():
    def exponential(factor: float) -> Graph:
        model = ModelBuilder()
        graph = model.graph()
        x, scaled, y = graph.input("x", (1, 4)), graph.tensor("scaled", (1, 4)), graph.output("y", (1, 4))
        graph.op(Op.MUL, [x, graph.constant("c", np.float32(factor))], [scaled], schema.MulOptionsT())
        graph.op(Op.EXP, [scaled], [y], schema.ExpOptionsT())
        return load(model.to_bytes())

    source = exponential(1)
    variant = by_name("broken", source, exponential(50))
    samples = [{"x": np.array([[1, 2, 3, -4]], np.float32)}]
    assert [record.flags for record in local_errors([variant], samples)] == [(), ()]
    scaled, y = propagated_errors([variant], samples)
    assert (scaled.flags, y.flags, y.rmse, y.cosine) == ((), ("inf",), math.inf, None)


def test_nan_where_integers_are_wanted_is_refused_and_not_hidden():
    source, small, large = mul_chain(math.nan, 3), NETS["uint8"].x.tflite, NETS["uint8"].h.tflite
    model = ModelBuilder()
    graph = model.graph()
    x = graph.input("x", (1, 4))
    first, second = graph.tensor("step_0", (1, 4)), graph.output("step_1", (1, 4), Type.UINT8, large)
    stored = graph.tensor("step_0_q", (1, 4), Type.UINT8, quantization=small)
    graph.op(Op.MUL, [x, graph.constant("c0", np.float32(math.nan))], [first], schema.MulOptionsT())
    graph.op(Op.QUANTIZE, [first], [stored], schema.QuantizeOptionsT())
    factor = graph.constant("c1", np.array([155], np.uint8), NETS["uint8"].x.tflite)
    graph.op(Op.MUL, [stored, factor], [second], schema.MulOptionsT())
    variant = by_hand(
        "mixed",
        source,
        load(model.to_bytes()),
        {0: 0, 2: 1},
        {"x": "x", "step_0": "step_0", "step_1": "step_1"},
        {1: 1},
    )
    records = list(local_errors([variant], [{"x": np.ones((1, 4), np.float32)}]))
    assert records[0].flags == ("nan",)
    assert "'step_0_q' hold NaN" in records[1].refusal


def test_what_is_known_is_skipped_and_records_come_one_by_one():
    variants = [itself(mul_chain(2, 3, 5))]
    variants.append(by_name("rough", variants[0].source, mul_chain(2, 3.5, 5)))
    samples = [{"x": np.ones((1, 4), np.float32)}]
    for measure in (local_errors, propagated_errors, output_errors):
        whole = list(measure(variants, samples))
        assert len(whole) == 6
        for known in range(6):
            stopped = measure(variants, samples)
            begun = [next(stopped) for _ in range(known)]
            stopped.close()
            rest = measure(variants, samples, skip={key(record) for record in begun})
            assert [*begun, *rest] == whole
        assert list(measure(variants, samples, layers=[1])) == [record for record in whole if record.layer == 1]


def test_quantizing_one_layer_does_to_the_output_what_a_model_shows_that_is_quantized_there():
    from_digits = digits_variants(["float16", "dynamic", "int8"])
    from litedelegates.quantize import quantize

    data, count = digits_data(), 40
    images, labels = data["images"][:count], data["labels"][:count]
    wanted = _on_reference_kernels(DIGITS.read_bytes(), images)
    layers = [3, 9, 14]
    records = list(output_errors(from_digits, digits_feeds(count), labels=labels, layers=layers))
    assert [(record.layer, record.precision) for record in records] == [
        (layer, variant.precision) for layer in layers for variant in from_digits
    ]
    for record in records:
        name = from_digits[0].source.ops[record.layer].name
        more = {"calibration": data["calibration"]} if record.precision == "int8" else {}
        found = _on_reference_kernels(quantize(DIGITS, record.precision, only=[name], **more), images)
        by_book = figures([wanted], [found])
        assert record.rmse == pytest.approx(by_book["rmse"], rel=1e-3 if record.precision == "int8" else 1e-6)
        assert record.max_abs == pytest.approx(by_book["max_abs"], rel=1e-2 if record.precision == "int8" else 1e-6)
        assert record.agreement == np.mean(found.argmax(1) == wanted.argmax(1))
        assert record.accuracy == np.mean(found.argmax(1) == labels)


def _on_reference_kernels(model: bytes, images: Array) -> Array:
    session = open_session(model, same_kernels=True)
    return np.concatenate([session.run({"image": image[np.newaxis]})["logits"] for image in images])


def test_the_error_of_a_delegate_is_the_difference_to_the_reference_kernels():
    graph = load(DIGITS)
    samples = digits_feeds(3)
    inner = [op.makes[0] for op in graph.ops]
    exposed = expose(graph, inner).to_bytes()
    outputs = {
        delegate: [open_session(exposed, delegate=delegate, num_threads=1).run(sample) for sample in samples]
        for delegate in (None, "xnnpack")
    }
    for budget in (1 << 28, 1):  # in one window, and with one layer in each
        records = list(delegate_errors([itself(graph)], samples, [XNNPACK], num_threads=1, budget_nbytes=budget))
        assert [key(record) for record in records] == [(op.index, "float32", "delegate", "xnnpack") for op in graph.ops]
        for record, tensor in zip(records, inner, strict=True):
            reference, other = ([run[tensor.name] for run in outputs[name]] for name in (None, "xnnpack"))
            wanted = np.abs(np.float64(reference) - np.float64(other)).max()
            assert (record.samples, record.max_abs) == (3, pytest.approx(wanted, rel=1e-2, abs=1e-7))
        assert 0 < records[-1].max_abs < 1e-4


def test_the_rest_of_a_model_may_run_on_a_delegate():
    variant = tflite_variant("int8 per channel")
    reference, fast = (list(output_errors([variant], feeds(), engine=engine)) for engine in (None, XNNPACK))
    assert [record.delegate for record in (*reference, *fast)] == ["none", "none", "xnnpack", "xnnpack"]
    for one, other in zip(reference, fast, strict=True):
        assert other.rmse == pytest.approx(one.rmse, rel=1e-4)


def test_accuracy_and_agreement_count_the_places_of_the_largest_outputs():
    source = mul_chain(2, 3)
    variant = by_name("turned", source, mul_chain(-2, 3))
    samples = [{"x": np.array([row], np.float32)} for row in ([1, 2, 3, 4], [4, -3, 2, 1], [0, 9, 8, -7], [1, 1, 5, 1])]
    first, second = output_errors([variant], samples, labels=[3, 1, 3, 0])
    # The first layer turns the order round: 0, 1, 3 and 0 instead of 3, 0, 1 and 2; the second one is as it was.
    assert (first.agreement, first.accuracy) == (0.0, 0.75)
    assert (second.agreement, second.accuracy) == (1.0, 0.25)
    (unlabelled,) = output_errors([variant], samples, layers=[0])
    assert (unlabelled.agreement, unlabelled.accuracy) == (0.0, None)


def test_a_layer_that_shares_state_with_others_is_not_measured_alone():
    graph = load(small_models_state.counter())
    records = list(local_errors([itself(graph)], [{"step": np.ones(1, np.float32)}]))
    refusals = {graph.ops[record.layer].type: record.refusal for record in records}
    assert "both use" in refusals["READ_VARIABLE"]
    assert "no real numbers" in refusals["ASSIGN_VARIABLE"]
    assert refusals["ADD"] is None


def test_branches_loops_and_several_outputs_are_layers_like_others():
    x = np.array([[1, 4, 3, 2]], np.float32)
    for build, feed in {
        small_models_dynamic.if_then_else: {"condition": np.array([True]), "x": x},
        small_models_dynamic.while_loop: {"count": np.array([1], np.int32), "x": x},
        small_models_dynamic.top_k: None,
    }.items():
        graph = load(build())
        samples = [
            feed
            or {
                info.name: np.ones(info.shape, np.int32 if info.element_type == "int32" else np.float32)
                for info in open_session(build()).inputs
            }
        ]
        for measure in (local_errors, propagated_errors, output_errors):
            for record in measure([itself(graph)], samples):
                assert (record.refusal, record.max_abs) == (None, 0.0), (build, measure)


def test_layers_without_real_numbers_are_refused():
    model = ModelBuilder()
    graph = model.graph()
    x, doubled = graph.input("x", (1, 4)), graph.tensor("doubled", (1, 4))
    graph.op(Op.ADD, [x, x], [doubled], schema.AddOptionsT())
    options = schema.ArgMaxOptionsT()
    options.outputType = Type.INT32
    graph.op(
        Op.ARG_MAX, [doubled, graph.constant("axis", np.int32(1))], [graph.output("place", (1,), Type.INT32)], options
    )
    variants, samples = [itself(load(model.to_bytes()))], [{"x": np.ones((1, 4), np.float32)}]
    for measure in (local_errors, propagated_errors, lambda *a: delegate_errors(*a, [XNNPACK])):
        first, second = measure(variants, samples)
        assert first.refusal is None
        assert "it makes int32: no real numbers" in second.refusal
    first, second = output_errors(variants, samples)
    assert "no output of the model that holds real numbers" in first.refusal


def test_a_layer_without_an_output_of_its_own_says_with_which_it_is_computed():
    source, fused = mul_chain(2, 3), mul_chain(6)
    (product,) = fused.ops
    variant = by_hand("fused", source, fused, {0: 0}, {"x": "x", "step_1": product.makes[0].name}, groups={1: [0]})
    variant = dataclasses.replace(variant, owners={0: dataclasses.replace(variant.owners[0], layers=(0, 1))})
    samples = [{"x": np.ones((1, 4), np.float32)}]
    for measure in (local_errors, propagated_errors, output_errors):
        hidden, shown = measure([variant], samples)
        assert hidden.refusal == "fused computes it together with layer 1, and its own output nowhere"
        assert (shown.refusal, shown.max_abs) == (None, 0.0)


def test_what_cannot_run_in_one_precision_is_still_measured_in_the_others():
    source = mul_chain(2, 3)
    custom = ModelBuilder()
    graph = custom.graph()
    x, first, second = graph.input("x", (1, 4)), graph.tensor("step_0", (1, 4)), graph.output("step_1", (1, 4))
    graph.op(Op.MUL, [x, graph.constant("c0", np.float32(2))], [first], schema.MulOptionsT())
    graph.op(Op.CUSTOM, [first], [second], custom_code="NobodyHasThis")
    broken = by_name("broken", source, load(custom.to_bytes()))
    samples = [{"x": np.ones((1, 4), np.float32)}]
    for measure in (local_errors, propagated_errors, output_errors):
        records = {key(record)[:2]: record for record in measure([broken, itself(source)], samples)}
        assert "NobodyHasThis" in records[1, "broken"].refusal
        assert records[0, "broken"].max_abs == 0.0
        assert [records[layer, "float32"].max_abs for layer in range(2)] == [0.0, 0.0]
    records = list(delegate_errors([broken, itself(source)], samples, [XNNPACK]))
    assert [record.refusal is None for record in records] == [False, False, True, True]


def test_what_is_asked_for_wrongly_is_refused():
    source = mul_chain(2, 3)
    variants, samples = [itself(source)], [{"x": np.ones((1, 4), np.float32)}]
    with pytest.raises(OptionError, match="no variants"):
        next(local_errors([], samples))
    with pytest.raises(OptionError, match="no samples"):
        next(propagated_errors(variants, []))
    with pytest.raises(OptionError, match=r"no array for the input 'x'.*xx"):
        next(local_errors(variants, [{"xx": samples[0]["x"]}]))
    constant = load(small_models_edges.no_inputs())
    with pytest.raises(OptionError, match="takes no inputs"):
        next(local_errors([itself(constant)], [{}]))
    with pytest.raises(OptionError, match="no layer 2"):
        next(output_errors(variants, samples, layers=[0, 2]))
    with pytest.raises(OptionError, match="another float32 model"):
        next(local_errors([*variants, itself(mul_chain(2, 3))], samples))
    with pytest.raises(OptionError, match="2 labels were given for 1 samples"):
        next(output_errors(variants, samples, labels=[0, 1]))
    with pytest.raises(OptionError, match="xnnpack"):
        next(delegate_errors(variants, samples, [Engine("xnpack", {"delegate": "xnpack"})]))

"""Walking through models: the values of the whole, and no more of them held than is needed."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import small_models_state
from digits_model import DIGITS
from hand_quantized import feeds, tflite_variant
from hand_variants import by_name, digits_feeds, itself, mul_chain
from litedelegates.engines import open_session
from litedelegates.graph import expose, load
from litedelegates.layers.errors import local_errors, output_errors, propagated_errors
from litedelegates.layers.walking import Walk, last_uses, peak_of


@pytest.mark.parametrize("piece_nbytes", [1, 20_000, 1 << 30])
def test_walking_gives_bit_for_bit_what_the_whole_model_gives(piece_nbytes):
    graph = load(DIGITS)
    inner = [tensor for op in graph.ops for tensor in op.makes]
    samples = digits_feeds(2)
    session = open_session(expose(graph, inner).to_bytes(), same_kernels=True)
    wanted = [session.run(sample) for sample in samples]
    walk = Walk(
        graph,
        {graph.inputs[0]: [sample["image"] for sample in samples]},
        [[tensor] for tensor in inner],
        piece_nbytes=piece_nbytes,
    )
    for tensor, values in zip(inner, walk, strict=True):
        for array, outputs in zip(values[tensor], wanted, strict=True):
            assert array.tobytes() == outputs[tensor.name].tobytes()
    assert walk.failure is None


def test_a_walk_holds_only_what_is_still_needed():
    graph = mul_chain(*[1.5] * 30, size=1000)
    samples = [np.ones((1, 1000), np.float32)] * 3
    demands = [list(op.makes) for op in graph.ops]
    walk = Walk(graph, {graph.inputs[0]: samples}, demands, piece_nbytes=1)
    assert len(list(walk)) == 30
    assert walk.peak_nbytes == 2 * 3 * 4000  # what an op reads and what it makes
    assert peak_of(graph, demands) == 2 * 4000
    # Asked for at the end as well, the first one stays.
    late = [*demands, demands[0]]
    walk = Walk(graph, {graph.inputs[0]: samples}, late, piece_nbytes=1)
    *_, last = walk
    assert last[demands[0][0]][0].max() == 1.5
    assert walk.peak_nbytes == 3 * 3 * 4000 == 3 * peak_of(graph, late)
    assert last_uses(graph, demands)[graph.inputs[0]] == 0


@pytest.mark.parametrize("measure", [local_errors, propagated_errors, output_errors])
def test_inner_tensors_stay_within_the_budget(measure):
    graph = mul_chain(*[1.01] * 20, size=50_000)
    variant = by_name("rough", graph, mul_chain(*[1.02] * 20, size=50_000))
    samples = [{"x": np.full((1, 50_000), 0.5, np.float32)}] * 6
    budget, everything = 4 << 20, 20 * 6 * 200_000
    assert everything > 5 * budget
    tracemalloc.start()
    try:
        count = sum(record.refusal is None for record in measure([variant], samples, budget_nbytes=budget))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 20
    assert peak < budget + (4 << 20)  # records, graphs, and the outputs of one layer


def test_more_samples_than_fit_into_the_budget_are_run_in_several_passes():
    source, variant = mul_chain(2, 3, 5, size=50_000), mul_chain(2.5, 3, 5, size=50_000)
    samples = [{"x": np.full((1, 50_000), 0.5, np.float32)}] * 60
    budget, at_once = 4 << 20, 60 * 2 * 200_000
    assert at_once > 5 * budget
    tracemalloc.start()
    try:
        records = list(local_errors([by_name("rough", source, variant)], samples, budget_nbytes=budget))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [(record.samples, record.max_abs) for record in records] == [(60, 0.25), (60, 0.0), (60, 0.0)]
    assert peak < budget + (4 << 20)


def test_several_passes_give_the_records_of_one():
    variant = tflite_variant("uint8")
    labels = [1, 3, 0]
    for measure in (local_errors, propagated_errors, lambda *a, **k: output_errors(*a, labels=labels, **k)):
        whole = list(measure([variant], feeds()))
        assert list(measure([variant], feeds(), budget_nbytes=1)) == whole
        assert [record.samples for record in whole] == [3, 3]


@pytest.mark.parametrize("build", [small_models_state.lstm, small_models_state.svdf, small_models_state.counter])
def test_state_goes_on_from_sample_to_sample(build):
    graph = load(build())
    (taken,) = graph.input_names
    rng = np.random.default_rng(0)
    samples = [{taken: rng.random(graph.inputs[0].shape, np.float32)} for _ in range(3)]
    session = open_session(build(), same_kernels=True)
    wanted = [session.run(sample)[graph.output_names[0]] for sample in samples]
    fresh = open_session(build(), same_kernels=True).run(samples[1])[graph.output_names[0]]
    assert fresh.tobytes() != wanted[1].tobytes()  # the first sample is remembered
    inputs = {graph.inputs[0]: [sample[taken] for sample in samples]}
    (values,) = Walk(graph, inputs, [graph.outputs], piece_nbytes=1)
    assert [array.tobytes() for array in values[graph.outputs[0]]] == [array.tobytes() for array in wanted]
    for record in propagated_errors([itself(graph)], samples, budget_nbytes=1):
        assert record.refusal is not None or (record.samples, record.max_abs) == (3, 0.0)

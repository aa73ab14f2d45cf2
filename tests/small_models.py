"""A small model for each special case that a LiteRT interpreter meets, and how to feed and check it.

Call a function (``small_models.add()``) for the bytes of one model, or loop over ``CASES``. The functions live in
``small_models_<noun>.py``: layers, state, dynamic, types, edges, coral; ``small_models_builder.py`` writes the files.
"""

from __future__ import annotations

import small_models_dynamic
import small_models_edges
import small_models_layers
import small_models_state
import small_models_types
from small_models_case import Case
from small_models_coral import classifier_int8, dense_classifier, detector, imprinted_int8, segment, segmenter
from small_models_dynamic import (
    if_then_else,
    non_max_suppression_v4,
    non_max_suppression_v5,
    reshape_at_run_time,
    top_k,
    where,
    while_loop,
)
from small_models_edges import (
    compiled_for_edge_tpu,
    constant_output,
    custom_op,
    flex_op,
    no_inputs,
    no_signature,
    only_pass_through,
    partly_compiled,
    partly_delegated,
    pass_through,
    reordered_signature,
    same_output_twice,
    shared_graph_signatures,
    two_signatures,
    unused_input,
    with_signature,
)
from small_models_layers import (
    add,
    add_chain,
    conv,
    conv_dynamic_batch,
    conv_int8,
    dense_dynamic_batch,
    int4_weights,
    int4_weights_int8,
    scale_by_two,
)
from small_models_state import counter, lstm, string_table, svdf
from small_models_types import add_as, cast, copy, float16_weights, gather, logical_and, string_equal, string_gather

__all__ = [
    "CASES",
    "Case",
    "add",
    "add_as",
    "add_chain",
    "cast",
    "classifier_int8",
    "compiled_for_edge_tpu",
    "constant_output",
    "conv",
    "conv_dynamic_batch",
    "conv_int8",
    "copy",
    "counter",
    "custom_op",
    "dense_classifier",
    "dense_dynamic_batch",
    "detector",
    "flex_op",
    "float16_weights",
    "gather",
    "if_then_else",
    "imprinted_int8",
    "int4_weights",
    "int4_weights_int8",
    "logical_and",
    "lstm",
    "no_inputs",
    "no_signature",
    "non_max_suppression_v4",
    "non_max_suppression_v5",
    "only_pass_through",
    "partly_compiled",
    "partly_delegated",
    "pass_through",
    "reordered_signature",
    "reshape_at_run_time",
    "same_output_twice",
    "scale_by_two",
    "segment",
    "segmenter",
    "shared_graph_signatures",
    "string_equal",
    "string_gather",
    "string_table",
    "svdf",
    "top_k",
    "two_signatures",
    "unused_input",
    "where",
    "while_loop",
    "with_signature",
]

CASES: dict[str, Case] = {
    case.name: case
    for module in (
        small_models_layers,
        small_models_state,
        small_models_dynamic,
        small_models_types,
        small_models_edges,
    )
    for case in module.CASES
}

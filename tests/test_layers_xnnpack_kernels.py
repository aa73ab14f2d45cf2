"""Every op that XNNPACK takes is mapped in every precision, and so are the ops that it merges with others."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from litedelegates.engines import open_session
from litedelegates.graph import load
from litedelegates.layers.placing import place
from litedelegates.layers.records import PartTiming
from litedelegates.layers.variants import Variant, make_variant
from small_models_xnnpack import MERGED, SHAPE, SINGLE, Step, between_convolutions

PRECISIONS = ("float32", "float16", "dynamic", "int8", "int16x8")
# What may need no time: the values stay where they are.
VIEWS = {"EXPAND_DIMS", "RESHAPE", "SQUEEZE"}
Profiled = tuple[Variant, list[PartTiming]]


def profiled(folder: Path, steps: dict[str, Step], precision: str) -> Profiled:
    """Quantize a model and run it on XNNPACK once, with the profiler on."""
    path = folder / "model.tflite"
    path.write_bytes(between_convolutions(steps))
    values = np.random.default_rng(0).random((4, *SHAPE), np.float32)
    samples = [{"x": array} for array in values]
    variant = make_variant(load(path), path, precision, folder, calibration=samples, allow_float32_ops=True)
    with closing(open_session(variant.path, num_threads=1, delegate="xnnpack")) as session:
        session.set_inputs(samples[0])
        return variant, place(variant, session.profile(1))


@pytest.fixture(scope="module", params=PRECISIONS)
def everything(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Profiled:
    if request.param != "float32":
        pytest.importorskip("litert_quantizer")
    return profiled(tmp_path_factory.mktemp(request.param), {**SINGLE, **MERGED}, request.param)


def test_every_kernel_is_mapped(everything: Profiled) -> None:
    _, parts = everything
    assert [(part.name, part.evidence) for part in parts if part.role == "unmapped"] == []


def test_every_layer_has_a_kernel(everything: Profiled) -> None:
    variant, parts = everything
    covered = {layer for part in parts for layer in part.layers}
    missing = [op for op in variant.source.ops if op.index not in covered and op.type not in VIEWS]
    assert [str(op) for op in missing] == []


def test_kernels_are_mapped_to_ops_of_the_branch_that_they_stand_in(everything: Profiled) -> None:
    """The order is that of the model: no kernel is charged to an op of another branch than its neighbours."""
    variant, parts = everything
    if variant.precision == "int16x8":
        pytest.skip("mapped by their indices: XNNPACK takes no 16-bit integers")
    layers = [part.layers[0] for part in parts if part.role == "layer"]
    branches = [variant.source.ops[layer].makes[0].name.partition(":")[0].partition("/")[0] for layer in layers]
    assert list(dict.fromkeys(branches)) == [name for name in {**SINGLE, **MERGED} if name in set(branches)]


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], list[list[str]]]:
    def types(name: str, precision: str) -> list[list[str]]:
        """Return the types of the layers of each kernel that computes any."""
        folder = tmp_path_factory.mktemp("merged")
        variant, parts = profiled(folder, {name: {**SINGLE, **MERGED}[name]}, precision)
        return [
            sorted(variant.source.ops[layer].type for layer in part.layers) for part in parts if part.role == "layer"
        ]

    return types


@pytest.mark.parametrize("name", ("mean of a product", "mean of a square"))
def test_a_square_is_part_of_the_mean_that_alone_reads_it(merged: Callable[..., list[list[str]]], name: str) -> None:
    square = "MUL" if name == "mean of a product" else "SQUARE"
    assert merged(name, "float32") == [["CONV_2D"], sorted(["MEAN", square])]


def test_a_bound_is_part_of_the_convolution_before_it(merged: Callable[..., list[list[str]]]) -> None:
    assert merged("clip", "float32") == [["CONV_2D", "MAXIMUM", "MINIMUM"], ["CONV_2D"]]
    assert merged("clipped sum", "float32") == [["CONV_2D"], ["ADD"], ["MINIMUM"], ["CONV_2D"]]


def test_elementwise_ops_of_8_bits_are_one_table(merged: Callable[..., list[list[str]]]) -> None:
    pytest.importorskip("litert_quantizer")
    assert merged("chain", "float32") == [["CONV_2D"], ["ABS"], ["MUL"], ["TANH"], ["LOGISTIC"], ["NEG"], ["CONV_2D"]]
    assert merged("chain", "int8") == [["CONV_2D"], ["ABS", "LOGISTIC", "MUL", "NEG", "TANH"], ["CONV_2D"]]
    assert merged("swish", "int8") == [["CONV_2D"], ["LOGISTIC", "MUL"], ["CONV_2D"]]

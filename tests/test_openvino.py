"""OpenVINO on this machine's CPU: precision, options, placement, and that nothing falls back in silence."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import small_models
import small_models_shapes
from litedelegates import (
    DelegateError,
    DelegateUnavailableError,
    Interpreter,
    Npu,
    OpenVino,
    OptionError,
    SaturationWarning,
    UnsupportedError,
    Xnnpack,
)
from litedelegates.delegates import npu, openvino_library, openvino_ops, saturation
from litedelegates.devices import availability
from litedelegates.model import Model
from op_trials import SAME, Const, In, Out, Trial, Type, integers, normal, options
from small_models_builder import Quantization

pytestmark = pytest.mark.openvino
DIGITS = Path(__file__).parent.parent / "models/digits.tflite"


def computes_in_bfloat16() -> bool:
    return "BF16" in openvino_library.load().capabilities("CPU")


def image(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).random(shape, np.float32)


def run_flat(interpreter: Interpreter, value: np.ndarray) -> np.ndarray:
    outputs = interpreter.run(value)
    return np.concatenate([np.ravel(part) for part in (outputs if isinstance(outputs, tuple) else (outputs,))])


def off(model: Path, options: OpenVino) -> float:
    """Return how far the outputs are from the CPU's, relative to their spread."""
    cpu = Interpreter(model)
    value = image(cpu.inputs[0].shape)
    wanted = run_flat(cpu, value)
    with Interpreter(model, delegate=options) as interpreter:
        return float(np.abs(run_flat(interpreter, value) - wanted).max() / np.ptp(wanted))


def test_float32_and_half_precision_differ_as_asked_in_one_process_in_any_order(real_models: dict[str, Path]) -> None:
    for model in (real_models["face_detection_short_range"], real_models["face_landmark"]):
        asked = (False, None, True, False, None)
        found = [off(model, OpenVino(precision_loss_allowed=allowed)) for allowed in asked if allowed is not True]
        assert found[0] < 1e-5 and found[2] < 1e-5, f"{model.name}: float32 is {found} of the spread off"
        if computes_in_bfloat16():
            half = off(model, OpenVino(precision_loss_allowed=True))
            assert 1e-3 < half < 5e-2, f"{model.name}: bfloat16 is {half} of the spread off"
            assert found[1] == found[3] == half, "unset is the default of the device, before and after float32"


def test_half_precision_is_refused_where_the_cpu_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_library.Library, "capabilities", lambda self, device: {"FP32", "INT8"})
    with pytest.raises(DelegateUnavailableError, match=r"does not compute in BF16; it has FP32, INT8"):
        Interpreter(small_models.add(), delegate=OpenVino(precision_loss_allowed=True))


def test_what_is_in_effect_is_what_the_compiled_graph_says_of_itself() -> None:
    options = OpenVino(precision_loss_allowed=False, num_threads=1, performance_mode="throughput")
    with Interpreter(DIGITS, delegate=options) as interpreter:
        effect = interpreter.options_in_effect["openvino"]
        assert interpreter.options_in_effect["intel_openvino"]["performance_mode"] == 1
        assert interpreter.device
    assert effect["INFERENCE_PRECISION_HINT"] == "f32"
    assert effect["INFERENCE_NUM_THREADS"] == "1"
    assert effect["PERFORMANCE_HINT"] == "THROUGHPUT"
    assert effect["EXECUTION_DEVICES"] == "CPU"


def test_every_op_of_real_models_is_placed_with_evidence(real_models: dict[str, Path]) -> None:
    for name in ("face_detection_front", "iris_landmark"):
        with Interpreter(real_models[name], delegate="openvino", require_full_delegation=True) as interpreter:
            records = interpreter.placement
            operators = Model.load(real_models[name]).subgraphs[0].operators
            assert [record.op_name for record in records] == [op.type for op in operators]
            assert {record.ran for record in records} == {"openvino"}
            assert all("DISPATCH_OP" in record.evidence for record in records)


def test_a_chain_gives_openvino_first_and_xnnpack_the_rest() -> None:
    model = small_models.partly_compiled()
    value = image((1, 4))
    wanted = Interpreter(model, delegate=None).run(value)
    chain = [OpenVino(precision_loss_allowed=False), Xnnpack(num_threads=1)]
    with Interpreter(model, delegate=chain) as interpreter:
        np.testing.assert_allclose(interpreter.run(value), wanted, rtol=1e-5)
        records = interpreter.placement
    assert [(record.op_name, record.ran) for record in records] == [
        ("ADD", "openvino"),
        ("FLOOR", "xnnpack"),
        ("MUL", "openvino"),
    ]
    assert {record.asked for record in records} == {"openvino+xnnpack"}
    assert len({record.partition for record in records}) == 3


def test_a_model_that_openvino_takes_nothing_of_raises_instead_of_running_on_the_cpu() -> None:
    with pytest.raises(DelegateError, match=r"OpenVINO took no op of this model(.|\n)*The runtime said"):
        Interpreter(small_models.CASES["copy_float32"].build(), delegate=[OpenVino(), Xnnpack()])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"config": {"INFERENCE_NUM_THREAD": "1"}}, "'INFERENCE_NUM_THREADS'"),
        ({"config": {"ENABLE_CPU_PINNING": "MAYBE"}}, "refuses ENABLE_CPU_PINNING = 'MAYBE'"),
        ({"config": {"INFERENCE_PRECISION_HINT": "f32"}}, "give precision_loss_allowed instead"),
        ({"config": {"NUM_STREAMS": 1}}, "dict of str to str"),
        ({"num_threads": 0}, "at least 1"),
        ({"device": "TPU"}, "'CPU', 'GPU', 'NPU'"),
        ({"precision": "f32"}, "'precision_loss_allowed'"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_compiled(options: dict[str, object], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        Interpreter(small_models.add(), delegate=OpenVino(**options))  # type: ignore[arg-type]


def test_a_configuration_key_that_openvino_knows_is_taken() -> None:
    with Interpreter(DIGITS, delegate=OpenVino(config={"ENABLE_HYPER_THREADING": "NO"})) as interpreter:
        assert interpreter.options_in_effect["openvino"]["ENABLE_HYPER_THREADING"] == "NO"


def test_a_device_that_is_not_here_says_what_is() -> None:
    if "NPU" in openvino_library.load().devices:
        pytest.skip("this machine has an Intel NPU")
    with pytest.raises(DelegateUnavailableError, match="finds no NPU here; it finds CPU"):
        Interpreter(small_models.add(), delegate=OpenVino(device="NPU"))


def test_another_shape_is_compiled_anew() -> None:
    model = small_models.conv_dynamic_batch()
    with Interpreter(model, delegate="openvino", precision_loss_allowed=False) as interpreter:
        for batch in (1, 2, 1):
            x = image((batch, 4, 4, 1))
            np.testing.assert_allclose(interpreter.run(x), Interpreter(model, None).run(x), rtol=1e-5, atol=1e-5)
        assert {record.ran for record in interpreter.placement} == {"openvino"}


def test_every_op_of_a_folded_model_has_a_place_also_where_the_signature_renames_its_outputs() -> None:
    model = small_models_shapes.computed_reshape()
    with Interpreter(model, delegate="openvino", precision_loss_allowed=False) as interpreter:
        for batch in (1, 3):
            x = np.random.default_rng(batch).normal(size=(batch, 3, 4)).astype(np.float32)
            np.testing.assert_allclose(interpreter.run(x), Interpreter(model, None).run(x), rtol=1e-5, atol=1e-5)
        assert [record.ran for record in interpreter.placement] == ["folded"] * 3 + ["openvino"] * 2


def test_a_model_with_state_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="keeps state"):
        Interpreter(small_models.counter(), delegate="openvino")


def test_openvino_and_a_gpu_in_one_chain_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="cannot apply openvino and gpu to one model"):
        Interpreter(small_models.add(), delegate=["openvino", "gpu"])


def test_memory_is_flat_over_load_run_and_close() -> None:
    def cycle() -> int:
        with Interpreter(DIGITS, delegate="openvino") as interpreter:
            interpreter.run(image((1, 8, 8, 1)))
        gc.collect()
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    resident_kb = [cycle() for _ in range(60)]
    grown = resident_kb[-1] - resident_kb[19]
    assert grown < 8192, f"{grown} kB more after 40 cycles"


def test_an_integer_model_gives_the_integers_of_the_cpu() -> None:
    model = small_models.conv_int8()
    with Interpreter(model, delegate="openvino") as interpreter:
        info = interpreter.inputs[0]
        value = np.random.default_rng(0).integers(-128, 128, info.shape).astype(info.dtype)
        assert np.abs(interpreter.run(value).astype(int) - Interpreter(model).run(value)).max() <= 1


ACTIVATIONS = {"RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3}
IMAGE = In((1, 8, 8, 4), -9, 9)


def transposed(activation: int, bias: bool) -> Trial:
    table = options("TransposeConv", padding=SAME, strideW=2, strideH=2, fusedActivationFunction=activation)
    reads = (integers(1, 16, 16, 6), Const(normal(6, 3, 3, 4)), IMAGE, *((Const(normal(6) * 3),) if bias else ()))
    return Trial("TRANSPOSE_CONV", "", reads, table, version=4 if activation else 3 if bias else 1)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_transposed_convolution_whose_activation_would_be_lost_is_refused_by_its_name(
    activation: str, bias: bool
) -> None:
    model = transposed(ACTIVATIONS[activation], bias).build()
    says = rf"op 0 \(TRANSPOSE_CONV\) has a fused activation \({activation}\), which OpenVINO leaves out(.|\n)*xnnpack"
    with pytest.raises(DelegateError, match=says):
        Interpreter(model, "openvino")
    with Interpreter(model, ["openvino", "xnnpack"], fallback=True) as interpreter:
        right = Interpreter(model, None).run(*(values := transposed(0, bias).inputs(0)))
        np.testing.assert_allclose(interpreter.run(*values), right, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("bias", [False, True])
def test_a_transposed_convolution_without_activation_has_the_values_of_the_cpu(bias: bool) -> None:
    trial = transposed(0, bias)
    with Interpreter(trial.build(), OpenVino(precision_loss_allowed=False)) as interpreter:
        right = Interpreter(trial.build(), None).run(*trial.inputs(0))
        np.testing.assert_allclose(interpreter.run(*trial.inputs(0)), right, rtol=1e-4, atol=1e-4)


def test_other_ops_that_openvino_computes_wrongly_are_refused_by_their_names() -> None:
    widths = Const(np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))
    half = Quantization([0.05], [0])
    largest = Trial(
        "REDUCE_MAX",
        "",
        (In((1, 6, 6, 4), -128, 127, "int8", half), integers(1, 2)),
        options("Reducer", keepDims=True),
        (Out(Type.INT8, half),),
        version=2,
    )
    for trial, says in (
        (Trial("MIRROR_PAD", "", (IMAGE, widths), options("MirrorPad", mode=1)), "pads symmetrically"),
        (largest, "is of int8"),
    ):
        with pytest.raises(DelegateError, match=rf"op 0 \({trial.op}\) {says}"):
            Interpreter(trial.build(), "openvino")
    reflected = Trial("MIRROR_PAD", "", (IMAGE, widths), options("MirrorPad", mode=0))
    with Interpreter(reflected.build(), OpenVino(precision_loss_allowed=False)) as interpreter:
        right = Interpreter(reflected.build(), None).run(*reflected.inputs(0))
        np.testing.assert_allclose(interpreter.run(*reflected.inputs(0)), right, rtol=1e-6)


def int8_convolution(largest: int) -> Trial:
    """Return a convolution of int8 whose weights lie between minus and plus ``largest``."""
    weights = np.random.default_rng(0).integers(-largest, largest + 1, (4, 3, 3, 4)).astype(np.int8)
    weights.flat[0] = largest
    steps = Quantization([0.01] * 4, [0] * 4)
    reads = (
        In((1, 8, 8, 4), -128, 127, "int8", Quantization([0.02], [0])),
        Const(weights, steps),
        Const(np.zeros(4, np.int32), Quantization([0.0002] * 4, [0] * 4)),
    )
    table = options("Conv2D", padding=SAME, strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1)
    return Trial("CONV_2D", "", reads, table, (Out(Type.INT8, Quantization([0.0012 * largest], [0])),), version=3)


@pytest.mark.parametrize(("flags", "overflows"), [("avx2", True), ("avx2 avx_vnni", False), ("avx512_vnni", False)])
def test_weights_that_overflow_without_vnni_are_warned_of_with_the_op_and_what_to_do(
    flags: str, overflows: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags : fpu sse2 {flags}\n")
    monkeypatch.setattr(saturation, "CPU_INFO", tmp_path / "cpuinfo")
    for largest, warned in ((127, overflows), (64, False)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            Interpreter(int8_convolution(largest).build(), "openvino").close()
        found = [str(warning.message) for warning in caught if warning.category is SaturationWarning]
        assert len(found) == warned, f"weights of {largest} with {flags}: {found}"
        assert all("op 0 (CONV_2D)" in text and "delegate='xnnpack'" in text for text in found)


def test_float32_models_and_weights_alone_in_integers_do_not_overflow() -> None:
    assert not list(openvino_ops.saturating_ops(Model.load(DIGITS)))
    assert not list(openvino_ops.saturating_ops(Model.load(small_models.int4_weights())))


_OVERFLOW = """
import sys
import numpy as np
from litedelegates import Interpreter, OpenVino
from test_openvino import int8_convolution

for largest in (64, 127):
    trial = int8_convolution(largest)
    values, model = trial.inputs(0), trial.build()
    right = Interpreter(model, None).run(*values).astype(int)
    with Interpreter(model, OpenVino(precision_loss_allowed=False)) as interpreter:
        print(np.abs(interpreter.run(*values).astype(int) - right).max())
"""


def test_what_overflows_on_a_cpu_without_vnni_is_what_is_warned_of() -> None:
    # oneDNN, which computes for OpenVINO, takes the instructions of an older CPU when it is told to.
    steps_off = {}
    for isa in ("AVX2", "ALL"):
        ended = subprocess.run(
            [sys.executable, "-c", _OVERFLOW],
            env={**os.environ, "ONEDNN_MAX_CPU_ISA": isa},
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        steps_off[isa] = [int(line) for line in ended.stdout.split()]
    assert steps_off["AVX2"][0] <= 1 < steps_off["AVX2"][1], steps_off
    if not saturation.pairs_saturate():
        assert max(steps_off["ALL"]) <= 1, steps_off


def test_bodies_of_loops_and_several_signatures_are_placed_in_their_own_subgraphs() -> None:
    for model, subgraphs in ((small_models.while_loop(), {1, 2}), (small_models.two_signatures(), {0, 1})):
        with Interpreter(model, delegate="openvino") as interpreter:
            assert {record.subgraph for record in interpreter.placement if record.ran == "openvino"} == subgraphs


def test_the_profile_of_a_compiled_model_is_the_whole() -> None:
    with Interpreter(DIGITS, delegate="openvino") as interpreter:
        profile = interpreter.profile(runs=3)
    assert "cannot profile openvino per op" in profile.note
    assert profile.ops[0].ran == "openvino" and profile.ops[0].median_us > 0


def test_threads_with_different_precisions_do_not_meet(real_models: dict[str, Path]) -> None:
    model = real_models["face_detection_short_range"]
    effects: dict[bool, set[str]] = {False: set(), True: set()}

    def load(exact: bool) -> None:
        for _ in range(3):
            options = OpenVino(precision_loss_allowed=False) if exact else OpenVino()
            with Interpreter(model, delegate=options) as interpreter:
                effects[exact].add(interpreter.options_in_effect["openvino"]["INFERENCE_PRECISION_HINT"])

    threads = [threading.Thread(target=load, args=(exact,)) for exact in (True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert effects[True] == {"f32"}
    assert effects[False] == {"bf16" if computes_in_bfloat16() else "f32"}


def test_the_runtime_takes_one_dispatch_library_a_process(tmp_path: Path) -> None:
    Interpreter(small_models.add(), delegate="openvino").close()
    (tmp_path / "libLiteRtDispatch_Other.so").touch()
    with pytest.raises(DelegateError, match="one dispatch library a process"):
        Interpreter(small_models.add(), delegate=Npu(dispatch_library_dir=str(tmp_path)))


def test_a_vendor_given_by_its_folders_takes_the_same_way() -> None:
    folders = openvino_library.find()
    openvino_library.load()
    options = {"intel_openvino": {"graph.-1.graph_backend": 0}}
    vendor = Npu(dispatch_library_dir=folders.dispatch_dir, compiler_plugin_dir=folders.compiler_dir, options=options)
    with Interpreter(small_models.add(), delegate=vendor) as interpreter:
        assert {record.ran for record in interpreter.placement} == {"npu"}
        assert interpreter.options_in_effect["intel_openvino"] == options["intel_openvino"]
    with pytest.raises(DelegateUnavailableError, match="no libLiteRtDispatch"):
        Interpreter(small_models.add(), delegate=Npu(dispatch_library_dir="/nowhere"))


def test_the_way_of_a_vendor_without_its_compiler_takes_nothing_and_says_so() -> None:
    openvino_library.load()
    vendor = Npu(dispatch_library_dir=openvino_library.find().dispatch_dir)
    with pytest.raises(DelegateError, match=npu.DISPATCH_OP):
        Interpreter(small_models.add(), delegate=vendor)


def test_devices_knows_openvino() -> None:
    found = availability("openvino")
    assert found.is_available, found.reason
    assert found.detail


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_library.importlib.machinery.PathFinder, "find_spec", lambda name: None)
    with pytest.raises(DelegateUnavailableError, match=r"litedelegates\[openvino\]"):
        openvino_library.find()


_BESIDE = """
import sys
import numpy as np
from litedelegates import Interpreter, OpenVino

first = sys.argv[2]
if first == "package":
    import openvino
with Interpreter(sys.argv[1], delegate=OpenVino(precision_loss_allowed=False)) as interpreter:
    value = np.random.default_rng(0).random(interpreter.inputs[0].shape, np.float32)
    ours = interpreter.run(value)
    assert interpreter.options_in_effect["openvino"]["INFERENCE_PRECISION_HINT"] == "f32"
import openvino
compiled = openvino.Core().compile_model(sys.argv[1], "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
theirs = compiled(value)[0]
np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
# Imports of others pass through as they are.
again = openvino.Core().import_model(compiled.export_model(), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
np.testing.assert_allclose(again(value)[0], theirs, rtol=1e-6)
"""


@pytest.mark.parametrize("first", ["litedelegates", "package"])
def test_the_openvino_package_lives_beside_in_either_order(first: str) -> None:
    command = [sys.executable, "-c", _BESIDE, str(DIGITS), first]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr


_GLOBAL = """
import ctypes, sys
from litedelegates import DelegateError, Interpreter, OpenVino
from litedelegates.delegates import openvino_library

libraries = openvino_library.find()
for name in ("libtbbmalloc.so.2", "libtbb.so.12", f"libopenvino.so.{libraries.version}"):
    ctypes.CDLL(f"{libraries.folder}/{name}", ctypes.RTLD_GLOBAL)
try:
    Interpreter(sys.argv[1], delegate=OpenVino(precision_loss_allowed=False))
except DelegateError as error:
    sys.exit(0 if "loaded it for the whole process" in str(error) else str(error))
sys.exit("float32 was promised and not given")
"""


def test_options_that_cannot_be_handed_over_are_refused() -> None:
    ended = subprocess.run([sys.executable, "-c", _GLOBAL, str(DIGITS)], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr

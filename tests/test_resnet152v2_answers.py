"""The text of the study of ResNet152V2: what it concludes from numbers that were made up for it."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from litedelegates.layers import Alone, InPlace, LayerError, LayerInfo, LayerStudy, PartTiming, Setting, VariantInfo

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

from resnet152v2_answers import QUESTIONS, write_answers
from resnet152v2_findings import Accuracy, Border, Findings, GpuWait, Timing, compare

CPU = ("ONNX Runtime", "its CPU kernels")
XNNPACK = ("LiteRT", "XNNPACK")


def timing(where: tuple[str, str], precision: str, ms: float, **more: Any) -> Timing:
    """Return 12 rounds of 5 runs around a time."""
    noise = np.random.default_rng(int(ms * 1000)).normal(1, 0.002, (12, 5))
    return Timing(*where, precision, (ms * noise).tolist(), file_nbytes=1000, **more)


def ask(word: str, findings: Findings) -> str:
    (answer,) = [answer for question, answer in QUESTIONS if word in question]
    return "\n".join(answer(findings))


def layer_study(int8_us: tuple[float, ...] = (10.0, 20.0, 30.0), whole_us: float = 61.0) -> LayerStudy:
    """Return three layers of 20, 40 and 60 us in float32."""
    float32, int8 = (Setting(name, "xnnpack", 2) for name in ("float32", "int8"))
    names = ("stem", "middle", "predictions")
    sizes = {"float32": 400, "float16": 200, "int8": 100}
    layers = tuple(
        LayerInfo(i, "CONV_2D" if i < 2 else "SOFTMAX", name, name, cut_nbytes=sizes if i < 2 else {})
        for i, name in enumerate(names)
    )
    base_us = (20.0, 40.0, 60.0)

    def parts(times: tuple[float, ...]) -> tuple[PartTiming, ...]:
        return tuple(
            PartTiming(f"k{i}", "xnnpack", "layer", (i,), (us,), "kind and order") for i, us in enumerate(times)
        )

    def apart(setting: Setting, times: tuple[float, ...]) -> list[Alone]:
        verdicts = [
            None if setting is float32 else "faster" if us < was else "slower"
            for us, was in zip(times, base_us, strict=True)
        ]
        return [
            Alone(i, setting, us, speed_up=None if setting is float32 else base_us[i] / us, verdict=verdicts[i])
            for i, us in enumerate(times)
        ]

    errors = [LayerError(i, "int8", "local", "none", sqnr_db=db) for i, db in enumerate((40.0, 25.0, 38.0))]
    errors += [LayerError(i, "int8", "propagated", "none", sqnr_db=db) for i, db in enumerate((40.0, 24.0, 22.0))]
    return LayerStudy(
        "key",
        {"model": "net.tflite"},
        layers,
        (VariantInfo("int8", "0", 250, cut_nbytes={0: 100, 1: 100}),),
        (
            InPlace(float32, parts(base_us), whole_us=121.0, whole_low_us=120.0, whole_high_us=122.0),
            InPlace(int8, parts(int8_us), whole_us=whole_us),
        ),
        (*apart(float32, base_us), *apart(int8, int8_us)),
        tuple(errors),
    )


def test_a_verdict_takes_the_whole_interval():
    base = timing(CPU, "float32", 50)
    assert compare(timing(CPU, "a", 25), base)[0] == "faster"
    assert compare(timing(CPU, "a", 100), base)[0] == "slower"
    assert compare(timing(CPU, "a", 50.1), base)[0] == "no difference shown"
    few = Timing(*CPU, "a", [[25.0], [25.0]])
    verdict, text = compare(few, base)
    assert verdict == "no difference shown"
    assert text.startswith("2.00 times as fast as float32 (too few rounds for an interval)")


def test_dynamic_that_is_slow_on_some_kernels_only_blames_the_kernels():
    findings = Findings(
        2,
        [
            timing(XNNPACK, "float32", 52),
            timing(XNNPACK, "dynamic", 20),
            timing(XNNPACK, "int8", 16),
            timing(CPU, "float32", 54),
            timing(CPU, "dynamic, signed weights", 288),
            timing(CPU, "dynamic, unsigned weights", 72),
        ],
    )
    text = ask("dynamic", findings)
    assert "2.60 [" in text
    assert "Signed weights, with the same quantizing on the fly: 4.0" in text
    assert "times as slow as float32 (288." in text
    assert "It takes +4.0 ms over int8" in text
    assert "20% of its time is that overhead at most" in text
    assert "since LiteRT on XNNPACK, dynamic pay it and win: the kernels of ONNX Runtime, dynamic" in text


def test_dynamic_that_is_slow_everywhere_blames_nothing():
    findings = Findings(2, [timing(CPU, "float32", 54), timing(CPU, "dynamic, signed weights", 288)])
    assert "does not tell overhead from kernels" in ask("dynamic", findings)
    fast = Findings(2, [timing(CPU, "float32", 54), timing(CPU, "dynamic, signed weights", 20)])
    assert "It is not slow" in ask("dynamic", fast)


@pytest.mark.parametrize(
    ("ms", "said"), [(52.05, "nothing is gained on LiteRT on XNNPACK"), (26, "It brought time"), (60, "It costs time")]
)
def test_float16_is_judged_by_the_times(ms: float, said: str):
    findings = Findings(2, [timing(XNNPACK, "float32", 52), timing(XNNPACK, "float16", ms)])
    text = ask("float16", findings)
    assert said in text
    assert sum(other in text for other in ("nothing is gained", "It brought time", "It costs time")) == 1


def qoperator(qdq: float, unsigned: float, signed: float, default: float = 46) -> Findings:
    times = {
        "QDQ U8S8 per channel": qdq,
        "QOperator U8S8 per channel": unsigned,
        "QOperator S8S8 per channel": signed,
        "QDQ S8S8 per tensor": default,
    }
    return Findings(2, [timing(CPU, name, ms) for name, ms in times.items()])


def test_qoperator_is_acquitted_when_only_signed_activations_are_slow():
    assert "The format is not the cause" in ask("QOperator", qoperator(19.9, 19.3, 370))
    assert "The format itself costs time" in ask("QOperator", qoperator(19.9, 40, 370))
    assert "Neither" in ask("QOperator", qoperator(19.9, 19.8, 19.7))
    assert "no conclusion" in ask("QOperator", Findings(2))


def test_a_gpu_that_was_not_waited_for_is_told_from_one_that_was():
    gpu = GpuWait(
        "Card",
        False,
        "small",
        "",
        {"not waited for": 0.1, "until the result is read": 20.0},
        {"run": 19.0},
        "xnnpack 268",
    )
    text = ask("GPU", Findings(2, gpu=gpu))
    assert "200.0 times as much" in text
    assert "after 0% of the time, when the work is queued" in text
    assert "no op of it is on a GPU" in text
    waited = dataclasses.replace(gpu, median_ms={"not waited for": 19.9, "until the result is read": 20.0})
    assert "not waiting explains nothing" in ask("GPU", Findings(2, gpu=waited))
    absent = GpuWait(reason="there is no GPU", default_ran="xnnpack 268")
    assert "could not be measured here: there is no GPU" in ask("GPU", Findings(2, gpu=absent))


def test_layers_are_counted_by_verdict():
    text = ask("speed-up of each", Findings(2, litert=layer_study(), matched=(3, 3)))
    assert "3 of 3 layers faster than in float32, 0 slower" in text
    assert "from 2.00 (stem) to 2.00" in text
    assert "No layer was shown to be slower" in text
    assert "| CONV_2D | 2 | 0.06 | 2.00 |" in text
    slower = ask("speed-up of each", Findings(2, litert=layer_study((10.0, 80.0, 30.0))))
    assert "2 of 3 layers faster than in float32, 1 slower" in slower
    assert "slower than float32 are 1 in int8" in slower


def test_the_sum_explains_the_whole_or_it_does_not():
    text = ask("sum of the layers", Findings(2, litert=layer_study()))
    assert "in place 0.1 ms, 99.2% of the whole 0.1 [0.1, 0.1] ms; all 3 layers alone 0.1 ms (99.2%)" in text
    assert "explain the whole to within 5% on LiteRT: furthest from it is int8 xnnpack 2t with 98.4%" in text
    assert "1.98 times as fast, its layers alone 2.00: the gain of the whole is that of its layers" in text
    apart = ask("sum of the layers", Findings(2, litert=layer_study(whole_us=120.0)))
    assert "do not explain the whole" in apart
    assert "the layers gain less together than alone" in apart
    assert "the layers gain more together than alone" in ask(
        "sum of the layers", Findings(2, litert=layer_study(whole_us=40))
    )


def test_errors_are_placed_where_they_arise():
    accuracies = [
        Accuracy("digits", "int8", 600, "logits", 0.11, 8.0, 0.9983),
        Accuracy("eyes", "int8", 8, "px", 0.4, 9.0),
    ]
    text = ask("error of each", Findings(2, litert=layer_study(), accuracies=accuracies))
    assert "| LiteRT | int8 | 22.0 | 38.0 | middle 25.0, predictions 38.0, stem 40.0 | 16.0 dB at middle |" in text
    assert "| digits | int8 | 600 | 0.11 | logits | 8.00 | 99.83% |" in text
    assert "| eyes | int8 | 8 | 0.40 | px | 9.00 | - |" in text
    formats = Findings(2, matched=(3, 3), largest_difference=2.5e-7)
    assert "by no more than 2.5e-07" in ask("error of each", formats)


def test_cuts_say_what_they_send():
    text = ask("cut transmit", Findings(2, litert=layer_study(), input_nbytes=500))
    assert "2 of 2 places between layers can be cut. The input has 500 bytes; 2 cuts send fewer in float32" in text
    assert "| 0% to 25% of the time | stem | 400 | 200 | 100 |" in text
    assert "| 50% to 75% of the time | middle | 400 | 200 | 100 |" in text
    assert "The int8 file, cut as it is, sends 25% of float32 over all 2 cuts" in text


def test_borders_say_whether_parts_fit():
    border = Border("int8", "stem", ["stem: int8, scale 0.1"], 100, True, "refused: int8 is not float32")
    text = ask("fit together", Findings(2, borders=[border, dataclasses.replace(border, is_equal=False, mixed="")]))
    assert "give bit for bit what the whole gives. With a float32 part behind it: refused" in text
    assert "give NOT what the whole gives" in text


def test_every_question_has_an_answer_even_where_nothing_was_measured():
    text = write_answers(Findings(2))
    sections = text.split("## ")[1:]
    assert len(sections) == len(QUESTIONS)
    for section in sections:
        assert "Not measured in this run" in section or "no conclusion" in section


def test_records_are_read_back_from_json():
    one = timing(CPU, "float32", 50, ran="cpu 480")
    assert Timing.read({**dataclasses.asdict(one), "name": "passed over"}) == one

"""The answers to the open questions about ResNet152V2 in text, each made from the numbers of a run.

No number and no conclusion is written here: sentences are chosen by verdicts, which need a whole interval on one side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from litedelegates.measure import LEAST_EFFECT
from resnet152v2_findings import FASTER, SAME, SLOWER, Findings, compare, join
from resnet152v2_layer_answers import (
    answer_borders,
    answer_cuts,
    answer_error,
    answer_layers,
    answer_sum,
    kernels_in_place,
    share_in_place,
)

ORT = ("ONNX Runtime", "its CPU kernels")
U8S8, S8S8 = "U8S8 per channel", "S8S8 per tensor"


def answer_dynamic(findings: Findings) -> Iterator[str]:
    judged: dict[str, list[str]] = {}
    for engine, kernels in findings.kernels:
        base = findings.timing(engine, kernels, "float32")
        whole = findings.timing(engine, kernels, "int8") or findings.timing(engine, kernels, f"QDQ {U8S8}")
        for one in findings.timings:
            if base is None or (one.engine, one.kernels) != (engine, kernels) or not one.blocks_ms:
                continue
            if not one.precision.startswith("dynamic"):
                continue
            found, text = compare(one, base)
            judged.setdefault(found, []).append(one.name)
            yield f"- {one.name}: {text}."
            if whole is not None:
                over = one.median_ms - whole.median_ms
                yield (
                    f"  It takes {over:+.1f} ms over {whole.precision}, which quantizes nothing on the fly: with "
                    f"kernels as quick, {max(0.0, over / one.median_ms):.0%} of its time is that overhead at most."
                )
    signed, unsigned = (findings.timing(*ORT, f"dynamic, {kind} weights") for kind in ("signed", "unsigned"))
    if signed is not None and unsigned is not None:
        text = compare(signed, unsigned)[1].replace(unsigned.precision, "with unsigned ones")
        yield f"- Signed weights, with the same quantizing on the fly: {text}."
    share = share_in_place(findings.onnx, "dynamic", "DynamicQuantizeLinear")
    if share:
        yield f"- Quantizing activations takes {share} of ONNX Runtime's time in place."
    yield from _conclude(
        judged,
        {
            (FASTER, SLOWER): "The overhead of quantizing on the fly is not what makes it slow, since {faster} pay it "
            "and win: the kernels of {slower} do.",
            (SLOWER,): "It is slow in each of these ({slower}), so that this run does not tell overhead from kernels.",
            (FASTER,): "It is not slow: {faster} win against float32.",
        },
    )


def answer_float16(findings: Findings) -> Iterator[str]:
    judged: dict[str, list[str]] = {}
    for engine, kernels in findings.kernels:
        base, one = (findings.timing(engine, kernels, name) for name in ("float32", "float16"))
        if base is None or one is None:
            continue
        found, text = compare(one, base)
        judged.setdefault(found, []).append(one.name)
        yield (
            f"- {one.name}: {text}; the file has {one.file_nbytes / base.file_nbytes:.0%} of the bytes, and loading "
            f"takes {one.load_s:.2f} s against {base.load_s:.2f} s."
        )
    same = kernels_in_place(findings.litert, "xnnpack", "float32", "float16")
    if same is not None:
        common, total = same
        yield (
            f"- In place, {common} of the {total} kernels that XNNPACK runs for float16 have the names of those for "
            "float32."
        )
    yield from _conclude(
        judged,
        {
            (FASTER,): "It brought time: {faster} are quicker than float32.",
            (SAME,): f"It changes what is stored, not what is computed: within {LEAST_EFFECT:.0%} nothing is gained on "
            "{same}, as it would be if weights are widened to float32 when the model is loaded.",
            (SLOWER,): "It costs time on {slower}, which convert instead of computing in half precision.",
            (FASTER, SLOWER): "It depends on the kernels: {faster} gain, {slower} lose.",
            (
                SAME,
                SLOWER,
            ): "It changes what is stored, not what is computed: nothing is gained on {same}, and "
            "{slower} lose by converting.",
            (FASTER, SAME): "{faster} gain; {same} store less and compute the same.",
        },
    )


def answer_gpu(findings: Findings) -> Iterator[str]:
    gpu = findings.gpu
    if gpu is None:
        yield "Not measured in this run."
        return
    if gpu.default_ran:
        placed = "some of it is on a GPU" if "gpu" in gpu.default_ran else "no op of it is on a GPU"
        yield f"- Without naming a delegate, ResNet152V2 ran on: {gpu.default_ran}. That is, {placed}."
    if findings.prepared_s:
        longest = max(findings.prepared_s.items(), key=lambda entry: entry[1])
        yield (
            f"- Making the {len(findings.prepared_s)} files took {sum(findings.prepared_s.values()):.0f} s (the "
            f"longest {longest[0]}, {longest[1]:.0f} s), without any GPU: quantizing a finished file needs none."
        )
    on_gpu = [one for one in findings.timings if one.kernels == "GPU"]
    for one in on_gpu:
        base = findings.timing("LiteRT", "XNNPACK", "float32")
        text = compare(one, base)[1] if one.blocks_ms and base else f"not measured ({one.failure})"
        yield f"- {one.name}, against XNNPACK: {text}."
    if gpu.reason:
        yield f"- How much of a GPU's time is waiting could not be measured here: {gpu.reason}."
        return
    queued, waited = gpu.median_ms["not waited for"], gpu.median_ms["until the result is read"]
    kind = "played by a program, so that its times mean nothing and their shares do" if gpu.is_software else "real"
    yield (
        f"- {gpu.model} on {gpu.device} ({kind}): timing the call alone says {queued:.3f} ms, timing until the result "
        f"is there says {waited:.3f} ms, {waited / queued:.1f} times as much. "
        + ", ".join(f"{name} {value:.3f} ms" for name, value in gpu.parts_ms.items())
        + "."
    )
    if queued < 0.9 * waited:
        yield (
            f"A GPU that seems on without effect on the time is explained by what was timed: the call returns after "
            f"{queued / waited:.0%} of the time, when the work is queued. And one that is not asked for by name takes "
            "no part."
        )
    else:
        yield f"Here the call returns after {queued / waited:.0%} of the time: not waiting explains nothing."


def answer_qoperator(findings: Findings) -> Iterator[str]:
    found: dict[str, str] = {}
    pairs = (
        ("format", f"QOperator {U8S8}", f"QDQ {U8S8}"),
        ("kernels", "QOperator S8S8 per channel", f"QOperator {U8S8}"),
        ("default", f"QDQ {S8S8}", f"QDQ {U8S8}"),
    )
    for what, name, base_name in pairs:
        one, base = findings.timing(*ORT, name), findings.timing(*ORT, base_name)
        if one is None or base is None:
            continue
        found[what], text = compare(one, base)
        yield f"- {one.precision}: {text}."
    if not {"format", "kernels"} <= found.keys():
        yield "Not all of it was measured: no conclusion."
    elif found["kernels"] == SLOWER and found["format"] != SLOWER:
        yield (
            "The format is not the cause: with unsigned activations QOperator is not slower than QDQ. Signed "
            "activations are, for which this CPU's QLinear kernels are slow; and they are what the library takes when "
            "nothing is said."
        )
    elif found["format"] == SLOWER:
        yield (
            "The format itself costs time here: QOperator is slower with the same types"
            + (", and signed activations cost more on top." if found["kernels"] == SLOWER else ".")
        )
    else:
        yield "Neither the format nor signed activations were slower here."


Answer = Callable[[Findings], Iterator[str]]
QUESTIONS: tuple[tuple[str, Answer], ...] = (
    ("Why did dynamic quantization look slow?", answer_dynamic),
    ("Why did float16 bring nothing on the CPU?", answer_float16),
    ("Why did the GPU seem on without effect?", answer_gpu),
    ("Why was QOperator slower than QDQ?", answer_qoperator),
    ("What is the speed-up of each layer?", answer_layers),
    ("Does the sum of the layers explain the whole?", answer_sum),
    ("What is the error of each precision, and where does it arise?", answer_error),
    ("What would a cut transmit?", answer_cuts),
    ("Do parts that were quantized differently fit together?", answer_borders),
)


def write_answers(findings: Findings) -> str:
    """Return all questions with their answers as Markdown."""
    return "\n\n".join(f"## {question}\n\n" + "\n".join(answer(findings)) for question, answer in QUESTIONS) + "\n"


def _conclude(judged: dict[str, list[str]], sentences: dict[tuple[str, ...], str]) -> Iterator[str]:
    """Yield the sentence for the verdicts that were found; where there is none for all, that for all but "same"."""
    names = {"faster": judged.get(FASTER, []), "slower": judged.get(SLOWER, []), "same": judged.get(SAME, [])}
    kinds = tuple(kind for kind in (FASTER, SAME, SLOWER) if judged.get(kind))
    chosen = sentences.get(kinds) or sentences.get(tuple(kind for kind in kinds if kind != SAME))
    if not kinds:
        yield "Not measured in this run."
    elif chosen is None:
        yield "No difference from float32 was shown."
    else:
        yield "\n" + chosen.format(**{name: join(entries) for name, entries in names.items() if entries})

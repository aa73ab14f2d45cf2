"""What the lines that a step told amount to: a status, a reason and the figures that go into the tables."""

from __future__ import annotations

from typing import Any

# A study's error at an output and the engines' are of the same file and inputs; kernels differ in last bits.
SAME_ERROR = 0.2
LEAST_ERROR = 1e-3

# What `verify` ends with: right and faster, an error or accuracy beyond its bound, not faster than the default.
_VERIFIED = {0: "verified", 1: "beyond its bound", 4: "not faster"}

Lines = list[dict[str, Any]]


def judge_precision(
    precision: str, made: Lines, died: str | None, judged: Lines, judge_died: str | None
) -> dict[str, Any]:
    """Return the status of a quantized model.

    "fine": within what the precision explains. "warned": not, and the package said so. "refused": nothing was made.
    "silent wrong number": not within, and not a word. "does not run": what was made does not run.
    """
    if not made:
        return {"status": "died", "reason": died or "nothing was told"}
    (line,) = made
    row = {name: line.get(name) for name in ("seconds", "ratio", "allowed", "warnings", "refused")}
    if "refused_when_allowed" in line:
        reason = line["refused_when_allowed"]
        return {**row, "status": "error" if reason.startswith("UNTYPED") else "refused", "reason": reason}
    if str(line.get("refused", "")).startswith("UNTYPED"):
        return {**row, "status": "error", "reason": line["refused"]}
    if judge_died:
        return {**row, "status": "does not run", "reason": judge_died}
    found = [entry for entry in judged if "error" in entry]
    broken = [entry for entry in found if isinstance(entry["error"], str)]
    if broken or not found:
        reason = f"{broken[0]['kernels']}: {broken[0]['error']}" if broken else "nothing was compared"
        return {**row, "status": "does not run", "reason": reason}
    worst = max(found, key=lambda entry: (not entry["explained"], entry["error"]))
    names = ("kernels", "error", "dead", "columns", "moves", "output", "unseen", "moved")
    row |= {name: worst[name] for name in names} | {"errors": {entry["kernels"]: entry["error"] for entry in found}}
    if all(entry["explained"] for entry in found):
        return {**row, "status": "warned" if line["warnings"] else "fine"}
    what = f"error {worst['error']:.3g} on {worst['kernels']} (weights moved at random: {worst['moved']:.3g}), "
    what += f"{worst['dead']} of {worst['columns']} columns dead"
    return {**row, "status": "warned" if line["warnings"] else "silent wrong number", "reason": what}


def judge_cuts(lines: Lines, died: str | None) -> dict[str, Any]:
    """Return how many cuts gave the bits of the whole, and what the others did."""
    head = next((line for line in lines if "legal" in line), None)
    if head is None:
        return {"status": "died", "reason": died}
    cuts = [line for line in lines if "status" in line]
    row = {**head, "cuts": cuts, "equal": sum(cut["status"] == "equal" for cut in cuts), "tried": len(cuts)}
    others = [cut for cut in cuts if cut["status"] not in ("equal", "refused")]
    if others:
        return {**row, "status": "wrong" if others[0]["status"] == "wrong" else "error", "reason": others[0]}
    if died:
        return {**row, "status": "died", "reason": [died, lines[-1]]}
    refused = [cut for cut in cuts if cut["status"] == "refused"]
    if refused and any(len(cut["at"]) == 1 for cut in refused):
        return {**row, "status": "wrong", "reason": refused[0]}  # it was said to be legal
    return {**row, "status": "equal" if cuts else "no cut", "reason": refused[0] if refused else None}


def judge_study(lines: Lines, died: str | None, found: Lines, read_died: str | None) -> dict[str, Any]:
    """Return what a study found."""
    head = next((line for line in found if "records" in line), None)
    settings = [line for line in found if "setting" in line]
    if head is None:
        return {"status": "died", "reason": died or read_died}
    row = {**head, "settings": settings, "errors": [line for line in found if "output" in line]}
    row |= {"finished": any("finished" in line for line in lines), "end": died}
    if not row["finished"] and not str(died).startswith("over"):
        return {**row, "status": "died", "reason": died}
    if not settings:
        return {**row, "status": "no times", "reason": head["refusals"]}
    return {**row, "status": "studied" if row["finished"] else "studied in part"}


def contradictions(study: dict[str, Any], quantized: dict[str, dict[str, Any]]) -> list[str]:
    """Return where a study's error at an output is another than that of the engines that judge."""
    found = []
    for line in study.get("errors", ()):
        row = quantized.get(line["precision"], {})
        engines = row.get("errors")
        if line["error"] is None or not engines or line["output"] != row["output"]:
            continue
        near = [abs(line["error"] - error) <= SAME_ERROR * error + LEAST_ERROR for error in engines.values()]
        if not any(near):
            found.append(f"{line['precision']}: study {line['error']:.3g}, engines {engines}")
    return found


def judge_plan(lines: Lines, died: str | None) -> dict[str, Any]:
    """Return what was promised and measured, and how the commands ended."""
    steps = {line["step"]: line for line in lines if "code" in line}
    codes = {step: line["code"] for step, line in steps.items()}
    row: dict[str, Any] = {"codes": codes}
    if died:
        return {**row, "status": "died", "reason": [died, lines[-1] if lines else None]}
    plan, verified = steps.get("plan", {}), steps.get("verify", {}).get("found")
    if plan.get("code") == 0:
        names = ("precisions", "latency_us", "latency_low_us", "latency_high_us", "error", "rivals", "gain", "text")
        row["promised"] = {name: plan.get(name) for name in names}
    if verified is None:
        last = list(steps.values())[-1] if steps else {}
        return {**row, "status": "refused", "reason": f"{last.get('step')}: {last.get('stderr')}"}
    row |= {"verified": verified, "timed": steps.get("time", {}).get("found")}
    if not verified.get("is_equal"):
        return {**row, "status": "wrong", "reason": verified.get("difference")}
    return {**row, "status": _VERIFIED.get(codes["verify"], "error"), "reason": steps["verify"].get("stderr")}

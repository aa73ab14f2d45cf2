"""A folder of images, or one image, as samples, by a preprocessing that is stated and not guessed."""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litedelegates.errors import LiteDelegatesError, MissingExtraError, OptionError
from litedelegates.quantize.request import check_choice

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
LAYOUTS = ("NHWC", "NCHW")


class ImageError(LiteDelegatesError, ValueError):
    """A file is no image that can be read; says which."""


@dataclass(frozen=True)
class Images:
    """The images of a folder, in the order of their paths, or one image file, each as a sample of one image.

    Each is read in RGB (or gray), resized to ``size`` by bilinear interpolation without keeping the aspect ratio, and
    becomes ``(pixel - mean) / std``, pixels going from 0 to 255: ``mean=0, std=255`` gives 0 to 1, ``mean=127.5,
    std=127.5`` gives -1 to 1.

    Args:
        folder: Where the images are, folders inside it are searched too; or one image file of any name.
        mean: What to subtract: a number, or one for each channel.
        std: What to divide by: a number, or one for each channel.
        size: Height and width, or one number for both; by default the model's own.
        layout: ``NHWC`` or ``NCHW``; by default the one that fits the model.
        channels: 3 for RGB, 1 for gray; by default the model's own.
        limit: Take at most this many, evenly spaced over the folder; by default all.
        dtype: Element type of the samples; by default the model's own.

    Raises:
        OptionError: A value is out of range.
    """

    folder: str | os.PathLike[str]
    mean: float | Sequence[float]
    std: float | Sequence[float]
    size: int | tuple[int, int] | None = None
    layout: str | None = None
    channels: int | None = None
    limit: int | None = None
    dtype: str | None = None

    def __post_init__(self) -> None:
        if self.layout is not None:
            check_choice("layout", self.layout, LAYOUTS)
        if self.channels not in (None, 1, 3):
            raise OptionError(f"channels={self.channels} must be 1 (gray) or 3 (RGB)")
        if self.limit is not None and self.limit < 1:
            raise OptionError(f"limit={self.limit} must be at least 1")
        if not np.all(np.asarray(self.std) > 0):
            raise OptionError(f"std={self.std} must be above 0")
        if self.size is not None and min(self._height_width()) < 1:
            raise OptionError(f"size={self.size} must be at least 1")

    def fit(self, shape: tuple[int, ...], dtype: Any) -> Images:
        """Return the same images with what was left open taken from an input's shape (-1: any size) and type.

        Raises:
            OptionError: The input does not take images, or its size is open too.
        """
        layout = self.layout or (
            "NCHW" if len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3) else "NHWC"
        )
        if len(shape) != 4:
            raise OptionError(f"the model's input of shape {shape} takes no images: give the samples as arrays")
        height, width, channels = shape[1:] if layout == "NHWC" else (shape[2], shape[3], shape[1])
        if self.size is None and min(height, width) < 1:
            raise OptionError(
                f"the model's input of shape {shape} takes images of any size: state size=(height, width)"
            )
        return replace(
            self,
            layout=layout,
            size=self.size or (height, width),
            channels=self.channels or (channels if channels in (1, 3) else 3),
            dtype=self.dtype or np.dtype(dtype).name,
        )

    def paths(self) -> list[Path]:
        """Return the image files that will be read.

        Raises:
            OptionError: The folder holds none.
        """
        folder = Path(self.folder)
        if folder.is_file():
            return [folder]
        found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
        if not found:
            kinds = ", ".join(SUFFIXES)
            raise OptionError(f"{folder}: {'no image in it' if folder.is_dir() else 'not a folder'} ({kinds})")
        if self.limit is None or self.limit >= len(found):
            return found
        return [found[index * len(found) // self.limit] for index in range(self.limit)]

    def __len__(self) -> int:
        return len(self.paths())

    def __iter__(self) -> Iterator[NDArray[Any]]:
        try:
            from PIL import Image, UnidentifiedImageError
        except ImportError as error:
            raise MissingExtraError(f"reading images needs Pillow ({error}): pip install pillow") from error
        if self.size is None:
            raise OptionError("the size of the images is open: state size=(height, width)")
        height, width = self._height_width()
        for path in self.paths():
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error", Image.DecompressionBombWarning)
                    with Image.open(path) as image:
                        turned = image.convert("L" if self.channels == 1 else "RGB")
                        pixels = np.asarray(turned.resize((width, height), Image.Resampling.BILINEAR), np.float32)
            except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
                raise ImageError(f"{path} unpacks to more than an image has that is meant well: {error}") from error
            except (SyntaxError, ValueError, struct.error, zlib.error) as error:
                raise ImageError(f"{path} cannot be read as an image: {error}") from error
            except OSError as error:
                if error.filename is not None or isinstance(error, UnidentifiedImageError):
                    raise  # which name it
                raise ImageError(f"{path} cannot be read as an image: {error}") from error
            yield self._finish(pixels.reshape(height, width, -1))

    def _finish(self, pixels: NDArray[np.float32]) -> NDArray[Any]:
        scaled = (pixels - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        dtype = np.dtype(self.dtype or "float32")
        if dtype.kind in "iu":
            limits = np.iinfo(dtype)
            scaled = np.clip(np.round(scaled), limits.min, limits.max)
        turned = scaled.transpose(2, 0, 1) if self.layout == "NCHW" else scaled
        return np.ascontiguousarray(turned[np.newaxis], dtype)

    def _height_width(self) -> tuple[int, int]:
        assert self.size is not None
        return (self.size, self.size) if isinstance(self.size, int) else self.size

"""Images with a pixel size.

Axes are (N, Y, X): N single planes of one kind, Y down, X to the right. Lengths are in nanometres, intensities in
the units of the file they came from.
"""

from __future__ import annotations

import copy
import hashlib
import mmap
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from ..base.errors import InputError
from .provenance import Provenance

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..base.arrays import Pixels
_SMALLEST = 16  # px; below this there is nothing to learn from and nothing to enhance


class _ProvenanceField:
    """The field `provenance` of `Image`: any mapping may be given, and a `Provenance` is kept."""

    @overload
    def __get__(self, image: None, owner: type) -> None: ...
    @overload
    def __get__(self, image: Image, owner: type) -> Provenance: ...
    def __get__(self, image: Image | None, owner: type) -> Provenance | None:
        """Return the provenance of an image; of the class, the default of the field."""
        return None if image is None else image.__dict__["provenance"]

    def __set__(self, image: Image, value: Provenance | Mapping[str, Any] | None) -> None:
        """Keep `value` as a `Provenance`; raises InputError for what JSON cannot hold."""
        if not isinstance(value, Provenance):
            value = Provenance.from_json(value or {}, f"{image.name}: provenance")
        image.__dict__["provenance"] = value


@dataclass(frozen=True, eq=False)
class Image:
    """One or more planes of equal size with their pixel size.

    Parameters
    ----------
    pixels
        (Y, X) or (N, Y, X), any real number type; kept as (N, Y, X) float32, which holds 16-bit counts exactly. The
        image cannot be written to. An array in memory that the caller can write to is copied, so that later changes do
        not reach the image. A read-only array (see `read_only`) and a memory map are used as they are.
    pixel_size
        Side of a pixel in nm, or None where it is not known.
    origin
        (y, x) of the upper left corner of the first pixel, in nm. Two images lie on each other when their corners do,
        whatever their pixel sizes.
    name
        What a person calls it.
    provenance
        Where it came from: for generated and enhanced images the model, seed, settings and version. A dictionary, or
        another mapping, becomes a `Provenance`: numbers and arrays of NumPy become plain numbers and lists, and tuples
        become lists, as JSON has them.

    Raises
    ------
    InputError
        If the pixels are not one or more finite, real, gray planes of at least 16 × 16 pixels, the pixel size is not
        positive, or the provenance holds anything that JSON cannot.
    """

    pixels: Pixels
    pixel_size: float | None = None
    origin: tuple[float, float] = (0.0, 0.0)
    name: str = "image"
    provenance: _ProvenanceField = _ProvenanceField()

    def __post_init__(self) -> None:
        object.__setattr__(self, "pixels", _planes(self.pixels, self.name))
        if self.pixel_size is not None and not (np.isfinite(self.pixel_size) and self.pixel_size > 0):
            raise InputError(f"{self.name}: the pixel size must be a positive number of nm, not {self.pixel_size}.")
        # NumPy's numbers cannot be written as JSON.
        object.__setattr__(self, "pixel_size", None if self.pixel_size is None else float(self.pixel_size))
        object.__setattr__(self, "origin", (float(self.origin[0]), float(self.origin[1])))

    def __len__(self) -> int:
        """Return the number of planes."""
        return len(self.pixels)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of a plane in pixels."""
        return self.pixels.shape[1], self.pixels.shape[2]

    @property
    def digest(self) -> str:
        """SHA-256 of the pixels, by which a model's training data can be recognised."""
        return hashlib.sha256(np.ascontiguousarray(self.pixels).tobytes()).hexdigest()

    def crop(self, y: slice, x: slice) -> Image:
        """Return the part of the field in pixel rows `y` and columns `x`, at its place in nm.

        Raises
        ------
        InputError
            If they name no part of it, or one of less than 16 pixels.
        """
        rows, columns = range(*y.indices(self.size[0])), range(*x.indices(self.size[1]))
        if not rows or not columns or rows.step != 1 or columns.step != 1:
            raise InputError(f"{self.name}: rows {y} and columns {x} do not name a part of its {self.size} pixels.")
        step = self.pixel_size or 0.0
        corner = (self.origin[0] + rows[0] * step, self.origin[1] + columns[0] * step)
        pixels = self.pixels[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return replace(self, pixels=pixels, origin=corner)


def with_own_pixels(image: Image, pixels: Pixels, **changes: Any) -> Image:
    """Return a copy of `image` with other pixels, which are not read and not copied.

    For pixels that this package computed, which may be larger than memory: `Image` itself looks for NaN in all of them.

    Parameters
    ----------
    image
        A checked image, from which every field but `pixels` and `changes` is taken.
    pixels
        (N, Y, X), float32 of either byte order; finite.
    **changes
        Other fields of `Image`, valid as they are.
    """
    other = copy.copy(image)
    for name, value in {"pixels": pixels, **changes}.items():
        object.__setattr__(other, name, value)
    return other


def _planes(pixels: npt.ArrayLike, name: str) -> Pixels:
    """Return `pixels` as (N, Y, X) float32, or say in a sentence why they are no such image."""
    array = np.asarray(pixels)
    if array.size == 0:
        raise InputError(f"{name} is empty: give an image with pixels in it.")
    if np.iscomplexobj(array):
        raise InputError(f"{name} has complex pixels: give its magnitude or its real part.")
    if array.dtype.kind not in "buif":
        raise InputError(f"{name} holds {array.dtype} values, not numbers: give a grayscale image.")
    if array.ndim >= 3 and array.shape[-1] in (3, 4) and array.shape[-2] > 4:
        raise InputError(f"{name} is a color (RGB) image of shape {array.shape}: convert it to grayscale first.")
    if array.ndim == 2:
        array = array[np.newaxis]
    if array.ndim != 3:
        raise InputError(
            f"{name} has {array.ndim} axes, shape {array.shape}: give a 2-D image or a stack (planes, Y, X)."
        )
    if min(array.shape[1:]) < _SMALLEST:
        raise InputError(
            f"{name} is {array.shape[1]} × {array.shape[2]} pixels: give one of at least {_SMALLEST} × {_SMALLEST}."
        )
    # float64 beyond the float32 range becomes infinite here and is refused below.
    with np.errstate(over="ignore"):
        planes = np.asarray(array, dtype=np.float32)
    if np.may_share_memory(planes, array) and array.flags.writeable and not _is_mapped(pixels):
        planes = planes.copy()
    # Plane by plane: the whole may be larger than memory.
    if not all(np.isfinite(plane).all() for plane in planes):
        raise InputError(f"{name} has NaN or infinite pixels: replace them (by 0, say) first.")
    return read_only(planes)


def read_only(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a view of `pixels` that cannot be written to, which `Image` takes without a copy.

    For arrays that nobody changes afterwards, such as results that were just computed.
    """
    view = pixels.view()
    view.flags.writeable = False
    return view


def _is_mapped(pixels: Any) -> bool:
    """Return whether the pixels of an array lie in a file: a copy in memory may not be possible."""
    while pixels is not None:
        if isinstance(pixels, (np.memmap, mmap.mmap)):
            return True
        pixels = getattr(pixels, "base", None)
    return False


def empty_images(count: int, height: int, width: int) -> Pixels:
    """Return an array for so many images, (N, Y, X); raises MemoryError with a sentence where there is no room."""
    try:
        return np.empty((count, height, width), np.float32)
    except MemoryError as error:
        raise MemoryError(
            f"There is no room in memory for {count} images of {height} × {width} pixels: choose fewer or smaller ones."
        ) from error


def as_image(source: Image | npt.ArrayLike, name: str = "image", pixel_size: float | None = None) -> Image:
    """Return `source` as an `Image`; a pixel size that is given replaces the image's own."""
    image = source if isinstance(source, Image) else Image(np.asarray(source), name=name)
    return image if pixel_size is None else replace(image, pixel_size=pixel_size)


def as_images(
    sources: Image | npt.ArrayLike | Sequence[Image | npt.ArrayLike], pixel_size: float | None = None
) -> list[Image]:
    """Return one image, one array, or a list of them as a list of `Image`."""
    several = sources if isinstance(sources, (list, tuple)) else [sources]
    return [as_image(source, f"image {i + 1}", pixel_size) for i, source in enumerate(several)]


def common_pixel_size(images: Iterable[Image]) -> float | None:
    """Return the one pixel size of `images` in nm, None where none has one.

    Raises
    ------
    InputError
        If there is no image, or the pixel sizes differ by more than 5 %.
    """
    images = list(images)
    if not images:
        raise InputError("No image was given: name at least one.")
    known = [image for image in images if image.pixel_size]
    sizes = [image.pixel_size or 0.0 for image in known]
    if sizes and max(sizes) > 1.05 * min(sizes):
        low, high = known[sizes.index(min(sizes))], known[sizes.index(max(sizes))]
        raise InputError(
            f"{low.name} has pixels of {low.pixel_size:.4g} nm and {high.name} of {high.pixel_size:.4g} nm: "
            "give images of one pixel size."
        )
    return sizes[0] if sizes else None

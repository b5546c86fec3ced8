"""Images with a pixel size.

Axes are (N, Y, X): N planes of one kind, Y down, X to the right. `Image.axes` states which of the planes are times and
depths. Lengths are in nanometres. Intensities have the units of the source file.
"""

from __future__ import annotations

import copy
import hashlib
import math
import mmap
from dataclasses import InitVar, dataclass, replace
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from ..base.errors import InputError
from .axes import Axis, Channel, arranged, fitting_axes, reordered
from .pixel_size import check_pixel_size
from .provenance import Provenance

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..base.arrays import Pixels
_STRIP = 256  # rows that are read together where a whole plane may be larger than memory
_MIN_SIDE = 16  # pixels; a smaller image is too small for training and for enhancement


class _ProvenanceField:
    """The field `provenance` of `Image`: it accepts any mapping and stores a `Provenance`."""

    @overload
    def __get__(self, image: None, owner: type) -> None: ...
    @overload
    def __get__(self, image: Image, owner: type) -> Provenance: ...
    def __get__(self, image: Image | None, owner: type) -> Provenance | None:
        """Return the provenance of an image. On the class, return None, the default of the field."""
        return None if image is None else image.__dict__["provenance"]

    def __set__(self, image: Image, value: Provenance | Mapping[str, Any] | None) -> None:
        """Store `value` as a `Provenance`; raises InputError for values that JSON cannot hold."""
        if not isinstance(value, Provenance):
            value = Provenance.from_json(value or {}, f"{image.name}: provenance")
        image.__dict__["provenance"] = value


class _AxesField:
    """The field `axes` of `Image`: it also accepts the letters of all axes of an array."""

    @overload
    def __get__(self, image: None, owner: type) -> tuple[()]: ...
    @overload
    def __get__(self, image: Image, owner: type) -> tuple[Axis, ...]: ...
    def __get__(self, image: Image | None, owner: type) -> tuple[Axis, ...]:
        """Return the axes of an image. On the class, return (), the default of the field."""
        return () if image is None else image.__dict__["axes"]

    def __set__(self, image: Image, value: str | Sequence[Axis]) -> None:
        """Store axes, or letters that `Image` replaces when it is made."""
        image.__dict__["axes"] = value if isinstance(value, str) else tuple(value)


@dataclass(frozen=True, eq=False)
class Image:
    """One or more planes of equal size with their pixel size.

    Parameters
    ----------
    pixels
        (Y, X) or (N, Y, X), or any array whose `axes` are named; any real number type. Other axes of length 1 are
        dropped. The image stores them read-only as (N, Y, X) float32, which holds
        16-bit counts exactly. A writable array in memory is copied, so that later changes do not reach the image. A
        read-only array (see `read_only`) and a memory map are used without a copy.
    pixel_size
        Side of a pixel in nm, or None if it is unknown.
    origin
        (y, x) of the upper left corner of the first pixel, in nm. Images with equal corners overlap, also if their
        pixel sizes differ.
    name
        Name for messages and layers.
    provenance
        Source of the image. Generated and enhanced images state the model, seed, settings and version. A dictionary or
        another mapping becomes a `Provenance`. NumPy numbers and arrays become plain numbers and lists, and tuples
        become lists, as in JSON.
    axes
        Axes before Y and X whose lengths multiply to N; () for planes of one kind in no known order. For an array with
        other axes, the letters of all of them: "TZCYX", with T for times, Z for depths, C for channels, and N for other
        planes of one kind.
    channel
        Index or name of the channel to take from an array with the axis C. An image has no channels.

    Raises
    ------
    InputError
        If the pixels are not one or more planes of finite, real, gray values and at least 16 × 16 pixels. Also if the
        pixel size or the axes are not possible, or the provenance holds a value that JSON cannot hold.
    """

    pixels: Pixels
    pixel_size: float | None = None
    origin: tuple[float, float] = (0.0, 0.0)
    name: str = "image"
    provenance: _ProvenanceField = _ProvenanceField()
    axes: _AxesField = _AxesField()
    channel: InitVar[Channel] = None

    def __post_init__(self, channel: Channel) -> None:
        letters: str | tuple[Axis, ...] = self.axes
        if isinstance(letters, str):
            pixels, axes, _ = arranged(np.asarray(self.pixels), letters, channel, where=self.name)
            object.__setattr__(self, "pixels", pixels)
            object.__setattr__(self, "axes", axes)
        elif channel is not None:
            raise InputError(f"{self.name} has no axis of channels: name all axes, as in axes='CYX'.")
        object.__setattr__(self, "pixels", _planes(self.pixels, self.name))
        try:
            object.__setattr__(self, "axes", fitting_axes(self.axes, len(self)))
        except ValueError as error:
            raise InputError(f"{self.name} has axes that do not fit: {error} Give other axes, or none.") from error
        if self.pixel_size is not None:
            check_pixel_size(self.pixel_size, f"{self.name}: the pixel size")
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
    def stack(self) -> Pixels:
        """The pixels with an axis for each of `axes`: (T, Z, Y, X), (N, Y, X) for planes of one kind, or (Y, X)."""
        lengths = tuple(axis.length for axis in self.axes) or (len(self),)
        return self.pixels[0] if len(self) == 1 else self.pixels.reshape(*lengths, *self.size)

    @property
    def digest(self) -> str:
        """SHA-256 of the pixels. It identifies the training images of a model."""
        digest = hashlib.sha256()
        for plane in self.pixels:
            for start in range(0, len(plane), _STRIP):  # strips, because a mapped image may be larger than memory
                digest.update(np.ascontiguousarray(plane[start : start + _STRIP]).tobytes())
        return digest.hexdigest()

    def crop(self, y: slice, x: slice) -> Image:
        """Return the pixel rows `y` and columns `x` as an image, with its own origin in nm.

        Its provenance states the part (`Provenance.window`).

        Raises
        ------
        InputError
            If the slices are empty or have a step other than 1, or a side of the crop is below 16 pixels.
        """
        rows, columns = range(*y.indices(self.size[0])), range(*x.indices(self.size[1]))
        if not rows or not columns or rows.step != 1 or columns.step != 1:
            raise InputError(
                f"{self.name}: rows {y} and columns {x} do not name a part of its {self.size} pixels: give slices "
                "within the image, with step 1."
            )
        pixel_size = self.pixel_size or 0.0
        corner = (self.origin[0] + rows[0] * pixel_size, self.origin[1] + columns[0] * pixel_size)
        pixels = self.pixels[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        ends = (rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1)
        return replace(self, pixels=pixels, origin=corner, provenance=self.provenance.of_part(*ends, self.size))


def with_own_pixels(image: Image, pixels: Pixels, **changes: Any) -> Image:
    """Return `image` with other pixels, which are neither read nor copied.

    Use it for pixels that this package computed and that may be larger than memory. `Image` itself reads every pixel
    to search for NaN.

    Parameters
    ----------
    image
        A checked image. The result takes every field from it, except `pixels` and `changes`.
    pixels
        (N, Y, X), float32 of either byte order; finite.
    **changes
        Other fields of `Image`; they are not checked. Axes that do not fit the number of planes are dropped.
    """
    changed = copy.copy(image)
    for name, value in {"pixels": pixels, **changes}.items():
        object.__setattr__(changed, name, value)
    if math.prod(axis.length for axis in changed.axes) != len(changed):
        object.__setattr__(changed, "axes", ())
    return changed


def in_file_order(image: Image) -> Image:
    """Return an image whose axes are in the order of files, times before depths; the image itself as a rule."""
    pixels, axes = reordered(image.axes, image.pixels)
    return image if pixels is image.pixels else with_own_pixels(image, pixels, axes=axes)


def _planes(pixels: npt.ArrayLike, name: str) -> Pixels:
    """Return `pixels` as (N, Y, X) float32; raises InputError if they are no gray image."""
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
    elif array.ndim > 2:
        # No image is one pixel wide: a last axis of length 1 is one of channels.
        array = array[..., 0] if array.shape[-1] == 1 else array
        array = array.reshape([n for n in array.shape[:-2] if n > 1] + list(array.shape[-2:]))
        array = array[np.newaxis] if array.ndim == 2 else array
    if array.ndim != 3:
        raise InputError(
            f"{name} has {array.ndim} axes, shape {array.shape}: give a 2-D image or a stack (planes, Y, X), or name "
            "the axes: Image(pixels, axes='TZYX')."
        )
    if min(array.shape[1:]) < _MIN_SIDE:
        raise InputError(
            f"{name} is {array.shape[1]} × {array.shape[2]} pixels: give one of at least {_MIN_SIDE} × {_MIN_SIDE}."
        )
    # Values beyond the float32 range become infinite here; the check below refuses them.
    with np.errstate(over="ignore"):
        planes = np.asarray(array, dtype=np.float32)
    if np.may_share_memory(planes, array) and array.flags.writeable and not _is_mapped(pixels):
        planes = planes.copy()
    if not all_finite(planes):
        raise InputError(f"{name} has NaN or infinite pixels: replace them by the median of the others.")
    return read_only(planes)


def all_finite(planes: Pixels) -> bool:
    """Return whether all (N, Y, X) pixels are finite; strips are read, as a mapped image may be larger than memory."""
    return all(
        np.isfinite(plane[start : start + _STRIP]).all() for plane in planes for start in range(0, len(plane), _STRIP)
    )


def read_only(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a read-only view of `pixels`, which `Image` uses without a copy.

    Use it for arrays that do not change afterwards, such as a result that was just computed.
    """
    view = pixels.view()
    view.flags.writeable = False
    return view


def _is_mapped(pixels: Any) -> bool:
    """Return whether an array is mapped from a file, which may be too large for a copy in memory."""
    while pixels is not None:
        if isinstance(pixels, (np.memmap, mmap.mmap)):
            return True
        pixels = getattr(pixels, "base", None)
    return False


def empty_images(count: int, height: int, width: int) -> Pixels:
    """Return an array for `count` images, (N, Y, X); raises MemoryError with a message if memory is too small."""
    try:
        return np.empty((count, height, width), np.float32)
    except MemoryError as error:
        raise MemoryError(
            f"Memory is too small for {count} images of {height} × {width} pixels: choose fewer or smaller images."
        ) from error


class AnisotropicPixelsError(InputError):
    """An image has pixels that are not square. Whoever can resample it finds here what was read.

    Parameters
    ----------
    name
        Name of the image or its file, for the message.
    sides
        (y, x) sides of a pixel in nm.
    image
        The image, whose `pixel_size` is the side along X.
    """

    def __init__(self, name: str, sides: tuple[float, float], image: Image) -> None:
        super().__init__(
            f"{name} has pixels of {sides[0]:.6g} by {sides[1]:.6g} nm: resample it to square ones first. Only an "
            "image to be enhanced is resampled by this program."
        )
        self.sides = sides
        self.image = image


def as_image(source: Image | npt.ArrayLike, name: str = "image", pixel_size: float | None = None) -> Image:
    """Return `source` as an `Image`; `pixel_size` in nm replaces the image's own unless it is None."""
    image = source if isinstance(source, Image) else Image(np.asarray(source), name=name)
    return image if pixel_size is None else replace(image, pixel_size=pixel_size)


def as_images(
    sources: Image | npt.ArrayLike | Sequence[Image | npt.ArrayLike], pixel_size: float | None = None
) -> list[Image]:
    """Return an image, an array, or a sequence of them as a list of `Image`."""
    source_list = sources if isinstance(sources, (list, tuple)) else [sources]
    return [as_image(source, f"image {i + 1}", pixel_size) for i, source in enumerate(source_list)]


def common_pixel_size(images: Iterable[Image]) -> float | None:
    """Return the common pixel size of `images` in nm, or None if no image has one.

    Raises
    ------
    InputError
        If `images` is empty, or their pixel sizes differ by more than 5 %.
    """
    images = list(images)
    if not images:
        raise InputError("No image was given: name at least one.")
    with_size = [image for image in images if image.pixel_size]
    sizes = [image.pixel_size or 0.0 for image in with_size]
    if sizes and max(sizes) > 1.05 * min(sizes):
        low, high = with_size[sizes.index(min(sizes))], with_size[sizes.index(max(sizes))]
        raise InputError(
            f"{low.name} has pixels of {low.pixel_size:.4g} nm and {high.name} of {high.pixel_size:.4g} nm: "
            "give images of one pixel size."
        )
    return sizes[0] if sizes else None

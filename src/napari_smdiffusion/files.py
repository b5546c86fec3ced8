"""Images in files: TIFF in and out, localization tables in. What is written is there as a whole or not at all."""

from __future__ import annotations

import errno
import gc
import json
import math
import os
import shutil
import traceback
import uuid
import warnings
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError, InputWarning
from .images import Image, Pixels, common_pixel_size, read_only, with_own_pixels
from .localizations import TABLE_SUFFIXES, read_table, render, rendered_corner

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    import numpy.typing as npt

TIFF_SUFFIXES = (".tif", ".tiff")
_FACTS = "napari_smdiffusion"  # key of our own metadata in a TIFF file
_IMAGEJ_MOST = 3.9e9  # bytes: ImageJ's own form ends at 4 GB
_LARGEST_PIXEL = 2e4  # nm; no objective has larger ones: what says so is the resolution of a print
_NM = {"nm": 1.0, "um": 1e3, "µm": 1e3, "μm": 1e3, "micron": 1e3, "microns": 1e3, "mm": 1e6, "cm": 1e7}


class _UnsuitableError(InputError):
    """A TIFF file is whole, but holds nothing that can be worked with here."""


def read_image(path: str | os.PathLike[str], pixel_size: float | None = None) -> Image:
    """Read a TIFF file or a localization table.

    Parameters
    ----------
    path
        TIFF (8-, 16-, 32-bit or float; one plane or a stack), or a localization table (.csv, .hdf5), which is rendered.
    pixel_size
        In nm; replaces the one in the file. A localization table is rendered at it (default 20 nm).

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file cannot be read as a gray image; the sentence names the file.

    Warns
    -----
    InputWarning
        If a localization table is 3-D: z is not used.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}.")
    if pixel_size is not None and not (math.isfinite(pixel_size) and pixel_size > 0):
        raise ValueError(f"The pixel size of {path} must be a positive number of nm, not {pixel_size:g}.")
    if path.suffix.lower() in TABLE_SUFFIXES:
        return _rendered(path, pixel_size or 20.0)
    return _read_tiff(path, pixel_size)


def _rendered(path: Path, pixel_size: float) -> Image:
    table = read_table(path)
    if table.depth:
        low, high = table.depth
        sentence = f"{path} is 3-D (z from {low:.4g} to {high:.4g} nm): its image is a projection along z."
        warnings.warn(InputWarning(sentence), stacklevel=3)
    return Image(read_only(render(table, pixel_size)), pixel_size, rendered_corner(table, pixel_size), path.name)


def _read_tiff(path: Path, pixel_size: float | None) -> Image:
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            first, *others = tiff.series
            if "S" in first.axes and first.shape[first.axes.index("S")] > 1:
                raise _UnsuitableError(f"{path} is a color (RGB) image: convert it to grayscale first.")
            # Planes written one by one and positions of a stage are a series each; small previews are left out.
            others = [one for one in others if not one.keyframe.is_reduced]
            if any((one.shape, one.dtype) != (first.shape, first.dtype) for one in others):
                raise _UnsuitableError(
                    f"{path} holds images of different sizes or kinds, {1 + len(others)} in all: save each as a file "
                    "of its own."
                )
            if any(one.is_multifile or None in one.pages for one in (first, *others)):
                # A file of a set gives its own planes: the others come with theirs, or are not there.
                pixels = np.stack([page.asarray() for page in tiff.pages])
            else:
                pixels = np.stack([one.asarray() for one in (first, *others)]) if others else first.asarray()
            facts = _read_facts(tiff)
            size = pixel_size or facts.get("pixel_size_nm") or _tiff_pixel_size(tiff, path)
    except _UnsuitableError:
        raise
    # tifffile and its codecs raise many kinds of errors on damaged files; to a person they are all the same.
    except Exception as error:
        raise ValueError(f"{path} cannot be read as a TIFF image ({error}).") from error
    singles = tuple(i for i, length in enumerate(pixels.shape[:-2]) if length == 1)
    pixels = pixels.squeeze(singles) if pixels.ndim > 2 else pixels
    origin = facts.get("origin_nm", (0.0, 0.0))
    return Image(read_only(pixels), size, (origin[0], origin[1]), str(path), facts.get("provenance", {}))


def _read_facts(tiff: Any) -> dict[str, Any]:
    """Return what `new_tiff` put into the file, or nothing."""
    with suppress(ValueError, TypeError, KeyError):
        text = tiff.imagej_metadata[_FACTS] if tiff.is_imagej else tiff.pages[0].description
        facts = json.loads(text)
        return facts if isinstance(facts, dict) else {}
    return {}


@dataclass(frozen=True)
class FileFacts:
    """What stands in a TIFF file beside its pixels: nothing in any other file.

    `pixel_size` is in nm; where it is not told because the pixels are not square, `problem` says so.
    """

    provenance: Mapping[str, Any] = field(default_factory=dict)
    pixel_size: float | None = None
    problem: str = ""


def facts_of(path: Path) -> FileFacts:
    """Return what stands in a file beside its pixels."""
    import tifffile

    if path.suffix.lower() not in TIFF_SUFFIXES:
        return FileFacts()
    try:
        with tifffile.TiffFile(path) as tiff:
            facts = _read_facts(tiff)
            provenance, size = dict(facts.get("provenance", {})), facts.get("pixel_size_nm")
            try:
                return FileFacts(provenance, size or _tiff_pixel_size(tiff, path))
            except _UnsuitableError as error:
                return FileFacts(provenance, None, str(error))
    # See `_read_tiff`.
    except Exception:
        return FileFacts()


def kind_of(path: Path) -> str:
    """Return what kind of image is in a file: "experimental", unless this package made it."""
    return str(facts_of(path).provenance.get("kind", "experimental"))


def written_here(path: Path) -> bool:
    """Tell whether a file is a TIFF that this package generated, simulated, enhanced or mapped."""
    return kind_of(path) != "experimental"


def _tiff_pixel_size(tiff: Any, path: Path) -> float | None:
    """Return the pixel size in nm from OME-XML, ImageJ metadata or the resolution tags, or None.

    Raises
    ------
    _UnsuitableError
        If the pixels are not square.
    """
    sides = [size for size in (_tiff_pixel_side(tiff, axis) for axis in "YX") if size and size <= _LARGEST_PIXEL]
    if len(sides) == 2 and abs(sides[0] / sides[1] - 1) > 0.01:
        raise _UnsuitableError(
            f"{path} has pixels of {sides[0]:.4g} by {sides[1]:.4g} nm: resample it to square ones first."
        )
    return sides[-1] if sides else None


def _tiff_pixel_side(tiff: Any, axis: str) -> float | None:
    """Return how large a pixel is along "Y" or "X", in nm."""
    if tiff.is_ome:
        from xml.etree import ElementTree

        with suppress(ElementTree.ParseError, ValueError, KeyError):
            for element in ElementTree.fromstring(tiff.ome_metadata).iter():
                if element.tag.endswith("}Pixels") and f"PhysicalSize{axis}" in element.attrib:
                    unit = element.attrib.get(f"PhysicalSize{axis}Unit", "µm")
                    return float(element.attrib[f"PhysicalSize{axis}"]) * _NM[unit]
        return None
    tags = tiff.pages[0].tags
    if f"{axis}Resolution" not in tags:
        return None
    numerator, denominator = tags[f"{axis}Resolution"].value
    if not numerator or not denominator:
        return None
    if tiff.is_imagej:
        unit = str((tiff.imagej_metadata or {}).get("unit", "")).replace("\\u00B5", "µ")
        return _NM[unit] * denominator / numerator if unit in _NM else None
    # Inches are a printer's setting (72 dpi), not a microscope's; centimetres are what microscopes write.
    centimetres = "ResolutionUnit" in tags and tags["ResolutionUnit"].value == 3
    return 1e7 * denominator / numerator if centimetres else None


def read_images(
    paths: Iterable[str | os.PathLike[str]], pixel_size: float | None = None, left_out: Container[str] = ()
) -> list[Image]:
    """Read files and all TIFF files and localization tables of folders, in the order given, then by name.

    Files of folders whose kind of provenance is among `left_out` are not read: results of an earlier run.

    Raises
    ------
    FileNotFoundError
        If a path does not exist, or a folder holds no image.
    ValueError
        If no path was given, a file cannot be read, or two images have different pixel sizes.
    """
    images = [read_image(path, pixel_size) for path in image_files(paths, left_out=left_out)]
    common_pixel_size(images)
    return images


def image_files(
    paths: Iterable[str | os.PathLike[str]],
    suffixes: tuple[str, ...] = TIFF_SUFFIXES + TABLE_SUFFIXES,
    left_out: Container[str] = (),
) -> list[Path]:
    """Return the files named in `paths`, and those of folders that end in one of `suffixes`; hidden ones are left out.

    So are those of folders whose kind of provenance is among `left_out`.

    Raises
    ------
    FileNotFoundError
        If a path does not exist, or a folder holds no such file.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if not path.exists():
            raise FileNotFoundError(f"There is no file {path}.")
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        found = [p for p in inside if p == path or (p.suffix.lower() in suffixes and not p.name.startswith("."))]
        if left_out:
            found = [p for p in found if p == path or kind_of(p) not in left_out]
        if not found:
            made = ", or only results of another run" if left_out else ""
            raise FileNotFoundError(f"The folder {path} holds no file that ends in {', '.join(suffixes)}{made}.")
        files += found
    return files


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give the name of a temporary file beside `path` that takes its place only when everything went well."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: name a file to write.")
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.open("xb").close()
    except OSError as error:
        raise OSError(f"{path} cannot be written ({error.strerror}): choose another place.") from error
    try:
        yield temporary
    except BaseException as error:
        if os.name == "nt":
            # Windows removes no file that is mapped: the frames that failed hold the arrays of the map.
            traceback.clear_frames(error.__traceback__)
            gc.collect()
        with suppress(OSError):
            temporary.unlink()
        raise
    _put(temporary, path)


def _put(temporary: Path, path: Path) -> None:
    """Give a whole file its name; where that is not to be had (Windows, while a program has it open) another one."""
    try:
        temporary.replace(path)
    except OSError as error:
        kept = path.with_name(f"{path.stem}-{uuid.uuid4().hex[:8]}{path.suffix}")
        try:
            temporary.replace(kept)
        except OSError:
            kept = temporary
        raise OSError(
            f"{path} cannot be replaced ({error.strerror}): close what has it open. The result is kept in {kept}."
        ) from error


@contextmanager
def new_tiff(
    path: Path,
    shape: tuple[int, int, int],
    pixel_size: float | None = None,
    origin: tuple[float, float] = (0.0, 0.0),
    provenance: Mapping[str, Any] | None = None,
    dtype: npt.DTypeLike = np.float32,
) -> Iterator[npt.NDArray[Any]]:
    """Open an array (N, Y, X) that is a TIFF file, for images larger than memory.

    The file has the pixel size as ImageJ reads it, and place and provenance; it appears when the block ends well. The
    array stays readable after the block and can then no longer be written to. Windows cannot rename a file that is
    mapped: there, delete the array within the block.
    """
    import tifffile

    kind = np.dtype(dtype)
    options = _tiff_options(shape, kind.itemsize, pixel_size, origin, provenance)
    with written_whole(path) as temporary:
        check_space(path, shape, itemsize=kind.itemsize)
        pixels: Any = tifffile.memmap(temporary, shape=shape, dtype=kind, **options)
        _allocate(temporary, path)
        try:
            yield pixels
            pixels.flush()
            pixels.flags.writeable = False
        finally:
            # The map ends with the last array that uses it. Closed before, any use of one would be a segmentation
            # fault.
            del pixels
            if os.name == "nt":
                gc.collect()


def _tiff_options(
    shape: tuple[int, int, int],
    itemsize: int,
    pixel_size: float | None,
    origin: tuple[float, float],
    provenance: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return how tifffile writes (N, Y, X) pixels with their pixel size, place and provenance.

    The planes are a plain ImageJ stack. tifffile itself writes only hyperstacks in ImageJ's form, in which every axis
    is time, depth or color, and nobody knows that of N images. A description with the number of images alone opens as
    a stack in ImageJ, and has the axes IYX in tifffile.
    """
    facts = {"pixel_size_nm": pixel_size, "origin_nm": origin, "provenance": dict(provenance or {})}
    # Older tifffile reads no line of ImageJ's description that has a second "=", and takes any description in which it
    # finds "shape": for its own.
    text = json.dumps(facts).replace("=", "\\u003d").replace('"shape":', '"\\u0073hape":')
    options: dict[str, Any] = {"description": text, "metadata": None, "photometric": "minisblack"}
    large = itemsize * math.prod(shape) > _IMAGEJ_MOST
    if large:
        options["bigtiff"] = True
    else:
        unit = "unit=um\n" if pixel_size else ""
        options["description"] = f"ImageJ=1.11a\nimages={shape[0]}\n{unit}loop=false\n{_FACTS}={text}\n"
    if pixel_size:
        # ImageJ counts in its own unit, which is µm here.
        per_unit, unit_tag = (1e7, "CENTIMETER") if large else (1e3, "NONE")
        options |= {"resolution": (per_unit / pixel_size,) * 2, "resolutionunit": unit_tag}
    return options


def mapped_image(path: Path) -> Image:
    """Return a TIFF file that `new_tiff` wrote, mapped: each plane is read from the disk when it is used.

    Returns
    -------
    Image of (N, Y, X) float32, in the byte order of the file, which cannot be written to.
    """
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        facts = _read_facts(tiff)
    pixels: Any = tifffile.memmap(path, mode="r")
    if pixels.dtype != np.float32:
        return read_image(path)
    empty = Image(
        np.zeros((16, 16), np.float32), facts["pixel_size_nm"], facts["origin_nm"], str(path), facts["provenance"]
    )
    return with_own_pixels(empty, pixels.reshape(-1, *pixels.shape[-2:]))


def check_space(path: Path, shape: tuple[int, int, int], files: int = 1, itemsize: int = 4) -> None:
    """Raise an OSError if `files` files of (N, Y, X) pixels of `itemsize` bytes do not fit where `path` is to be."""
    needed = files * (itemsize * math.prod(shape) + 2**20)
    place = next(parent for parent in path.absolute().parents if parent.exists())
    if shutil.disk_usage(place).free < needed:
        raise OSError(f"{path} needs {needed / 1e6:.0f} MB: free some space or choose another disk.")


def _allocate(temporary: Path, path: Path) -> None:
    """Take the room that a mapped file will need: it grows while it is filled, and a full disk kills the process."""
    if not hasattr(os, "posix_fallocate"):
        return
    size = temporary.stat().st_size
    with temporary.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            # Some file systems cannot: then the room was only looked for.
            if error.errno == errno.ENOSPC:
                raise OSError(f"{path} needs {size / 1e6:.0f} MB: free some space or choose another disk.") from error


def write_image(path: str | os.PathLike[str], image: Image, dtype: npt.DTypeLike | None = None) -> None:
    """Write an image as a TIFF (N, Y, X) with its pixel size, place and provenance, whole or not at all.

    Parameters
    ----------
    path
        File to write; it is replaced if it exists.
    image
        Image to write.
    dtype
        Type of the pixels in the file. By default whole numbers are written as uint8 or uint16 where all fit, and
        anything else as float32; the pixels are the same when they are read back.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    shape, kind = (len(image), *image.size), dtype or _exact_type(image.pixels)
    with new_tiff(Path(path), shape, image.pixel_size, image.origin, image.provenance, kind) as pixels:
        for target, plane in zip(pixels, image.pixels, strict=True):
            target[...] = plane
        del pixels, target  # Windows renames no mapped file


def _exact_type(pixels: Pixels) -> npt.DTypeLike:
    """Return the smallest of uint8 and uint16 that holds all of (N, Y, X) `pixels` exactly, or else float32."""
    highest = 0.0
    for plane in pixels:  # plane by plane: the whole may be larger than memory
        highest = max(highest, float(plane.max()))
        if plane.min() < 0 or highest > np.iinfo(np.uint16).max or (plane != np.floor(plane)).any():
            return np.float32
    return np.uint8 if highest <= np.iinfo(np.uint8).max else np.uint16

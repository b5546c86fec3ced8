"""Reads the pixel size of the camera from the yaml file beside a table of Picasso, or from comments of a table."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError
from ..base.printable import printable

if TYPE_CHECKING:
    from pathlib import Path

# nm; a camera pixel in the sample is tens to hundreds of nm, and these bounds leave room for any objective
_SMALLEST, _LARGEST = 1.0, 20_000.0
_LARGEST_FILE = 2**18  # bytes; PyYAML takes seconds for it
# In comments of text tables: "pixel size: 100 nm", "px_size": (100.0, 100.0)
_STATED = re.compile(
    r"""\b(?:camera[ _])?p(?:ixel|x)[ _-]?size(?:[ _]?\(?(?P<before>nm|um|µm)\)?)?['"]?\s*[:=]?\s*[\[(]?\s*"""
    r"""(?P<y>\d+(?:\.\d*)?(?:e[+-]?\d+)?)(?:\s*,\s*(?P<x>\d+(?:\.\d*)?(?:e[+-]?\d+)?))?\s*[\])]?\s*(?P<unit>nm|um|µm)?""",
    re.IGNORECASE,
)


def checked_camera_pixel(size: float, path: Path) -> float:
    """Return a camera pixel in nm; raises InputError if no camera pixel has this size in a sample."""
    if not _SMALLEST <= size <= _LARGEST:
        raise InputError(
            f"{path} states a camera pixel of {size:.4g} nm: correct it to the side of a pixel in the sample in nm, "
            f"from {_SMALLEST:g} to {_LARGEST:g}."
        )
    return size


def camera_pixel_in_comments(comments: str, path: Path) -> float | None:
    """Return the camera pixel in nm that comments of a table state; None if they state none.

    Raises
    ------
    InputError
        If they state two sizes, or one that is impossible.
    """
    sizes = set()
    for match in _STATED.finditer(comments):
        factor = 1.0 if (match["unit"] or match["before"] or "nm").lower() == "nm" else 1e3
        sizes |= {float(match[axis]) * factor for axis in ("y", "x") if match[axis]}
    return _only(sizes, path) if sizes else None


def _only(sizes: set[float], path: Path) -> float:
    if len(sizes) > 1:
        listed = " and ".join(f"{size:.4g}" for size in sorted(sizes)[:2])
        raise InputError(
            f"{path} states camera pixels of {listed} nm: state one size, which is the side of a square pixel."
        )
    return checked_camera_pixel(next(iter(sizes)), path)


def camera_pixel_beside(path: Path) -> float:
    """Return the camera pixel in nm from the yaml file beside a table.

    The yaml file has one document per processing step.

    Raises
    ------
    InputError
        If there is no such file, it cannot be read, or it does not state one possible size as `Pixelsize`.
    """
    text = path.with_suffix(".yaml")
    sizes = set()
    for document in _documents(text, path) if text.is_file() else ():
        for key, value in document.items() if isinstance(document, dict) else ():
            if str(key).lower() == "pixelsize" and not isinstance(value, bool):
                # YAML reads 1e2 as text: its floats need a point and a sign.
                with suppress(ValueError, TypeError, OverflowError):
                    size = float(value)
                    if math.isfinite(size):
                        sizes.add(size)
    if not sizes:
        raise InputError(
            f"{text} does not state 'Pixelsize' as a number (nm of a camera pixel): put it beside {path.name}."
        )
    return _only(sizes, text)


def _documents(text: Path, table: Path) -> list[Any]:
    """Return the documents of a yaml file; Python's own types become None."""
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]  # yaml has no types
        """Reads Python's own types as None, for example a tuple for the ROI, so that the file stays readable."""

    Loader.add_multi_constructor("", lambda *_: None)
    if text.stat().st_size > _LARGEST_FILE:
        raise InputError(f"{text} has more than {_LARGEST_FILE // 2**10} kB: put the yaml file of Picasso there.")
    try:
        return list(yaml.load_all(text.read_bytes(), Loader))
    # PyYAML raises many kinds of errors for damaged files, also of Python's types.
    except Exception as error:
        reason = printable(" ".join(str(error).split()), 200) or type(error).__name__
        raise InputError(f"{text} is not a yaml file ({reason}): export {table.name} from Picasso again.") from error

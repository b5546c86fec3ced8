"""Pixel sizes: the units of other programs, and the bounds of what an image of a microscope can have."""

from __future__ import annotations

from ..base.errors import InputError

# nm. A rendered image has pixels of 1 nm or more. The pixel of a camera without an objective is some µm.
MIN_PIXEL_SIZE, MAX_PIXEL_SIZE = 0.1, 2e4
_ROUNDING = 0.01  # relative difference of the sides of a pixel that counts as square
# nm. The user may enter a larger size than a file may state: a photograph has larger pixels.
_MAX_GIVEN = 1e6

_NANOMETRES = {
    "pm": 1e-3,
    "å": 0.1,
    "nm": 1.0,
    "µm": 1e3,
    "mm": 1e6,
    "cm": 1e7,
    "dm": 1e8,
    "m": 1e9,
    "inch": 2.54e7,
}
_SECONDS = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
# Other spellings, in lower case. The strange ones are "µm" in a wrong encoding.
_SPELLINGS = {
    "pm": "picometer picometre",
    "å": "angstrom ångström ångstrom angström ang a",
    "nm": "nanometer nanometre nanomètre nano nanometros",
    "µm": "um micron micrometer micrometre micromètre mikrometer mikron micra mu mum umeter umetre µmeter µmetre µ u "
    "âµm î¼m �m ?m",
    "mm": "millimeter millimetre milimeter",
    "cm": "centimeter centimetre centi",
    "dm": "decimeter decimetre",
    "m": "meter metre mètre",
    "inch": 'in inche " zoll',
    "ns": "nsec nanosecond nanosec",
    "µs": "us usec microsecond microsec µsec",
    "ms": "msec millisecond millisec",
    "s": "sec second sekunde",
    "min": "minute",
    "h": "hr hour",
}
_UNIT = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in (unit, *spellings.split())}
# Words that programs write instead of an unknown size.
_NO_UNIT = ("", "pixel", "px", "pix", "none", "null", "unknown", "uncalibrated", "reference frame", "relative", "voxel")
# Dots per inch of printers, scanners and screens. Programs write one of them where nothing is known.
_PRINTED = (
    *(72, 75, 90, 96, 100, 120, 144, 150, 180, 192, 200, 216, 220, 240, 250, 266, 288, 300, 350, 360, 384, 400, 480),
    *(
        500,
        600,
        720,
        800,
        900,
        1000,
        1200,
        1440,
        1600,
        1800,
        2000,
        2400,
        2880,
        3000,
        3200,
        3600,
        4000,
        4800,
        5400,
        5760,
    ),
    *(6000, 6400, 7200, 8000, 9600, 10000),
)
_FINEST_PRINT = 10_000  # dots per inch


def nanometres(value: float, unit: str) -> float | None:
    """Return a length in nm; None if the unit is not known."""
    factor = _NANOMETRES.get(_unit(unit))
    return None if factor is None else value * factor


def seconds(value: float, unit: str) -> float | None:
    """Return a duration in s; None if the unit is not known."""
    factor = _SECONDS.get(_unit(unit))
    return None if factor is None else value * factor


def states_no_unit(unit: str) -> bool:
    """Return whether a program wrote that it knows no unit, such as "pixels"."""
    text = _plain(unit)
    return text in _NO_UNIT or (len(text) > 1 and text.removesuffix("s") in _NO_UNIT)


def are_anisotropic(sides: tuple[float, float]) -> bool:
    """Return whether the (y, x) sides of a pixel differ by more than the rounding of files."""
    return abs(sides[0] / sides[1] - 1) > _ROUNDING


def is_print_resolution(pixel_size: float, *, in_inches: bool = False) -> bool:
    """Return whether a pixel size in nm is the resolution of a print, a screen or a scanner.

    In inches, every resolution up to 10 000 dots per inch is: microscopes do not use them.
    """
    dots_per_inch = 2.54e7 / pixel_size
    if in_inches and dots_per_inch < 1.001 * _FINEST_PRINT:
        return True
    return any(abs(dots_per_inch / dots - 1) < 1e-3 for dots in _PRINTED)


def check_pixel_size(pixel_size: float, where: str) -> None:
    """Raise an InputError if a pixel size in nm is no positive number, or one that no image has.

    Parameters
    ----------
    pixel_size
        In nm.
    where
        Begin of the message: what has the pixel size.
    """
    if not 0 < pixel_size < float("inf"):
        raise InputError(f"{where} must be a positive number of nm, not {pixel_size:g}.")
    if not MIN_PIXEL_SIZE <= pixel_size <= _MAX_GIVEN:
        raise InputError(
            f"{where} must be a number of nm from {MIN_PIXEL_SIZE:g} to {_MAX_GIVEN:,.0f}, not {pixel_size:g}: "
            "check its unit."
        )


def _plain(unit: str) -> str:
    """Return the text of a unit in lower case, without what programs write around it."""
    text = unit.replace("\\u00B5", "µ").replace("\\u00b5", "µ").replace("\\u03BC", "µ").replace("\\u03bc", "µ")
    text = text.replace("μ", "µ").strip(" \t\r\n\0()[]").lower()
    for suffix in ("/pixel", "/px", "/pix", " per pixel", "/voxel"):
        text = text.removesuffix(suffix)
    return text.strip().rstrip(".")


def _unit(unit: str) -> str:
    """Return the unit of a spelling, or "" if it is not known."""
    text = _plain(unit)
    return _UNIT.get(text) or _UNIT.get(text.removesuffix("s"), "")

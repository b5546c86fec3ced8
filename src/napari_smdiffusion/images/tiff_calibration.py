"""The distances between pixels, planes and times that a TIFF file states, in the words of many programs."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .axes import DEPTH, TIME, positive_number
from .pixel_size import MAX_PIXEL_SIZE, MIN_PIXEL_SIZE, is_print_resolution, nanometres, seconds, states_no_unit
from .tiff_scifio import scifio_layout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_AXES = "YXZT"


@dataclass(frozen=True)
class Calibration:
    """The distances that a file states.

    Parameters
    ----------
    steps
        By axis: "Y", "X" and "Z" in nm, "T" in s.
    problem
        What the file states of its pixels and is not understood: "pixels of 0.1 ell, a unit that is not known". Empty
        if there is nothing.
    """

    steps: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""

    @property
    def plane_steps(self) -> dict[str, float]:
        """Steps of the axes before Y and X."""
        return {name: step for name, step in self.steps.items() if name in (TIME, DEPTH)}


def calibration(tiff: Any) -> Calibration:
    """Return the distances that an open TIFF file states.

    Each place is read in turn, and the first usable pixel size is right. The resolution tags are last:
    other programs use them for prints. A place whose content is damaged counts as empty.
    """
    steps: dict[str, float] = {}
    problem = ""
    for stated_in in _PLACES:
        stated = Calibration()
        # Any program may have written the metadata, and tifffile raises many kinds of errors for damaged ones.
        with suppress(Exception):
            stated = stated_in(tiff)
        steps = {**stated.plane_steps, **steps}
        problem = problem or stated.problem
        in_plane = {axis: step for axis, step in stated.steps.items() if axis in "YX"}
        if in_plane and not any(axis in steps for axis in "YX"):
            steps |= in_plane
    return Calibration(steps, "" if any(axis in steps for axis in "YX") else problem)


def _calibration(values: Mapping[str, tuple[Any, str]]) -> Calibration:
    """Return the calibration of values with units, by axis; values that are no positive numbers count as not stated."""
    steps: dict[str, float] = {}
    problem = ""
    for axis, (value, unit) in values.items():
        number = positive_number(_as_number(value))
        if number is None or states_no_unit(unit):
            continue
        step = seconds(number, unit) if axis == TIME else nanometres(number, unit)
        if axis not in "YX":
            if step is not None:
                steps[axis] = step
        elif step is not None and MIN_PIXEL_SIZE <= step <= MAX_PIXEL_SIZE:
            steps[axis] = step
        elif step is None or not is_print_resolution(step):
            reason = "a unit that is not known" if step is None else "which no microscope image has"
            problem = f"pixels of {number:.4g} {' '.join(unit.split())[:30]}, {reason}"
    return Calibration(steps, problem)


def _as_number(value: Any) -> Any:
    """Return a text as a number, also with a decimal comma; other values as they are."""
    if isinstance(value, str):
        with suppress(ValueError):
            return float(value.replace(",", "."))
    return value


def _from_ome(tiff: Any) -> Calibration:
    if not tiff.is_ome:
        return Calibration()
    # A regular expression, because the text after this element is often damaged.
    match = re.search(r"<(?:\w+:)?Pixels\s[^>]*", tiff.pages[0].description)
    attributes = dict(re.findall(r'(\w+)\s*=\s*"([^"]*)"', match.group())) if match else {}
    values = {axis: (attributes.get(f"PhysicalSize{axis}"), _ome_unit(attributes, axis)) for axis in "YXZ"}
    interval = attributes.get("TimeIncrement"), attributes.get("TimeIncrementUnit", "s")
    return _calibration({**values, TIME: interval})


def _ome_unit(attributes: Mapping[str, str], axis: str) -> str:
    return _unescaped(attributes.get(f"PhysicalSize{axis}Unit", "µm"))


def _unescaped(text: str) -> str:
    """Return a text of XML with its references resolved, such as "&#181;m"."""
    from xml.sax.saxutils import unescape

    text = re.sub(r"&#x([0-9a-fA-F]{1,5});", lambda found: chr(int(found[1], 16)), text)
    text = re.sub(r"&#(\d{1,6});", lambda found: chr(int(found[1])), text)
    return unescape(text, {"&quot;": '"', "&micro;": "µ"})


def _from_imagej(tiff: Any) -> Calibration:
    if not tiff.is_imagej:
        return Calibration()
    metadata = tiff.imagej_metadata or {}
    unit = str(metadata.get("unit", ""))
    intervals = {
        DEPTH: (metadata.get("spacing"), str(metadata.get("zunit", unit))),
        TIME: (metadata.get("finterval"), str(metadata.get("tunit", "s")) or "s"),
    }
    if states_no_unit(unit):
        return _calibration(intervals)
    # ImageJ's resolution is in pixels per its unit, for any tag of the unit.
    units = {"Y": unit, "X": unit}
    units |= {axis: str(metadata[f"{axis.lower()}unit"]) for axis in "YX" if f"{axis.lower()}unit" in metadata}
    sides = {axis: (_pixels_per_unit(tiff, axis), units[axis]) for axis in "YX"}
    stated = _calibration({**{axis: (1 / n if n else None, u) for axis, (n, u) in sides.items()}, **intervals})
    is_inch = nanometres(1, unit) == nanometres(1, "inch")
    if is_inch and any(is_print_resolution(stated.steps.get(axis, 1e9), in_inches=True) for axis in "YX"):
        return _calibration(intervals)
    return stated


def _pixels_per_unit(tiff: Any, axis: str) -> float | None:
    """Return the number in the tag of the resolution along `axis`."""
    tag = tiff.pages[0].tags.get(f"{axis}Resolution")
    if tag is None:
        return None
    numerator, denominator = tag.value
    return numerator / denominator if numerator > 0 and denominator > 0 else None


def _from_metamorph(tiff: Any) -> Calibration:
    if tiff.is_stk:
        values = tiff.stk_metadata
        if values.get("SpatialCalibration", 1) == 0:
            return Calibration()
        unit = str(values.get("CalibrationUnits") or "um")
        distances = values.get("ZDistance")
        step = float(abs(distances[0])) if distances is not None and len(distances) > 1 else None
        sides = {axis: (values.get(f"{axis}Calibration"), unit) for axis in "YX"}
        return _calibration({**sides, DEPTH: (step, unit)})
    if tiff.is_metaseries:
        plane = tiff.metaseries_metadata["PlaneInfo"]
        if not plane.get("spatial-calibration-state", True):
            return Calibration()
        unit = str(plane.get("spatial-calibration-units") or "um")
        return _calibration({axis: (plane.get(f"spatial-calibration-{axis.lower()}"), unit) for axis in "YX"})
    return Calibration()


def _from_microscope(tiff: Any) -> Calibration:
    """Return the calibration in the own metadata of LSM, SIS, FluoView and Micro-Manager files."""
    if tiff.is_lsm:
        values = tiff.lsm_metadata
        sizes = {axis: (values.get(f"VoxelSize{axis}"), "m") for axis in "YXZ"}
        return _calibration({**sizes, TIME: (values.get("TimeIntervall") or values.get("TimeInterval"), "s")})
    if tiff.is_sis:
        return _calibration({axis: (tiff.sis_metadata.get(f"pixelsize{axis.lower()}"), "m") for axis in "YX"})
    if tiff.is_fluoview:
        named = {
            str(name).upper(): (step, str(unit)) for name, _, _, step, unit in tiff.fluoview_metadata["Dimensions"]
        }
        return _calibration({axis: named[axis] for axis in _AXES if axis in named})
    if tiff.is_micromanager:
        summary = (tiff.micromanager_metadata or {}).get("Summary", {})
        size, interval = (summary.get("PixelSize_um"), "um"), (summary.get("Interval_ms"), "ms")
        return _calibration({"Y": size, "X": size, DEPTH: (summary.get("z-step_um"), "um"), TIME: interval})
    return Calibration()


def _from_scifio(tiff: Any) -> Calibration:
    layout = scifio_layout(tiff.pages[0].description)
    return Calibration() if layout is None else _calibration(layout.scales)


def _from_shaped(tiff: Any) -> Calibration:
    """Return the calibration that a script wrote with tifffile, in the words of OME or ImageJ."""
    values: Mapping[str, Any] = (tiff.shaped_metadata or ({},))[0]
    unit = str(values.get("unit", ""))
    sizes = {
        axis: (values.get(f"PhysicalSize{axis}"), str(values.get(f"PhysicalSize{axis}Unit", "µm"))) for axis in "YXZ"
    }
    from_ome = _calibration({**sizes, TIME: (values.get("TimeIncrement"), str(values.get("TimeIncrementUnit", "s")))})
    words = {DEPTH: (values.get("spacing"), unit), TIME: (values.get("finterval"), "s")}
    tag = tiff.pages[0].tags.get("ResolutionUnit")
    if unit and tag is not None and tag.value == 1:
        for axis in "YX":
            n = _pixels_per_unit(tiff, axis)
            words[axis] = (1 / n if n else None, unit)
    return from_ome if from_ome.steps else _calibration(words)


def _from_tags(tiff: Any) -> Calibration:
    """Return the resolution of the tags, if it plainly is none of a print."""
    tag = tiff.pages[0].tags.get("ResolutionUnit")
    unit = {2: "inch", 3: "cm"}.get(0 if tag is None else int(tag.value))
    numbers = {axis: _pixels_per_unit(tiff, axis) for axis in "YX"}
    steps = {axis: nanometres(1 / n, unit) or 0.0 for axis, n in numbers.items() if n and unit}
    if any(is_print_resolution(step, in_inches=unit == "inch") for step in steps.values()):
        return Calibration()
    return Calibration({axis: step for axis, step in steps.items() if MIN_PIXEL_SIZE <= step <= MAX_PIXEL_SIZE})


_PLACES: tuple[Callable[[Any], Calibration], ...] = (
    _from_ome,
    _from_imagej,
    _from_metamorph,
    _from_microscope,
    _from_scifio,
    _from_shaped,
    _from_tags,
)

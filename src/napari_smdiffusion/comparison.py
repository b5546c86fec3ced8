"""The comparison of generated with experimental images, and what is to be said of enhanced ones: picture and report."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import zoom

from . import __version__
from .assess import grid_patches, histograms, realism, spectra
from .filaments import compare_filaments
from .images import Image, common_pixel_size, written_whole
from .meanings import meanings_of
from .memorization import LookedUp, look_for_copies
from .pictures import ComparedPatches, ShownField, contrast, draw_comparison
from .progress import Progress, Steps, Stop, never, run
from .registration import registration_shift, translated
from .resolution import decorrelation_analysis, fourier_ring_correlation
from .restoration import ErrorMap, error_map, linear_fit, restoration

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Pixels = npt.NDArray[np.float32]

_SIZES = (128, 96, 64)
_PIXELS_DIFFER = 0.05  # by which pixel sizes may differ from the factor
_ENOUGH = 8  # patches of each kind
_TO_LEARN_FROM, _TOLD_APART = 48, 192  # least and most patches of each kind for the classifier
_PARTS = 5
_LOOKED_UP = 400  # patches of each kind that are looked for in the training images, at most
_ANALYSED = 64  # patches of each kind whose resolution is told


@dataclass(frozen=True)
class EnhancedField:
    """An enhanced image, the widefield image it was made of, and a super-resolution image of the field if there is one.

    `uncertainty` is the map that came with the enhanced image.

    Raises
    ------
    ValueError
        If they cannot be images of one field: the enhanced one must have a whole number of times as many pixels, of
        sizes that agree where they are known.
    """

    enhanced: Image
    widefield: Image
    reference: Image | None = None
    uncertainty: Image | None = None

    def __post_init__(self) -> None:
        factor, size = self.factor, self.widefield.size
        expected = (len(self.widefield), size[0] * factor, size[1] * factor)
        for image in (self.enhanced, self.reference, self.uncertainty):
            if image is None:
                continue
            if not factor or image.pixels.shape != expected:
                raise ValueError(
                    f"{image.name} has shape {image.pixels.shape}, which is no whole number of times that of "
                    f"{self.widefield.name}, {self.widefield.pixels.shape}: give images of the same field."
                )
            one, other = image.pixel_size, self.widefield.pixel_size
            if one and other and abs(other / one / factor - 1) > _PIXELS_DIFFER:
                raise ValueError(
                    f"{image.name} has pixels of {one:.4g} nm and {self.widefield.name} of {other:.4g} nm, but "
                    f"{factor} times as many of them: give images of the same field, or mend a pixel size."
                )

    @property
    def factor(self) -> int:
        """Enhanced pixels per widefield pixel, along each axis."""
        return self.enhanced.size[0] // self.widefield.size[0]


def compare_steps(
    experimental: Sequence[Image],
    generated: Image | None,
    training: Sequence[Image],
    out: Path,
    *,
    enhanced: EnhancedField | None = None,
    stop: Stop = never,
) -> Steps[dict[str, Any]]:
    """Compare, and write `comparison.png` and `report.json` into `out`.

    Parameters
    ----------
    experimental
        Experimental images; for `memorization` to mean something, none that the model was trained on.
    generated
        Generated images, (N, Y, X). None, with no experimental ones: only `enhanced` is judged.
    training
        Images that the model was trained on; without any, `memorization` is left out.
    out
        Folder; made if need be.
    enhanced
        An enhanced image, whose resolution is told, and where it contradicts its widefield image.
    stop
        Asked between the parts of the comparison.

    Yields
    ------
    Progress after each part.

    Returns
    -------
    What stands in `report.json`.

    Raises
    ------
    ValueError
        If there are too few patches to compare, or pixel sizes differ.
    InterruptedError
        If it was stopped: half a comparison is none.
    """
    began = time.monotonic()
    if generated is None and enhanced is None:
        raise ValueError("There is nothing to compare: give generated and experimental images, or an enhanced one.")
    report: dict[str, Any] = {}
    provenance: dict[str, Any] = {"made_by": f"napari-smdiffusion {__version__}"}
    patches = shown = None
    if generated is not None:
        patches = yield from _compare_generated(experimental, generated, training, report, provenance, stop)
    if enhanced is not None:
        maps = _error_maps(enhanced)
        shown = _shown(enhanced, maps[0])
        report |= _judged(enhanced, maps)
        images = (enhanced.enhanced, enhanced.widefield, enhanced.reference)
        provenance["enhanced"] = [Path(image.name).name for image in images if image is not None]
    yield _part(_PARTS - 1, stop)
    out.mkdir(parents=True, exist_ok=True)
    draw_comparison(out / "comparison.png", patches, shown)
    report["meanings"] = meanings_of(report)
    report["seconds"] = {"compare": round(time.monotonic() - began, 2)}
    report["provenance"] = provenance
    with written_whole(out / "report.json") as temporary:
        temporary.write_text(json.dumps(report, indent=2, allow_nan=False), encoding="utf-8")
    return report


def _compare_generated(
    experimental: Sequence[Image],
    generated: Image,
    training: Sequence[Image],
    report: dict[str, Any],
    provenance: dict[str, Any],
    stop: Stop,
) -> Steps[ComparedPatches]:
    """Add to `report` what patches of both kinds tell, and return what a picture shows of them."""
    pixel_size = common_pixel_size([*experimental, generated, *training])
    size, real, made = _patches(experimental, generated)
    yield _part(0, stop)
    report["realism"] = realism(made, real, pixel_size)
    report["spectrum"] = spectra(real, made, pixel_size)
    report["histogram"] = histograms(real, made, contrast([real, made], 99.95))
    yield _part(1, stop)
    report |= _filaments(made, real, pixel_size)
    yield _part(2, stop)
    report |= _told_apart(experimental, generated, stop)
    yield _part(3, stop)
    planes = [plane for image in training for plane in image.pixels]
    seen = {image.digest for image in training} & {image.digest for image in experimental}
    looked_up = None
    if seen:
        report["memorization_left_out"] = (
            "The experimental images are training images: give images that the model was not trained on."
        )
    elif planes:
        _check_planes(planes, size)
        some = np.unique(np.linspace(0, len(made) - 1, min(len(made), _LOOKED_UP)).round().astype(int))
        try:
            looked_up = look_for_copies(made[some], planes, real[:: -(-len(real) // _LOOKED_UP)])
        except ValueError as error:
            report["memorization_left_out"] = str(error)
        else:
            report["memorization"] = {**looked_up.report, "copied": _places(looked_up, some, generated, size)}
    yield _part(4, stop)
    report |= _finest_detail(made, real, pixel_size)
    provenance |= {
        "experimental": [Path(image.name).name for image in experimental],
        "generated": {"name": Path(generated.name).name, **generated.provenance},
        "training": [Path(image.name).name for image in training],
        "patch": size,
        "patches": {"experimental": len(real), "generated": len(made)},
    }
    found = report["spectrum"], report["histogram"]
    return ComparedPatches(real, made, pixel_size, *found, planes, looked_up)


def _places(looked_up: LookedUp, which: Any, generated: Image, size: int) -> list[dict[str, int]]:
    """Return where in the generated images the patches lie that were called copies."""
    rows, columns = (length // size for length in generated.size)
    found = []
    for index, copied in zip(which.tolist(), looked_up.copied, strict=True):
        if copied:
            image, place = divmod(index, rows * columns)
            found.append({"image": image, "row": place // columns * size, "column": place % columns * size})
    return found


def _finest_detail(made: Pixels, real: Pixels, pixel_size: float | None) -> dict[str, Any]:
    """Compare the resolution of both kinds of patches, by decorrelation analysis; medians over the patches."""
    if pixel_size is None:
        return {"resolution_left_out": "The images have no pixel size: a resolution is told in nm."}
    found = [_typical_resolution(patches, pixel_size) for patches in (made, real)]
    if None in found:
        return {"resolution_left_out": "The patches have no frequency that stands out: no resolution can be told."}
    return {"resolution": {"generated": found[0], "experimental": found[1]}}


def _typical_resolution(planes: Pixels, pixel_size: float) -> float | None:
    """Return the median resolution in nm of the planes that have one; None where fewer than half of them do."""
    some = planes[:: -(-len(planes) // _ANALYSED)]
    found = [decorrelation_analysis(plane, pixel_size).resolution for plane in some if np.ptp(plane) > 0]
    known = [one for one in found if one is not None]
    return float(np.median(known)) if known and 2 * len(known) >= len(some) else None


def judge_enhanced(field: EnhancedField) -> dict[str, Any]:
    """Judge an enhanced image by itself, against its widefield image, and against a reference if there is one.

    Returns
    -------
    `enhanced`: `resolution` and `resolution_widefield` in nm by decorrelation analysis, or `resolution_left_out`, a
    sentence; `rse` and `rsp` (see `error_map`). With a reference also `frc_with_reference`, the resolution in nm up to
    which both agree by their Fourier ring correlation once they are laid exactly on each other, None where it cannot
    be told; and `enhancement`, what `restored` says. Means over the planes of a stack, and medians of resolutions.
    """
    return _judged(field, _error_maps(field))


def _error_maps(field: EnhancedField) -> list[ErrorMap]:
    return [error_map(e, w, field.factor) for e, w in zip(field.enhanced.pixels, field.widefield.pixels, strict=True)]


def _judged(field: EnhancedField, maps: Sequence[ErrorMap]) -> dict[str, Any]:
    image, widefield, pixel_size = field.enhanced, field.widefield, field.enhanced.pixel_size
    judged: dict[str, Any] = {}
    if pixel_size is None:
        judged["resolution_left_out"] = "The enhanced image has no pixel size: a resolution is told in nm."
    else:
        judged["resolution"] = _typical_resolution(image.pixels, pixel_size)
        judged["resolution_widefield"] = _typical_resolution(widefield.pixels, pixel_size * field.factor)
    judged |= {"rse": float(np.mean([m.rse for m in maps])), "rsp": float(np.mean([m.rsp for m in maps]))}
    if field.reference is None:
        return {"enhanced": judged}
    try:
        enhancement = restored(field)
        by = enhancement["registered"]["offset"]
        if pixel_size is not None:
            judged["frc_with_reference"] = _agreement(field, by, pixel_size)
    except ValueError as error:  # too small, or nothing in it
        return {"enhanced": judged, "enhancement_left_out": str(error)}
    if field.uncertainty is not None:
        judged["uncertainty"] = _intervals(field, by)
    return {"enhanced": judged, "enhancement": enhancement}


def _agreement(field: EnhancedField, by: Sequence[float], pixel_size: float) -> float | None:
    """Return down to which period in nm the planes agree with the reference: the median over those that show anything.

    Where they agree to the end it is that of two pixels; None where most hardly agree at all.
    """
    agreed = []
    for plane, truth in _telling(field):
        laid = translated(plane, (by[0], by[1]))
        if not np.ptp(laid) > 0:
            agreed.append(np.inf)  # an empty plane agrees with nothing
            continue
        found = fourier_ring_correlation(laid, truth, pixel_size)
        to_the_end = 2 * pixel_size if found.curve.min() > 1 / 7 else np.inf
        agreed.append(to_the_end if found.resolution is None else found.resolution)
    middle = float(np.median(agreed))
    return middle if np.isfinite(middle) else None


def _intervals(field: EnhancedField, by: Sequence[float]) -> dict[str, Any]:
    """Tell how often the reference lies in the intervals of the uncertainty map, and whether they are wide at errors.

    Intensities are fitted first, and the widths with them, for enhancers do not promise units.
    """
    from scipy.stats import spearmanr

    errors, widths = [], []
    if field.reference is None or field.uncertainty is None:
        raise ValueError("Intervals are judged by a reference: give one, and the uncertainty map.")
    planes = zip(field.enhanced.pixels, field.uncertainty.pixels, field.reference.pixels, strict=True)
    for plane, width, truth in planes:
        laid, half = (translated(one, (by[0], by[1])) for one in (plane, width))
        fitted = linear_fit(laid, truth)
        scale = float(np.std(fitted)) / (float(np.std(laid)) or 1.0)
        errors.append(np.abs(fitted - truth).ravel())
        widths.append(scale * half.ravel())
    error, width = np.concatenate(errors), np.concatenate(widths)
    some = slice(None, None, -(-len(error) // 200_000))
    constant = np.ptp(error[some]) == 0 or np.ptp(width[some]) == 0
    settings = field.uncertainty.provenance.get("settings", {})
    return {
        "stated": settings.get("confidence"),
        "coverage": float(np.mean(error <= width)),
        "rank_correlation": None if constant else float(spearmanr(width[some], error[some]).statistic),
    }


def _telling(field: EnhancedField) -> list[tuple[Any, Any]]:
    """Return the enhanced planes with those of the reference that show anything."""
    if field.reference is None:
        raise ValueError("There is no reference to compare with: give the super-resolution image of the field.")
    pairs = zip(field.enhanced.pixels, field.reference.pixels, strict=True)
    found = [(plane, truth) for plane, truth in pairs if np.ptp(truth) > 0]
    if not found:
        raise ValueError("The super-resolution image is constant: there is nothing to compare with.")
    return found


def restored(field: EnhancedField, columns: slice = slice(None), rows: slice = slice(None)) -> dict[str, Any]:
    """Compare the enhanced image with the reference (see `restoration`), as they lie and laid exactly on each other.

    Parameters
    ----------
    field
        With a reference; what is said are means over those of its planes that show anything.
    columns, rows
        Of the reference that are compared.

    Returns
    -------
    What `restoration` says of the image `enhanced`, and of the widefield image `interpolated`; and `registered`, the
    same after both were translated by `offset`, the `registration_shift` of the widefield image, (y, x) in pixels of
    the reference: it does not depend on what was made of that image.
    """
    if field.reference is None:
        raise ValueError("There is no reference to compare with: give the super-resolution image of the field.")
    truth = field.reference.pixels
    plain = [zoom(plane, field.factor, order=3, grid_mode=True, mode="nearest") for plane in field.widefield.pixels]
    by = registration_shift(list(field.widefield.pixels), list(truth), field.factor)
    there = [bool(np.ptp(plane[rows, columns]) > 0) for plane in truth]
    if not any(there):
        raise ValueError("The super-resolution image is constant: there is nothing to compare with.")
    found: dict[str, Any] = {"registered": {"offset": list(by)}}
    for kind, planes in (("enhanced", field.enhanced.pixels), ("interpolated", plain)):
        laid = [translated(plane, by) for plane in planes]
        for where, some in ((found, planes), (found["registered"], laid)):
            compared = zip(some, truth, there, strict=True)
            where[kind] = _means([restoration(p[rows, columns], t[rows, columns]) for p, t, shown in compared if shown])
    return found


def _means(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _shown(field: EnhancedField, error: ErrorMap) -> ShownField:
    """Return the first planes of a field, and the error map of the first."""
    plane, camera = field.enhanced.pixels[0], field.widefield.pixels[0]
    truth = None if field.reference is None else field.reference.pixels[0]
    return ShownField(camera, plane, truth, error.error, field.enhanced.pixel_size, field.factor)


def _filaments(made: Any, real: Any, pixel_size: float | None) -> dict[str, Any]:
    """Compare what the skeletons say, where there is anything that has one."""
    found = compare_filaments(made, real, pixel_size)
    return {"filaments": {name: asdict(one) for name, one in found.items()}} if found else {}


def _told_apart(experimental: Sequence[Image], generated: Image, stop: Stop) -> dict[str, Any]:
    """Have a network tell patches of both kinds apart, and as a measure the two halves of the experimental ones.

    They are the largest patches of which there are enough for it to learn from.
    """
    planes = [plane for image in experimental for plane in image.pixels]
    for size in _SIZES:
        real, made = grid_patches(planes, size), grid_patches(list(generated.pixels), size)
        few = min(len(made), len(real))
        if few >= _TO_LEARN_FROM:
            break
    else:
        return {
            "two_sample_left_out": (
                f"There are {few} patches of {size} pixels of a kind, and a network needs {_TO_LEARN_FROM} to learn to "
                "tell them apart: give more or larger images."
            )
        }
    from .two_sample import two_sample_test

    spread = [patches[:: -(-len(patches) // _TOLD_APART)] for patches in (real, made)]
    result = two_sample_test(spread[0], spread[1], stop=stop)
    # In their order: two regions, or two images, rather than a mixture.
    halves = two_sample_test(*np.array_split(spread[0], 2), stop=stop)
    return {
        "two_sample": {
            "auc": result.auc,
            "by_chance": result.by_chance,
            "auc_two_halves": halves.auc,
            "folds": list(result.folds),
            "patch": size,
            "meaning": result.meaning,
        }
    }


def compare_images(
    experimental: Sequence[Image],
    generated: Image | None,
    training: Sequence[Image],
    out: Path,
    enhanced: EnhancedField | None = None,
) -> dict[str, Any]:
    """Do all of `compare_steps` at once."""
    return run(compare_steps(experimental, generated, training, out, enhanced=enhanced))


def _part(done: int, stop: Stop) -> Progress:
    if stop():
        raise InterruptedError("Stopped before everything was compared: no report was written.")
    return Progress("comparing", done, _PARTS, float("inf"))


def _check_planes(planes: Sequence[Any], size: int) -> None:
    if any(min(plane.shape) < size for plane in planes):
        raise ValueError(f"A training image is smaller than the patches of {size} pixels: leave it out of --training.")


def _patches(experimental: Sequence[Image], generated: Image) -> tuple[int, Any, Any]:
    """Cut both into the largest patches of which there are enough."""
    planes = [plane for image in experimental for plane in image.pixels]
    for size in _SIZES:
        real, made = grid_patches(planes, size), grid_patches(list(generated.pixels), size)
        if min(len(real), len(made)) >= _ENOUGH:
            return size, real, made
    raise ValueError(
        f"There are {len(made)} generated and {len(real)} experimental patches of {size} pixels, and at least "
        f"{_ENOUGH} of each are needed: generate more or larger images, or give more experimental ones."
    )

"""The comparison of generated with experimental images, and of enhanced with widefield images."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError, Stopped
from ..base.events import Progress, Steps, Stop, never
from ..base.version import __version__
from .context import MeasureContext
from .enhanced import EnhancedField, error_map_steps
from .measures import ordered_measures
from .measures.copies import reason_for_no_search
from .picture import draw_comparison
from .report import Report
from .training_data import known_training_images, parts_trained_on

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..images.image import Image

_STOPPED = "Stopped before the comparison was complete: no report was written."


def compare_steps(
    experimental: Sequence[Image],
    generated: Image | None,
    training: Sequence[Image],
    out: Path,
    *,
    enhanced: EnhancedField | None = None,
    stop: Stop = never,
) -> Steps[Report]:
    """Compare images, and write `comparison.png` and `report.json` into `out`.

    Parameters
    ----------
    experimental
        Experimental images; the search for copies needs images that are not training images.
    generated
        Generated images, (N, Y, X); None to compare only `enhanced`.
    training
        Training images of the model; without them, the search for copies (`memorization`) is left out.
    out
        Folder, created if needed.
    enhanced
        An enhanced image with its widefield image.
    stop
        Checked between the measures.

    Yields
    ------
    Progress before each measure.

    Returns
    -------
    The report, a mapping with the content of `report.json`.

    Raises
    ------
    InputError
        If there are too few patches to compare, or pixel sizes differ.
    Stopped
        If it was stopped; nothing is written then.
    """
    start, out = time.monotonic(), Path(out)
    context = MeasureContext(tuple(experimental), generated, _trained_on(training, generated), enhanced, stop=stop)
    context = _without_narrow_parts(context)
    _check(context)
    context = yield from _with_error_maps(context, stop)
    results = yield from _result_steps(context, stop)
    report = Report(results, _provenance(context))
    out.mkdir(parents=True, exist_ok=True)
    draw_comparison(out / "comparison.png", report, context)
    report = replace(report, seconds={"compare": round(time.monotonic() - start, 2)})
    report.write(out / "report.json")
    return report


def _result_steps(context: MeasureContext, stop: Stop) -> Steps[dict[str, Any]]:
    """Compute all measures in order, and return their results by key."""
    measures, results = ordered_measures(), {}
    for done, measure in enumerate(measures):
        if stop():
            raise Stopped(_STOPPED)
        yield Progress("comparing", done, len(measures), float("inf"))
        result = context.once(measure.compute)
        if result is not None:
            results[measure.key] = result
    if stop():
        raise Stopped(_STOPPED)
    return results


def _trained_on(training: Sequence[Image], generated: Image | None) -> tuple[Image, ...]:
    """Return the training images, or the parts of them that the model was trained on."""
    if generated is None or not training:
        return tuple(training)
    return tuple(parts_trained_on(training, known_training_images(generated)))


def _without_narrow_parts(context: MeasureContext) -> MeasureContext:
    """Leave out parts of training images that are narrower than the patches, if others are not."""
    if context.generated is None or not any(image.provenance.window for image in context.training):
        return context
    patches = context.all_patches
    wide = tuple(image for image in context.training if patches is None or min(image.size) >= patches.size)
    return replace(context, training=wide) if wide else context


def _check(context: MeasureContext) -> None:
    """Raise an InputError for images that cannot be compared, before any measure is computed."""
    if context.generated is None:
        if context.enhanced is None:
            raise InputError("There is nothing to compare: give generated and experimental images, or an enhanced one.")
        return
    _ = context.pixel_size  # raises if they differ
    patches = context.all_patches
    if patches is None or reason_for_no_search(context):
        return
    for image in context.training:
        if min(image.size) < patches.size:
            raise InputError(
                f"The training image {image.name} is smaller than the patches of {patches.size} pixels: leave it out."
            )


def _with_error_maps(context: MeasureContext, stop: Stop) -> Steps[MeasureContext]:
    """Return the context with the error maps of its enhanced image, if it has one."""
    if context.enhanced is None:
        return context
    try:
        maps = yield from error_map_steps(context.enhanced, stop)
    except Stopped:
        raise Stopped(_STOPPED) from None
    return replace(context, error_maps=tuple(maps))


def _provenance(context: MeasureContext) -> dict[str, Any]:
    provenance: dict[str, Any] = {"made_by": f"napari-smdiffusion {__version__}"}
    if context.generated is not None and context.patches is not None:
        patches = context.patches
        provenance |= {
            "experimental": [Path(image.name).name for image in context.experimental],
            "generated": {"name": Path(context.generated.name).name, **context.generated.provenance},
            "training": [Path(image.name).name for image in context.training],
            "patch": patches.size,
            "patches": {"experimental": len(patches.experimental), "generated": len(patches.generated)},
        }
        if windows := [image.provenance.window for image in context.experimental if image.provenance.window]:
            provenance["experimental_windows"] = [list(window) for window in windows]
    if (field := context.enhanced) is not None:
        images = (field.enhanced, field.widefield, field.reference)
        provenance["enhanced"] = [Path(image.name).name for image in images if image is not None]
    return provenance

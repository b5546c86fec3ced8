"""The comparison of generated with experimental images, and what is to be said of enhanced ones: picture and report."""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import InputError, Stopped
from ..base.events import Progress, Steps, Stop, never, run
from ..base.terminal import Reporter, stop_on_interrupt
from ..base.version import __version__
from ..base.whole_files import atomic_file
from ..images.image import Image, common_pixel_size
from ..images.patches import grid_patches
from ..images.provenance import listed
from ..measure.copies import CopySearch, look_for_copies
from ..measure.filaments import compare_filaments
from ..measure.realism import realism, spread
from ..measure.resolution import typical_resolution
from ..measure.spectrum import histograms, spectra
from .enhanced import EnhancedField, enhanced_report, error_map_steps
from .meanings import meanings_of
from .pictures import ComparedPatches, ShownField, contrast, draw_comparison
from .summary import summary

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import numpy.typing as npt

    from ..measure.error_map import ErrorMap

if TYPE_CHECKING:
    Pixels = npt.NDArray[np.float32]

_SIZES = (128, 96, 64)
_LARGE = 256
_ENOUGH = 8  # patches of each kind
_TO_LEARN_FROM, _TOLD_APART = 48, 192  # least and most patches of each kind for the classifier
_PARTS = 5
_STOPPED = "Stopped before everything was compared: no report was written."
_JUDGED = 1000  # patches of each kind by their textures and skeletons, at most: it takes a minute
_HELD_OUT = 400  # experimental patches that are looked for in the training images as the generated ones, at most


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
    InputError
        If there are too few patches to compare, or pixel sizes differ.
    Stopped
        If it was stopped: half a comparison is none.
    """
    began, out = time.monotonic(), Path(out)
    if generated is None and enhanced is None:
        raise InputError("There is nothing to compare: give generated and experimental images, or an enhanced one.")
    report: dict[str, Any] = {}
    provenance: dict[str, Any] = {"made_by": f"napari-smdiffusion {__version__}"}
    patches = shown = None
    if generated is not None:
        found = yield from _compare_generated(experimental, generated, training, stop)
        patches = found.patches
        report |= found.report
        provenance |= found.provenance
    if enhanced is not None:
        try:
            maps = yield from error_map_steps(enhanced, stop)
        except Stopped:
            raise Stopped(_STOPPED) from None
        shown = _shown(enhanced, maps[0])
        report |= enhanced_report(enhanced, maps)
        images = (enhanced.enhanced, enhanced.widefield, enhanced.reference)
        provenance["enhanced"] = [Path(image.name).name for image in images if image is not None]
    yield _part(_PARTS - 1, stop)
    out.mkdir(parents=True, exist_ok=True)
    draw_comparison(out / "comparison.png", patches, shown, summary(report))
    report["seconds"] = {"compare": round(time.monotonic() - began, 2)}
    report["meanings"] = meanings_of({**report, "provenance": provenance})
    report["provenance"] = provenance
    with atomic_file(out / "report.json") as temporary:
        temporary.write_text(json.dumps(report, indent=2, allow_nan=False), encoding="utf-8")
    return report


@dataclass(frozen=True)
class _Compared:
    """What patches of both kinds tell, for the report and its provenance, and what a picture shows of them."""

    report: dict[str, Any]
    provenance: dict[str, Any]
    patches: ComparedPatches


def _compare_generated(
    experimental: Sequence[Image], generated: Image, training: Sequence[Image], stop: Stop
) -> Steps[_Compared]:
    pixel_size = common_pixel_size([*experimental, generated, *training])
    size, real, made = _patches(experimental, generated)
    seen = _seen(experimental, generated, training)
    left_out = _no_copies_because(training, seen)
    if not left_out:
        _check_sizes(training, size)
    yield _part(0, stop)
    some_real, some_made = (spread(patches, _JUDGED) for patches in (real, made))
    report: dict[str, Any] = {"realism": realism(some_made, some_real, pixel_size)}
    if seen:
        report["realism_of_training_images"] = (
            f"The model was trained on the experimental images ({listed(seen)}): realism, spectra, skeletons and the "
            "classifier tell how well it has learned them, not how it does on others."
        )
    report["spectrum"] = spectra(some_real, some_made, pixel_size)
    report["histogram"] = histograms(some_real, some_made, contrast([some_real, some_made], 99.95))
    yield _part(1, stop)
    report |= _filaments(some_made, some_real, pixel_size)
    yield _part(2, stop)
    report |= _told_apart(experimental, generated, stop)
    yield _part(3, stop)
    looked_up = None
    if left_out:
        report["memorization_left_out"] = left_out
    else:
        said, looked_up = _copies(real, made, generated, training, stop)
        report |= said
    yield _part(4, stop)
    report |= _finest_detail(experimental, generated, pixel_size)
    provenance = {
        "experimental": [Path(image.name).name for image in experimental],
        "generated": {"name": Path(generated.name).name, **generated.provenance},
        "training": [Path(image.name).name for image in training],
        "patch": size,
        "patches": {"experimental": len(some_real), "generated": len(some_made)},
    }
    planes = [plane for image in training for plane in image.pixels]
    found = report["spectrum"], report["histogram"], report.get("filaments", {})
    return _Compared(report, provenance, ComparedPatches(some_real, some_made, pixel_size, *found, planes, looked_up))


def _seen(experimental: Sequence[Image], generated: Image, training: Sequence[Image]) -> list[str]:
    """Return the names of the experimental images that the model was trained on, as far as it is known."""
    known = {image.digest for image in training} | set(generated.provenance.seen)
    return [Path(image.name).name for image in experimental if image.digest in known]


def _no_copies_because(training: Sequence[Image], seen: Sequence[str]) -> str:
    """Say why copies cannot be looked for; nothing where they can."""
    if seen:
        return "The experimental images are training images: give images that the model was not trained on."
    return "" if training else "Give the images that the model was trained on, to look for copies."


def _copies(
    real: Pixels, made: Pixels, generated: Image, training: Sequence[Image], stop: Stop
) -> tuple[dict[str, Any], CopySearch | None]:
    """Look for copies of training images, and say why where that cannot be done."""
    planes = [plane for image in training for plane in image.pixels]
    try:
        looked_up = look_for_copies(made, planes, spread(real, _HELD_OUT), stop)
    except ValueError as error:
        return {"memorization_left_out": str(error)}, None
    report = {**looked_up.report, "copied": _places(looked_up, generated, made.shape[-1])}
    report["verdict"] += _of_other_images(generated, training)
    return {"memorization": report}, looked_up


def _of_other_images(generated: Image, training: Sequence[Image]) -> str:
    """Return a sentence where the generated images name what their model saw, and none of the images given is that."""
    seen = generated.provenance.seen
    if not seen or {image.digest for image in training} & set(seen):
        return ""
    return (
        " But none of the training images given is, as it is, what the model was trained on "
        f"({listed(seen.values())}): where none holds it either, this tells nothing of copies."
    )


def _places(looked_up: CopySearch, generated: Image, size: int) -> list[dict[str, int]]:
    """Return where in the generated images the patches lie that were called copies."""
    rows, columns = (length // size for length in generated.size)
    found = []
    for index, copied in enumerate(looked_up.copied):
        if copied:
            image, place = divmod(index, rows * columns)
            found.append({"image": image, "row": place // columns * size, "column": place % columns * size})
    return found


def _finest_detail(experimental: Sequence[Image], generated: Image, pixel_size: float | None) -> dict[str, Any]:
    """Compare the resolution of both kinds, by decorrelation analysis; medians over patches as large as they can be."""
    if pixel_size is None:
        return {"resolution_left_out": "The images have no pixel size: a resolution is told in nm."}
    _, real, made = _cut(experimental, generated, _SIZES, 1)
    found = [typical_resolution(patches, pixel_size) for patches in (made, real)]
    if None in found:
        left_out = "No frequency stands out, or the images are too small for it: no resolution can be told."
        return {"resolution_left_out": left_out}
    return {"resolution": {"generated": found[0], "experimental": found[1]}}


def _shown(field: EnhancedField, error: ErrorMap) -> ShownField:
    """Return the first planes of a field, and the error map of the first."""
    plane, camera = field.enhanced.pixels[0], field.widefield.pixels[0]
    truth, doubt = (None if one is None else one.pixels[0] for one in (field.reference, field.uncertainty))
    return ShownField(camera, plane, truth, error.error, doubt, field.enhanced.pixel_size, field.factor)


def _filaments(made: Any, real: Any, pixel_size: float | None) -> dict[str, Any]:
    """Compare what the skeletons say, where there is anything that has one."""
    found = compare_filaments(made, real, pixel_size)
    return {"filaments": {name: asdict(one) for name, one in found.items()}} if found else {}


def _told_apart(experimental: Sequence[Image], generated: Image, stop: Stop) -> dict[str, Any]:
    """Have a network tell patches of both kinds apart, and as a measure the two halves of the experimental ones.

    They are the largest patches of which there are enough for it to learn from; and larger ones too, which show more of
    the course of a structure, where there are enough of these.
    """
    size, real, made = _cut(experimental, generated, _SIZES, _TO_LEARN_FROM)
    few = min(len(real), len(made))
    if few < _TO_LEARN_FROM:
        return {
            "two_sample_left_out": (
                f"There are {few} patches of {size} pixels of a kind, and a network needs {_TO_LEARN_FROM} to learn to "
                "tell them apart: give more or larger images."
            )
        }
    found = {"two_sample": _classified(real, made, stop)}
    _, real, made = _cut(experimental, generated, (_LARGE,), _TO_LEARN_FROM)
    if min(len(real), len(made)) >= _TO_LEARN_FROM:
        found["two_sample_large"] = _classified(real, made, stop)
    return found


def _classified(real: Pixels, made: Pixels, stop: Stop) -> dict[str, Any]:
    """Ask the classifier about patches of both kinds, and about experimental ones alone."""
    from ..measure.classifier import meaning, two_sample_test

    some_real, some_made = (spread(patches, _TOLD_APART) for patches in (real, made))
    result = two_sample_test(some_real, some_made, stop=stop)
    # In their order: two regions, or two images, rather than a mixture.
    halves = two_sample_test(*np.array_split(some_real, 2), stop=stop)
    return {
        "auc": result.auc,
        "by_chance": result.by_chance,
        "auc_two_halves": halves.auc,
        "folds": list(result.folds),
        "patch": real.shape[-1],
        "meaning": meaning(result, halves),
    }


def compare_images(
    experimental: Sequence[Image],
    generated: Image | None,
    training: Sequence[Image],
    out: str | os.PathLike[str],
    enhanced: EnhancedField | None = None,
) -> dict[str, Any]:
    """Do all of `compare_steps` at once, with a progress bar; its parameters, result and errors are those.

    Raises
    ------
    InputError
        If there are too few patches to compare, or pixel sizes differ.
    Stopped
        If it was stopped by Ctrl-C.
    """
    with stop_on_interrupt() as stop, closing(Reporter()) as reporter:
        steps = compare_steps(experimental, generated, training, Path(out), enhanced=enhanced, stop=stop)
        return run(steps, reporter)


def _part(done: int, stop: Stop) -> Progress:
    if stop():
        raise Stopped(_STOPPED)
    return Progress("comparing", done, _PARTS, float("inf"))


def _check_sizes(training: Sequence[Image], size: int) -> None:
    for image in training:
        if min(image.size) < size:
            raise InputError(
                f"The training image {image.name} is smaller than the patches of {size} pixels: leave it out."
            )


def _patches(experimental: Sequence[Image], generated: Image) -> tuple[int, Pixels, Pixels]:
    size, real, made = _cut(experimental, generated, _SIZES, _ENOUGH)
    if min(len(real), len(made)) >= _ENOUGH:
        return size, real, made
    raise InputError(
        f"There are {len(made)} generated and {len(real)} experimental patches of {size} pixels, and at least "
        f"{_ENOUGH} of each are needed: generate more or larger images, or give more experimental ones."
    )


def _cut(
    experimental: Sequence[Image], generated: Image, sizes: Sequence[int], enough: int
) -> tuple[int, Pixels, Pixels]:
    """Cut both into the first size of patches of which there are enough, or into the last."""
    planes = [plane for image in experimental for plane in image.pixels]
    for size in sizes:
        real, made = grid_patches(planes, size), grid_patches(list(generated.pixels), size)
        if min(len(real), len(made)) >= enough:
            break
    return size, real, made

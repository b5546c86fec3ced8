"""The comparison of generated with experimental images, and what is to be said of enhanced ones: picture and report."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import __version__
from .assess import grid_patches, histograms, realism, spectra, spread
from .enhanced_field import EnhancedField, error_maps, judged
from .filaments import compare_filaments
from .files import written_whole
from .images import Image, common_pixel_size, listed, training_images
from .meanings import meanings_of
from .memorization import LookedUp, look_for_copies
from .pictures import ComparedPatches, ShownField, contrast, draw_comparison
from .progress import Progress, Steps, Stop, never, run
from .resolution import typical_resolution

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from .restoration import ErrorMap

    Pixels = npt.NDArray[np.float32]

_SIZES = (128, 96, 64)
_ENOUGH = 8  # patches of each kind
_TO_LEARN_FROM, _TOLD_APART = 48, 192  # least and most patches of each kind for the classifier
_PARTS = 5
_JUDGED = 1000  # patches of each kind by their textures and skeletons, at most: it takes a minute
_LOOKED_UP = 400  # patches of each kind that are looked for in the training images, at most


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
        maps = error_maps(enhanced)
        shown = _shown(enhanced, maps[0])
        report |= judged(enhanced, maps)
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
    planes = [plane for image in training for plane in image.pixels]
    seen = {image.digest for image in training} & {image.digest for image in experimental}
    if not seen:
        _check_sizes(training, size)
    yield _part(0, stop)
    some_real, some_made = (spread(patches, _JUDGED) for patches in (real, made))
    report["realism"] = realism(some_made, some_real, pixel_size)
    report["spectrum"] = spectra(some_real, some_made, pixel_size)
    report["histogram"] = histograms(some_real, some_made, contrast([some_real, some_made], 99.95))
    yield _part(1, stop)
    report |= _filaments(some_made, some_real, pixel_size)
    yield _part(2, stop)
    report |= _told_apart(experimental, generated, stop)
    yield _part(3, stop)
    looked_up = None
    if seen:
        report["memorization_left_out"] = (
            "The experimental images are training images: give images that the model was not trained on."
        )
    elif planes:
        some = spread(np.arange(len(made)), _LOOKED_UP)
        try:
            looked_up = look_for_copies(made[some], planes, spread(real, _LOOKED_UP))
        except ValueError as error:
            report["memorization_left_out"] = str(error)
        else:
            report["memorization"] = {**looked_up.report, "copied": _places(looked_up, some, generated, size)}
            report["memorization"]["verdict"] += _of_other_images(generated, training)
    yield _part(4, stop)
    report |= _finest_detail(some_made, some_real, pixel_size)
    provenance |= {
        "experimental": [Path(image.name).name for image in experimental],
        "generated": {"name": Path(generated.name).name, **generated.provenance},
        "training": [Path(image.name).name for image in training],
        "patch": size,
        "patches": {"experimental": len(some_real), "generated": len(some_made)},
    }
    found = report["spectrum"], report["histogram"]
    return ComparedPatches(some_real, some_made, pixel_size, *found, planes, looked_up)


def _of_other_images(generated: Image, training: Sequence[Image]) -> str:
    """Return a sentence where the generated images name what their model saw, and none of the images given is that."""
    seen = training_images(generated.provenance)
    if not seen or {image.digest for image in training} & set(seen):
        return ""
    return (
        " But none of the training images given is, as it is, what the model was trained on "
        f"({listed(seen.values())}): where none holds it either, this tells nothing of copies."
    )


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
    found = [typical_resolution(patches, pixel_size) for patches in (made, real)]
    if None in found:
        return {"resolution_left_out": "The patches have no frequency that stands out: no resolution can be told."}
    return {"resolution": {"generated": found[0], "experimental": found[1]}}


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


def _check_sizes(training: Sequence[Image], size: int) -> None:
    for image in training:
        if min(image.size) < size:
            raise ValueError(
                f"The training image {image.name} is smaller than the patches of {size} pixels: leave it out."
            )


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

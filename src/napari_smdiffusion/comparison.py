"""The comparison of generated with experimental images: one picture and one report."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import __version__
from .assess import grid_patches, realism
from .filaments import compare_filaments
from .images import Image, common_pixel_size, written_whole
from .meanings import meanings_of
from .memorization import memorization
from .pictures import draw_comparison
from .progress import Progress, Steps, Stop, never, run

if TYPE_CHECKING:
    from collections.abc import Sequence

_SIZES = (128, 96, 64)
_ENOUGH = 8  # patches of each kind
_TO_LEARN_FROM, _TOLD_APART = 48, 192  # least and most patches of each kind for the classifier
_PARTS = 5
_LOOKED_UP = 40  # patches of each kind that are looked for in the training images


def compare_steps(
    experimental: Sequence[Image], generated: Image, training: Sequence[Image], out: Path, *, stop: Stop = never
) -> Steps[dict[str, Any]]:
    """Compare, and write `comparison.png` and `report.json` into `out`.

    Parameters
    ----------
    experimental
        Experimental images; for `memorization` to mean something, none that the model was trained on.
    generated
        Generated images, (N, Y, X).
    training
        Images that the model was trained on; without any, `memorization` is left out.
    out
        Folder; made if need be.
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
    pixel_size = common_pixel_size([*experimental, generated, *training])
    size, real, made = _patches(experimental, generated)
    yield _part(0, stop)
    report: dict[str, Any] = {"realism": realism(made, real, pixel_size)}
    yield _part(1, stop)
    report |= _filaments(made, real, pixel_size)
    yield _part(2, stop)
    report |= _told_apart(made, real, stop)
    yield _part(3, stop)
    planes = [plane for image in training for plane in image.pixels]
    seen = {image.digest for image in training} & {image.digest for image in experimental}
    if seen:
        report["memorization_left_out"] = (
            "The experimental images are training images: give images that the model was not trained on."
        )
    elif planes:
        _check_planes(planes, size)
        spread = [patches[:: max(1, len(patches) // _LOOKED_UP)][:_LOOKED_UP] for patches in (made, real)]
        report["memorization"] = memorization(spread[0], planes, spread[1])
    yield _part(4, stop)
    out.mkdir(parents=True, exist_ok=True)
    draw_comparison(out / "comparison.png", real, made, planes, pixel_size)
    report["meanings"] = meanings_of(report)
    report["seconds"] = {"compare": round(time.monotonic() - began, 2)}
    report["provenance"] = {
        "made_by": f"napari-smdiffusion {__version__}",
        "experimental": [Path(image.name).name for image in experimental],
        "generated": {"name": Path(generated.name).name, **generated.provenance},
        "training": [Path(image.name).name for image in training],
        "patch": size,
        "patches": {"experimental": len(real), "generated": len(made)},
    }
    with written_whole(out / "report.json") as temporary:
        temporary.write_text(json.dumps(report, indent=2, allow_nan=False), encoding="utf-8")
    return report


def _filaments(made: Any, real: Any, pixel_size: float | None) -> dict[str, Any]:
    """Compare what the skeletons say, where there is anything that has one."""
    found = compare_filaments(made, real, pixel_size)
    return {"filaments": {name: asdict(one) for name, one in found.items()}} if found else {}


def _told_apart(made: Any, real: Any, stop: Stop) -> dict[str, Any]:
    """Have a network tell the patches apart, where there are enough of them for it to learn from."""
    few = min(len(made), len(real))
    if few < _TO_LEARN_FROM:
        return {
            "two_sample_left_out": (
                f"There are {few} patches of a kind, and a network needs {_TO_LEARN_FROM} to learn to tell them apart: "
                "give more or larger images."
            )
        }
    from .two_sample import two_sample_test

    spread = [patches[:: -(-len(patches) // _TOLD_APART)] for patches in (real, made)]
    result = two_sample_test(spread[0], spread[1], stop=stop)
    return {"two_sample": {"auc": result.auc, "folds": list(result.folds), "meaning": result.meaning}}


def compare_images(
    experimental: Sequence[Image], generated: Image, training: Sequence[Image], out: Path
) -> dict[str, Any]:
    """Do all of `compare_steps` at once."""
    return run(compare_steps(experimental, generated, training, out))


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

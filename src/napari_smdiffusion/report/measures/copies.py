"""Whether generated patches are copies of training images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...images.patches import symmetry
from ...images.provenance import join_names
from ...measure.copies import CopySearch, look_for_copies
from ...measure.realism import spread
from ..measure import LeftOut, Measure, PictureRow
from ..pictures import show
from . import MEASURES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...images.image import Image
    from ..context import MeasureContext

_HELD_OUT = 400  # experimental patches that are looked for in the training images as the generated ones, at most
_DRAWN = 6  # pairs in the picture


@dataclass(frozen=True)
class CopyPlace:
    """Where a patch that is called a copy begins in the generated images; the first image is 0."""

    image: int
    row: int
    column: int


@dataclass(frozen=True)
class Copies:
    """What `measure.copies.copy_report` returns; `copied` are the places of copies, or a flag for each patch."""

    generated_median: float
    held_out_median: float
    fraction_above_held_out_99: float
    threshold: float
    threshold_correlation: float
    copies: int
    held_out_copies: int
    held_out_trained_on: int
    copied: tuple[CopyPlace | bool, ...]
    verdict: str


def reason_for_no_search(context: MeasureContext) -> str:
    """Return why copies cannot be looked for, as a sentence; "" where they can."""
    if context.trained_on:
        return "The experimental images are training images: give images that the model was not trained on."
    return "" if context.training else "Give the images that the model was trained on, to look for copies."


def _search(context: MeasureContext) -> CopySearch | LeftOut | None:
    """Look up the generated patches in the training images."""
    patches = context.all_patches
    if patches is None:
        return None
    if reason := reason_for_no_search(context):
        return LeftOut(reason)
    held_out = spread(patches.experimental, _HELD_OUT)
    try:
        return look_for_copies(patches.generated, context.training_planes, held_out, context.stop)
    except ValueError as error:
        return LeftOut(str(error))


def _compute(context: MeasureContext) -> Copies | LeftOut | None:
    generated, patches = context.generated, context.all_patches
    if generated is None or patches is None:
        return None
    search = context.once(_search)
    if not isinstance(search, CopySearch):
        return search
    verdict = search.report.verdict + _other_images(generated, context.training)
    return Copies(**{**vars(search.report), "copied": _places(search, generated, patches.size), "verdict": verdict})


def _other_images(generated: Image, training: tuple[Image, ...]) -> str:
    """Return a sentence where the generated images name what their model saw, and none of the images given is that."""
    seen = generated.provenance.training_names
    if not seen or {image.digest for image in training} & set(seen):
        return ""
    return (
        " But none of the training images given is, as it is, what the model was trained on "
        f"({join_names(seen.values())}): where none holds it either, this tells nothing of copies."
    )


def _places(search: CopySearch, generated: Image, size: int) -> tuple[CopyPlace, ...]:
    """Return where in the generated images the patches lie that are called copies."""
    rows, columns = (length // size for length in generated.size)
    places = []
    for index in (index for index, copied in enumerate(search.copied) if copied):
        image, place = divmod(index, rows * columns)
        places.append(CopyPlace(image, place // columns * size, place % columns * size))
    return tuple(places)


def _sentences(result: Copies) -> Iterator[str]:
    yield result.verdict
    yield (
        f"Nearest training patch: correlation {result.generated_median:.2f} for generated patches, "
        f"{result.held_out_median:.2f} for experimental ones that were held out. "
        "Fewer structures or less noise raise it as copying does; the sentence before tells which."
    )


def _row(_result: Copies, context: MeasureContext) -> PictureRow | None:
    search = context.once(_search)
    if not isinstance(search, CopySearch):
        return None
    return PictureRow(3.4, lambda figure: _draw(figure, search, context))


def _draw(figure: Any, search: CopySearch, context: MeasureContext) -> None:
    """Show patches over the training windows they resemble: those called copies first, then the most alike."""
    matches, training, limits = search.matches, context.training_planes, context.contrast
    order = sorted(range(len(matches)), key=lambda i: (not search.copied[i], -matches[i].correlation))[:_DRAWN]
    figure.suptitle("Generated patches (top) and the training windows they resemble most", fontsize=11)
    grid = figure.subplots(2, _DRAWN, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for column, index in enumerate(order):
        match = matches[index]
        turned = symmetry(search.patches[index], match.symmetry)
        height, width = turned.shape
        window = training[match.plane][2 * match.y : 2 * match.y + height, 2 * match.x : 2 * match.x + width]
        called = ", called a copy" if search.copied[index] else ""
        show(grid[0, column], turned, limits, f"r = {match.correlation:.2f}{called}", None)
        show(grid[1, column], window, limits, "", None)


_MEANINGS = {
    "verdict": "Whether generated patches are copies of training images, in words.",
    "generated_median": (
        "Correlation of a generated patch with the training window it resembles most (median): 1 is a copy. Images of "
        "fewer structures or less noise have more than held-out experimental patches without being any; the verdict "
        "tells."
    ),
    "held_out_median": (
        "The same for experimental patches that the model was not trained on: how alike patches are without copying."
    ),
    "fraction_above_held_out_99": (
        "Share of generated patches that resemble a training window more than 99 % of the held-out patches do: about "
        "0.01, or one in as many as were held out, where they show as much and are as noisy. More may be copies, or "
        "simpler images; the verdict tells."
    ),
    "threshold": (
        "By how many standard errors a patch must fit one symmetry of a training window better than all others to be "
        "called a copy; a patch that is none exceeds it in one of 100 reports."
    ),
    "copies": "How many generated patches were called copies of a training image: 0 is good.",
    "held_out_copies": (
        "How many of the other held-out experimental patches were called copies: 0 is expected, and more mean that so "
        "many are called copies by mistake, or lie in the training images a little changed."
    ),
    "held_out_trained_on": (
        "How many experimental patches lie in the training images as they are: 0 is expected. They are left out, for "
        "what the model was trained on says nothing of what it copies."
    ),
    "threshold_correlation": (
        "The correlation from which on a patch is called a copy whatever its margin, for structures that look alike in "
        "several symmetries."
    ),
    "copied": (
        "Where the patches that were called copies begin in the generated images: image (from 0), row and column."
    ),
}

COPIES = Measure(
    "memorization",
    Copies,
    _compute,
    _MEANINGS,
    sentences=_sentences,
    verdict=lambda result: result.copies == 0,
    row=_row,
    left_out="Copies were not looked for.",
    order=70,
)
MEASURES.register("memorization")(COPIES)

"""Whether generated patches are copies of training images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...base.errors import sentence_of
from ...images.patches import symmetry
from ...images.provenance import join_names
from ...measure.copies import CopyPlace, CopyReport, CopySearch, look_for_copies, look_for_copies_within
from ...measure.realism import spread
from ..measure import LeftOut, Measure, PictureRow
from ..pictures import show
from . import MEASURES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...images.image import Image
    from ..context import MeasureContext

_HELD_OUT = 400  # largest number of experimental patches that are searched for in the training images
_DRAWN = 6  # pairs in the picture


def reason_for_no_search(context: MeasureContext) -> str:
    """Return a sentence on why copies cannot be searched for; "" if they can."""
    if context.training or context.trained_on:
        return ""
    return "Give the model's training images to look for copies."


def _search(context: MeasureContext) -> CopySearch | LeftOut | None:
    """Search for the generated patches in the training images."""
    patches = context.all_patches
    if patches is None:
        return None
    if reason := reason_for_no_search(context):
        return LeftOut(reason)
    planes = context.searched_planes
    try:
        if context.trained_on:
            return look_for_copies_within(patches.generated, planes, _HELD_OUT, context.stop)
        held_out = spread(patches.experimental, _HELD_OUT)
        return look_for_copies(patches.generated, planes, held_out, context.stop)
    except ValueError as error:
        return LeftOut(sentence_of(error))


def _compute(context: MeasureContext) -> CopyReport | LeftOut | None:
    generated, patches = context.generated, context.all_patches
    if generated is None or patches is None:
        return None
    search = context.once(_search)
    if not isinstance(search, CopySearch):
        return search
    verdict = search.report.verdict + _other_images(generated, context.training)
    return replace(search.report, copied=_places(search, generated, patches.size), verdict=verdict)


def _other_images(generated: Image, training: tuple[Image, ...]) -> str:
    """Return a sentence if no given image is a training image by the provenance of the generated images."""
    names = generated.provenance.training_names
    if not names or not training or {image.digest for image in training} & set(names):
        return ""
    return (
        f" The given training images differ from those that the model was trained on ({join_names(names.values())}). "
        "If they do not contain these images, this result is not valid."
    )


def _places(search: CopySearch, generated: Image, size: int) -> tuple[CopyPlace, ...]:
    """Return the places of the copies in the generated images."""
    rows, columns = (length // size for length in generated.size)
    places = []
    for index in (index for index, copied in enumerate(search.copied) if copied):
        image, place = divmod(index, rows * columns)
        places.append(CopyPlace(image, place // columns * size, place % columns * size))
    return tuple(places)


def _sentences(result: CopyReport) -> Iterator[str]:
    yield result.verdict
    yield (
        f"Nearest training patch: correlation {result.generated_median:.2f} for generated patches, "
        f"{result.held_out_median:.2f} for held-out experimental patches. "
        "Fewer structures or less noise raise it, too; the previous sentence accounts for that."
    )


def _row(_result: CopyReport, context: MeasureContext) -> PictureRow | None:
    search = context.once(_search)
    if not isinstance(search, CopySearch):
        return None
    return PictureRow(3.4, lambda figure: _draw(figure, search, context))


def _draw(figure: Any, search: CopySearch, context: MeasureContext) -> None:
    """Show patches above the most similar training windows: first the copies, then the most similar."""
    matches, training, limits = search.matches, context.searched_planes, context.contrast
    order = sorted(range(len(matches)), key=lambda i: (not search.copied[i], -matches[i].correlation))[:_DRAWN]
    figure.suptitle("Generated patches (top) and the most similar training windows", fontsize=11)
    grid = figure.subplots(2, _DRAWN, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for column, index in enumerate(order):
        match = matches[index]
        turned = symmetry(search.patches[index], match.symmetry)
        height, width = turned.shape
        window = training[match.plane][2 * match.y : 2 * match.y + height, 2 * match.x : 2 * match.x + width]
        label = ", copy" if search.copied[index] else ""
        show(grid[0, column], turned, limits, f"r = {match.correlation:.2f}{label}", None)
        show(grid[1, column], window, limits, "", None)


_MEANINGS = {
    "verdict": "Whether generated patches are copies of training images, in words.",
    "generated_median": (
        "Correlation of a generated patch with the most similar training window (median): 1 is a copy. Fewer "
        "structures or less noise raise it without any copy; the verdict accounts for that."
    ),
    "held_out_median": "The same for held-out experimental patches: the similarity without copies.",
    "fraction_above_held_out_99": (
        "Share of generated patches that are more similar to a training window than 99 % of the held-out patches. "
        "About 0.01, or one over the number of held-out patches, is expected for equal structure and noise. More may "
        "mean copies or simpler images; the verdict accounts for that."
    ),
    "threshold": (
        "A copy fits one symmetry of a training window better than all others by this number of standard errors. "
        "Without copies, a patch exceeds it in one of 100 reports."
    ),
    "copies": "Number of generated patches that are copies of a training image: 0 is good.",
    "held_out_copies": (
        "Number of the other held-out experimental patches that are classified as copies: 0 is expected. More are "
        "mistakes, or slightly changed parts of the training images."
    ),
    "held_out_trained_on": (
        "Number of experimental patches that are identical to a part of the training images: 0 is expected. They are "
        "left out of the comparison."
    ),
    "threshold_correlation": (
        "A patch with at least this correlation is a copy without the test of symmetries, which fails for structures "
        "that look alike in several symmetries."
    ),
    "copied": "First pixel of each copy in the generated images: image (from 0), row and column.",
}

COPIES = Measure(
    "memorization",
    CopyReport,
    _compute,
    _MEANINGS,
    sentences=_sentences,
    verdict=lambda result: result.copies == 0,
    row=_row,
    left_out="Copies were not looked for.",
    order=70,
)
MEASURES.register("memorization")(COPIES)

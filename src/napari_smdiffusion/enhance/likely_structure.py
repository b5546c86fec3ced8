"""Whether a widefield image looks more like the training of enhancers of another structure.

An image may be near enough to the training of the wrong enhancer (see `familiar`). So it is compared with the training
of all enhancers at hand, and the structure of the nearest one is the likely one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.errors import InputError
from ..store.catalogue import list_models
from ..store.folder import read_facts
from .facts import EnhancerRecord
from .familiar import UNFAMILIAR, strangeness
from .pixel_fit import PixelFit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..base.arrays import Pixels
    from .pixel_fit import PixelSides

# Another structure is likelier if its distance is less than this share of that of the enhancer's own structure.
# Measured on real and simulated images (benchmarks/models/noticed.py; docs/results.md).
LIKELIER = 0.9


def distance_from(record: EnhancerRecord, plane: Pixels, pixels: PixelSides | None) -> float:
    """Return how unlike the training of an enhancer a widefield plane (Y, X) is; 0 if that cannot be judged.

    Parameters
    ----------
    record
        The facts of the enhancer.
    plane
        In any units; finite.
    pixels
        Its pixel size in nm; None if it is unknown.
    """
    fine = record.pixel_size_nm
    fit = PixelFit(pixels, fine and fine * record.config.upscale)
    if record.familiar is None or fit.kind == "refused":
        return 0.0
    return strangeness(record.familiar, record.widefield, plane, fit)


def enhancers_at_hand() -> Iterator[EnhancerRecord]:
    """Yield the facts of the enhancers of the catalogue that state a structure and know their training."""
    for entry in list_models("enhancer"):
        if not entry.summary.structure:
            continue
        try:
            record = read_facts(entry.folder, "enhancer", EnhancerRecord)
        except (InputError, OSError):  # a damaged folder must not cost the result of another enhancer
            continue
        if record.familiar is not None:
            yield record


def structure_distances(
    own: str, distance: float, records: Iterable[EnhancerRecord], plane: Pixels, pixels: PixelSides | None
) -> dict[str, float]:
    """Return the distance of a plane from the nearest training of each structure, of those that can be judged.

    Parameters
    ----------
    own, distance
        Structure of the enhancer, and the distance of the plane from its training.
    records
        The other enhancers.
    plane, pixels
        As in `distance_from`.
    """
    nearest = {own: distance}
    for record in records:
        if other := distance_from(record, plane, pixels):
            nearest[record.structure] = min(other, nearest.get(record.structure, other))
    return nearest


def likelier_structure(own: str, distances: dict[str, float]) -> str:
    """Return the structure that an image is likelier to show than `own`; "" if there is none.

    The image must also look like the training of that structure.
    """
    likely = min(distances, key=lambda structure: distances[structure])
    return likely if distances[likely] <= min(UNFAMILIAR, LIKELIER * distances[own]) else ""


def likelier_sentence(enhancer: str, own: str, image: str, distances: dict[str, float]) -> str:
    """Return a sentence if the image `image` is likelier to show another structure than that of `enhancer`, or ""."""
    likely = likelier_structure(own, distances)
    if not likely:
        return ""
    return (
        f"{image} looks more like {likely} than like {own}, which {enhancer} was trained on (distances "
        f"{distances[likely]:.2f} and {distances[own]:.2f}). The result may show what is not there: choose an enhancer "
        "of the right structure, or check the focus."
    )

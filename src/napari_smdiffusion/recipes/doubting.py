"""Reasons to doubt an enhancement: an image of another kind before it, and a contradictory or ringing result."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..enhance.choosing import mismatch
from ..enhance.pixel_fit import PixelFit
from ..images.image import with_own_pixels
from ..measure.grid import grid_doubt, grid_strength
from ..measure.ringing import ringing, ringing_doubt
from .widefield_images import compared_planes, contradictions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base.arrays import Pixels
    from ..enhance.applying import Enhancement
    from ..enhance.facts import EnhancerRecord
    from ..enhance.model import Enhancer
    from ..enhance.pixel_fit import PixelSides
    from ..images.image import Image


def doubts_before(enhancer: Enhancer, image: Image) -> tuple[str, ...]:
    """Return a sentence if a widefield image is unlike the training of the enhancer, or shows another structure."""
    planes = [image.pixels[plane] for plane in compared_planes(image)]
    structure = image.provenance.structure or ""
    return doubts_about(enhancer.record, image.name, structure, planes, image.pixel_size)


def doubts_about(
    record: EnhancerRecord, name: str, structure: str, planes: Sequence[Pixels], pixels: PixelSides | None
) -> tuple[str, ...]:
    """Return the sentences of `doubts_before`, from the facts of the enhancer.

    Of a stack, the plane that is least unlike the training counts: planes out of focus are a part of stacks. Which
    structure an image shows is only asked if it is not stated.

    Parameters
    ----------
    record
        The facts of the enhancer.
    name, structure
        Name of the image, and what it shows; "" if that is unknown.
    planes
        Some of its planes (Y, X); finite.
    pixels
        Its pixel size in nm; None if it is unknown.
    """
    from ..enhance.familiar import unfamiliar
    from ..enhance.likely_structure import (
        distance_from,
        enhancers_at_hand,
        likelier_sentence,
        structure_distances,
    )

    contradicted = mismatch(record.name, record.structure, [structure])
    judged = [(distance, n) for n, plane in enumerate(planes) if (distance := distance_from(record, plane, pixels))]
    if not judged:
        return (contradicted,) if contradicted else ()
    least, nearest = min(judged)
    sentence = ""
    if record.structure and not structure:
        distances = structure_distances(record.structure, least, enhancers_at_hand(), planes[nearest], pixels)
        sentence = likelier_sentence(record.name, record.structure, name, distances)
    sentence = sentence or unfamiliar(record.name, name, least)
    return tuple(filter(None, (contradicted, sentence)))


def doubts_after(enhancer: Enhancer, enhanced: Image, widefield: Image) -> tuple[str, ...]:
    """Return a sentence for each reason to doubt a result: it contradicts its widefield image, has a grid, or rings.

    Of several planes, the one with the strongest grid or ringing counts.
    """
    fit = PixelFit(widefield.pixel_size, enhancer.widefield_pixel_size)
    ratio = fit.ratios[0] if fit.kind == "resampled" else 1.0
    period = enhancer.config.upscale / ratio
    planes = [enhanced.pixels[plane] for plane in compared_planes(widefield)]
    grid = grid_doubt(widefield.name, max(grid_strength(plane, period) for plane in planes))
    # A grid has ripples at every widefield pixel: only a result without one can ring.
    sentence = grid or ringing_doubt(widefield.name, max(ringing(plane, period) for plane in planes))
    return (*contradictions(enhanced, widefield), *([sentence] if sentence else []))


def doubted(enhancement: Enhancement, doubts: Sequence[str]) -> Enhancement:
    """Return the results with sentences of doubt in their provenance."""
    images = {
        name: with_own_pixels(image, image.pixels, provenance=replace(image.provenance, doubts=tuple(doubts)))
        for name, image in vars(enhancement).items()
        if image is not None
    }
    return replace(enhancement, **images)

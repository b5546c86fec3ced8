"""Reasons to doubt an enhancement: an unfamiliar image before it, and a contradictory, gridded or ringing result."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..enhance.pixel_fit import PixelFit
from ..images.image import with_own_pixels
from ..measure.grid import grid_doubt, grid_strength
from ..measure.ringing import ringing, ringing_doubt
from .widefield_images import compared_planes, contradictions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..enhance.applying import Enhancement
    from ..enhance.model import Enhancer
    from ..images.image import Image


def doubts_before(enhancer: Enhancer, image: Image) -> tuple[str, ...]:
    """Return a sentence if a widefield image is unlike the training of the enhancer.

    Of a stack, the plane that is least unlike the training counts: planes out of focus are a part of stacks.
    """
    from ..enhance.familiar import strangeness, unfamiliar

    familiar, fit = enhancer.familiar, PixelFit(image.pixel_size, enhancer.widefield_pixel_size)
    if familiar is None or fit.kind == "refused":
        return ()
    found = [strangeness(familiar, enhancer.widefield, image.pixels[plane], fit) for plane in compared_planes(image)]
    said = unfamiliar(enhancer.name, image.name, min((value for value in found if value), default=0.0))
    return (said,) if said else ()


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
    said = grid or ringing_doubt(widefield.name, max(ringing(plane, period) for plane in planes))
    return (*contradictions(enhanced, widefield), *([said] if said else []))


def doubted(enhancement: Enhancement, said: Sequence[str]) -> Enhancement:
    """Return the results with sentences of doubt in their provenance."""
    images = {
        name: with_own_pixels(image, image.pixels, provenance=replace(image.provenance, doubts=tuple(said)))
        for name, image in vars(enhancement).items()
        if image is not None
    }
    return replace(enhancement, **images)

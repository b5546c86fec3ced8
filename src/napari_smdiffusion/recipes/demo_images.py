"""The images of the demo: divided for training and judging, with a widefield image and its super-resolution image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..base.errors import InputError
from ..enhance.settings import EnhancerConfig
from ..images.image import common_pixel_size
from ..images.provenance import MADE_BY_MODELS, SIMULATED, Provenance
from ..images.registration import crop_pair, find_in
from ..images.samples import simulated_pair, simulated_reference
from ..microscope.settings import MicroscopeConfig
from .job import optional_sources, read_source, read_sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base.events import Stop
    from ..images.image import Image
    from ..report.enhanced import EnhancedField
    from .demo import DemoJob

PATCH = 128  # pixels of a side of what is compared
_UPSCALE = 4  # of a simulated widefield image


@dataclass(frozen=True, eq=False)
class DemoImages:
    """What the stages of the demo work on.

    Parameters
    ----------
    images
        Names of the super-resolution images that were given.
    given
        Name of the widefield image that was given, if one was.
    train, held_out
        The parts of the super-resolution images to train on and to judge with.
    widefield, reference
        What is enhanced, with the pixel size of its pixels, and its super-resolution image if it is known.
    unseen
        Columns of the reference that no training saw.
    upscale, pixel_size
        Fine pixels per side of a widefield pixel, and their side in nm.
    """

    images: Sequence[str]
    given: str | None
    train: Sequence[Image]
    held_out: Sequence[Image]
    widefield: Image
    reference: Image | None
    unseen: slice
    upscale: int
    pixel_size: float


def prepared_images(job: DemoJob, stop: Stop) -> DemoImages:
    """Read the images, divide them, and find or simulate the widefield image and its super-resolution image."""
    from ..report.enhanced import check_field

    images, camera, reference = _read(job, stop)
    pixel_size = common_pixel_size(images)
    if pixel_size is None:
        raise InputError(f"{images[0].name} has no pixel size: give it in nm (--pixel-size on the command line).")
    upscale = _factor(job, images[0], camera)
    train, held_out = zip(*(_split(image) for image in images), strict=True)
    seen = camera is not None and reference is None  # the reference is looked for in what is trained on
    if camera is None:
        widefield, reference = _simulated(held_out[0], upscale, pixel_size, job.seed)
    else:
        widefield = replace(camera, pixel_size=camera.pixel_size or pixel_size * upscale)
        if reference is None:
            widefield, reference = _registered(widefield, images[0], upscale)
    check_field(widefield, reference, upscale)
    unseen = slice(train[0].size[1], None) if seen and reference is not None else slice(None)
    names = [Path(image.name).name for image in images]
    given = None if camera is None else Path(camera.name).name
    return DemoImages(names, given, train, held_out, widefield, reference, unseen, upscale, pixel_size)


def _read(job: DemoJob, stop: Stop) -> tuple[list[Image], Image | None, Image | None]:
    """Return the super-resolution images, the widefield image and the reference; the sample where none were given."""
    sources = optional_sources(job.images)
    if not sources:
        image, widefield = simulated_pair()
        return [replace(image, provenance=Provenance(SIMULATED))], widefield, simulated_reference()
    images = read_sources(sources, job.pixel_size, MADE_BY_MODELS, stop)
    others = [None if one is None else read_source(one, stop=stop) for one in (job.widefield, job.reference)]
    return images, others[0], others[1]


def _factor(job: DemoJob, sharp: Image, widefield: Image | None) -> int:
    """Return how many fine pixels are along a side of a widefield pixel."""
    if widefield is None or (job.upscale is not None and optional_sources(job.images)):
        return job.upscale or _UPSCALE
    if not (sharp.pixel_size and widefield.pixel_size):
        raise InputError(f"{widefield.name} has no pixel size: give upscale, the fine pixels per widefield pixel.")
    factor = round(widefield.pixel_size / sharp.pixel_size)
    if job.upscale not in (None, factor):
        raise InputError(f"upscale must be {factor} for the bundled sample: leave it out, or give images.", "upscale")
    return EnhancerConfig(upscale=factor).upscale


def _split(image: Image) -> tuple[Image, Image]:
    """Hold out the last quarter of an image's columns, at least a patch."""
    cut = min(image.size[1] * 3 // 4, image.size[1] - PATCH)
    if cut < PATCH or image.size[0] < PATCH:
        raise InputError(
            f"{image.name} is {image.size[0]} × {image.size[1]} pixels: give one of at least {PATCH} × {2 * PATCH}, "
            "a part to train on and a part to judge with."
        )
    return image.crop(slice(None), slice(0, cut)), image.crop(slice(None), slice(cut, None))


def _simulated(held_out: Image, factor: int, pixel_size: float, seed: int) -> tuple[Image, Image]:
    """Return the simulated widefield image of the first plane, and that plane, cut to whole widefield pixels."""
    from ..base.devices import generator
    from ..microscope.camera import widefield_image

    rows, columns = (length // factor * factor for length in held_out.size)
    first = replace(held_out, pixels=held_out.pixels[:1])
    reference = first.crop(slice(0, rows), slice(0, columns))
    return widefield_image(reference, pixel_size, MicroscopeConfig(), factor, generator(seed, 6)), reference


def _registered(widefield: Image, sharp: Image, factor: int) -> tuple[Image, Image | None]:
    """Look for a super-resolution image in a widefield image of the same size or larger, to whole widefield pixels.

    Returns
    -------
    The part of the widefield image that it covers, and the super-resolution image, each the first plane alone; the
    whole widefield image and None where it does not lie in it.
    """
    corner = find_in(sharp.pixels[0], widefield.pixels[0], factor)
    if corner is None:
        return widefield, None
    sharp, widefield = (replace(image, pixels=image.pixels[:1]) for image in (sharp, widefield))
    reference, part = crop_pair(sharp, widefield, factor, corner)
    return part, reference


def most_to_show(place: EnhancedField, columns: slice) -> EnhancedField:
    """Return the part of 64 widefield pixels, within `columns`, that has most to show."""
    from scipy.ndimage import uniform_filter

    from ..report.enhanced import EnhancedField

    f, side = place.factor, min(64, *place.widefield.size)
    plane = np.asarray(place.widefield.pixels[0], np.float64)
    detail = np.abs(plane - uniform_filter(plane, 9))
    sums = uniform_filter(detail, side, mode="constant")
    half = side // 2
    first = -(-(columns.start or 0) // f)
    allowed = sums[half : plane.shape[0] - side + half + 1, first + half : plane.shape[1] - side + half + 1]
    if not allowed.size:
        allowed, first = sums[half : plane.shape[0] - side + half + 1, half : plane.shape[1] - side + half + 1], 0
    y, x = (int(i) for i in np.unravel_index(int(allowed.argmax()), allowed.shape))
    coarse = slice(y, y + side), slice(x + first, x + first + side)
    fine = slice(y * f, (y + side) * f), slice((x + first) * f, (x + first + side) * f)
    reference = None if place.reference is None else place.reference.crop(*fine)
    return EnhancedField(place.enhanced.crop(*fine), place.widefield.crop(*coarse), reference)

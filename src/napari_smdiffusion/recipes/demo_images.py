"""The images of the demo: training and held-out parts, a widefield image, and its super-resolution image."""

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

PATCH = 128  # side of the patches that are compared, in pixels
_UPSCALE = 4  # super-resolution pixels per pixel of a simulated widefield image


@dataclass(frozen=True, eq=False)
class DemoImages:
    """The images that the stages of the demo use.

    Parameters
    ----------
    images
        Names of the super-resolution images.
    given
        Name of the widefield image of the job, or None.
    train, held_out
        Parts of the super-resolution images for training and for comparison.
    widefield, reference
        The image to enhance, with its pixel size, and its super-resolution image, or None.
    unseen
        Columns of the reference that were not trained on.
    upscale, pixel_size
        Super-resolution pixels per side of a widefield pixel, and their pixel size in nm.
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
    """Read and divide the images, and locate or simulate the widefield image of a super-resolution image."""
    from ..report.enhanced import check_field

    images, given, reference = _read(job, stop)
    pixel_size = common_pixel_size(images)
    if pixel_size is None:
        raise InputError(f"{images[0].name} has no pixel size: give it in nm (--pixel-size on the command line).")
    upscale = _upscale(job, images[0], given)
    train, held_out = zip(*(_split(image) for image in images), strict=True)
    partly_trained_on = given is not None and reference is None  # the reference is then a part of a training image
    if given is None:
        widefield, reference = _simulated(held_out[0], upscale, pixel_size, job.seed)
    else:
        widefield = replace(given, pixel_size=given.pixel_size or pixel_size * upscale)
        if reference is None:
            widefield, reference = _registered(widefield, images[0], upscale)
    check_field(widefield, reference, upscale)
    unseen = slice(train[0].size[1], None) if partly_trained_on and reference is not None else slice(None)
    names = [Path(image.name).name for image in images]
    given_name = None if given is None else Path(given.name).name
    return DemoImages(names, given_name, train, held_out, widefield, reference, unseen, upscale, pixel_size)


def _read(job: DemoJob, stop: Stop) -> tuple[list[Image], Image | None, Image | None]:
    """Return the super-resolution images, the widefield image and the reference; without images, the bundled sample."""
    sources = optional_sources(job.images)
    if not sources:
        image, sample_widefield = simulated_pair()
        return [replace(image, provenance=Provenance(SIMULATED))], sample_widefield, simulated_reference()
    images = read_sources(sources, job.pixel_size, MADE_BY_MODELS, stop, job.channel)
    widefield, reference = (
        None if source is None else read_source(source, stop=stop, channel=job.channel)
        for source in (job.widefield, job.reference)
    )
    return images, widefield, reference


def _upscale(job: DemoJob, image: Image, widefield: Image | None) -> int:
    """Return the number of super-resolution pixels per side of a widefield pixel."""
    if widefield is None or (job.upscale is not None and optional_sources(job.images)):
        return job.upscale or _UPSCALE
    if not (image.pixel_size and widefield.pixel_size):
        raise InputError(
            f"{widefield.name} has no pixel size: give upscale, the number of super-resolution pixels per side of a "
            "widefield pixel."
        )
    factor = round(widefield.pixel_size / image.pixel_size)
    if job.upscale not in (None, factor):
        raise InputError(f"upscale must be {factor} for the bundled sample: leave it out, or give images.", "upscale")
    return EnhancerConfig(upscale=factor).upscale


def _split(image: Image) -> tuple[Image, Image]:
    """Hold out the last quarter of the columns of an image, but at least the width of a patch."""
    cut = min(image.size[1] * 3 // 4, image.size[1] - PATCH)
    if cut < PATCH or image.size[0] < PATCH:
        raise InputError(
            f"{image.name} is {image.size[0]} × {image.size[1]} pixels: give one of at least {PATCH} × {2 * PATCH}, "
            "half for training and half for comparison."
        )
    return image.crop(slice(None), slice(0, cut)), image.crop(slice(None), slice(cut, None))


def _simulated(held_out: Image, factor: int, pixel_size: float, seed: int) -> tuple[Image, Image]:
    """Return a simulated widefield image of the first plane, and this plane, cropped to whole widefield pixels."""
    from ..base.devices import generator
    from ..microscope.camera import widefield_image

    rows, columns = (length // factor * factor for length in held_out.size)
    first = replace(held_out, pixels=held_out.pixels[:1])
    reference = first.crop(slice(0, rows), slice(0, columns))
    return widefield_image(reference, pixel_size, MicroscopeConfig(), factor, generator(seed, 6)), reference


def _registered(widefield: Image, image: Image, factor: int) -> tuple[Image, Image | None]:
    """Locate a super-resolution image in a widefield image of the same or a larger field, to whole widefield pixels.

    Returns
    -------
    The part of the widefield image that the super-resolution image covers, and the super-resolution image; both have
    the first plane alone. If it was not located: the whole widefield image, and None.
    """
    corner = find_in(image.pixels[0], widefield.pixels[0], factor)
    if corner is None:
        return widefield, None
    image, widefield = replace(image, pixels=image.pixels[:1]), replace(widefield, pixels=widefield.pixels[:1])
    reference, part = crop_pair(image, widefield, factor, corner)
    return part, reference


def most_detailed_part(field: EnhancedField, columns: slice) -> EnhancedField:
    """Return the part of 64 × 64 widefield pixels with most detail, within `columns` of super-resolution pixels."""
    from scipy.ndimage import uniform_filter

    from ..report.enhanced import EnhancedField

    f, side = field.factor, min(64, *field.widefield.size)
    plane = np.asarray(field.widefield.pixels[0], np.float64)
    detail = np.abs(plane - uniform_filter(plane, 9))
    sums = uniform_filter(detail, side, mode="constant")
    half = side // 2
    first = -(-(columns.start or 0) // f)
    allowed = sums[half : plane.shape[0] - side + half + 1, first + half : plane.shape[1] - side + half + 1]
    if not allowed.size:
        allowed, first = sums[half : plane.shape[0] - side + half + 1, half : plane.shape[1] - side + half + 1], 0
    y, x = (int(i) for i in np.unravel_index(int(allowed.argmax()), allowed.shape))
    widefield_window = slice(y, y + side), slice(x + first, x + first + side)
    window = slice(y * f, (y + side) * f), slice((x + first) * f, (x + first + side) * f)
    reference = None if field.reference is None else field.reference.crop(*window)
    return EnhancedField(field.enhanced.crop(*window), field.widefield.crop(*widefield_window), reference)

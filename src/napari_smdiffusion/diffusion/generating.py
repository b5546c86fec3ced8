"""Generation of new images with a diffusion model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from ..base.devices import is_out_of_memory, on_device, pick_device, release_memory
from ..base.errors import Stopped
from ..base.events import Countdown, Generated, Note, Preview, Progress, Steps, Stop, never
from ..base.settings import to_dict
from ..base.version import __version__
from ..images.image import Image, empty_images, read_only
from ..images.parts import fewer_marks
from ..images.provenance import SYNTHETIC, Provenance, TrainingImage
from ..store.weights import SHORT_DIGEST, digest_of_weights
from .facts import check_structure
from .guidance import LABELS
from .intensities import to_intensities, to_numpy
from .noise import start_noise

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..base.arrays import Pixels
    from .model import DiffusionModel
    from .settings import GenerateConfig


class Planes(Protocol):
    """What images are generated into: an array (N, Y, X), or the planes of a store."""

    def __setitem__(self, index: int, image: Pixels, /) -> None:
        """Put an image (Y, X) at its index."""


_MARKS = 512  # marks of training images in the provenance of a generated image: about 10 kB


def generate_steps(
    model: DiffusionModel,
    config: GenerateConfig,
    *,
    pixels: Pixels | None = None,
    finished: int = 0,
    stop: Stop = never,
) -> Steps[Image]:
    """Generate images in batches, into the array `pixels`, (count, height, width), if it is given.

    The first `finished` images are in `pixels` already. The last batch of them is computed again if it is incomplete:
    the last bit of a pixel may depend on the batch.

    Image k depends only on (`config.seed`, k) and on its size. The number of images and the batch do not matter.

    Yields
    ------
    Progress after every sampling step, Preview of the denoising, and Generated when an image is finished.

    Returns
    -------
    The finished images, (N, height, width). `stop` is called at every sampling step.

    Raises
    ------
    InputError
        If the size, the number of steps or the structure does not suit the network.
    MemoryError
        If memory is too small for `count` images or for computing a single one.
    Stopped
        If `stop` returned True before the first image was finished.
    """
    pixels = empty_images(config.count, config.height, config.width) if pixels is None else pixels
    done = yield from generate_into_steps(model, config, pixels, finished=finished, stop=stop)
    return Image(
        read_only(pixels[:done]),
        model.pixel_size,
        name=f"{model.name} (synthetic)",
        provenance=provenance(model, config),
    )


def generate_into_steps(
    model: DiffusionModel, config: GenerateConfig, planes: Planes, *, finished: int = 0, stop: Stop = never
) -> Steps[int]:
    """Generate images into `planes`, and return the number of finished ones; see `generate_steps`."""
    model.sampler.check(config)
    check_structure(model.facts, config)
    device = pick_device(config.device)
    together = min(config.batch, _images_together(config))
    done = 1 + (finished - 1) // together * together if 0 < finished < config.count else finished
    with on_device(model.unet, device) as unet:
        done = yield from _generate_from(done, together, unet, model, config, planes, stop)
    if not done:
        raise Stopped("Stopped before the first image was finished: nothing was generated.")
    return done


def _images_together(config: GenerateConfig) -> int:
    """Return the number of images that are computed together: those with the pixels of one field of 1024²."""
    return max(1, 1024**2 // (config.height * config.width))


def _generate_from(
    done: int,
    together: int,
    unet: torch.nn.Module,
    model: DiffusionModel,
    config: GenerateConfig,
    pixels: Planes,
    stop: Stop,
) -> Steps[int]:
    """Generate the images from index `done` on into `pixels`, `together` in a batch; return the number of finished."""
    steps = model.sampler.steps(config)
    countdown = Countdown(done * steps, config.count * steps)
    while done < config.count and not stop():
        # The first image is computed alone, so that it is shown early.
        indices = range(done, min(done + (together if done else 1), config.count))
        try:
            images = yield from _generate_batch(unet, model, config, indices, countdown, stop)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if len(indices) == 1:
                raise MemoryError("Memory ran out with a single image: choose a smaller size.") from error
            images = None
        # The error held references to tensors; only here is that memory free.
        if images is None:
            together = max(1, together // 2)
            release_memory()
            yield Note(f"Memory ran out: continuing with {together} images at a time.")
            continue
        for index, image in zip(indices, images, strict=False):
            pixels[index] = image
            done += 1
            yield Generated(image, index, config.seed)
    return done


def _generate_batch(
    unet: torch.nn.Module,
    model: DiffusionModel,
    config: GenerateConfig,
    indices: range,
    countdown: Countdown,
    stop: Stop,
) -> Steps[npt.NDArray[np.float32]]:
    """Return images `indices` of the run, (B, height, width), or no image if the run was stopped."""
    sampler, scaling = model.sampler, model.scaling_of(config.structure)
    condition = _condition(model, config, len(indices))
    noise = start_noise(config.seed, indices, sampler.denoised_size(config.height, config.width), sampler.channels)
    steps = sampler.steps(config)
    total = config.count * steps
    fields = sampler.sample(unet, noise, steps, config.solver, config.guidance, **condition)
    for step, field in enumerate(fields, start=1):
        clean = field[..., : config.height, : config.width]
        if stop():
            return np.empty((0, config.height, config.width), np.float32)
        done = indices.start * steps + step * len(indices)
        yield Progress("generating", done, total, countdown.left(done), detail=_detail(config, indices, step, steps))
        if step % 4 == 0:
            yield Preview("generating", step, to_intensities(to_numpy(clean[:1]), scaling))
    return to_intensities(to_numpy(clean), scaling)


def _condition(model: DiffusionModel, config: GenerateConfig, count: int) -> dict[str, Any]:
    """Return the class of `count` images of a conditional model, (count,); nothing for a model of one structure."""
    if not model.facts.groups:
        return {}
    return {LABELS: torch.full((count,), model.facts.structures.index(config.structure))}


def _detail(config: GenerateConfig, indices: range, step: int, steps: int) -> str:
    """Return which images are computed, and their sampling step, for users."""
    first, last = indices.start + 1, indices.stop
    which = f"image {first}" if first == last else f"images {first} to {last}"
    return f"{which} of {config.count}, step {step} of {steps}"


def provenance(model: DiffusionModel, config: GenerateConfig) -> Provenance:
    """Return the provenance of generated images."""
    settings = {**to_dict(config), "steps": model.sampler.steps(config)}
    if not model.facts.groups:  # of a model of one structure they have no meaning
        del settings["structure"], settings["guidance"]
    return Provenance(
        SYNTHETIC,
        f"napari-smdiffusion {__version__}",
        model.name,
        _stated(model.facts.training_data),
        structure=config.structure or model.facts.structure or None,
        settings=settings,
        model_digest=digest_of_weights(model.unet)[:SHORT_DIGEST],
    )


def _stated(images: tuple[TrainingImage, ...]) -> tuple[TrainingImage, ...]:
    """Return the training images as generated images state them: with fewer marks, which each file holds."""
    marked = max(1, sum(bool(image.parts) for image in images))
    return tuple(replace(image, parts=fewer_marks(image.parts, _MARKS // marked)) for image in images)

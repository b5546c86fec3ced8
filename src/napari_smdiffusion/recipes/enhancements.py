"""The two ways to enhance an image: a best estimate alone, or posterior samples with their best estimate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..base.errors import InputError
from ..base.events import Note, Steps, Stop, never
from ..base.memory import check_memory
from .train_enhancer import TrainEnhancerJob

if TYPE_CHECKING:
    import os
    from collections.abc import Container

    from ..enhance.applying import Enhancement, NewArray, ResultPlan
    from ..enhance.model import Enhancer
    from ..enhance.settings import EnhanceConfig
    from ..images.image import Image

_BYTES = 4  # of a pixel
_BESIDE = 8  # planes that are computed beside the results


def check_samples(model: Enhancer | str | os.PathLike[str] | TrainEnhancerJob, settings: EnhanceConfig) -> None:
    """Raise an InputError if samples are requested of a model that draws none; models by name are not read."""
    if not settings.samples or not isinstance(model, TrainEnhancerJob) or model.settings.method == "samples":
        return
    raise InputError("samples need an enhancer that is trained for them: train it with the method samples.", "samples")


def check_sampler(enhancer: Enhancer, settings: EnhanceConfig) -> None:
    """Raise an InputError if samples are requested of an enhancer that draws none."""
    if settings.samples:
        from ..samples.applying import sampler_of

        sampler_of(enhancer)


def plans_of(enhancer: Enhancer, image: Image, settings: EnhanceConfig) -> list[ResultPlan]:
    """Return the plans of all results of a widefield image."""
    if settings.samples:
        from ..samples.applying import planned_samples

        return planned_samples(enhancer, image, settings)
    from ..enhance.applying import planned_results

    return planned_results(enhancer, image, settings)


def check_memory_for(enhancer: Enhancer, image: Image, settings: EnhanceConfig) -> None:
    """Raise an InputError if the results of a widefield image do not fit into the free memory."""
    plans = plans_of(enhancer, image, settings)
    # A plane and what is computed beside it.
    beside = _BESIDE * math.prod(plans[0].shape[1:])
    needed = _BYTES * (sum(math.prod(plan.shape) for plan in plans) + beside)
    fewer = "draw fewer samples, " if settings.samples > 1 else ""
    check_memory(needed, f"The result of {image.name}", f"{fewer}enhance a region, or write into files (out)")


def enhancement_steps(
    enhancer: Enhancer,
    image: Image,
    settings: EnhanceConfig,
    *,
    new_array: NewArray | None = None,
    finished: Container[tuple[int, ...]] = (),
    stop: Stop = never,
) -> Steps[Enhancement]:
    """Enhance a widefield image as its settings say; see `enhance_steps` and `sample_image_steps`."""
    if settings.samples:
        from ..samples.applying import sample_image_steps

        steps = sample_image_steps(enhancer, image, settings, new_array=new_array, finished=finished, stop=stop)
    else:
        from ..enhance.applying import enhance_steps

        steps = enhance_steps(enhancer, image, settings, new_array=new_array, finished=finished, stop=stop)
    return (yield from steps)


def is_complete(enhancement: Enhancement, settings: EnhanceConfig) -> bool:
    """Return whether a result has all samples; one that was stopped has fewer."""
    samples = enhancement.samples
    return samples is None or len(samples) == settings.samples * len(enhancement.image)


def note_on_trust(name: str, enhancement: Enhancement) -> Steps[None]:
    """Yield a Note on how far the samples of the image `name` agree."""
    if sentence := sentence_on_trust(name, enhancement):
        yield Note(sentence)


def sentence_on_trust(name: str, enhancement: Enhancement) -> str:
    """Return how far the samples of the image `name` agree; "" without samples, or without light."""
    share = enhancement.agreement
    if share is None:
        return ""
    return (
        f"{name}: {100 * share:.0f} % of the light of the best estimate is at places that at least nine of ten samples "
        "show."
    )

"""Settings of training, generation and import of a diffusion model."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le, Predicate, Unit

from ..base.errors import InputError
from ..base.settings import (
    ASCENDING,
    Batch,
    Checked,
    Choices,
    Count,
    Device,
    Help,
    Nanometres,
    Positive,
    Seed,
    Side,
    Widths,
)
from .solvers import SOLVERS

DEFAULT_START = "simulated-filaments"  # the bundled model that trainings begin from
EDM, NOISE = "edm", "reference-noise-prediction"  # `DiffusionFacts.parameterization`


@dataclass(frozen=True)
class TrainConfig(Checked):
    """How a diffusion model is trained."""

    minutes: Annotated[Positive, Unit("min"), Help("how long to train")] = 15.0
    steps: Annotated[Count | None, Help("number of steps, instead of minutes")] = None
    patch: Annotated[Side, Help("side of the square training patches")] = 128
    batch: Annotated[Batch, Help("patches in one step")] = 16
    wide_fraction: Annotated[
        float, Ge(0), Le(1), Help("share of the steps that look at patches of twice the side (a quarter as many)")
    ] = 0.25
    # Noise levels in training, ln σ ~ N(mean, std²). EDM's values (−1.2, 1.2) are for photographs. The layout of
    # filaments is decided at higher noise.
    log_sigma_mean: Annotated[
        float, Ge(-5), Le(5), Help("mean of the logarithm of the noise levels it is trained at")
    ] = -0.5
    log_sigma_std: Annotated[Positive, Le(5), Help("standard deviation of that logarithm")] = 1.4
    learning_rate: Annotated[
        Positive,
        Le(0.1),
        Help("highest learning rate of the schedule; half of it where the training starts from a model"),
    ] = 1.2e-3
    channels: Annotated[Widths, Help("width of the network at each of its resolutions")] = (48, 96, 128, 112)
    seed: Annotated[Seed, Help("seed of every random draw")] = 0
    previews: Annotated[int, Ge(0), Le(16), Help("sample images shown while training; 0 for none")] = 4
    device: Annotated[Device, Help("where to compute")] = "auto"


@dataclass(frozen=True)
class GenerateConfig(Checked):
    """What a diffusion model generates."""

    count: Annotated[Count, Help("number of images")] = 16
    height: Annotated[Side, Help("height of an image")] = 128
    width: Annotated[Side, Help("width of an image")] = 128
    seed: Annotated[Seed, Help("seed; image k depends on the seed and k alone")] = 0
    steps: Annotated[
        Annotated[int, Ge(2), Le(1000)] | None,
        Help("steps of the solver; as many as its kind of model needs when not given"),
    ] = None
    batch: Annotated[Count, Help("images computed together")] = 16
    solver: Annotated[
        str, Predicate(SOLVERS.__contains__), Choices(SOLVERS), Help("how noise becomes an image in these steps")
    ] = "dpmpp-2m"
    device: Annotated[Device, Help("where to compute")] = "auto"


@dataclass(frozen=True)
class ImportConfig(Checked):
    """What the weights of an imported checkpoint do not say; the defaults are those it is trained with."""

    image_size: Annotated[
        Annotated[int, Unit("px")] | None,
        Help("side of the training images (32, 64, 128 or 256); seen from the weights when not given"),
    ] = None
    heads: Annotated[Count, Help("heads of the attention layers")] = 4
    schedule: Annotated[Literal["cosine", "linear"], Help("schedule of the noise")] = "cosine"
    diffusion_steps: Annotated[int, Ge(100), Le(100_000), Help("steps of the diffusion")] = 1000
    pixel_size: Annotated[Nanometres | None, Help("pixel size of the training images in nm")] = None
    intensity_range: Annotated[
        tuple[float, float], ASCENDING, Help("intensities of the darkest and the brightest pixel it can make")
    ] = (0.0, 255.0)


def check_generation(config: GenerateConfig, smallest: int, most_steps: int) -> None:
    """Raise an InputError if a model with these limits (`generation_limits`) cannot generate what is asked for."""
    for side, length in (("height", config.height), ("width", config.width)):
        if length < smallest:
            raise InputError(f"{side} must be at least {smallest} for this model, not {length}.", side)
    if config.steps is not None and config.steps > most_steps:
        raise InputError(f"steps must be at most {most_steps} for this model, not {config.steps}.", "steps")

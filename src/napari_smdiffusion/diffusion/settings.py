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

DEFAULT_START = "start-any"  # the bundled model that trainings begin from
EDM, NOISE = "edm", "reference-noise-prediction"  # `DiffusionFacts.parameterization`
SIGMA_DATA = 0.5  # standard deviation of the images in network units, assumed by EDM's preconditioning


@dataclass(frozen=True)
class TrainConfig(Checked):
    """Settings of the training of a diffusion model."""

    minutes: Annotated[Positive, Unit("min"), Help("how long to train")] = 15.0
    steps: Annotated[Count | None, Help("number of steps, instead of minutes")] = None
    patch: Annotated[Side, Help("side of the square training patches")] = 128
    batch: Annotated[Batch, Help("patches in one step")] = 16
    wide_fraction: Annotated[
        float, Ge(0), Le(1), Help("share of the training steps with a quarter of the patches, of twice the side")
    ] = 0.25
    widest_fraction: Annotated[
        float,
        Ge(0),
        Le(1),
        Help("share of the training steps with a sixteenth of the patches, of four times the side; for large fields"),
    ] = 0.0
    # Noise levels in training, ln σ ~ N(mean, std²). EDM's values (−1.2, 1.2) are for photographs. The layout of
    # filaments is decided at higher noise.
    log_sigma_mean: Annotated[
        float, Ge(-5), Le(5), Help("mean of ln σ, the logarithm of the noise levels in training")
    ] = -0.5
    log_sigma_std: Annotated[Positive, Le(5), Help("standard deviation of ln σ in training")] = 1.4
    learning_rate: Annotated[
        Positive,
        Le(0.1),
        Help("highest learning rate; halved when the training starts from a model"),
    ] = 1.2e-3
    channels: Annotated[Widths, Help("width of the network at each of its resolutions")] = (48, 96, 128, 112)
    seed: Annotated[Seed, Help("seed of every random draw")] = 0
    previews: Annotated[
        int, Ge(0), Le(16), Help("number of sample images in the preview during training; 0 for none")
    ] = 4
    device: Annotated[Device, Help("where to compute")] = "auto"


@dataclass(frozen=True)
class GenerateConfig(Checked):
    """Settings of the generation of images."""

    count: Annotated[Count, Help("number of images")] = 16
    height: Annotated[Side, Help("height of an image")] = 128
    width: Annotated[Side, Help("width of an image")] = 128
    seed: Annotated[Seed, Help("seed; image k depends only on the seed and k")] = 0
    steps: Annotated[
        Annotated[int, Ge(2), Le(1000)] | None,
        Help("sampling steps; the default is 10, or 20 for an imported model"),
    ] = None
    batch: Annotated[Count, Help("images computed together")] = 16
    solver: Annotated[
        str,
        Predicate(SOLVERS.__contains__),
        Choices(SOLVERS),
        Help("method that turns noise into an image in these steps"),
    ] = "dpmpp-2m"
    device: Annotated[Device, Help("where to compute")] = "auto"
    structure: Annotated[str, Help("structure to generate, for a model of several structures")] = ""
    guidance: Annotated[
        float,
        Ge(1),
        Le(10),
        Help("how strictly the images follow the structure, for a model of several structures; 1 is off"),
    ] = 1.0


@dataclass(frozen=True)
class ImportConfig(Checked):
    """Settings that an imported checkpoint does not state; the defaults are those of improved_diffusion_for_SMLM."""

    image_size: Annotated[
        Annotated[int, Unit("px")] | None,
        Help("side of the training images (32, 64, 128 or 256); by default derived from the weights"),
    ] = None
    heads: Annotated[Count, Help("number of heads of the attention layers")] = 4
    schedule: Annotated[Literal["cosine", "linear"], Help("noise schedule of the training")] = "cosine"
    diffusion_steps: Annotated[int, Ge(100), Le(100_000), Help("number of steps of the noise schedule")] = 1000
    pixel_size: Annotated[Nanometres | None, Help("pixel size of the training images in nm")] = None
    intensity_range: Annotated[
        tuple[float, float], ASCENDING, Help("intensities of the darkest and the brightest pixel")
    ] = (0.0, 255.0)


def check_generation(config: GenerateConfig, smallest: int, most_steps: int) -> None:
    """Raise an InputError if the size or the steps exceed the limits of a model; see `generation_limits`."""
    for side, length in (("height", config.height), ("width", config.width)):
        if length < smallest:
            raise InputError(f"{side} must be at least {smallest} for this model, not {length}.", side)
    if config.steps is not None and config.steps > most_steps:
        raise InputError(f"steps must be at most {most_steps} for this model, not {config.steps}.", "steps")

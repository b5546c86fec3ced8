"""One frozen dataclass per stage. Forms, command-line flags, JSON and the model folder are all made from these."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, MinLen, MultipleOf, Unit

from .errors import InputError
from .settings import ASCENDING, Checked, Device, Help, Seed

DEFAULT_START = "simulated-filaments"  # the bundled model that trainings begin from
EDM, NOISE = "edm", "reference-noise-prediction"  # facts["parameterization"]; it is EDM where there is none

_Count = Annotated[int, Ge(1)]
_Batch = Annotated[_Count, Le(4096)]
_Positive = Annotated[float, Gt(0)]
_Nanometres = Annotated[_Positive, Unit("nm")]
_Span = Annotated[tuple[_Positive, _Positive], ASCENDING]
_NotNegative = Annotated[float, Ge(0)]
_Share = Annotated[float, Ge(0), Le(0.95)]
_Shares = Annotated[tuple[_Share, _Share], ASCENDING]
_Side = Annotated[int, Ge(32), MultipleOf(16), Unit("px")]
_Width = Annotated[int, Ge(16), MultipleOf(16)]
_Widths = Annotated[tuple[_Width, ...], MinLen(1)]


@dataclass(frozen=True)
class TrainConfig(Checked):
    """How a diffusion model is trained."""

    minutes: Annotated[_Positive, Unit("min"), Help("how long to train")] = 15.0
    steps: Annotated[_Count | None, Help("number of steps, instead of minutes")] = None
    patch: Annotated[_Side, Help("side of the square training patches")] = 128
    batch: Annotated[_Batch, Help("patches in one step")] = 16
    wide_fraction: Annotated[
        float, Ge(0), Le(1), Help("share of the steps that look at patches of twice the side (a quarter as many)")
    ] = 0.25
    # Noise levels in training, ln σ ~ N(mean, std²). EDM's values (−1.2, 1.2) are for photographs. The layout of
    # filaments is decided at higher noise.
    log_sigma_mean: Annotated[
        float, Ge(-5), Le(5), Help("mean of the logarithm of the noise levels it is trained at")
    ] = -0.5
    log_sigma_std: Annotated[_Positive, Le(5), Help("standard deviation of that logarithm")] = 1.4
    learning_rate: Annotated[
        _Positive,
        Le(0.1),
        Help("highest learning rate of the schedule; half of it where the training starts from a model"),
    ] = 1.2e-3
    channels: Annotated[_Widths, Help("width of the network at each of its resolutions")] = (48, 96, 128, 112)
    seed: Annotated[Seed, Help("seed of every random draw")] = 0
    previews: Annotated[int, Ge(0), Le(16), Help("sample images shown while training; 0 for none")] = 4
    device: Annotated[Device, Help("where to compute")] = "auto"


@dataclass(frozen=True)
class GenerateConfig(Checked):
    """What a diffusion model generates."""

    count: Annotated[_Count, Help("number of images")] = 16
    height: Annotated[_Side, Help("height of an image")] = 128
    width: Annotated[_Side, Help("width of an image")] = 128
    seed: Annotated[Seed, Help("seed; image k depends on the seed and k alone")] = 0
    steps: Annotated[
        Annotated[int, Ge(2), Le(1000)] | None,
        Help("steps of the solver; as many as its kind of model needs when not given"),
    ] = None
    batch: Annotated[_Count, Help("images computed together")] = 16
    device: Annotated[Device, Help("where to compute")] = "auto"


@dataclass(frozen=True)
class ImportConfig(Checked):
    """What the weights of an imported checkpoint do not say; the defaults are those it is trained with."""

    image_size: Annotated[
        Annotated[int, Unit("px")] | None,
        Help("side of the training images (32, 64, 128 or 256); seen from the weights when not given"),
    ] = None
    heads: Annotated[_Count, Help("heads of the attention layers")] = 4
    schedule: Annotated[Literal["cosine", "linear"], Help("schedule of the noise")] = "cosine"
    diffusion_steps: Annotated[int, Ge(100), Le(100_000), Help("steps of the diffusion")] = 1000
    pixel_size: Annotated[_Nanometres | None, Help("pixel size of the training images in nm")] = None
    intensity_range: Annotated[
        tuple[float, float], ASCENDING, Help("intensities of the darkest and the brightest pixel it can make")
    ] = (0.0, 255.0)


@dataclass(frozen=True)
class MicroscopeConfig(Checked):
    """The widefield microscope that is simulated; each `_range` is drawn from anew for every image."""

    na: Annotated[_Positive, Le(1.7), Help("numerical aperture of the objective")] = 1.4
    wavelength: Annotated[float, Gt(100), Le(2000), Unit("nm"), Help("emission wavelength")] = 670.0
    psf: Annotated[
        Literal["gaussian", "pupil"],
        Help("point spread function: a Gaussian, or the scalar model of the pupil where the defocus is known"),
    ] = "gaussian"
    defocus: Annotated[
        float,
        Ge(0),
        Le(1000),
        Unit("nm"),
        Help("distance of the structure from the plane of focus, for the model of the pupil"),
    ] = 0.0
    width_range: Annotated[_Span, Help("width of the point spread function, relative to the in-focus one")] = (
        0.85,
        1.4,
    )
    haze_range: Annotated[_Shares, Help("share of the light that is out of focus")] = (0.2, 0.85)
    haze_width_range: Annotated[_Span, Unit("nm"), Help("width (standard deviation) of the out-of-focus blur")] = (
        200.0,
        600.0,
    )
    photons_range: Annotated[_Span, Unit("photons"), Help("photons in a bright widefield pixel")] = (50.0, 2000.0)
    background_range: Annotated[
        tuple[_NotNegative, _NotNegative], ASCENDING, Help("uniform background, relative to a bright widefield pixel")
    ] = (0.0, 0.3)
    read_noise: Annotated[_NotNegative, Unit("electrons"), Help("read noise of the camera")] = 1.6
    gain: Annotated[_Positive, Help("camera counts per photon")] = 1.0
    offset: Annotated[_NotNegative, Help("camera counts without light")] = 0.0


@dataclass(frozen=True)
class EnhancerConfig(Checked):
    """How an enhancer is trained."""

    upscale: Annotated[int, Ge(1), Le(8), Help("how many times finer the enhanced pixels are")] = 4
    # More than about two made enhancers better on simulated widefield images, and no better on a real one.
    minutes: Annotated[_Positive, Unit("min"), Help("how long to train")] = 2.0
    steps: Annotated[_Count | None, Help("number of steps, instead of minutes")] = None
    patch: Annotated[
        int, Ge(32), Unit("px"), Help("side of the super-resolution patches; smaller images are put together")
    ] = 256
    batch: Annotated[_Batch, Help("patches in one step")] = 4
    learning_rate: Annotated[
        _Positive,
        Le(0.1),
        Help("highest learning rate of the schedule; half of it where the training starts from an enhancer"),
    ] = 1e-3
    channels: Annotated[
        int, Ge(8), MultipleOf(8), Help("width of the network; that of the enhancer it starts from")
    ] = 48
    seed: Annotated[Seed, Help("seed of every random draw")] = 0
    previews: Annotated[int, Ge(0), Le(16), Help("example images shown while training; 0 for none")] = 4
    device: Annotated[Device, Help("where to compute")] = "auto"


@dataclass(frozen=True)
class EnhanceConfig(Checked):
    """How widefield images are enhanced."""

    tile: Annotated[
        Annotated[int, Ge(64), Unit("px")] | None,
        Help("side of the widefield tiles; chosen automatically when not given"),
    ] = None
    uncertainty: Annotated[
        bool, Help("also map how far the truth may be from the result, beside it as …_uncertainty.tif")
    ] = False
    confidence: Annotated[
        float,
        Ge(0.5),
        Le(0.95),
        Help("share of the pixels whose true value is to lie within the uncertainty of the enhanced one"),
    ] = 0.9
    device: Annotated[Device, Help("where to compute")] = "auto"


def generation_limits(facts: Mapping[str, Any]) -> tuple[int, int]:
    """Return the smallest side of an image, in pixels, and the most solver steps that a model takes.

    `facts` is what its model.json says. Nothing else of the model has to be loaded.
    """
    if facts.get("parameterization", EDM) == NOISE:
        return 32, int(facts["noise_schedule"].get("steps", 1000))
    return 64, 1000


def check_generation(config: GenerateConfig, smallest: int, most_steps: int) -> None:
    """Raise an InputError if a model with these limits (`generation_limits`) cannot generate what is asked for."""
    for side, length in (("height", config.height), ("width", config.width)):
        if length < smallest:
            raise InputError(f"{side} must be at least {smallest} for this model, not {length}.")
    if config.steps is not None and config.steps > most_steps:
        raise InputError(f"steps must be at most {most_steps} for this model, not {config.steps}.")

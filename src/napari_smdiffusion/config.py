"""One frozen dataclass per stage. Forms, command-line flags, JSON and the model folder are all made from these.

Each field is declared with `setting`, which keeps its unit, limits and help text beside its default. (Annotations
here stay real objects, because magicgui builds its forms from them.)
"""

import dataclasses
import math
import types
from collections.abc import Mapping
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

_Config = TypeVar("_Config")


def setting(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    multiple_of: int | None = None,
    choices: tuple[str, ...] | None = None,
    unit: str = "",
) -> Any:
    """Declare a field: its default, what it means, its unit, and the values it may take.

    `low` and `high` are inclusive limits, `above` an exclusive one.
    """
    rules = {"low": low, "high": high, "above": above, "multiple_of": multiple_of, "choices": choices}
    return dataclasses.field(default=default, metadata={"help": help, "unit": unit, **rules})


_WORDS = {int: "a whole number", float: "a number", bool: "True or False", str: "text"}


def _fits(value: Any, kind: Any) -> bool:
    """Tell whether a value is of a field's type; a whole number is a number, and True and False are neither."""
    parts = get_args(kind)
    if isinstance(kind, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if get_origin(kind) is tuple:
        if Ellipsis in parts and isinstance(value, tuple):
            parts = parts[:1] * max(1, len(value))
        return isinstance(value, tuple) and len(value) == len(parts) and all(map(_fits, value, parts))
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _named(kind: Any) -> str:
    """Return a field's type in words."""
    parts = get_args(kind)
    if isinstance(kind, types.UnionType):
        return " or ".join(map(_named, parts))
    if get_origin(kind) is tuple:
        named = [_named(part) for part in parts if part is not Ellipsis]
        return f"a tuple of {named[0]} or more" if Ellipsis in parts else f"a tuple ({', '.join(named)})"
    return _WORDS.get(kind, "None")


def _complaint(value: Any, rules: Mapping[str, Any]) -> str | None:
    """Say which rule a single value breaks, or None."""
    if rules["choices"] is not None:
        return None if value in rules["choices"] else f"must be one of {', '.join(rules['choices'])}"
    if isinstance(value, float) and not math.isfinite(value):
        return "must be a finite number"
    if rules["above"] is not None and not value > rules["above"]:
        return f"must be more than {rules['above']:g}"
    if rules["low"] is not None and value < rules["low"]:
        return f"must be at least {rules['low']:g}"
    if rules["high"] is not None and value > rules["high"]:
        return f"must be at most {rules['high']:g}"
    if rules["multiple_of"] is not None and value % rules["multiple_of"]:
        return f"must be a multiple of {rules['multiple_of']}"
    return None


class _Checked:
    """Check every field against its type and the rules it was declared with, when the config is made."""

    def __post_init__(self) -> None:
        kinds = get_type_hints(type(self))
        for field in dataclasses.fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            value, kind = getattr(self, field.name), kinds[field.name]
            if getattr(value, "shape", None) == ():  # one of NumPy's numbers, which JSON does not know
                value = value.item()
                object.__setattr__(self, field.name, value)
            if not _fits(value, kind):
                raise ValueError(f"{field.name} must be {_named(kind)}, not {value!r}.")
            if value is None or isinstance(value, bool):
                continue
            values = value if isinstance(value, tuple) else (value,)
            for one in values:
                if complaint := _complaint(one, field.metadata):
                    raise ValueError(f"{field.name} {complaint}, not {one}.")
            if field.name.endswith("_range") and values[0] > values[-1]:
                raise ValueError(f"{field.name} must go from the smaller to the larger value, not {value}.")


DEFAULT_START = "simulated-filaments"  # the bundled model that trainings begin from
DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclasses.dataclass(frozen=True)
class TrainConfig(_Checked):
    """How a diffusion model is trained."""

    minutes: float = setting(15.0, "how long to train", above=0, unit="min")
    steps: int | None = setting(None, "number of steps, instead of minutes", low=1)
    patch: int = setting(128, "side of the square training patches", low=32, multiple_of=16, unit="px")
    batch: int = setting(16, "patches in one step", low=1, high=4096)
    wide_fraction: float = setting(
        0.25, "share of the steps that look at patches of twice the side (a quarter as many)", low=0, high=1
    )
    # Noise levels in training, ln σ ~ N(mean, std²). EDM's values (−1.2, 1.2) are for photographs; filaments are still
    # seen through more noise, and it is there that their course is decided.
    log_sigma_mean: float = setting(-0.5, "mean of the logarithm of the noise levels it is trained at", low=-5, high=5)
    log_sigma_std: float = setting(1.4, "standard deviation of that logarithm", above=0, high=5)
    learning_rate: float = setting(
        1.2e-3,
        "highest learning rate of the schedule; half of it where the training starts from a model",
        above=0,
        high=0.1,
    )
    channels: tuple[int, ...] = setting(
        (48, 96, 128, 112), "width of the network at each of its resolutions", low=16, multiple_of=16
    )
    seed: int = setting(0, "seed of every random draw", low=0, high=2**31 - 1)
    previews: int = setting(4, "sample images shown while training; 0 for none", low=0, high=16)
    device: str = setting("auto", "where to compute", choices=DEVICES)


@dataclasses.dataclass(frozen=True)
class GenerateConfig(_Checked):
    """What a diffusion model generates."""

    count: int = setting(16, "number of images", low=1)
    height: int = setting(128, "height of an image", low=32, multiple_of=16, unit="px")
    width: int = setting(128, "width of an image", low=32, multiple_of=16, unit="px")
    seed: int = setting(0, "seed; image k depends on the seed and k alone", low=0, high=2**31 - 1)
    steps: int | None = setting(
        None, "steps of the solver; as many as its kind of model needs when not given", low=2, high=1000
    )
    batch: int = setting(16, "images computed together", low=1)
    device: str = setting("auto", "where to compute", choices=DEVICES)


@dataclasses.dataclass(frozen=True)
class ImportConfig(_Checked):
    """What the weights of an imported checkpoint do not say; the defaults are those it is trained with."""

    image_size: int | None = setting(
        None, "side of the training images (32, 64, 128 or 256); seen from the weights when not given", unit="px"
    )
    heads: int = setting(4, "heads of the attention layers", low=1)
    schedule: str = setting("cosine", "schedule of the noise", choices=("cosine", "linear"))
    diffusion_steps: int = setting(1000, "steps of the diffusion", low=100, high=100_000)
    pixel_size: float | None = setting(None, "pixel size of the training images in nm", above=0, unit="nm")
    intensity_range: tuple[float, float] = setting(
        (0.0, 255.0), "intensities of the darkest and the brightest pixel it can make"
    )


@dataclasses.dataclass(frozen=True)
class MicroscopeConfig(_Checked):
    """The widefield microscope that is simulated; each `_range` is drawn from anew for every image."""

    na: float = setting(1.4, "numerical aperture of the objective", above=0, high=1.7)
    wavelength: float = setting(670.0, "emission wavelength", above=100, high=2000, unit="nm")
    psf: str = setting(
        "gaussian",
        "point spread function: a Gaussian, or the scalar model of the pupil where the defocus is known",
        choices=("gaussian", "pupil"),
    )
    defocus: float = setting(
        0.0,
        "distance of the structure from the plane of focus, for the model of the pupil",
        low=0,
        high=1000,
        unit="nm",
    )
    width_range: tuple[float, float] = setting(
        (0.85, 1.4), "width of the point spread function, relative to the in-focus one", above=0
    )
    haze_range: tuple[float, float] = setting((0.2, 0.85), "share of the light that is out of focus", low=0, high=0.95)
    haze_width_range: tuple[float, float] = setting(
        (200.0, 600.0), "width (standard deviation) of the out-of-focus blur", above=0, unit="nm"
    )
    photons_range: tuple[float, float] = setting(
        (50.0, 2000.0), "photons in a bright widefield pixel", above=0, unit="photons"
    )
    background_range: tuple[float, float] = setting(
        (0.0, 0.3), "uniform background, relative to a bright widefield pixel", low=0
    )
    read_noise: float = setting(1.6, "read noise of the camera", low=0, unit="electrons")
    gain: float = setting(1.0, "camera counts per photon", above=0)
    offset: float = setting(0.0, "camera counts without light", low=0)


@dataclasses.dataclass(frozen=True)
class EnhancerConfig(_Checked):
    """How an enhancer is trained."""

    upscale: int = setting(4, "how many times finer the enhanced pixels are", low=1, high=8)
    # More than about two made enhancers better on simulated widefield images, and no better on a real one.
    minutes: float = setting(2.0, "how long to train", above=0, unit="min")
    steps: int | None = setting(None, "number of steps, instead of minutes", low=1)
    patch: int = setting(
        256, "side of the super-resolution patches; smaller images are put together", low=32, unit="px"
    )
    batch: int = setting(4, "patches in one step", low=1, high=4096)
    learning_rate: float = setting(
        1e-3,
        "highest learning rate of the schedule; half of it where the training starts from an enhancer",
        above=0,
        high=0.1,
    )
    channels: int = setting(48, "width of the network; that of the enhancer it starts from", low=8, multiple_of=8)
    seed: int = setting(0, "seed of every random draw", low=0, high=2**31 - 1)
    previews: int = setting(4, "example images shown while training; 0 for none", low=0, high=16)
    device: str = setting("auto", "where to compute", choices=DEVICES)


@dataclasses.dataclass(frozen=True)
class EnhanceConfig(_Checked):
    """How widefield images are enhanced."""

    tile: int | None = setting(
        None, "side of the widefield tiles; chosen automatically when not given", low=64, unit="px"
    )
    uncertainty: bool = setting(
        False, "also map how far the truth may be from the result, beside it as …_uncertainty.tif"
    )
    confidence: float = setting(
        0.9,
        "share of the pixels whose true value is to lie within the uncertainty of the enhanced one",
        low=0.5,
        high=0.95,
    )
    device: str = setting("auto", "where to compute", choices=DEVICES)


def to_dict(config: Any) -> dict[str, Any]:
    """Return a config as plain values that JSON can hold."""
    values = dataclasses.asdict(config)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def from_dict(kind: type[_Config], values: Mapping[str, Any]) -> _Config:
    """Make a config from `to_dict`'s values; names of other versions are ignored, missing ones take the default."""
    known = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    kept = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items() if name in known}
    return kind(**kept)

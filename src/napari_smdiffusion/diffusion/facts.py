"""What a diffusion model knows of itself, and what its model.json holds."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le

from ..base.errors import InputError
from ..store.facts import PixelSize, TrainingFacts
from .intensities import Scaling
from .settings import EDM, NOISE, TrainConfig


@dataclass(frozen=True)
class ScheduleFacts:
    """The noise schedule that an imported network was trained with."""

    name: Literal["cosine", "linear"]
    steps: Annotated[int, Ge(2), Le(100_000)]


@dataclass(frozen=True)
class ImportFacts:
    """The checkpoint that a model was imported from, and the settings that its weights do not say.

    Parameters
    ----------
    file, sha256
        Name and digest of the checkpoint.
    channels, residual_blocks
        Width of the finest resolution, and residual blocks at each.
    image_size, heads, schedule, diffusion_steps, pixel_size, intensity_range
        Fields of `ImportConfig`.
    """

    file: str
    sha256: str = ""
    channels: int = 0
    residual_blocks: int = 0
    image_size: Annotated[int, Ge(16), Le(4096)] | None = None
    heads: int = 4
    schedule: str = "cosine"
    diffusion_steps: int = 1000
    pixel_size: float | None = None
    intensity_range: tuple[float, float] = (0.0, 255.0)


@dataclass(frozen=True)
class DiffusionFacts(TrainingFacts):
    """What a diffusion model knows of its training, beside its settings.

    Parameters
    ----------
    parameterization
        "edm" for networks that are trained here, "noise" for imported ones, which predict the noise.
    noise_schedule, imported
        Of imported models; None for others.
    judged
        Markdown for the card: how good the model is.
    """

    parameterization: str = EDM
    noise_schedule: ScheduleFacts | None = None
    imported: ImportFacts | None = None
    judged: str = ""

    def __post_init__(self) -> None:
        """Raise an InputError if the schedule of a network that predicts the noise is missing."""
        if self.parameterization == NOISE and self.noise_schedule is None:
            raise InputError("noise_schedule must be stated for a network that predicts the noise.")

    optional: ClassVar[frozenset[str]] = TrainingFacts.optional | {
        "parameterization",
        "noise_schedule",
        "imported",
        "judged",
    }


@dataclass(frozen=True, kw_only=True)
class DiffusionRecord(DiffusionFacts):
    """All that model.json of a diffusion model holds.

    Parameters
    ----------
    config
        How it was trained.
    pixel_size_nm
        Of the training images; None where it was not known.
    scaling
        From intensities to network units.
    """

    config: TrainConfig
    pixel_size_nm: PixelSize | None
    scaling: Scaling

    @classmethod
    def of(
        cls, facts: DiffusionFacts, *, config: TrainConfig, pixel_size_nm: float | None, scaling: Scaling
    ) -> "DiffusionRecord":
        """Return the record of a model with these facts."""
        return cls(**_fields(facts), config=config, pixel_size_nm=pixel_size_nm, scaling=scaling)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "DiffusionRecord":
        """Return what model.json states; raises InputError that names the first field of another type or range."""
        renamed = dict(values)
        if isinstance(scaling := values.get("scaling"), Mapping):
            renamed["scaling"] = {_FIELDS.get(key, key): value for key, value in scaling.items()}
        return super().from_json(renamed)

    def to_json(self) -> dict[str, Any]:
        """Return what model.json states."""
        values = super().to_json()
        scaling = {_KEYS.get(name, name): value for name, value in values["scaling"].items()}
        return {**values, "scaling": scaling}

    @property
    def facts(self) -> DiffusionFacts:
        """What the model knows beside its settings."""
        return DiffusionFacts(**_fields(self))


_KEYS = {"sigma_data": "spread"}  # of fields of the scaling that model.json has under another name
_FIELDS = {key: name for name, key in _KEYS.items()}


def _fields(facts: DiffusionFacts) -> dict[str, Any]:
    return {one.name: getattr(facts, one.name) for one in dataclasses.fields(DiffusionFacts)}


def generation_limits(facts: DiffusionFacts) -> tuple[int, int]:
    """Return the smallest side of an image, in pixels, and the most solver steps that a model takes.

    Nothing else of the model has to be loaded.
    """
    if facts.parameterization == NOISE:
        return 32, facts.noise_schedule.steps if facts.noise_schedule is not None else 1000
    return 64, 1000

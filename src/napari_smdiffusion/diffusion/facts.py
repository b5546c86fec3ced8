"""The facts of a diffusion model, and the record that its model.json holds."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le, MaxLen, MinLen

from ..base.errors import InputError
from ..store.facts import PixelSize, TrainingFacts
from .groups import LONGEST, checked_names
from .intensities import Scaling
from .settings import EDM, NOISE, GenerateConfig, TrainConfig

_Count = Annotated[int, Ge(0), Le(1_000_000)]


@dataclass(frozen=True)
class ScheduleFacts:
    """The noise schedule of an imported network."""

    name: Literal["cosine", "linear"]
    steps: Annotated[int, Ge(2), Le(100_000)]


@dataclass(frozen=True)
class ImportFacts:
    """The checkpoint that a model was imported from, and the settings that are missing in it.

    Parameters
    ----------
    file, sha256
        Name and digest of the checkpoint.
    channels, residual_blocks
        Width of the finest resolution, and residual blocks at each resolution.
    image_size, heads, schedule, diffusion_steps, pixel_size, intensity_range
        Fields of `ImportConfig`.
    """

    file: str
    sha256: str = ""
    channels: _Count = 0
    residual_blocks: _Count = 0
    image_size: Annotated[int, Ge(16), Le(4096)] | None = None
    heads: _Count = 4
    schedule: str = "cosine"
    diffusion_steps: _Count = 1000
    pixel_size: PixelSize | None = None
    intensity_range: tuple[float, float] = (0.0, 255.0)


@dataclass(frozen=True)
class StructureGroup:
    """One structure of a conditional model; its class is its place among the groups.

    Parameters
    ----------
    name
        Name of the structure.
    scaling
        From intensities of its training images to network units.
    """

    name: Annotated[str, MinLen(1), MaxLen(LONGEST)]
    scaling: Scaling


@dataclass(frozen=True)
class DiffusionFacts(TrainingFacts):
    """The facts of a diffusion model: its training and its origin, without its settings.

    Parameters
    ----------
    parameterization
        `EDM` for networks trained by this package, `NOISE` for imported networks, which predict the noise.
    noise_schedule, imported
        For imported models; None for others.
    judged
        Markdown for the card: the quality of the model.
    groups
        The structures of a conditional model, in the order of their classes; () for a model of one structure. Each
        training image states its structure in `group`.
    """

    parameterization: str = EDM
    noise_schedule: ScheduleFacts | None = None
    imported: ImportFacts | None = None
    judged: str = ""
    groups: tuple[StructureGroup, ...] = ()

    def __post_init__(self) -> None:
        """Raise an InputError if a network that predicts the noise has no schedule, or two structures have one name."""
        checked_names(self.structures)
        if self.parameterization == NOISE and self.noise_schedule is None:
            raise InputError("noise_schedule must be stated for a network that predicts the noise.")

    optional: ClassVar[frozenset[str]] = TrainingFacts.optional | {
        "parameterization",
        "noise_schedule",
        "imported",
        "judged",
        "groups",
    }

    @property
    def structures(self) -> tuple[str, ...]:
        """The names of the structures of a conditional model; () for a model of one structure."""
        return tuple(group.name for group in self.groups)

    @property
    def shows(self) -> str:
        """What its images show, in words; "" if it is not stated."""
        return ", ".join(self.structures) or self.structure


@dataclass(frozen=True, kw_only=True)
class DiffusionRecord(DiffusionFacts):
    """The content of model.json of a diffusion model.

    Parameters
    ----------
    config
        Settings of the training.
    pixel_size_nm
        Pixel size of the training images in nm; None where it is unknown.
    scaling
        From intensities to network units; of a conditional model, that of its first structure.
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
        """Return the record in model.json; raises InputError that names the first field of a wrong type or range."""
        renamed = _with_names(values, _FIELDS)
        if isinstance(groups := values.get("groups"), list):
            renamed["groups"] = [_with_names(group, _FIELDS) for group in groups]
        return super().from_json(renamed)

    def to_json(self) -> dict[str, Any]:
        """Return the keys and values of model.json."""
        values: dict[str, Any] = _with_names(super().to_json(), _KEYS)
        if "groups" in values:
            values["groups"] = [_with_names(group, _KEYS) for group in values["groups"]]
        return values

    def scaling_of(self, structure: str) -> Scaling:
        """Return the scaling of a structure of a conditional model, or that of a model of one structure."""
        return next((group.scaling for group in self.groups if group.name == structure), self.scaling)

    @property
    def facts(self) -> DiffusionFacts:
        """The facts of the model, without its settings."""
        return DiffusionFacts(**_fields(self))


_KEYS = {"sigma_data": "spread"}  # fields of the scaling that have another name in model.json
_FIELDS = {key: name for name, key in _KEYS.items()}


def _with_names(values: Any, names: Mapping[str, str]) -> Any:
    """Return a copy of an object of model.json whose `scaling` has other names of its fields."""
    if not isinstance(values, Mapping) or not isinstance(scaling := values.get("scaling"), Mapping):
        return dict(values) if isinstance(values, Mapping) else values
    return {**values, "scaling": {names.get(key, key): value for key, value in scaling.items()}}


def _fields(facts: DiffusionFacts) -> dict[str, Any]:
    return {field.name: getattr(facts, field.name) for field in dataclasses.fields(DiffusionFacts)}


def generation_limits(facts: DiffusionFacts) -> tuple[int, int]:
    """Return the smallest side of an image, in pixels, and the largest number of sampling steps.

    The facts suffice: the network need not be loaded.
    """
    if facts.parameterization == NOISE:
        return 32, facts.noise_schedule.steps if facts.noise_schedule is not None else 1000
    return 64, 1000


def check_structure(facts: DiffusionFacts, config: GenerateConfig) -> None:
    """Raise an InputError unless the settings name a structure of a conditional model, and none for other models."""
    names = ", ".join(facts.structures)
    if not facts.structures:
        if config.structure:
            raise InputError(
                f"structure must be left out for {facts.name}, which was trained on one structure, not "
                f"{config.structure}.",
                "structure",
            )
        if config.guidance != 1:
            raise InputError(
                f"guidance must be 1 for {facts.name}, which was trained on one structure, not {config.guidance:g}.",
                "guidance",
            )
    elif config.structure not in facts.structures:
        stated = f", not {config.structure}" if config.structure else ""
        raise InputError(f"structure must be one of {names} for {facts.name}{stated}.", "structure")

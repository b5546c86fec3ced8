"""The facts of a model: its training, and the content of model.json that all kinds of models share."""

import dataclasses
import datetime
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

from annotated_types import Ge, Gt, Le

from ..base.json_values import checked, to_json
from ..base.version import __version__
from ..images.parts import marks_of
from ..images.provenance import EXPERIMENTAL, TrainingImage

if TYPE_CHECKING:
    from ..images.image import Image

UNNAMED = "unnamed"  # a model without a name, which gets that of its folder when it is saved

Steps = Annotated[int, Ge(0), Le(2**53)]
PixelSize = Annotated[float, Gt(1e-6), Le(1e9)]  # nm; the limits exclude values that overflow in computations

_Facts = TypeVar("_Facts", bound="TrainingFacts")


@dataclass(frozen=True)
class TrainingFacts:
    """The facts of the training of any model.

    Parameters
    ----------
    name
        Name of the model.
    training_data
        The training images.
    date
        Date of the training, such as 2026-11-30.
    versions
        Versions of this package, PyTorch and Python, by name.
    started_from
        Name of the model that the training started from; None for a training from scratch.
    curve
        Rows of the training step and the mean loss; for a diffusion model also the loss in each noise quartile.
    steps, total_steps
        Number of training steps, and the planned number; None if the plan was not known.
    attribution
        Markdown for the card: source and license of the training images.
    structure
        What the training images show, such as "microtubules"; "" if it is not stated.
    tested_on, not_for
        Sentences for the card: what the results were compared with, and what the model must not be used for.
    authors, license, citation
        Who trained the model, its terms of use (an SPDX identifier where there is one), and what to cite; empty if they
        are not stated.
    more
        Other keys of model.json, written by later versions; a later save writes them again.
    """

    name: str = UNNAMED
    training_data: tuple[TrainingImage, ...] = ()
    date: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    started_from: str | None = None
    curve: tuple[tuple[float, ...], ...] = ()
    steps: Steps = 0
    total_steps: Steps | None = None
    attribution: str = ""
    structure: str = ""
    tested_on: str = ""
    not_for: str = ""
    authors: tuple[str, ...] = ()
    license: str = ""
    citation: str = ""
    more: Mapping[str, object] = field(default_factory=dict)

    # Keys that are left out of model.json at their default: earlier versions test whether they are present.
    optional: ClassVar[frozenset[str]] = frozenset(
        {"attribution", "structure", "tested_on", "not_for", "authors", "license", "citation"}
    )

    @classmethod
    def from_json(cls: type[_Facts], values: Mapping[str, Any]) -> _Facts:
        """Return the facts in model.json; raises InputError that names the first field of a wrong type or range."""
        values = _migrated(values)
        names = {member.name for member in dataclasses.fields(cls)} - {"more"}
        facts = checked(cls, {key: value for key, value in values.items() if key in names})
        return replace(facts, more={key: value for key, value in values.items() if key not in names})

    def to_json(self) -> dict[str, Any]:
        """Return the keys and values of model.json."""
        values: dict[str, Any] = {}
        for member in dataclasses.fields(self):
            value = getattr(self, member.name)
            if member.name != "more" and not (member.name in self.optional and value == member.default):
                values[member.name] = to_json(value)
        for image in values["training_data"]:
            for key in ("parts", "window", "group"):
                if not image[key]:  # earlier versions have no such keys
                    del image[key]
        return {**values, **self.more}

    @property
    def shows(self) -> str:
        """What its images show, in words; "" if it is not stated."""
        return self.structure

    def after(self: _Facts, curve: Sequence[Sequence[float]], steps: int, total_steps: int | None) -> _Facts:
        """Return the facts after `steps` training steps with this loss curve."""
        rows = tuple(tuple(float(value) for value in row) for row in curve)
        return replace(self, curve=rows, steps=steps, total_steps=total_steps)


# Fields of a single kind of model that the catalogue and the card show.


@dataclass(frozen=True)
class _Factor:
    upscale: Annotated[int, Ge(1)] | None = None


@dataclass(frozen=True)
class _Optics:
    na: float | None = None
    wavelength: float | None = None


@dataclass(frozen=True)
class _Sampler:
    steps: Steps = 0


@dataclass(frozen=True)
class _Group:
    name: str = ""


@dataclass(frozen=True)
class ModelSummary(TrainingFacts):
    """The facts of a model that the catalogue shows.

    Parameters
    ----------
    pixel_size_nm
        Pixel size of its results in nm; None where it is unknown.
    config
        Its settings, of which only `upscale` is read.
    microscope, trained_on
        Of an enhancer: numerical aperture and wavelength (nm) of the simulated microscope, and its widefield images.
    imported
        Origin of an imported model; None for a model that was trained here.
    samples
        Of an enhancer: the training of its posterior sampler; None if it makes best estimates only.
    calibrated_on
        Of an enhancer: names of the pairs that its intervals were calibrated on after its training.
    groups
        Of a diffusion model of several structures: one for each structure.
    """

    pixel_size_nm: PixelSize | None = None
    config: _Factor = _Factor()
    microscope: _Optics | None = None
    trained_on: str = ""
    imported: Mapping[str, object] | None = None
    samples: _Sampler | None = None
    calibrated_on: tuple[str, ...] = ()
    groups: tuple[_Group, ...] = ()

    @property
    def structures(self) -> tuple[str, ...]:
        """The structures of a diffusion model of several; () for other models."""
        return tuple(group.name for group in self.groups)

    @property
    def shows(self) -> str:
        """What its images show, in words; "" if it is not stated."""
        return ", ".join(self.structures) or self.structure

    @property
    def widefield_pixel_size(self) -> float | None:
        """Pixel size in nm of the widefield images that an enhancer is for; None if unknown, or of another kind."""
        factor = self.config.upscale
        return self.pixel_size_nm * factor if self.pixel_size_nm and factor else None


def _migrated(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of model.json in the form of this version.

    All versions until now have format 1. Keys that early versions left out are added here if the default of the field
    would be wrong.
    """
    migrated = {key: value for key, value in values.items() if key not in ("format_version", "kind")}
    # Early imported models did not state the number of steps of their schedule, which was always 1000.
    schedule = migrated.get("noise_schedule")
    if isinstance(schedule, dict):
        migrated["noise_schedule"] = {"steps": 1000, **schedule}
    # Early versions stored null for a model without a name.
    if migrated.get("name") is None:
        migrated["name"] = UNNAMED
    return migrated


def training_facts(kind: type[_Facts], images: "Sequence[Image]", name: str, **special: Any) -> _Facts:
    """Return the facts of a model at the start of its training.

    Parameters
    ----------
    kind
        The class of the facts.
    images
        The training images.
    name
        Name of the model.
    **special
        Other fields of `kind`.
    """
    import torch

    data = tuple(training_image(image) for image in images)
    versions = {"napari-smdiffusion": __version__, "torch": torch.__version__, "python": platform.python_version()}
    today = datetime.date.today().isoformat()
    structures = {image.provenance.structure or "" for image in images}
    # A structure that all training images state is that of the model.
    structure = structures.pop() if len(structures) == 1 else ""
    return kind(name=name, training_data=data, date=today, versions=versions, **{"structure": structure, **special})


def training_image(image: "Image") -> TrainingImage:
    """Return the facts of a training image for its model; marks of its parts only if it is experimental."""
    kind = image.provenance.kind
    parts = marks_of(image.pixels) if kind == EXPERIMENTAL else ""
    window = image.provenance.window or ()
    return TrainingImage(Path(image.name).name, image.pixels.shape, image.digest, kind, parts, window)

"""What a model knows of itself: its training, and what model.json holds beside."""

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
from ..images.provenance import TrainingImage

if TYPE_CHECKING:
    from ..images.image import Image

UNNAMED = "unnamed"  # what is called by its folder once it has one

Steps = Annotated[int, Ge(0), Le(2**53)]
PixelSize = Annotated[float, Gt(1e-6), Le(1e9)]  # nm; the limits only keep out what cannot be computed with

_Facts = TypeVar("_Facts", bound="TrainingFacts")


@dataclass(frozen=True)
class TrainingFacts:
    """What any model knows of its training.

    Parameters
    ----------
    name
        What a person calls the model.
    training_data
        The images that it was trained on.
    date
        Of the training, as 2026-11-30.
    versions
        Of this package, PyTorch and Python, by name.
    started_from
        Name of the model that the training began from; None from nothing.
    curve
        Rows of the step and the mean loss up to it; of a diffusion model also the loss in each noise quartile.
    steps, total_steps
        Training steps that were taken, and how many were planned; None where nobody knew.
    attribution
        Markdown for the card: whose data they are.
    more
        Other keys of model.json, of later versions, which are saved again.
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
    more: Mapping[str, object] = field(default_factory=dict)

    # Keys that model.json has only where something is stated: earlier versions ask whether they are there.
    optional: ClassVar[frozenset[str]] = frozenset({"attribution"})

    @classmethod
    def from_json(cls: type[_Facts], values: Mapping[str, Any]) -> _Facts:
        """Return what model.json states; raises InputError that names the first field of another type or range."""
        values = _migrated(values)
        names = {one.name for one in dataclasses.fields(cls)} - {"more"}
        found = checked(cls, {key: value for key, value in values.items() if key in names})
        return replace(found, more={key: value for key, value in values.items() if key not in names})

    def to_json(self) -> dict[str, Any]:
        """Return what model.json states."""
        values: dict[str, Any] = {}
        for one in dataclasses.fields(self):
            value = getattr(self, one.name)
            if one.name != "more" and not (one.name in self.optional and value == one.default):
                values[one.name] = to_json(value)
        return {**values, **self.more}

    def after(self: _Facts, curve: Sequence[Sequence[float]], steps: int, total_steps: int | None) -> _Facts:
        """Return the facts after `steps` training steps with this loss curve."""
        rows = tuple(tuple(float(value) for value in row) for row in curve)
        return replace(self, curve=rows, steps=steps, total_steps=total_steps)


# What only models of diffusion or enhancers have, as far as a list of models shows it.


@dataclass(frozen=True)
class _Factor:
    upscale: Annotated[int, Ge(1)] | None = None


@dataclass(frozen=True)
class ModelSummary(TrainingFacts):
    """What a list of models shows of any of them.

    Parameters
    ----------
    pixel_size_nm
        Of its results; None where it is not known.
    config
        Its settings, of which only `upscale` counts.
    imported
        Where the model was imported from; None for one that was trained here.
    """

    pixel_size_nm: PixelSize | None = None
    config: _Factor = _Factor()
    imported: Mapping[str, object] | None = None


def _migrated(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of model.json in the form of this version, whatever version wrote them.

    All versions until now have format 1. What the first of them left out is filled in here where the default of a
    field would not do.
    """
    migrated = {key: value for key, value in values.items() if key not in ("format_version", "kind")}
    # Imported models did not state how many steps their schedule has: it was always 1000.
    schedule = migrated.get("noise_schedule")
    if isinstance(schedule, dict):
        migrated["noise_schedule"] = {"steps": 1000, **schedule}
    # A model that was never saved under a name.
    if migrated.get("name") is None:
        migrated["name"] = UNNAMED
    return migrated


def training_facts(kind: type[_Facts], images: "Sequence[Image]", name: str, **special: Any) -> _Facts:
    """Return what a model knows when its training begins.

    Parameters
    ----------
    kind
        The class of the facts.
    images
        What it is trained on.
    name
        What to call the model.
    **special
        Other fields of `kind`.
    """
    import torch

    data = tuple(
        TrainingImage(Path(image.name).name, image.pixels.shape, image.digest, image.provenance.kind)
        for image in images
    )
    versions = {"napari-smdiffusion": __version__, "torch": torch.__version__, "python": platform.python_version()}
    today = datetime.date.today().isoformat()
    return kind(name=name, training_data=data, date=today, versions=versions, **special)

"""Where an image came from: measured, generated, simulated or enhanced."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..base.json_values import Json, plain

if TYPE_CHECKING:
    from collections.abc import Iterable

# Kinds of provenance: of what a microscope measured, of what a diffusion model generated, of simulated structures, and
# of what is made of a widefield image.
EXPERIMENTAL, SYNTHETIC, SIMULATED = "experimental", "synthetic", "simulated"
ENHANCED, UNCERTAINTY, ERROR_MAP = RESULT_KINDS = ("enhanced", "uncertainty of an enhanced image", "error map")
# Of what a model made of other images. Models are not trained on such files, where they lie in a folder with others.
MADE_BY_MODELS = (SYNTHETIC, *RESULT_KINDS)

METADATA = "napari_smdiffusion"  # the key of what is ours in a napari layer's metadata
PROVENANCE_VERSION = 1
_VERSION_KEY = "provenance_version"


@dataclass(frozen=True)
class TrainingImage:
    """An image that a model was trained on. Empty stands for what is not stated.

    Parameters
    ----------
    name
        Of its file or layer.
    shape
        (N, Y, X) in pixels.
    sha256
        `Image.digest`, by which it is recognised.
    kind
        "experimental", "simulated" or "synthetic".
    """

    name: str
    shape: tuple[int, ...] = ()
    sha256: str = ""
    kind: str = ""


@dataclass(frozen=True, eq=False)
class Provenance(Mapping[str, Any]):
    """What an image knows of itself. None and empty stand for what is not stated.

    It is a mapping, too, of what is stated as JSON has it: `image.provenance["kind"]` is `image.provenance.kind`.

    Parameters
    ----------
    kind
        "experimental", or what made it: "synthetic", "simulated", "enhanced", "uncertainty of an enhanced image" or
        "error map". Programs that use this package may have others.
    made_by
        The package and its version.
    model
        Name of the model that made it.
    training_data
        What that model was trained on.
    settings
        Settings of the work that made it, by the names of the fields of its config.
    source
        Name of the image that it was made of, or where a sample is from.
    pixel_size_assumed
        Whether the pixel size is that of the model's training, as the source had none.
    meaning
        What the values of a map say.
    structure, seed, pixel_size_nm
        How a structure was simulated; `pixel_size_nm` in nm.
    rse, rsp
        Resolution-scaled error and Pearson coefficient of each plane of an error map (Culley et al. 2018).
    more
        Whatever else is stated: by later versions, by other programs, or with values of another type than these.
    """

    kind: str = EXPERIMENTAL
    made_by: str | None = None
    model: str | None = None
    training_data: tuple[TrainingImage, ...] | None = None
    source: str | None = None
    pixel_size_assumed: bool | None = None
    settings: Mapping[str, Json] = field(default_factory=dict)
    meaning: str | None = None
    structure: str | None = None
    seed: int | None = None
    pixel_size_nm: float | None = None
    rse: tuple[float, ...] | None = None
    rsp: tuple[float, ...] | None = None
    more: Mapping[str, Json] = field(default_factory=dict)

    @classmethod
    def from_json(cls, values: Mapping[str, Any], place: str = "provenance") -> Provenance:
        """Return the provenance in a file, a layer's metadata, or a dictionary of a person's own.

        No value makes this fail: other readers write metadata, too.

        Parameters
        ----------
        values
            What `to_json` of this version or an earlier one returned, or any mapping by text.
        place
            What to call it in an error.

        Raises
        ------
        InputError
            If it holds anything that JSON cannot.
        """
        known: dict[str, Any] = {}
        more: dict[str, Json] = {}
        for key, value in _migrated(plain(values, place)).items():
            found = _FIELDS[key](value) if key in _FIELDS else None
            if found is None:
                more[key] = value
            else:
                known[key] = found
        return cls(**known, more=more)

    def to_json(self) -> dict[str, Json]:
        """Return what files and layers keep of it; nothing where nothing is stated."""
        return {**self._stated, _VERSION_KEY: PROVENANCE_VERSION} if self._stated else {}

    @cached_property
    def _stated(self) -> Mapping[str, Any]:
        values: dict[str, Any] = {}
        for one in dataclasses.fields(self):
            value = getattr(self, one.name)
            if one.name != "more" and value is not None and (one.name, value) not in _UNSTATED:
                values[one.name] = _as_json(value)
        return {**values, **self.more}

    def __getitem__(self, key: str) -> Any:
        """Return what is stated under a name, as JSON has it."""
        return self._stated[key]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of what is stated."""
        return iter(self._stated)

    def __len__(self) -> int:
        """Return how much is stated."""
        return len(self._stated)

    @property
    def seen(self) -> dict[str, str]:
        """What the model was trained on: names by digest; nothing where it is not known."""
        return {image.sha256: image.name for image in self.training_data or ()}


def _migrated(values: dict[str, Any]) -> dict[str, Any]:
    """Return what any version wrote under the names and in the form of this one.

    Versions before 1 had the same names, and wrote no version.
    """
    return {key: value for key, value in values.items() if key != _VERSION_KEY}


def _as_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_as_json(one) for one in value]
    if isinstance(value, TrainingImage):
        return {key: _as_json(one) for key, one in vars(value).items() if one not in ("", ())}
    return value


# How each field is read: None stands for a value of another type.


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _numbers(value: Any) -> tuple[float, ...] | None:
    fits = isinstance(value, list) and all(_number(one) is not None for one in value)
    return tuple(value) if fits else None


def _settings(value: Any) -> Mapping[str, Json] | None:
    return value if isinstance(value, dict) else None


def _training_data(value: Any) -> tuple[TrainingImage, ...] | None:
    images = [_training_image(one) for one in value] if isinstance(value, list) else [None]
    found = [image for image in images if image is not None]
    return tuple(found) if len(found) == len(images) else None


def _training_image(value: Any) -> TrainingImage | None:
    if not isinstance(value, dict):
        return None
    name, sha256, kind = (value.get(key, "") for key in ("name", "sha256", "kind"))
    shape = value.get("shape", [])
    texts = all(isinstance(one, str) for one in (name, sha256, kind))
    fits = texts and isinstance(shape, list) and all(_whole(side) is not None for side in shape)
    return TrainingImage(name, tuple(shape), sha256, kind) if fits else None


_UNSTATED: tuple[tuple[str, Json], ...] = (("kind", EXPERIMENTAL), ("settings", {}))
_FIELDS: Mapping[str, Callable[[Any], Any]] = {
    "kind": _text,
    "made_by": _text,
    "model": _text,
    "training_data": _training_data,
    "source": _text,
    "pixel_size_assumed": _flag,
    "settings": _settings,
    "meaning": _text,
    "structure": _text,
    "seed": _whole,
    "pixel_size_nm": _number,
    "rse": _numbers,
    "rsp": _numbers,
}


def listed(names: Iterable[str]) -> str:
    """Return names for a sentence: the first two, and how many more there are."""
    some = list(names)
    return ", ".join(some[:3]) if len(some) <= 3 else f"{some[0]}, {some[1]} and {len(some) - 2} more"


def layer_metadata(provenance: Mapping[str, Any], **others: Any) -> dict[str, Any]:
    """Return a napari layer's metadata for an image of ours: all under one key, as other programs use other keys."""
    return {METADATA: {"provenance": dict(provenance), **others}}

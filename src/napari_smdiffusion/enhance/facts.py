"""The facts of an enhancer: its training, its calibration and the content of its model.json."""

import dataclasses
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from ..base.errors import InputError
from ..microscope.settings import MicroscopeConfig
from ..posterior.facts import SamplerFacts
from ..store.facts import PixelSize, TrainingFacts
from .levels import Levels
from .settings import EnhancerConfig

OPENING, AROUND = 2, 5.0  # blocks: radius of the opening, and standard deviation of the mean that makes the unit

Share = Annotated[float, Ge(0), Le(1)]
Shares = tuple[Share, ...]
Number = Annotated[float, Ge(-1e6), Le(1e6)]  # in network units, in which 1 is bright

# Models of versions before the local levels: their networks saw images scaled by percentiles of the whole image. Such a
# bright level is this many times the local unit, and this much light makes 1 in their output (both measured on
# simulated images of the structures that ship).
_PERCENTILES_PER_UNIT, _LIGHT_OF_PERCENTILES = 2.0, 0.3

# How the network changes between its grids; see `EnhancerNetwork`. Those of earlier versions are plain.
Strides = Literal["plain", "smooth"]
# Models of versions before these were settings: those with local levels saw this smooth light, the others none.
_FORMER_SMOOTH_LIGHT, _FORMER_WIDTHS = [0.0, 4.0], (5.0, 20.0)  # standard deviations of the light, widefield pixels
_FORMER_MICROSCOPE = {"correlated_noise_range": [0.0, 0.0], "haze_unevenness_range": [0.0, 0.0]}

FEATURES = 8  # of a block of widefield pixels, see `familiar.features`
REGISTERED_PAIRS, SIMULATED_WIDEFIELD = "registered pairs", "simulated widefield"


@dataclass(frozen=True)
class WidefieldLevels:
    """The levels of widefield images that a network was trained with, and the intensity of its output.

    Parameters
    ----------
    method
        "local", or "percentiles" of the whole image for models of earlier versions.
    light
        Units of the widefield image (see `LocalLevels`) per unit of light of a super-resolution pixel that is 1 in the
        network's output. With it, an enhanced image has as much light as the widefield image in focus.
    opening, around
        Size of the surroundings, in blocks; see `LocalLevels`.
    """

    method: Literal["percentiles", "local"] = "percentiles"
    light: Annotated[float, Gt(0), Le(1e6)] = _LIGHT_OF_PERCENTILES
    opening: Annotated[int, Ge(1), Le(16)] = OPENING
    around: Annotated[float, Ge(1), Le(32)] = AROUND

    @property
    def contrast(self) -> float:
        """Local units that are 1 in the network's input."""
        return 1.0 if self.method == "local" else _PERCENTILES_PER_UNIT


LOCAL_LEVELS = WidefieldLevels("local")  # of a new training


@dataclass(frozen=True)
class CalibrationFacts:
    """The measured coverage of the intervals of the uncertainty.

    Parameters
    ----------
    levels
        The nominal coverages.
    coverage
        The measured coverage at each level: the share of pixels whose true value is in the interval.
    rank_correlation
        Spearman correlation of the half width at level 0.9 with the error; None if one of them is constant.
    coverage_bright
        Coverage of the pixels above the mean of their group of regions; None if there are none.
    coverage_faint
        Coverage of the other pixels that are above 0; None if there are none.
    coverage_least, coverage_most
        Lowest and highest coverage of a group of regions; None in models of earlier versions.
    held_out
        False if the images were too small for held-out regions, so that training images were used.
    """

    levels: Shares = ()
    coverage: Shares = ()
    rank_correlation: Annotated[float, Ge(-1), Le(1)] | None = None
    coverage_bright: Shares | None = None
    coverage_faint: Shares | None = None
    coverage_least: Shares | None = None
    coverage_most: Shares | None = None
    held_out: bool = False

    def __post_init__(self) -> None:
        """Raise an InputError unless there is one share for each level."""
        measured = (self.coverage, self.coverage_bright, self.coverage_faint, self.coverage_least, self.coverage_most)
        if any(shares is not None and len(shares) != len(self.levels) for shares in measured):
            raise InputError("The calibration must have one share for each level.")

    def at(self, level: float) -> int:
        """Return the index of a level in `levels`; raises InputError if it is missing."""
        if level not in self.levels:
            raise InputError(f"The calibration has no level {level}.")
        return self.levels.index(level)


@dataclass(frozen=True)
class CalibrationRecord:
    """A calibration as stored in model.json; see `Calibration`."""

    intensities: tuple[Number, ...]
    spreads: tuple[tuple[Number, ...], ...]
    half_widths: tuple[tuple[tuple[Number, ...], ...], ...]
    facts: CalibrationFacts = CalibrationFacts()

    def __post_init__(self) -> None:
        """Raise an InputError unless there is a half width for each level and cell."""
        rows, cells = len(self.intensities), len(self.spreads[0]) if self.spreads else 0
        complete = rows > 0 and cells > 0 and len(self.spreads) == rows and len(self.half_widths) > 0
        tables = (self.spreads, *self.half_widths)
        if not complete or any(len(table) != rows or any(len(row) != cells for row in table) for table in tables):
            raise InputError("The calibration must have a half width for each level and cell.")
        if any(value < 0 for table in tables for row in table for value in row):
            raise InputError("The calibration must have no negative spread or half width.")
        if any(after < before for before, after in itertools.pairwise(self.intensities)):
            raise InputError("The calibration must have its intensities in rising order.")


@dataclass(frozen=True)
class Familiar:
    """What the widefield patches of a training look like: the distribution of the features of their blocks.

    Parameters
    ----------
    mean
        Mean of each feature (see `familiar.features`).
    between, within
        Covariance of the features between the patches, and between the blocks of a patch.
    limit
        Distance from the mean that 99 % of the patches stay below.
    """

    mean: tuple[Number, ...]
    between: tuple[tuple[Number, ...], ...]
    within: tuple[tuple[Number, ...], ...]
    limit: Annotated[float, Gt(0), Le(1e6)]

    def __post_init__(self) -> None:
        """Raise an InputError unless all sizes are the number of features."""
        rows = (self.mean, self.between, self.within, *self.between, *self.within)
        if any(len(row) != FEATURES for row in rows):
            raise InputError(f"The description of familiar images must have {FEATURES} features.")


@dataclass(frozen=True)
class EnhancerFacts(TrainingFacts):
    """The facts of an enhancer's training, without its settings.

    Parameters
    ----------
    weights
        Relative frequency at which each training image was drawn; None in proportion to its pixels.
    trained_on
        "simulated widefield" or "registered pairs".
    calibrated_on
        Names of the super-resolution images of the pairs that it was calibrated on after its training; empty if its
        intervals are those of the training.
    """

    weights: tuple[Annotated[float, Ge(0)], ...] | None = None
    trained_on: str = SIMULATED_WIDEFIELD
    calibrated_on: tuple[str, ...] = ()

    optional: ClassVar[frozenset[str]] = TrainingFacts.optional | {"calibrated_on"}


@dataclass(frozen=True, kw_only=True)
class EnhancerRecord(EnhancerFacts):
    """The content of an enhancer's model.json.

    Parameters
    ----------
    config, microscope
        Settings of the training and of the simulated microscope.
    pixel_size_nm
        Pixel size of the results; None if unknown.
    levels
        Intensity levels of the super-resolution training images.
    calibration
        None for an enhancer without a calibration.
    widefield
        The levels of widefield images that it was trained with.
    strides
        How its network changes between its grids.
    samples
        The facts of its posterior sampler; None for an enhancer that makes the best estimate only.
    samples_calibration
        The calibration of its samples; None without one.
    familiar
        What the widefield images of its training look like; None for models of earlier versions.
    """

    config: EnhancerConfig
    microscope: MicroscopeConfig
    pixel_size_nm: PixelSize | None
    levels: Levels
    calibration: CalibrationRecord | None = None
    widefield: WidefieldLevels = WidefieldLevels()
    strides: Strides = "plain"
    samples: SamplerFacts | None = None
    samples_calibration: CalibrationRecord | None = None
    familiar: Familiar | None = None

    optional: ClassVar[frozenset[str]] = EnhancerFacts.optional | {
        "widefield",
        "strides",
        "samples",
        "samples_calibration",
        "familiar",
    }

    def to_json(self) -> dict[str, Any]:
        """Return the keys and values of model.json; those of a best estimate alone are those of earlier versions."""
        values = super().to_json()
        if self.config.method == "estimate":
            del values["config"]["method"]
        return values

    @property
    def unfinished(self) -> bool:
        """Whether a training ended before its planned number of steps, so that its state is kept."""
        estimate = self.total_steps is None or self.steps < self.total_steps
        return estimate or (self.samples is not None and not self.samples.complete)

    @property
    def sampler_microscope(self) -> MicroscopeConfig:
        """The microscope that was simulated for the samples, or for the best estimate if there are none."""
        sampled = None if self.samples is None else self.samples.microscope
        return sampled or self.microscope

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "EnhancerRecord":
        """Return the facts in model.json; see `TrainingFacts.from_json`."""
        values = dict(_with_former_light(values))
        if "microscope" in values:
            values["microscope"] = _with_former_microscope(values["microscope"])
        samples = values.get("samples")
        if isinstance(samples, dict) and "microscope" in samples:
            values["samples"] = {**samples, "microscope": _with_former_microscope(samples["microscope"])}
        return super().from_json(values)

    @property
    def facts(self) -> EnhancerFacts:
        """The facts of the training, without the settings."""
        return EnhancerFacts(**fields_of(self))


def _with_former_microscope(microscope: Any) -> Any:
    """Return the stated microscope with what was no setting in the version that trained: it simulated none of it."""
    return {**_FORMER_MICROSCOPE, **microscope} if isinstance(microscope, dict) else microscope


def _with_former_light(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the keys of model.json with the smooth and the uneven light that an earlier version trained with."""
    microscope = values.get("microscope")
    if not isinstance(microscope, dict) or "smooth_light_range" in microscope:
        return values
    widefield, config = values.get("widefield"), values.get("config")
    is_local = isinstance(widefield, dict) and widefield.get("method") == "local"
    light: dict[str, Any] = {"smooth_light_range": [0.0, 0.0], "unevenness_range": [0.0, 0.0]}
    if is_local:
        light["smooth_light_range"] = _FORMER_SMOOTH_LIGHT
        fine, upscale = values.get("pixel_size_nm"), config.get("upscale") if isinstance(config, dict) else None
        if isinstance(fine, (int, float)) and isinstance(upscale, int):
            light["smooth_light_width_range"] = [width * fine * upscale for width in _FORMER_WIDTHS]
    return {**values, "microscope": {**light, **microscope}}


def fields_of(facts: EnhancerFacts) -> dict[str, Any]:
    """Return the fields that `EnhancerFacts` and `EnhancerRecord` share."""
    return {field.name: getattr(facts, field.name) for field in dataclasses.fields(EnhancerFacts)}

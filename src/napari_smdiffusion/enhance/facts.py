"""What an enhancer knows of itself, and what its model.json holds."""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Le

from ..base.errors import InputError
from ..microscope.settings import MicroscopeConfig
from ..store.facts import PixelSize, TrainingFacts
from .levels import Levels
from .settings import EnhancerConfig

Share = Annotated[float, Ge(0), Le(1)]
Shares = tuple[Share, ...]
Number = Annotated[float, Ge(-1e6), Le(1e6)]  # in network units, in which 1 is bright

REGISTERED_PAIRS, SIMULATED_WIDEFIELD = "registered pairs", "simulated widefield"


@dataclass(frozen=True)
class CalibrationFacts:
    """How often the intervals of the uncertainty hold, as measured.

    Parameters
    ----------
    levels
        The stated shares.
    coverage
        For each of them, the share of pixels that lie in their interval.
    rank_correlation
        Of the half width for 0.9 with the error (Spearman); None where one of them is constant.
    coverage_bright, coverage_faint
        `coverage` of the pixels that are brighter than the average of their part, and of those that are neither bright
        nor exactly 0; None where there are none.
    coverage_least, coverage_most
        Of the parts where fewest and most pixels lay in their interval; None in models of former versions.
    held_out
        False where there was too little to hold anything out, and the training images served.
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
        """Raise an InputError if there is not one share for each level."""
        measured = (self.coverage, self.coverage_bright, self.coverage_faint, self.coverage_least, self.coverage_most)
        if any(shares is not None and len(shares) != len(self.levels) for shares in measured):
            raise InputError("The calibration must have one share for each level.")

    def at(self, level: float) -> int:
        """Return the place of a level among `levels`; raises InputError if it is not among them."""
        if level not in self.levels:
            raise InputError(f"The calibration has no level {level}.")
        return self.levels.index(level)


@dataclass(frozen=True)
class CalibrationRecord:
    """A calibration as model.json holds it: see `Calibration`."""

    intensities: tuple[Number, ...]
    spreads: tuple[tuple[Number, ...], ...]
    half_widths: tuple[tuple[tuple[Number, ...], ...], ...]
    facts: CalibrationFacts = CalibrationFacts()

    def __post_init__(self) -> None:
        """Raise an InputError unless there is a half width for each level in each cell."""
        rows, cells = len(self.intensities), len(self.spreads[0]) if self.spreads else 0
        fits = rows > 0 and cells > 0 and len(self.spreads) == rows and len(self.half_widths) > 0
        tables = (self.spreads, *self.half_widths)
        if not fits or any(len(table) != rows or any(len(row) != cells for row in table) for table in tables):
            raise InputError("The calibration must have a half width for each level in each cell.")


@dataclass(frozen=True)
class EnhancerFacts(TrainingFacts):
    """What an enhancer knows of its training, beside its settings.

    Parameters
    ----------
    weights
        How often each training image was drawn from, relative to the others; None in proportion to its pixels.
    trained_on
        "simulated widefield" or "registered pairs".
    """

    weights: tuple[float, ...] | None = None
    trained_on: str = SIMULATED_WIDEFIELD


@dataclass(frozen=True, kw_only=True)
class EnhancerRecord(EnhancerFacts):
    """All that model.json of an enhancer holds.

    Parameters
    ----------
    config, microscope
        How it was trained.
    pixel_size_nm
        Of its results; None where it was not known.
    levels
        Of the super-resolution images it was trained on.
    calibration
        None for an enhancer that was saved without.
    """

    config: EnhancerConfig
    microscope: MicroscopeConfig
    pixel_size_nm: PixelSize | None
    levels: Levels
    calibration: CalibrationRecord | None = None

    @property
    def facts(self) -> EnhancerFacts:
        """What the enhancer knows beside its settings."""
        return EnhancerFacts(**fields_of(self))


def fields_of(facts: EnhancerFacts) -> dict[str, Any]:
    """Return the fields that an enhancer's facts and its record share."""
    return {one.name: getattr(facts, one.name) for one in dataclasses.fields(EnhancerFacts)}

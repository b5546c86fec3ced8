"""The limits of the verdict of a report, with their reasons, and the types that its rules share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from ..measure.explained import DOUBTED
from .measures.realism import ALIKE, COVERED, REPEATED, repeated_limit
from .measures.spectrum import MOST_DOUBLINGS

if TYPE_CHECKING:
    from ..measure.realism import Realism

Level: TypeAlias = Literal["good", "differs", "warning", "unknown"]
Results: TypeAlias = Mapping[str, Any]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Limits:
    """The limits of the verdict, with the reason for each.

    Parameters
    ----------
    texture
        Least realism score above which textures differ, see `texture_limit`. One part of an experimental image reaches
        0.10 ± 0.02 against the whole image (docs/results.md, claim A), so that a smaller score is no defect.
    part
        Score that this interval must be above, since one part of an experimental image reaches it. Of 40 draws of four
        real fields of 256 pixels, 4 had a score above `texture` and an interval above 0, and none one above this.
        An interval above 0 is enough for a score above `uncertain`: few patches that differ much vary much too.
    uncertain
        Upper end of the interval of the realism score above which nothing can be said. 1 is a mathematical model: an
        interval that reaches halfway to it excludes little.
    recognized
        How far the AUC of the classifier must be above guessing, and above the AUC of two halves of the experiment. The
        AUC of one comparison varies by 0.05 with the seed, and so does that of the halves.
    sharpness
        Ratio of the resolutions of both kinds, in either direction, from which on the sharpness differs. Decorrelation
        analysis has an error of 15 %, the ratio of two resolutions one of 21 %.
    variety, covered
        `diversity` and `coverage` below which generated patches are too similar, or leave out a part of the experiment:
        the limits of the sentences of the summary.
    repeated
        `repeated` above which generated patches repeat, if there are very many. For few patches, see `repeated_limit`.
    doublings
        Difference of the power spectra in doublings from which on they differ. In half of the rings, the middle halves
        of both kinds must also lie apart: the power of sparse patches varies by doublings.
    enough
        Patches of each kind from which on these three are evidence. Two sets of 30 patches of one STORM image passed
        each limit in at most 1 of 100 draws, two sets of 8 in up to 19 (docs/results.md).
    explained
        Correlation of the widefield image with the enhanced image, blurred again (`measure.explained`).
    worse
        By how much an enhanced image may be less like its reference than the interpolated widefield image: correlations
        vary by 0.02 (docs/results.md).
    misses
        Ratio of the pixels outside of an uncertainty map to the stated share, from which on the map is too small: a map
        that covers 80 % where 90 % are stated has twice the errors.
    """

    texture: float = 0.15
    part: float = 0.1
    uncertain: float = 0.5
    recognized: float = 0.1
    sharpness: float = 1.3
    variety: float = ALIKE
    covered: float = COVERED
    repeated: float = REPEATED
    doublings: float = MOST_DOUBLINGS
    enough: int = 30
    explained: float = DOUBTED
    worse: float = 0.02
    misses: float = 2.0

    def is_other_texture(self, realism: Realism) -> bool:
        """Return whether the textures differ: the score is above its limit, and its interval is too."""
        score, low = realism.score, realism.score_low
        if score is None or low is None:
            return False
        return score > self.texture_limit(realism) and low > (0 if score > self.uncertain else self.part)

    def texture_limit(self, realism: Realism) -> float:
        """Return the realism score above which textures differ: at least what real fields reach by chance."""
        return max(self.texture, realism.by_chance or 0.0)

    def repeated_limit(self, patches: int) -> float:
        """Return the limit of `repeated` for a number of patches of the rarer kind; see `measures.realism`."""
        return repeated_limit(patches, self.repeated)


LIMITS = Limits()


@dataclass(frozen=True)
class VerdictRow:
    """One of the rows below a verdict, in plain words.

    Parameters
    ----------
    name
        What was measured.
    value
        The result, or why there is none.
    level
        Whether the value is normal.
    normal
        Which values are normal; "" if there is no result.
    """

    name: str
    value: str
    level: Level
    normal: str = ""

    @property
    def text(self) -> str:
        """The value, and what is normal."""
        return f"{self.value} (normal: {self.normal})" if self.normal else self.value


def result_of(results: Results, key: str, kind: type[Result]) -> Result | None:
    """Return the result of a measure; None if the report has none, or the measure was left out."""
    result = results.get(key)
    return result if isinstance(result, kind) else None

"""Whether the pixels of a widefield image fit an enhancer: unchanged, resampled, or not at all. Without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..base.errors import InputError

# Relative difference of pixel sizes below which an image is not resampled. Measured on simulated widefield images of
# microtubules (docs/stages.md): a difference of 2 % costs less correlation with the truth than resampling does.
EQUAL = 0.02
# Ratio of pixel sizes up to which an image is resampled. Beyond it, the image either lacks the detail that the enhancer
# was trained on, or its optics are others.
LARGEST_RATIO = 2.0
_ROUNDING = 1e-3  # of the ratio, so that 40 and 80 nm are within a factor of two after rounding in files

Fit = Literal["unknown", "equal", "resampled", "refused"]
PixelSides: TypeAlias = float | tuple[float, float]  # nm: side of a square pixel, or (y, x) sides of another one


@dataclass(frozen=True)
class PixelFit:
    """The pixels of a widefield image beside those that an enhancer was trained for.

    Parameters
    ----------
    pixels
        Side of a square pixel of the image in nm, or the (y, x) sides of one that is not square, or None.
    expected
        Side of a pixel in nm that the enhancer was trained for, or None.
    """

    pixels: PixelSides | None
    expected: float | None

    @property
    def sides(self) -> tuple[float, float] | None:
        """(y, x) sides of a pixel of the image in nm."""
        if not self.pixels:
            return None
        return self.pixels if isinstance(self.pixels, tuple) else (self.pixels, self.pixels)

    @property
    def is_anisotropic(self) -> bool:
        """Whether the pixels of the image are not square."""
        return isinstance(self.pixels, tuple)

    @property
    def target(self) -> float | None:
        """Side of the square pixels in nm that the network computes on; None if it is unknown."""
        return self.expected or (None if self.sides is None else min(self.sides))

    @property
    def ratios(self) -> tuple[float, float]:
        """(y, x) sides of a pixel of the image in pixels of `target`; 1 if one of them is unknown."""
        if self.sides is None or self.target is None:
            return 1.0, 1.0
        return self.sides[0] / self.target, self.sides[1] / self.target

    @property
    def distance(self) -> float:
        """Largest ratio of a side of a pixel to the expected one, or of the expected one to it."""
        return max(max(ratio, 1 / ratio) for ratio in self.ratios)

    @property
    def kind(self) -> Fit:
        """How the image can be enhanced; "unknown" if a size is unknown, and then nothing is resampled.

        Pixels that are not square are always resampled or refused.
        """
        if self.sides is None or not (self.expected or self.is_anisotropic):
            return "unknown"
        if self.distance <= 1 + EQUAL and not self.is_anisotropic:
            return "equal"
        return "resampled" if self.distance <= LARGEST_RATIO * (1 + _ROUNDING) else "refused"

    @property
    def words(self) -> str:
        """What happens to the pixels, as a short text: "resampled from 108 to 97 nm"; "" if nothing does."""
        if self.kind == "resampled":
            return f"resampled from {in_words(self.pixels)} to {in_words(self.target)} nm"
        if self.kind == "refused":
            return f"pixels of {in_words(self.pixels)} nm do not fit: {in_words(self.target)} nm are needed"
        return ""

    def check(self, image: str, enhancer: str) -> None:
        """Raise an InputError if the image cannot be enhanced; the arguments are the names for the message."""
        if self.kind != "refused":
            return
        if not self.expected:
            raise InputError(
                f"{image} has pixels of {in_words(self.pixels)} nm. The sides are more than a factor of two apart: "
                "resample it to square pixels first, or correct its pixel size."
            )
        raise InputError(
            f"{image} has pixels of {in_words(self.pixels)} nm, but {enhancer} was trained for "
            f"{in_words(self.expected)} nm. This is more than a factor of two apart: choose or train an enhancer "
            "for this pixel size, or correct the pixel size of the image."
        )


def in_words(pixels: PixelSides | None) -> str:
    """Return lengths in nm with two or three digits: 96.78 is 97, 9.68 is 9.7, and (130, 108) is 130 by 108."""
    sides = pixels if isinstance(pixels, tuple) else (pixels or 0.0,)
    return " by ".join(f"{value:.0f}" if value >= 20 else f"{value:.3g}" for value in sides)

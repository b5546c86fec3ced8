"""Whether the pixels of a widefield image fit an enhancer: unchanged, resampled, or not at all. Without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..base.errors import InputError

# Relative difference of pixel sizes below which an image is not resampled. Measured on simulated widefield images of
# microtubules (docs/stages.md): a difference of 2 % costs less correlation with the truth than resampling does.
EQUAL = 0.02
# Ratio of pixel sizes up to which an image is resampled. Beyond it, the image either lacks the detail that the enhancer
# was trained on, or its optics are others.
LARGEST_RATIO = 2.0
_ROUNDING = 1e-3  # of the ratio, so that 40 and 80 nm are within a factor of two after rounding in files

Fit = Literal["unknown", "equal", "resampled", "refused"]


@dataclass(frozen=True)
class PixelFit:
    """The pixel size of a widefield image beside the one that an enhancer was trained for; both in nm or None."""

    pixel_size: float | None
    expected: float | None

    @property
    def kind(self) -> Fit:
        """How the image can be enhanced; "unknown" if a size is unknown, and then nothing is resampled."""
        if not self.pixel_size or not self.expected:
            return "unknown"
        ratio = max(self.pixel_size / self.expected, self.expected / self.pixel_size)
        if ratio <= 1 + EQUAL:
            return "equal"
        return "resampled" if ratio <= LARGEST_RATIO * (1 + _ROUNDING) else "refused"

    @property
    def words(self) -> str:
        """What happens to the pixels, as a short text: "resampled from 108 to 97 nm"; "" if nothing does."""
        if self.kind == "resampled":
            return f"resampled from {_rounded(self.pixel_size)} to {_rounded(self.expected)} nm"
        if self.kind == "refused":
            return f"pixels of {_rounded(self.pixel_size)} nm do not fit: {_rounded(self.expected)} nm are needed"
        return ""

    def check(self, image: str, enhancer: str) -> None:
        """Raise an InputError if the image cannot be enhanced; the arguments are the names for the message."""
        if self.kind == "refused":
            raise InputError(
                f"{image} has pixels of {_rounded(self.pixel_size)} nm, but {enhancer} was trained for "
                f"{_rounded(self.expected)} nm. This is more than a factor of two apart: choose or train an enhancer "
                "for this pixel size, or correct the pixel size of the image."
            )


def _rounded(nanometres: float | None) -> str:
    """Return a length in nm with two or three digits: 96.78 is 97, and 9.68 is 9.7."""
    value = nanometres or 0.0
    return f"{value:.0f}" if value >= 20 else f"{value:.3g}"

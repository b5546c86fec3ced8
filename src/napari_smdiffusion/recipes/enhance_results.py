"""The results of the job that enhances widefield images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from ..images.reading import read_image
from .enhanced_files import beside, enhancement_in_files

if TYPE_CHECKING:
    from pathlib import Path

    from ..enhance.applying import Enhancement
    from ..enhance.model import Enhancer
    from ..images.image import Image


@dataclass(frozen=True, eq=False)
class EnhancedImage:
    """The results of one widefield image.

    Parameters
    ----------
    index
        Index of the widefield image among those of the job.
    name
        Name of the widefield image.
    upscale
        Enhanced pixels per side of a widefield pixel.
    path
        File of the enhanced image; its samples and maps are stored beside it. None: the results are in memory.
    in_memory, error_in_memory
        The results in memory. The error map is None if it was not requested, or failed.
    """

    index: int
    name: str
    upscale: int
    path: Path | None
    in_memory: Enhancement | None = None
    error_in_memory: Image | None = None

    @property
    def enhancement(self) -> Enhancement:
        """The enhanced image, its samples and its maps; planes of files are read when they are used."""
        return cast("Enhancement", self.in_memory) if self.path is None else enhancement_in_files(self.path)

    @property
    def error(self) -> Image | None:
        """Map of the disagreement between the enhanced and the widefield image; None if there is no map."""
        if self.path is None:
            return self.error_in_memory
        path = beside(self.path, "error")
        return read_image(path) if path.exists() else None


@dataclass(frozen=True)
class EnhanceFailure:
    """A widefield image whose enhanced image or error map failed.

    Parameters
    ----------
    index, name
        Index and name of the widefield image.
    enhanced
        Whether the image was enhanced, so that only its error map is missing.
    error
        The exception.
    """

    index: int
    name: str
    enhanced: bool
    error: Exception

    @property
    def doing(self) -> str:
        """Short description of the work that failed."""
        return f"mapping the errors of {self.name}" if self.enhanced else f"enhancing {self.name}"

    @property
    def sentence(self) -> str:
        """Message for the user: the work that failed, and why."""
        if self.enhanced:
            return f"The error map of {self.name} failed: {self.error}"
        return f"{self.name} could not be enhanced: {self.error}"


@dataclass(frozen=True, eq=False)
class EnhanceResult:
    """The results of a job.

    Parameters
    ----------
    enhancer
        The enhancer of all images.
    count
        Number of widefield images of the job.
    images
        Results in the order of the widefield images.
    failures
        Images or error maps that failed.
    stopped
        Whether the job was stopped before all results were complete.
    table
        The table of the output folder; None without a folder.
    """

    enhancer: Enhancer
    count: int
    images: tuple[EnhancedImage, ...]
    failures: tuple[EnhanceFailure, ...]
    stopped: bool
    table: Path | None = None

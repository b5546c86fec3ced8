"""The job that trains an enhancer, on simulated widefield images or on real pairs."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.errors import InputError
from ..base.events import Note, Steps, Stop, never
from ..enhance.settings import EnhancerConfig
from ..images.provenance import RESULT_KINDS
from ..microscope.settings import MicroscopeConfig
from ..structures.registry import STRUCTURES
from ..structures.simulate import simulated_like
from .job import ImageSource, check_pixel_size, optional_sources, read_source, read_sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..enhance.model import Enhancer
    from ..images.image import Image


@dataclass(frozen=True, eq=False)
class TrainEnhancerJob:
    """Train an enhancer of widefield images.

    Parameters
    ----------
    images
        Super-resolution images of one pixel size: images, files, folders, or other sources. In folders, enhanced
        images and maps are left out.
    settings
        How to train.
    microscope
        The widefield microscope that is simulated.
    weights
        How often each of `images` is drawn from, relative to the others. None: in proportion to its pixels, or 1 for
        each where `simulated` images are mixed in.
    widefield
        Real pairs: for each of `images`, in the same order, the widefield image of the same field or a larger one. No
        microscope is simulated then.
    fit
        A widefield image that the microscope is fitted to: its blur, haze and noise.
    simulated
        (structure, weight) of simulated images that are mixed in; the weights are relative to those of `images`.
    start
        An enhancer of the same `upscale` to begin from, its name or its folder. None: from nothing.
    out
        Folder to save the enhancer in. None: it is only returned.
    name
        What to call the enhancer; by default the name of the folder.
    pixel_size
        Of `images`, in nm; replaces their own. Of simulated images where there are no others.

    Raises
    ------
    InputError
        If two fields contradict each other, or there is nothing to learn from.
    """

    images: ImageSource | Sequence[ImageSource] = ()
    settings: EnhancerConfig = field(default_factory=EnhancerConfig)
    microscope: MicroscopeConfig = field(default_factory=MicroscopeConfig)
    weights: Sequence[float] | None = None
    widefield: ImageSource | Sequence[ImageSource] = ()
    fit: ImageSource | None = None
    simulated: Sequence[tuple[str, float]] = ()
    start: Enhancer | str | os.PathLike[str] | None = None
    out: str | os.PathLike[str] | None = None
    name: str | None = None
    pixel_size: float | None = None

    def __post_init__(self) -> None:
        for name in ("images", "widefield"):
            object.__setattr__(self, name, optional_sources(getattr(self, name)))
        object.__setattr__(self, "simulated", tuple((name, float(weight)) for name, weight in self.simulated))
        object.__setattr__(self, "weights", None if self.weights is None else tuple(self.weights))
        check_pixel_size(self.pixel_size)
        if not self.images and not self.simulated:
            raise InputError("Give at least one super-resolution image, or a simulated structure, to learn from.")
        if self.widefield and (self.simulated or self.fit is not None):
            raise InputError("Real pairs need no simulated microscope: leave out the simulated images and the fit.")
        for structure, weight in self.simulated:
            STRUCTURES.check(structure)
            if not (math.isfinite(weight) and weight >= 0):
                raise InputError(f"The weight of {structure} must be a number of at least 0, not {weight}.")

    @property
    def title(self) -> str:
        """What the job does."""
        return f"training {self.name or ('an enhancer' if self.out is None else Path(self.out).absolute().name)}"

    def steps(self, stop: Stop = never) -> Steps[Enhancer]:
        """Train.

        Yields
        ------
        Progress, Preview and Note events.

        Returns
        -------
        The enhancer when the budget is used up or `stop` says so.

        Raises
        ------
        InputError
            For images that cannot be trained on, or a start that enlarges by another factor.
        OSError
            If a file cannot be read, or no enhancer can be written at `out`; nothing was trained then.
        MemoryError, TrainingDivergedError
            If not even one patch can be computed, or the loss is no number any more.
        Stopped
            If it was stopped before the first step.
        """
        from ..enhance.model import load_enhancer, settings_from, train_enhancer_steps
        from ..store.folder import check_place

        out = None if self.out is None else Path(self.out)
        if out is not None:
            check_place(out)
        start = load_enhancer(self.start) if isinstance(self.start, (str, os.PathLike)) else self.start
        settings_from(start, self.settings)  # refuses a start that does not fit before any image is read
        sources = optional_sources(self.images)
        images = read_sources(sources, self.pixel_size, RESULT_KINDS, stop) if sources else []
        weights, images = self._with_simulated(images)
        microscope = self.microscope
        if self.fit is not None:
            from ..microscope.fit import fit_microscope

            found = fit_microscope(read_source(self.fit, stop=stop), images, microscope, self.settings.upscale)
            yield Note(found.sentence)
            microscope = found.config(microscope)
        return (
            yield from train_enhancer_steps(
                images,
                self.settings,
                microscope,
                weights=weights,
                pairs=self._pairs(images, stop),
                start=start,
                out=out,
                name=self.name,
                stop=stop,
            )
        )

    def _with_simulated(self, images: list[Image]) -> tuple[Sequence[float] | None, list[Image]]:
        """Return the weights of all images, and the images with the simulated ones at the end."""
        if not self.simulated:
            return self.weights, images
        weights = [1.0] * len(images) if self.weights is None else list(self.weights)
        made = [
            image
            for structure, _ in self.simulated
            for image in simulated_like(structure, images, self.settings.seed, self.pixel_size)
        ]
        return [*weights, *(weight for _, weight in self.simulated)], [*images, *made]

    def _pairs(self, images: list[Image], stop: Stop) -> list[tuple[Image, Image]]:
        """Return (widefield, super-resolution) images; none where the microscope is simulated."""
        coarse = [read_source(source, stop=stop) for source in optional_sources(self.widefield)]
        if coarse and len(coarse) != len(images):
            raise InputError(
                f"Real pairs need a widefield image for each super-resolution image: there are {len(coarse)} for "
                f"{len(images)}."
            )
        return list(zip(coarse, images, strict=True)) if coarse else []

"""The job that trains an enhancer, on simulated widefield images or on real pairs."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.errors import InputError
from ..base.events import Note, Steps, Stop, never
from ..base.folders import user_path
from ..diffusion.settings import DEFAULT_START
from ..enhance.settings import EnhancerConfig
from ..images.provenance import RESULT_KINDS
from ..images.regions import as_rectangles
from ..microscope.settings import MicroscopeConfig
from ..store.folder import STATE, ModelFolderError, check_place, read_facts
from ..structures.registry import STRUCTURES
from ..structures.settings import LabellingConfig
from ..structures.simulate import simulated_like
from .job import ImageSource, check_pixel_size, check_resumed, optional_sources, read_source
from .regions import divided, divided_weights, divided_widefield, division
from .train_samples import checked_prior, estimate_is_complete, train_with_samples_steps
from .training_images import check_measured, read_training_images

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..diffusion.model import DiffusionModel
    from ..enhance.facts import EnhancerRecord
    from ..enhance.model import Enhancer
    from ..images.axes import Channel
    from ..images.image import Image
    from ..images.regions import Rectangles


@dataclass(frozen=True, eq=False)
class TrainEnhancerJob:
    """Train an enhancer of widefield images.

    Parameters
    ----------
    images
        Super-resolution images of one pixel size: images, files, folders, or other sources. Enhanced images and maps in
        folders are skipped.
    settings
        Settings of the network and of the training.
    microscope
        The widefield microscope that is simulated.
    weights
        How often patches are drawn from each of `images`, relative to the others. None: in proportion to its number of
        pixels, or 1 for each if `simulated` images are mixed in.
    widefield
        Real pairs: one widefield image for each of `images`, in the same order, of the same or a larger field of view.
        No microscope is simulated then.
    fit
        A widefield image that the simulated microscope is fitted to: its blur, haze and noise.
    simulated
        (structure, weight) of simulated images that are mixed in; the weights are relative to those of `images`.
    labels
        The labels of the simulated images, and how well they are localized.
    start
        An enhancer of the same `upscale` that the training begins from, or its name or folder. None: random weights.
        With the method "samples" its best estimate stays as it is, and only the samples are trained.
    prior
        With the method "samples": the diffusion model whose weights the samples begin with, or its name or folder.
    out
        Folder for the enhancer and for checkpoints, which are less than a minute apart. None: in memory only.
    name
        Name of the enhancer; by default the name of the folder.
    resume
        Continue the training that was interrupted in `out`. Images and settings must be the same.
    pixel_size
        Pixel size of `images` in nm; replaces their own. Without `images`, that of the simulated images.
    channel
        Index (the first is 0) or name of the channel, for files with several: of `images`, `widefield` and `fit`.
    allow_computed
        Train on enhanced images and maps too: they are refused otherwise. Generated images are always accepted.
    region, held_out
        Rectangles of each of `images` that are trained on, or not trained on, as in `TrainJob`. Of a widefield image of
        the same field of view the same part is used.

    Raises
    ------
    InputError
        If two fields contradict each other, or there is no image and no structure.
    """

    images: ImageSource | Sequence[ImageSource] = ()
    settings: EnhancerConfig = field(default_factory=EnhancerConfig)
    microscope: MicroscopeConfig = field(default_factory=MicroscopeConfig)
    weights: Sequence[float] | None = None
    widefield: ImageSource | Sequence[ImageSource] = ()
    fit: ImageSource | None = None
    simulated: Sequence[tuple[str, float]] = ()
    labels: LabellingConfig = field(default_factory=LabellingConfig)
    start: Enhancer | str | os.PathLike[str] | None = None
    prior: DiffusionModel | str | os.PathLike[str] = DEFAULT_START
    out: str | os.PathLike[str] | None = None
    name: str | None = None
    resume: bool = False
    pixel_size: float | None = None
    channel: Channel = None
    allow_computed: bool = False
    region: Rectangles = ()
    held_out: Rectangles = ()

    def __post_init__(self) -> None:
        for name in ("images", "widefield"):
            object.__setattr__(self, name, optional_sources(getattr(self, name)))
        object.__setattr__(self, "simulated", tuple((structure, float(weight)) for structure, weight in self.simulated))
        object.__setattr__(self, "weights", None if self.weights is None else tuple(self.weights))
        for name in ("region", "held_out"):
            object.__setattr__(self, name, as_rectangles(getattr(self, name), name))
        check_pixel_size(self.pixel_size)
        check_resumed(self.resume, self.out, self.start)
        if not self.images and not self.simulated:
            raise InputError("Give at least one super-resolution image, or a simulated structure, to learn from.")
        if self.widefield and (self.simulated or self.fit is not None):
            raise InputError("Real pairs use no simulated microscope: leave out the simulated images and the fit.")
        for structure, weight in self.simulated:
            STRUCTURES.check(structure)
            if not (math.isfinite(weight) and weight >= 0):
                raise InputError(f"The weight of {structure} must be a number of at least 0, not {weight}.")

    @property
    def title(self) -> str:
        """Short description of the job."""
        return f"training {self.name or ('an enhancer' if self.out is None else Path(self.out).absolute().name)}"

    def steps(self, stop: Stop = never) -> Steps[Enhancer]:
        """Train the enhancer.

        Yields
        ------
        Progress, Preview and Note events.

        Returns
        -------
        The enhancer when the time or the steps are used up or `stop` returns True.

        Raises
        ------
        InputError
            If the images cannot be trained on, `start` has another `upscale`, or samples cannot begin with `prior`.
        OSError
            If a file cannot be read, or `out` cannot be written; no training took place then.
        MemoryError, TrainingDivergedError
            If there is no memory for one patch, or the loss is no longer a finite number.
        Stopped
            If the job was stopped before the first training step.
        """
        from ..enhance.model import load_enhancer
        from ..enhance.training import settings_from, train_enhancer_steps

        out = self._checked_folder()
        start = load_enhancer(self.start) if isinstance(self.start, (str, os.PathLike)) else self.start
        if not self.resume:
            settings_from(start, self.settings)  # raises for a start of another upscale, before any image is read
        prior = checked_prior(self, start, out) if self.settings.method == "samples" else None
        sources = optional_sources(self.images)
        images = (
            read_training_images(sources, self.pixel_size, RESULT_KINDS, self.allow_computed, self.channel, stop)
            if sources
            else []
        )
        pairs, weights, images = self._divided(images, stop)
        weights, images = self._with_simulated(images, weights)
        microscope = yield from self._fitted_microscope(images, out, stop)

        def train(settings: EnhancerConfig, resume: bool) -> Steps[Enhancer]:
            return train_enhancer_steps(
                images,
                settings,
                microscope,
                weights=weights,
                pairs=pairs,
                start=start,
                out=out,
                resume=resume,
                name=self.name,
                stop=stop,
            )

        if prior is None:
            return (yield from train(self.settings, self.resume))
        from ..samples.training import SamplerInputs

        inputs = SamplerInputs(images, microscope, pairs, weights)
        return (yield from train_with_samples_steps(self, prior, train, inputs, start, out, stop))

    def _checked_folder(self) -> Path | None:
        """Return the absolute path of `out`, after checking that a model can be written there."""
        if self.out is None:
            return None
        out = user_path(self.out).absolute()
        check_place(out, replace=self.resume)
        # The model card needs matplotlib. Its import at the first checkpoint would block the event loop.
        import matplotlib.figure  # noqa: F401

        return out

    def _fitted_microscope(self, images: Sequence[Image], out: Path | None, stop: Stop) -> Steps[MicroscopeConfig]:
        """Return the microscope of the job, fitted to the image `fit` if there is one."""
        if self.fit is None:
            return self.microscope
        if self.resume and out is not None:
            from ..enhance.checkpoints import interrupted_enhancer
            from ..enhance.facts import EnhancerRecord

            # It was fitted to the same image.
            if self.settings.method == "samples" and estimate_is_complete(out):
                return read_facts(out, "enhancer", EnhancerRecord).sampler_microscope
            return interrupted_enhancer(out).microscope
        from ..microscope.fit import fit_microscope

        example = read_source(self.fit, stop=stop, channel=self.channel)
        fitted = fit_microscope(example, images, self.microscope, self.settings.upscale)
        yield Note(fitted.sentence)
        return fitted.config(self.microscope)

    def _divided(
        self, images: list[Image], stop: Stop
    ) -> tuple[list[tuple[Image, Image]], Sequence[float] | None, list[Image]]:
        """Return the pairs, the weights and the super-resolution images, of the parts that are trained on.

        There are no pairs if the microscope is simulated.
        """
        widefield = self._widefield_images(len(images), stop)
        weights = [1.0] * len(images) if self.weights is None and self.simulated else self.weights
        region, held_out = (as_rectangles(value, "region") for value in (self.region, self.held_out))
        if not region and not held_out:
            return list(zip(widefield, images, strict=False)), weights, images
        factor = self.settings.upscale if widefield else 1
        windows = division(images, region, held_out, self.settings.patch, factor)
        parts = divided(images, windows)
        coarse = divided_widefield(widefield, images, windows, factor) if widefield else []
        return list(zip(coarse, parts, strict=False)), divided_weights(weights, windows), parts

    def _with_simulated(
        self, images: list[Image], weights: Sequence[float] | None
    ) -> tuple[Sequence[float] | None, list[Image]]:
        """Return the weights of all images, and the images with the simulated ones at the end."""
        if not self.simulated or weights is None:
            return weights, images
        simulated_images = [
            image
            for structure, _ in self.simulated
            for image in simulated_like(structure, images, self.settings.seed, self.pixel_size, self.labels)
        ]
        return [*weights, *(weight for _, weight in self.simulated)], [*images, *simulated_images]

    def _widefield_images(self, count: int, stop: Stop) -> list[Image]:
        """Return the widefield images of `count` super-resolution images; none if the microscope is simulated."""
        widefield = [
            read_source(source, stop=stop, channel=self.channel) for source in optional_sources(self.widefield)
        ]
        if not self.allow_computed:
            check_measured(widefield, RESULT_KINDS)
        if widefield and len(widefield) != count:
            raise InputError(
                f"Real pairs need a widefield image for each super-resolution image: there are {len(widefield)} for "
                f"{count}."
            )
        return widefield


def interrupted_enhancer_training(out: Path) -> EnhancerRecord | None:
    """Return the record of a training that was interrupted in `out`, or None if there is nothing to resume.

    The function reads only model.json, so a form can call it while the user types a name.
    """
    if not (out / "model.json").exists():
        return None
    from ..enhance.facts import EnhancerRecord
    from .train_samples import of_whole_training, samples_are_missing

    with suppress(ModelFolderError, OSError):  # a damaged training cannot be resumed
        record = read_facts(out, "enhancer", EnhancerRecord)
        if (out / STATE).exists() or samples_are_missing(record):
            return of_whole_training(record)
    return None

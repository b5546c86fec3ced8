"""The demo: a job that trains, generates, trains an enhancer, enhances, and evaluates the images in a few minutes."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from ..base.errors import InputError, Stopped, sentence_of
from ..base.events import Note, Steps, Stop, never
from ..base.folders import bundled_folder, user_path
from ..base.version import __version__
from ..diffusion.settings import GenerateConfig, TrainConfig
from ..enhance.settings import EnhancerConfig
from ..images.patches import grid_patches
from ..images.tiff import write_image
from ..store.folder import check_place
from .demo_images import PATCH, DemoImages, most_detailed_part, prepared_images
from .enhance import EnhanceJob
from .generate import GenerateJob
from .job import ImageSource, check_pixel_size, optional_sources
from .outputs import check_output_file, check_output_folder
from .train_diffusion import TrainJob
from .train_enhancer import TrainEnhancerJob

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ..base.json_values import Json
    from ..diffusion.model import DiffusionModel
    from ..enhance.model import Enhancer
    from ..images.axes import Channel
    from ..images.image import Image
    from ..measure.copies import CopyReport
    from ..measure.realism import Realism
    from ..report.measure import LeftOut
    from ..report.measures.enhancement import ComparedWithReference
    from ..report.report import Report

_Results: TypeAlias = "dict[str, Realism | CopyReport | ComparedWithReference | LeftOut]"  # of measures, by key

_FIELDS, _FIELD = 8, 512  # number and side of the generated images
_FEW_STEPS = 200  # training steps below which a note is shown
_NAME = "demo"  # name of both models
_MODELS = _DIFFUSION, _ENHANCER = "diffusion_model", "enhancer"  # folders of the models
_START = "microtubules"  # the bundled model that training begins from


@dataclass(frozen=True, eq=False)
class DemoJob:
    """Run all steps of the program in a few minutes, and write one picture of the results.

    The last quarter of the columns of each image is held out from training, and the results are compared with it.

    Parameters
    ----------
    images
        Super-resolution images of at least 128 × 256 pixels: images, files or folders. None: the bundled sample, whose
        widefield image is enhanced.
    widefield
        The widefield image to enhance. None: the simulated widefield image of a held-out part of `images`.
    reference
        The super-resolution image of exactly the field of view of `widefield`. None: the first of `images` is
        located in `widefield`.
    upscale
        Super-resolution pixels per side of a widefield pixel. None: the ratio of the pixel sizes, or 4 for a simulated
        microscope.
    pixel_size
        Pixel size of `images` in nm; replaces their own.
    minutes
        Time for both trainings together; the other steps take about a minute.
    seed
        Seed of all steps.
    out
        Folder for the results; created if it does not exist.
    channel
        Index (the first is 0) or name of the channel, for files with several.

    Raises
    ------
    InputError
        If a field is out of its range, `widefield` is given without `images`, or `reference` without `widefield`.
    """

    images: ImageSource | Sequence[ImageSource] = ()
    widefield: ImageSource | None = None
    reference: ImageSource | None = None
    upscale: int | None = None
    pixel_size: float | None = None
    minutes: float = 3.5
    seed: int = 0
    out: str | os.PathLike[str] = "smdiffusion_demo"
    channel: Channel = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", optional_sources(self.images))
        if not self.minutes > 0:
            raise InputError(f"minutes must be more than 0, not {self.minutes}.", "minutes")
        if self.widefield is not None and not self.images:
            raise InputError("widefield needs images: give super-resolution images to train on.", "widefield")
        if self.reference is not None and self.widefield is None:
            raise InputError("reference needs widefield: give the widefield image of the same field.", "reference")
        if self.upscale is not None:
            EnhancerConfig(upscale=self.upscale)
        TrainConfig(seed=self.seed)
        check_pixel_size(self.pixel_size)

    @property
    def title(self) -> str:
        """Short description of the job."""
        return "running the demo"

    def steps(self, stop: Stop = never) -> Steps[Report]:
        """Run the demo.

        It writes `generated.tif`, `enhanced.tif`, `overview.png`, `report.json` and both models into `out`.

        Returns
        -------
        The report; as a mapping, it has the content of `report.json`.

        Raises
        ------
        InputError, OSError
            If the images do not fit each other, or a result cannot be written; no training took place then.
        MemoryError, TrainingDivergedError
            If there is no memory for one patch, or a loss is no longer a finite number.
        Stopped
            If the job was stopped; the message names the folder of the results so far.
        """
        timed = _Timed()
        try:
            return (yield from self._stages(stop, timed))
        except Stopped as stopped:
            if not timed.seconds:
                raise
            raise Stopped(f"{stopped} The results so far are kept in {self.out}.") from stopped

    def _stages(self, stop: Stop, timed: _Timed) -> Steps[Report]:
        from ..report.report import Report

        out = user_path(self.out)
        _check_results(out)
        work = prepared_images(self, stop)
        # The folder is created after all checks, so that bad input leaves no empty folder.
        out.mkdir(parents=True, exist_ok=True)
        with timed.stage("train"):
            model = yield from _trained(work, self, stop)
            model.save(out / _DIFFUSION)
        with timed.stage("generate"):
            generated = yield from _generated(model, self, stop)
            write_image(out / "generated.tif", generated)
        with timed.stage("train_enhancer"):
            enhancer = yield from _trained_enhancer(generated, work, self, stop)
            enhancer.save(out / _ENHANCER)
        with timed.stage("enhance"):
            enhanced = yield from _enhanced(enhancer, work, stop)
            write_image(out / "enhanced.tif", enhanced)
        yield Note("Comparing the images and drawing the overview.")
        with timed.stage("judge"):
            results = _evaluated(work, generated, enhanced, out / "overview.png")
        report = Report(results, _provenance(work, model, self.seed), timed.seconds)
        report.write(out / "report.json")
        return report


def demo_steps(job: DemoJob, *, stop: Stop = never) -> Steps[Report]:
    """Run the demo step by step; the same as `job.steps(stop)`."""
    return job.steps(stop)


@dataclass
class _Timed:
    """Measures the seconds of each stage for the report."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - began, 2)


# The stages.


def _trained(work: DemoImages, job: DemoJob, stop: Stop) -> Steps[DiffusionModel]:
    """Train a diffusion model on the part of the images that is not held out."""
    settings = TrainConfig(minutes=0.55 * job.minutes, seed=job.seed, previews=0)
    start = bundled_folder() / "diffusion" / _START
    model = yield from TrainJob(work.train, settings, start, name=_NAME).steps(stop)
    if not stop() and (steps := model.facts.steps) < _FEW_STEPS:
        yield Note(
            f"There was time for {steps} training steps, which is too few to learn from these images: give more "
            "--minutes, or close other programs."
        )
    return model


def _generated(model: DiffusionModel, job: DemoJob, stop: Stop) -> Steps[Image]:
    """Generate the images that the enhancer is trained on."""
    _check(stop)
    settings = GenerateConfig(count=_FIELDS, height=_FIELD, width=_FIELD, seed=job.seed)
    return (yield from GenerateJob(model, settings).steps(stop))


def _trained_enhancer(generated: Image, work: DemoImages, job: DemoJob, stop: Stop) -> Steps[Enhancer]:
    """Train an enhancer on the generated images and their simulated widefield images."""
    _check(stop)
    settings = EnhancerConfig(upscale=work.upscale, minutes=0.45 * job.minutes, seed=job.seed, previews=0)
    return (yield from TrainEnhancerJob([generated], settings, name=_NAME).steps(stop))


def _enhanced(enhancer: Enhancer, work: DemoImages, stop: Stop) -> Steps[Image]:
    """Enhance the widefield image."""
    _check(stop)
    result = yield from EnhanceJob(enhancer, work.widefield).steps(stop)
    return result.images[0].enhancement.image


def _evaluated(work: DemoImages, generated: Image, enhanced: Image, picture: Path) -> _Results:
    """Measure the generated and the enhanced images, draw the overview, and return the results by key."""
    from ..report.enhanced import EnhancedField
    from ..report.measure import LeftOut
    from ..report.measures.enhancement import similarity_to_reference
    from ..report.pictures import draw_overview

    results = _evaluated_patches(generated, work)
    field, columns = EnhancedField(enhanced, work.widefield, work.reference), work.unseen
    if work.reference is not None:
        ends = columns.start or 0, columns.stop or work.reference.size[1]
        try:
            results["enhancement"] = replace(similarity_to_reference(field, columns), columns=ends)
        except ValueError as error:  # the reference is empty there
            results["enhancement"] = LeftOut(sentence_of(error))
    part = most_detailed_part(field, columns)
    draw_overview(picture, work.train[0], generated, part.widefield, part.enhanced, part.reference)
    return results


# Functions that the stages use.


def _check_results(out: Path) -> None:
    """Raise an error if a result cannot be written into `out`."""
    check_output_folder(out, "overview.png")
    for name in ("generated.tif", "enhanced.tif"):
        check_output_file(out / name)
    for name in _MODELS:
        _check_model(out / name)


def _check(stop: Stop) -> None:
    """Raise Stopped if the demo was stopped: a later stage needs the complete result of an earlier one."""
    if stop():
        raise Stopped("Stopped: the demo is not complete.")


def _check_model(folder: Path) -> None:
    """Raise an OSError if a model must not be written at `folder`; the model of an earlier demo is replaced."""
    check_place(folder, replace=True)
    path = folder / "model.json"
    if not path.exists():
        return
    try:
        name = json.loads(path.read_text(encoding="utf-8"))["name"]
    except (OSError, ValueError, TypeError, KeyError):  # a damaged model is kept, as it may be repaired
        name = "without a name"
    if name != _NAME:
        raise FileExistsError(f"{folder} holds the model {name}, which is not from a demo: name another output folder.")


def _evaluated_patches(generated: Image, work: DemoImages) -> _Results:
    """Return the results of the measures of generated patches, by key."""
    from ..measure.copies import copy_report
    from ..measure.realism import realism
    from ..report.measure import LeftOut

    generated_patches = grid_patches(list(generated.pixels), PATCH)
    train_planes = [plane for image in work.train for plane in image.pixels]
    held_out_patches = grid_patches([plane for image in work.held_out for plane in image.pixels], PATCH)
    train_patches = grid_patches(train_planes, PATCH)
    results: _Results = {}
    if len(train_patches) >= 8:
        results["realism"] = realism(generated_patches, train_patches, work.pixel_size)
    # Twenty patches of each kind, from all generated images, are enough to notice copies.
    sample = generated_patches[:: max(1, len(generated_patches) // 20)][:20]
    try:
        results["memorization"] = copy_report(sample, train_planes, held_out_patches[:20])
    except ValueError as error:  # the held-out part shows too little structure
        results["memorization"] = LeftOut(sentence_of(error))
    return results


def _provenance(work: DemoImages, model: DiffusionModel, seed: int) -> dict[str, Json]:
    """Return the provenance of the report: inputs, model, seed and versions."""
    return {
        "made_by": f"napari-smdiffusion {__version__}",
        "images": list(work.images),
        "widefield": work.given,
        "started_from": model.facts.started_from,
        "steps": model.facts.steps,
        "seed": seed,
        "versions": model.facts.versions,
        "note": "Generated and enhanced images are synthetic, not measured.",
    }

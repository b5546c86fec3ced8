"""The job that does the whole work in a few minutes: train, generate, train an enhancer, enhance, judge, draw."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError, Stopped
from ..base.events import Note, Steps, Stop, never
from ..base.folders import bundled_folder
from ..base.version import __version__
from ..diffusion.settings import GenerateConfig, TrainConfig
from ..enhance.settings import EnhancerConfig
from ..images.patches import grid_patches
from ..images.tiff import write_image
from ..store.folder import check_place
from .demo_images import PATCH, DemoImages, most_to_show, prepared_images
from .enhance import EnhanceJob
from .generate import GenerateJob
from .job import ImageSource, check_pixel_size, optional_sources
from .outputs import check_output_file, check_output_folder
from .train_diffusion import TrainJob
from .train_enhancer import TrainEnhancerJob

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from ..diffusion.model import DiffusionModel
    from ..enhance.model import Enhancer
    from ..images.image import Image
    from ..report.report import Report

_FIELDS, _FIELD = 8, 512  # generated
_FEW_STEPS = 200
_NAME = "demo"  # of its models
_MODELS = _DIFFUSION, _ENHANCER = "diffusion_model", "enhancer"  # their folders
_START = "microtubules"  # the bundled model that training starts from


@dataclass(frozen=True, eq=False)
class DemoJob:
    """Do the whole work in a few minutes, and write one picture of it.

    The last quarter of each image's columns is held out from training, for judging.

    Parameters
    ----------
    images
        Super-resolution images of at least 128 × 256 pixels: images, files or folders. None: the bundled sample, whose
        widefield image is enhanced.
    widefield
        What is enhanced; None: a part of `images` that is held out, through the simulated microscope.
    reference
        The super-resolution image of exactly the field of `widefield`; None: it is looked for in the first of `images`.
    upscale
        Fine pixels per side of a widefield pixel. None: as the pixel sizes say, and 4 for a simulated microscope.
    pixel_size
        Of `images`, in nm; replaces their own.
    minutes
        For all training together; everything else takes about a minute.
    seed
        Of everything.
    out
        Folder for the results; made if need be.

    Raises
    ------
    InputError
        If a field does not fit, or a widefield image or a reference is given without what it belongs to.
    """

    images: ImageSource | Sequence[ImageSource] = ()
    widefield: ImageSource | None = None
    reference: ImageSource | None = None
    upscale: int | None = None
    pixel_size: float | None = None
    minutes: float = 3.5
    seed: int = 0
    out: str | os.PathLike[str] = "smdiffusion_demo"

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
        """What the job does."""
        return "doing the whole work"

    def steps(self, stop: Stop = never) -> Steps[Report]:
        """Do it, and write `generated.tif`, `enhanced.tif`, `overview.png`, `report.json` and both models into `out`.

        Returns
        -------
        The report, a mapping of what stands in `report.json`.

        Raises
        ------
        InputError, OSError
            If the images do not fit each other, or a result cannot be written; nothing was trained then.
        MemoryError, TrainingDivergedError
            If not even one patch can be computed, or a loss is no number any more.
        Stopped
            It was stopped; the message says where the results so far are.
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

        out = Path(self.out)
        _check_results(out)
        work = prepared_images(self, stop)
        # Only now, so that nothing is left behind by input that was refused above.
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
        yield Note("Judging the images and drawing the overview.")
        with timed.stage("judge"):
            results = _judged(work, generated, enhanced, out / "overview.png")
        report = Report(results, _provenance(work, model, self.seed), timed.seconds)
        report.write(out / "report.json")
        return report


@dataclass
class _Timed:
    """Seconds of each stage, for the report."""

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
            f"There was time for {steps} steps of training, which is too few to learn from these images: give more "
            "--minutes, or close other programs."
        )
    return model


def _generated(model: DiffusionModel, job: DemoJob, stop: Stop) -> Steps[Image]:
    """Generate the fields that the enhancer learns from."""
    _check(stop)
    settings = GenerateConfig(count=_FIELDS, height=_FIELD, width=_FIELD, seed=job.seed)
    return (yield from GenerateJob(model, settings).steps(stop))


def _trained_enhancer(generated: Image, work: DemoImages, job: DemoJob, stop: Stop) -> Steps[Enhancer]:
    """Train an enhancer on the generated fields, through the simulated microscope."""
    _check(stop)
    settings = EnhancerConfig(upscale=work.upscale, minutes=0.45 * job.minutes, seed=job.seed, previews=0)
    return (yield from TrainEnhancerJob([generated], settings, name=_NAME).steps(stop))


def _enhanced(enhancer: Enhancer, work: DemoImages, stop: Stop) -> Steps[Image]:
    """Enhance the widefield image."""
    _check(stop)
    result = yield from EnhanceJob(enhancer, work.widefield).steps(stop)
    return result.images[0].enhancement.image


def _judged(work: DemoImages, generated: Image, enhanced: Image, picture: Path) -> dict[str, Any]:
    """Judge the generated and the enhanced images, draw the overview, and return the results of measures by key."""
    from ..report.enhanced import EnhancedField
    from ..report.measure import LeftOut
    from ..report.measures.enhancement import similarity_to_reference
    from ..report.pictures import draw_overview

    results = _judged_patches(generated, work)
    place, columns = EnhancedField(enhanced, work.widefield, work.reference), work.unseen
    if work.reference is not None:
        ends = columns.start or 0, columns.stop or work.reference.size[1]
        try:
            results["enhancement"] = replace(similarity_to_reference(place, columns), columns=ends)
        except ValueError as error:  # nothing in it
            results["enhancement"] = LeftOut(str(error))
    part = most_to_show(place, columns)
    draw_overview(picture, work.train[0], generated, part.widefield, part.enhanced, part.reference)
    return results


# What the stages need.


def _check_results(out: Path) -> None:
    """Raise an error unless the results can be written into `out`."""
    check_output_folder(out)
    for name in ("generated.tif", "enhanced.tif"):
        check_output_file(out / name)
    for name in _MODELS:
        _check_model(out / name)


def _check(stop: Stop) -> None:
    """End the demo when it was stopped: a later stage cannot go on from half a result."""
    if stop():
        raise Stopped("Stopped: the demo is not whole.")


def _check_model(folder: Path) -> None:
    """Raise an OSError unless a model may be written at `folder`, where one of an earlier demo may be."""
    check_place(folder, replace=True)
    path = folder / "model.json"
    if not path.exists():
        return
    try:
        name = json.loads(path.read_text(encoding="utf-8"))["name"]
    except (OSError, ValueError, TypeError, KeyError):  # a damaged one may be mended yet
        name = "without a name"
    if name != _NAME:
        raise FileExistsError(
            f"{folder} holds the model {name}, which no demo made: name another folder for the results."
        )


def _judged_patches(generated: Image, work: DemoImages) -> dict[str, Any]:
    """Return the results of the measures of generated patches, by key."""
    from ..measure.copies import copy_report
    from ..measure.realism import realism
    from ..report.measure import LeftOut
    from ..report.measures.copies import Copies

    made = grid_patches(list(generated.pixels), PATCH)
    train_planes = [plane for image in work.train for plane in image.pixels]
    held_patches = grid_patches([plane for image in work.held_out for plane in image.pixels], PATCH)
    train_patches = grid_patches(train_planes, PATCH)
    results: dict[str, Any] = {}
    if len(train_patches) >= 8:
        results["realism"] = realism(made, train_patches, work.pixel_size)
    # A score of copying needs no more than a few patches of each kind, spread over all fields.
    try:
        copies = copy_report(made[:: max(1, len(made) // 20)][:20], train_planes, held_patches[:20])
        results["memorization"] = Copies(**vars(copies))
    except ValueError as error:  # too little was held out that shows anything
        results["memorization"] = LeftOut(str(error))
    return results


def _provenance(work: DemoImages, model: DiffusionModel, seed: int) -> dict[str, Any]:
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

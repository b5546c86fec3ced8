"""The job that enhances widefield images, in memory or straight into files."""

from __future__ import annotations

import os
import re
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, cast

from ..base.errors import InputError, Stopped, is_user_error
from ..base.events import Note, PartDone, Steps, Stop, never
from ..base.whole_files import check_space
from ..enhance.settings import EnhanceConfig
from ..images.provenance import RESULT_KINDS
from ..images.reading import image_files, mapped_image, read_image
from ..images.tiff import TIFF_SUFFIXES, new_tiff, write_image
from .job import ImageSource, as_sources, check_pixel_size, read_source
from .outputs import check_output_file
from .train_enhancer import TrainEnhancerJob

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base.arrays import Pixels
    from ..enhance.applying import Enhancement, ResultPlan
    from ..enhance.model import Enhancer
    from ..images.image import Image

_NO_FILE_NAME = r'[<>:"/\\|?*\x00-\x1f]'  # characters that no file's name can have


@dataclass(frozen=True, eq=False)
class EnhancedImage:
    """What was made of one widefield image.

    Parameters
    ----------
    index
        Of the widefield image, among those of the job.
    name
        Of the widefield image.
    upscale
        Enhanced pixels per side of a widefield pixel.
    path
        The file of the enhanced image; its maps lie beside it. None where everything is in memory.
    in_memory, error_in_memory
        The results, where they are in no files; the error map is None where it was not asked for, or failed.
    """

    index: int
    name: str
    upscale: int
    path: Path | None
    in_memory: Enhancement | None = None
    error_in_memory: Image | None = None

    @property
    def enhancement(self) -> Enhancement:
        """The enhanced image and its uncertainty; from files, each plane is read when it is used."""
        from ..enhance.applying import Enhancement

        if self.path is None:
            return cast("Enhancement", self.in_memory)
        image, uncertainty = mapped_image(self.path), beside(self.path, "uncertainty")
        mapped = image.provenance.settings["uncertainty"]
        return Enhancement(image, mapped_image(uncertainty) if mapped else None)

    @property
    def error(self) -> Image | None:
        """Where the enhanced image disagrees with the widefield image; None where it was not mapped."""
        if self.path is None:
            return self.error_in_memory
        path = beside(self.path, "error")
        return read_image(path) if path.exists() else None


@dataclass(frozen=True)
class EnhanceFailure:
    """An image that could not be enhanced, or whose error map could not be made.

    Parameters
    ----------
    index, name
        Of the widefield image.
    enhanced
        Whether it was enhanced before: only the error map is missing.
    error
        What was raised.
    """

    index: int
    name: str
    enhanced: bool
    error: Exception

    @property
    def doing(self) -> str:
        """What failed, in words."""
        return f"mapping the errors of {self.name}" if self.enhanced else f"enhancing {self.name}"

    @property
    def sentence(self) -> str:
        """What failed and why."""
        what = "compared with what was made of it" if self.enhanced else "enhanced"
        return f"{self.name} could not be {what}: {self.error}"


@dataclass(frozen=True, eq=False)
class EnhanceResult:
    """What a job has enhanced.

    Parameters
    ----------
    enhancer
        That it was enhanced with.
    count
        Of the widefield images of the job.
    images
        What was made, in the order of the widefield images.
    failures
        What could not be made.
    stopped
        Whether it was stopped before everything was made.
    """

    enhancer: Enhancer
    count: int
    images: tuple[EnhancedImage, ...]
    failures: tuple[EnhanceFailure, ...]
    stopped: bool


@dataclass(frozen=True, eq=False)
class EnhanceJob:
    """Enhance widefield images.

    Parameters
    ----------
    model
        The enhancer, its name, its folder, or the job that trains it.
    widefield
        Widefield images in any units: images, files, folders, or other sources. In folders only TIFF files are taken,
        and enhanced images and maps are left out.
    settings
        How to enhance.
    error_map
        Whether to map where each result disagrees with its widefield image.
    out
        A TIFF file for one image, or a folder for several: each result is written into it while it is computed, so that
        it may be larger than memory. Maps lie beside it, as `…_uncertainty.tif` and `…_error.tif`. None: in memory.
    pixel_size
        Of the widefield images, in nm; replaces their own.

    Raises
    ------
    InputError
        If there is no image to enhance.
    """

    model: Enhancer | str | os.PathLike[str] | TrainEnhancerJob
    widefield: ImageSource | Sequence[ImageSource]
    settings: EnhanceConfig = field(default_factory=EnhanceConfig)
    error_map: bool = False
    out: str | os.PathLike[str] | None = None
    pixel_size: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "widefield", as_sources(self.widefield))
        check_pixel_size(self.pixel_size)

    @property
    def title(self) -> str:
        """What the job does."""
        count = len(as_sources(self.widefield))
        enhancing = f"enhancing {count} image{'s' * (count != 1)}"
        return f"{self.model.title}, {enhancing}" if isinstance(self.model, TrainEnhancerJob) else enhancing

    def steps(self, stop: Stop = never) -> Steps[EnhanceResult]:
        """Enhance image by image. One that fails does not cost the others.

        Yields
        ------
        PartDone with an `EnhancedImage` as each image is done, and the events of training and enhancing.

        Returns
        -------
        What was enhanced until `stop` said so, and what failed.

        Raises
        ------
        InputError
            If none of several images could be enhanced, with what is wrong with each.
        OSError
            If there is no such file, or a result cannot be written.
        Stopped
            If it was stopped before anything was made.
        Exception
            Whatever the only image failed with.
        """
        sources = _expanded(self.widefield)
        targets = _targets(self, sources)
        enhancer = yield from _enhancer(self.model, stop)
        trained = isinstance(self.model, TrainEnhancerJob)
        made: list[EnhancedImage] = []
        failures: list[EnhanceFailure] = []
        stopped = False
        for index, (source, target) in enumerate(zip(sources, targets, strict=True)):
            try:
                if stop():
                    raise Stopped("Stopped: no image is enhanced.")
                image = read_source(source, self.pixel_size, stop)
                enhancement = yield from _enhanced(self, enhancer, image, target, stop)
            except Stopped:
                if not made and not trained:
                    raise
                stopped = True
                break
            # A source may be anything that has `read`, and so may be what it raises.
            except Exception as error:
                failures.append(EnhanceFailure(index, _name(source), False, error))
                continue
            error_map = None
            # The enhanced image is there already, whatever goes wrong now and whoever stops.
            try:
                if self.error_map:
                    error_map = yield from _mapped_error(enhancement, image, target, stop)
            except Stopped:
                stopped = True
            except Exception as error:
                failures.append(EnhanceFailure(index, _name(source), True, error))
            one = EnhancedImage(index, _name(source), enhancer.config.upscale, target)
            if target is None:
                one = replace(one, in_memory=enhancement, error_in_memory=error_map)
            made.append(one)
            yield PartDone(index, one)
        if not made and not trained:
            _raise(failures)
        return EnhanceResult(enhancer, len(sources), tuple(made), tuple(failures), stopped)


def beside(path: Path, word: str) -> Path:
    """Return the path of a map beside a result: `x.tif` gives `x_uncertainty.tif`."""
    return path.with_name(f"{path.stem}_{word}{path.suffix}")


def _name(source: ImageSource) -> str:
    """Return what a person calls a source."""
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else source.name


def _expanded(sources: ImageSource | Sequence[ImageSource]) -> list[ImageSource]:
    """Return the sources, with the TIFF files of folders in their places; results of an earlier run are left out."""
    found: list[ImageSource] = []
    for source in as_sources(sources):
        if isinstance(source, (str, os.PathLike)):
            found += image_files([source], TIFF_SUFFIXES, left_out=RESULT_KINDS)
        else:
            found.append(source)
    return found


def _targets(job: EnhanceJob, sources: Sequence[ImageSource]) -> Sequence[Path | None]:
    """Return the file that each result is written into, None for memory, or raise before any work is done."""
    if job.out is None:
        return [None] * len(sources)
    out = Path(job.out)
    one_file = out.suffix.lower() in TIFF_SUFFIXES
    if (one_file and len(sources) != 1) or (not one_file and out.is_file()):
        raise InputError(f"out must be a folder for {len(sources)} images, or end in .tif for one, not {out}.", "out")
    stems = [re.sub(_NO_FILE_NAME, "_", Path(_name(source)).stem) for source in sources]
    if len(set(stems)) < len(stems):
        raise InputError("Two of the widefield images have the same file name: enhance them one after the other.")
    targets = [out] if one_file else [out / f"{stem}_enhanced.tif" for stem in stems]
    words = [word for word, on in (("uncertainty", job.settings.uncertainty), ("error", job.error_map)) if on]
    for target in targets:
        for path in (target, *(beside(target, word) for word in words)):
            check_output_file(path)
    return targets


def _enhancer(model: Enhancer | str | os.PathLike[str] | TrainEnhancerJob, stop: Stop) -> Steps[Enhancer]:
    """Return the enhancer, loaded or trained."""
    if isinstance(model, TrainEnhancerJob):
        return (yield from model.steps(stop))
    if isinstance(model, (str, os.PathLike)):
        from ..enhance.model import load_enhancer

        return load_enhancer(model)
    return model


def _enhanced(job: EnhanceJob, enhancer: Enhancer, image: Image, target: Path | None, stop: Stop) -> Steps[Enhancement]:
    """Enhance one image, in memory or into the file `target`."""
    from ..enhance.applying import enhance_steps

    if target is None:
        return (yield from enhance_steps(enhancer, image, job.settings, stop=stop))
    with ExitStack() as files:

        def new_array(plan: ResultPlan) -> Pixels:
            if plan.kind == "enhanced":
                check_space(target, plan.shape, 1 + job.settings.uncertainty)
            path = target if plan.kind == "enhanced" else beside(target, plan.kind)
            return files.enter_context(new_tiff(path, plan.shape, plan.pixel_size, plan.origin, plan.provenance))

        yield from enhance_steps(enhancer, image, job.settings, new_array=new_array, stop=stop)
    enhancement = EnhancedImage(0, image.name, enhancer.config.upscale, target).enhancement
    yield Note(f"{target} is {image.name} enhanced ×{enhancer.config.upscale}.")
    if enhancement.uncertainty is not None:
        meaning = enhancement.uncertainty.provenance.meaning
        yield Note(f"{beside(target, 'uncertainty')} maps its uncertainty: {meaning}.")
    return enhancement


def _mapped_error(enhancement: Enhancement, image: Image, target: Path | None, stop: Stop) -> Steps[Image]:
    """Map where an enhanced image disagrees with its widefield image; a result in a file is read plane by plane."""
    from ..report.enhanced import EnhancedField, mapped_error_steps

    error = yield from mapped_error_steps(EnhancedField(enhancement.image, image), stop)
    if target is not None:
        path = beside(target, "error")
        write_image(path, error)
        rsp = error.provenance.rsp or ()
        yield Note(
            f"{path} maps the disagreement; correlation with the widefield image (RSP) {sum(rsp) / len(rsp):.3f}; haze "
            "lowers it."
        )
    return error


def _raise(failures: Sequence[EnhanceFailure]) -> NoReturn:
    """Raise what all images failed with; of several, a defect first, which needs its traceback."""
    defects = [failure.error for failure in failures if not is_user_error(failure.error)]
    if defects or len(failures) == 1:
        raise (defects or [failures[0].error])[0]
    raise InputError(" ".join(failure.sentence for failure in failures))

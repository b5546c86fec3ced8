"""The job that enhances widefield images, in memory or straight into files."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from ..base.errors import InputError, Stopped, is_user_error
from ..base.events import Note, PartBegun, PartDone, Steps, Stop, never
from ..base.folders import user_path
from ..enhance.settings import EnhanceConfig
from ..images.image import in_file_order
from ..images.readers import is_folder_of_images
from ..images.regions import as_rectangles, one_rectangle
from ..images.writing import write_image
from .doubting import doubted, doubts_after, doubts_before
from .enhance_results import EnhancedImage, EnhanceFailure, EnhanceResult
from .enhance_sources import ALL, check_pattern, expanded, other_files
from .enhanced_files import (
    beside,
    enhance_into_files,
    enhancement_in_files,
    has_current_error_map,
    is_finished,
    notes_on_files,
    target_files,
)
from .enhanced_table import (
    ENHANCED,
    FAILED,
    NO_ERROR_MAP,
    SKIPPED,
    EnhancedTable,
    RowInWork,
    left_out,
    without_frames,
)
from .enhancements import (
    check_memory_for,
    check_sampler,
    check_samples,
    enhancement_steps,
    is_complete,
    note_on_trust,
)
from .job import ImageSource, as_sources, check_pixel_size, read_source, source_name
from .train_enhancer import TrainEnhancerJob
from .whole_progress import WholeProgress
from .widefield_images import read_widefield
from .workers import check_workers, connected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from ..base.arrays import Pixels
    from ..enhance.applying import Enhancement, NewArray, ResultPlan
    from ..enhance.model import Enhancer
    from ..images.axes import Channel
    from ..images.image import Image
    from ..images.regions import Rectangles

    NewResultArray = Callable[[int, ResultPlan], Pixels]


@dataclass(frozen=True, eq=False)
class EnhanceJob:
    """Enhance widefield images.

    Parameters
    ----------
    model
        The enhancer, its name, its folder, or the job that trains it.
    widefield
        Widefield images in any units: images, files, folders, or other sources. Of a folder, the job enhances the TIFF
        files that are not enhanced images or maps.
    settings
        Settings of the enhancement.
    error_map
        Whether to map where each result disagrees with its widefield image.
    out
        A TIFF file for one image, or a folder for several. Each result is written while it is computed, so it may be
        larger than memory. Maps are stored beside it, as `…_uncertainty.tif` and `…_error.tif`. A folder also gets
        the table `enhanced.csv`, and images whose same result is in it are skipped. None: in memory.
    pixel_size
        Pixel size of the widefield images in nm; replaces their own.
    channel
        Index (the first is 0) or name of the channel, for files with several.
    region
        A rectangle of each image, in its pixels, that is enhanced at its place: (first row, last row + 1, first column,
        last column + 1). (): all of it.
    resume
        Go on where an interrupted run into `out` stopped: finished images are kept, and a part of an image is
        completed. Input and settings must be the same.
    glob
        Pattern of the names of the files that are enhanced in folders, such as "cell*.tif".
    workers
        Number of processes that compute blocks of the results, one on each GPU where dask-cuda is installed. 0: none.
    scheduler
        Address of the scheduler of a dask cluster whose workers compute them, such as "tcp://node:8786".

    Raises
    ------
    InputError
        If there is no widefield image, or `resume` is given without `out`. If samples are requested of a model whose
        training is described without them.
    """

    model: Enhancer | str | os.PathLike[str] | TrainEnhancerJob
    widefield: ImageSource | Sequence[ImageSource]
    settings: EnhanceConfig = field(default_factory=EnhanceConfig)
    error_map: bool = False
    out: str | os.PathLike[str] | None = None
    pixel_size: float | None = None
    channel: Channel = None
    resume: bool = False
    region: Rectangles = ()
    glob: str = ALL
    workers: int = 0
    scheduler: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "widefield", as_sources(self.widefield))
        check_pixel_size(self.pixel_size)
        object.__setattr__(self, "region", one_rectangle(self.region, "region"))
        check_pattern(self.glob)
        if self.resume and self.out is None:
            raise InputError("out must name the files of the run that is resumed.", "out")
        check_samples(self.model, self.settings)
        check_workers(self.workers, self.scheduler, self.out)

    def _cluster(self) -> AbstractContextManager[Any]:
        """Return a context with the client of the cluster that computes; None without workers."""
        if not (self.workers or self.scheduler):
            return nullcontext()
        return connected(self.workers, self.scheduler)

    @property
    def title(self) -> str:
        """Short description of the job."""
        sources = as_sources(self.widefield)
        enhancing = f"enhancing {len(sources)} image{'s' * (len(sources) != 1)}"
        if (
            len(sources) == 1
            and isinstance(sources[0], (str, os.PathLike))
            and is_folder_of_images(user_path(sources[0]))
        ):
            enhancing = f"enhancing the images in {sources[0]}"
        return f"{self.model.title}, {enhancing}" if isinstance(self.model, TrainEnhancerJob) else enhancing

    def steps(self, stop: Stop = never, *, new_array: NewResultArray | None = None) -> Steps[EnhanceResult]:
        """Enhance one image after the other; the job continues after an image that fails.

        Parameters
        ----------
        stop
            Checked at every tile.
        new_array
            Makes the array of each result in memory, from the index of the image and the plan of the result. The caller
            can then show the array while it is filled.

        Yields
        ------
        PartBegun before each image and PartDone with an `EnhancedImage` after it, and the events of training and
        enhancing.

        Returns
        -------
        The results, and the failures.

        Raises
        ------
        InputError
            If all of several images failed; the message has the reason of each. If the enhancer draws no samples, and
            they are requested; no image was read then.
        OSError
            If a file does not exist, or a result cannot be written.
        Stopped
            If the job was stopped before its first result.
        Exception
            The error of the only image.
        """
        if self.settings.samples and (self.workers or self.scheduler):
            raise InputError("Workers cannot draw samples: leave out the workers, or the samples.", "samples")
        sources = expanded(self.widefield, self.glob)
        targets, table = target_files(self, sources), EnhancedTable(self.out)
        enhancer = yield from _enhancer(self.model, stop)
        if not isinstance(self.model, TrainEnhancerJob):  # an enhancer that this job trains is a result too
            check_sampler(enhancer, self.settings)
        try:
            yield from left_out(table, other_files(self.widefield, self.glob))
            with self._cluster() as client:
                work = _Work(self, enhancer, table, stop, new_array, client)
                result = yield from _enhanced_in_turn(work, sources, targets)
        finally:
            table.finish()
        if table.sentence:
            yield Note(table.sentence)
        return result


@dataclass(frozen=True, eq=False)
class _Work:
    """What the work on all images of a job has in common; `client` is that of a cluster, or None."""

    job: EnhanceJob
    enhancer: Enhancer
    table: EnhancedTable
    stop: Stop
    new_array: NewResultArray | None
    client: Any


def _enhanced_in_turn(
    work: _Work, sources: Sequence[ImageSource], targets: Sequence[Path | None]
) -> Steps[EnhanceResult]:
    """Enhance one source after the other; see `EnhanceJob.steps`."""
    job, enhancer, table, stop, new_array = work.job, work.enhancer, work.table, work.stop, work.new_array
    # An enhancer that this job has trained is a result too.
    may_be_empty = isinstance(job.model, TrainEnhancerJob)
    results: list[EnhancedImage] = []
    failures: list[EnhanceFailure] = []
    stopped = False
    whole = WholeProgress(sources)
    for index, (source, target) in enumerate(zip(sources, targets, strict=True)):
        row = RowInWork(table, source_name(source), target)
        try:
            if stop():
                raise Stopped("Stopped: no image is enhanced.")
            yield PartBegun(index)
            whole.begin(index)
            make = None if new_array is None else partial(new_array, index)
            image, enhancement, kept = yield from row.listen(_one(work, source, target, row, whole, make))
        except Stopped:
            if not results and not may_be_empty:
                raise
            stopped = True
            break
        # A source is any object with `read`, so it can raise any exception.
        except Exception as error:
            failures.append(EnhanceFailure(index, source_name(source), False, without_frames(error)))
            row.end(FAILED, error)
            continue
        result = EnhancedImage(index, source_name(source), enhancer.config.upscale, target)
        wants_map = job.error_map and not (kept and has_current_error_map(target))
        with_maps = _with_maps(result, wants_map, enhancement, image, stop)
        result, map_error = yield from row.listen(whole.of(with_maps))
        whole.end()
        stopped = stopped or not is_complete(enhancement, job.settings)
        if isinstance(map_error, Stopped):
            stopped = True
        elif map_error is not None:
            failures.append(EnhanceFailure(index, result.name, True, without_frames(map_error)))
        results.append(result)
        row.end(NO_ERROR_MAP if map_error else SKIPPED if kept and not wants_map else ENHANCED, map_error)
        yield PartDone(index, result)
    if not results and not may_be_empty:
        _raise(failures)
    return EnhanceResult(enhancer, len(sources), tuple(results), tuple(failures), stopped, table.path)


def _one(
    work: _Work,
    source: ImageSource,
    target: Path | None,
    row: RowInWork,
    whole: WholeProgress,
    make: NewArray | None,
) -> Steps[tuple[Image, Enhancement, bool]]:
    """Read and enhance one source.

    Returns
    -------
    The widefield image, its results, and whether these were finished by an earlier run and kept.
    """
    job, enhancer, stop = work.job, work.enhancer, work.stop
    read = row.heard(partial(read_source, source, job.pixel_size, stop, job.channel))
    region = as_rectangles(job.region, "region")
    image = yield from read_widefield(read, enhancer.widefield_pixel_size, enhancer.name, region)
    row.pixel_size = image.pixel_size
    image = image if target is None else in_file_order(image)
    may_be_kept = row.table.path is not None or job.resume
    if target is not None and may_be_kept and is_finished(enhancer, image, job.settings, target, resume=job.resume):
        yield Note(f"{target} is finished already.")
        enhancement = enhancement_in_files(target)
        yield from map(Note, enhancement.image.provenance.doubts)
        return image, enhancement, True
    said = doubts_before(enhancer, image)
    yield from map(Note, said)
    enhancement = yield from whole.of(_enhanced(work, image, said, target, make))
    return image, enhancement, False


def _enhancer(model: Enhancer | str | os.PathLike[str] | TrainEnhancerJob, stop: Stop) -> Steps[Enhancer]:
    """Load or train the enhancer, if it is not an enhancer already."""
    if isinstance(model, TrainEnhancerJob):
        return (yield from model.steps(stop))
    if isinstance(model, (str, os.PathLike)):
        from ..enhance.model import load_enhancer

        return load_enhancer(model)
    return model


def _enhanced(
    work: _Work, image: Image, said: tuple[str, ...], target: Path | None, make: NewArray | None
) -> Steps[Enhancement]:
    """Enhance one image, in memory with the arrays that `make` makes, or into the file `target`.

    The provenance of the results has the sentences of doubt `said`, and those about the results.
    """
    job, enhancer, stop = work.job, work.enhancer, work.stop
    if target is None:
        check_memory_for(enhancer, image, job.settings)
        enhancement = yield from enhancement_steps(enhancer, image, job.settings, new_array=make, stop=stop)
        enhancement = doubted(enhancement, (*said, *doubts_after(enhancer, enhancement.image, image)))
    else:
        yield from enhance_into_files(enhancer, image, job.settings, target, job.resume, stop, said, work.client)
        enhancement = enhancement_in_files(target)
        yield from notes_on_files(target, image, enhancement, enhancer.config.upscale)
    yield from note_on_trust(image.name, enhancement)
    yield from (Note(sentence) for sentence in enhancement.image.provenance.doubts if sentence not in said)
    return enhancement


def _with_maps(
    result: EnhancedImage, error_map: bool, enhancement: Enhancement, image: Image, stop: Stop
) -> Steps[tuple[EnhancedImage, Exception | None]]:
    """Compute the error map of a result, and put everything into the result if it is kept in memory.

    Returns
    -------
    The result, and the exception of the error map. The enhanced image exists already, so an error or a stop must not
    lose it.
    """
    error, exception = None, None
    if error_map:
        try:
            error = yield from _mapped_error(enhancement, image, result.path, stop)
        except Exception as caught:
            exception = caught
    if result.path is None:
        result = replace(result, in_memory=enhancement, error_in_memory=error)
    return result, exception


def _mapped_error(enhancement: Enhancement, image: Image, target: Path | None, stop: Stop) -> Steps[Image]:
    """Map where an enhanced image disagrees with its widefield image; a result in a file is read plane by plane."""
    from ..report.enhanced import EnhancedField, mapped_error_steps

    error = yield from mapped_error_steps(EnhancedField(enhancement.image, image), stop)
    if target is not None:
        path = beside(target, "error")
        write_image(path, error)
        rsp = error.provenance.rsp or ()
        yield Note(
            f"{path} maps the disagreement with the widefield image. Their correlation (RSP) is "
            f"{sum(rsp) / len(rsp):.3f}; haze lowers it."
        )
    return error


def _raise(failures: Sequence[EnhanceFailure]) -> NoReturn:
    """Raise the error of the images; a defect comes first, as the user needs its traceback."""
    defects = [failure.error for failure in failures if not is_user_error(failure.error)]
    if defects or len(failures) == 1:
        raise (defects or [failures[0].error])[0]
    raise InputError(" ".join(failure.sentence for failure in failures))

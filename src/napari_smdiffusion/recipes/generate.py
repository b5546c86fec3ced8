"""The job that generates images with a diffusion model."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import InputError, sentence_of
from ..base.events import Generated, Note, Steps, Stop, never
from ..base.folders import user_path
from ..base.whole_files import check_space
from ..diffusion.settings import GenerateConfig, check_generation
from ..images.reading import mapped_image
from ..images.tiff import copy_planes
from ..images.unfinished import UnfinishedTiff, check_same_run, part_of, unfinished, was_begun
from ..images.zarr_planes import ZARR_SUFFIXES
from ..images.zarr_results import LARGEST_CHUNK, UnfinishedZarr, write_store
from ..store.catalogue import find_model
from ..store.folder import read_facts
from ..store.weights import WEIGHTS_KEY, digest_of_weights
from .outputs import RESULT_SUFFIXES, check_output_file, check_output_store

if TYPE_CHECKING:
    from ..base.arrays import Pixels
    from ..diffusion.facts import DiffusionRecord
    from ..diffusion.model import DiffusionModel
    from ..images.image import Image
    from ..images.provenance import Provenance
    from ..images.unfinished import Unfinished


@dataclass(frozen=True, eq=False)
class GenerateJob:
    """Generate images with a diffusion model.

    Parameters
    ----------
    model
        The model, its name or its folder.
    settings
        Number and size of the images, the structure of a model of several, and settings of the solver.
    out
        TIFF file, or OME-Zarr store (.zarr). Each image is written into it when it is finished, so all images together
        may be larger than memory. A file that this program wrote is replaced; any other file raises an error. None:
        images in memory only.
    resume
        Go on with the images that an interrupted run has written to `out`. Model and settings must be the same; only
        `count` may be larger, `batch` and `device` may differ.

    Raises
    ------
    InputError
        If `out` does not end in .tif or .zarr, or `resume` is given without it.
    """

    model: DiffusionModel | str | os.PathLike[str]
    settings: GenerateConfig = field(default_factory=GenerateConfig)
    out: str | os.PathLike[str] | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        if self.resume and self.out is None:
            raise InputError("out must name the file of the run that is resumed.", "out")
        if self.out is not None and Path(self.out).suffix.lower() not in RESULT_SUFFIXES:
            raise InputError(f"out must end in .tif or .zarr, not {os.fspath(self.out)}.", "out")

    @property
    def title(self) -> str:
        """Short description of the job."""
        count = self.settings.count
        return f"generating {count} image{'s' * (count != 1)}"

    def steps(self, stop: Stop = never, *, pixels: Pixels | None = None) -> Steps[Image]:
        """Generate the images.

        Parameters
        ----------
        stop
            Called at every sampling step.
        pixels
            Array to generate into, (count, height, width) float32; used only without `out`.

        Yields
        ------
        Progress after every sampling step, Preview of the denoising, and Generated when an image is finished.

        Returns
        -------
        The finished images, (N, height, width) float32; with `out`, planes are read from the file when they are used.

        Raises
        ------
        InputError
            If there is no such model, or the size, the structure or the number of steps does not suit it.
        OSError
            If `out` cannot be written.
        MemoryError
            If there is no memory for `count` images, or for the computation of one.
        Stopped
            If the job was stopped before the first image was finished.
        """
        if isinstance(self.model, (str, os.PathLike)):
            facts_to_generate(self.model, self.settings)  # fails before torch and the network are loaded
        shape = self.settings.count, self.settings.height, self.settings.width
        out = None if self.out is None else _checked(user_path(self.out))
        if out is not None:
            check_space(out, shape)
        from ..diffusion.generating import generate_steps
        from ..diffusion.model import load_diffusion_model

        model = load_diffusion_model(self.model) if isinstance(self.model, (str, os.PathLike)) else self.model
        if out is None:
            return (yield from generate_steps(model, self.settings, pixels=pixels, stop=stop))
        return (yield from _generated_into_file(self, model, out, shape, stop))


def _generated_into_file(
    job: GenerateJob, model: DiffusionModel, out: Path, shape: tuple[int, int, int], stop: Stop
) -> Steps[Image]:
    """Generate images into a file; a stopped run leaves the finished ones in `out`, a killed one in a hidden file."""
    from ..diffusion.generating import generate_into_steps, provenance

    source = provenance(model, job.settings)
    source = replace(source, more={**source.more, WEIGHTS_KEY: digest_of_weights(model.unet)})
    metadata = {"pixel_size": model.pixel_size, "provenance": source}
    identity = {"count": job.settings.count, **_identity(source)}
    begun = was_begun(out, identity)
    with unfinished(out, identity, resume=job.resume) as work:
        file = _new_file(work, out, shape, metadata)
        done = len(work.finished) or (_copied(out, source, file.pixels, begun=begun) if job.resume else 0)
        for k in range(done):
            work.add(k)
        yield from _resumed_note(job, done)
        steps = generate_into_steps(model, job.settings, file.pixels, finished=done, stop=stop)
        finished = yield from _marked(steps, work)
        if finished == shape[0]:
            if isinstance(file, UnfinishedZarr):
                yield from file.complete(stop)
            file.finish()
            return mapped_image(out)
        work.commit()
        try:
            _write_finished(file, out, finished, metadata)
        except OSError as error:
            raise OSError(f"{sentence_of(error)} The {finished} finished images are kept for --resume.") from error
        work.begin_again()
    return mapped_image(out)


def _checked(out: Path) -> Path:
    """Return the path of the file or the store that images are generated into; see `check_output_file`."""
    return check_output_store(out) if out.suffix.lower() in ZARR_SUFFIXES else check_output_file(out)


def _new_file(
    work: Unfinished, out: Path, shape: tuple[int, int, int], metadata: dict[str, Any]
) -> UnfinishedTiff | UnfinishedZarr:
    """Return the file or the store that images are generated into."""
    if out.suffix.lower() in ZARR_SUFFIXES:
        return UnfinishedZarr(work, out, part_of(out), shape, LARGEST_CHUNK, **metadata)
    return UnfinishedTiff(work, out, shape, **metadata)


def _write_finished(file: UnfinishedTiff | UnfinishedZarr, out: Path, count: int, metadata: dict[str, Any]) -> None:
    """Write the first images of a stopped run."""
    if isinstance(file, UnfinishedZarr):
        write_store(out, file.pixels, count=count, **metadata)
    else:
        copy_planes(part_of(out), out, count, **metadata)


def _identity(source: Provenance) -> dict[str, Any]:
    """Return the values that the pixels of a generated image depend on, by name."""
    settings = {key: value for key, value in source.settings.items() if key not in ("count", "batch", "device")}
    return {**settings, "model": source.model, WEIGHTS_KEY: source.more.get(WEIGHTS_KEY)}


def _copied(out: Path, source: Provenance, pixels: Pixels, *, begun: bool) -> int:
    """Copy the images of a stopped run from `out`, and return their number; 0 if there is no such file.

    Raises
    ------
    InputError
        If `out` was made by another model or with other settings, and no run was `begun` that was to replace it.
    """
    if not out.exists():
        return 0
    before = mapped_image(out)
    try:
        check_same_run(_identity(before.provenance), _identity(source), out)
    except InputError:
        if begun:
            return 0
        raise
    count = min(len(before), len(pixels))
    for k in range(count):
        pixels[k] = np.asarray(before.pixels[k])
    return count


def _resumed_note(job: GenerateJob, done: int) -> Steps[None]:
    if job.resume and done:
        yield Note(f"Going on after {done} of {job.settings.count} images.")
    elif job.resume:
        yield Note(f"There is no run to resume for {job.out}: it begins with the first image.")


def _marked(steps: Steps[int], work: Unfinished) -> Steps[int]:
    """Pass on the events of a run, and mark each finished image."""
    with closing(steps):
        while True:
            try:
                event = next(steps)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # StopIteration carries the generator's result
            if isinstance(event, Generated):
                work.add(event.index)
            yield event


def facts_to_generate(model: str | os.PathLike[str], settings: GenerateConfig) -> DiffusionRecord:
    """Return the content of model.json of a diffusion model, by its folder or name, without loading the network.

    Raises
    ------
    ModelFolderError
        If there is no such model, or it is damaged.
    InputError
        If the model cannot generate images of the size, of the structure or with the number of steps in `settings`.
    """
    from ..diffusion.facts import DiffusionRecord, check_structure, generation_limits

    record = read_facts(find_model(model, "diffusion"), "diffusion", DiffusionRecord)
    check_generation(settings, *generation_limits(record))
    check_structure(record, settings)
    return record

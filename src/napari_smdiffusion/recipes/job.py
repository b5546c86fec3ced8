"""A job is the frozen description of a piece of work; `run_job` runs it.

A command, a dock, copied Python and the methods of the public classes all build the same job. A job checks its fields
when it is created, except for checks that need a file. It reads, computes and writes in `steps`.
"""

from __future__ import annotations

import os
import warnings
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar, cast

from ..base.errors import InputError, InputWarning, Stopped
from ..base.events import Result, Steps, Stop, never, run
from ..base.folders import user_path
from ..base.stopping import stop_on_interrupt
from ..base.terminal import Reporter
from ..images.image import AnisotropicPixelsError, Image, common_pixel_size
from ..images.localizations import TableSlab
from ..images.pixel_size import check_pixel_size as check_image_pixel_size
from ..images.readers import is_folder_of_images
from ..images.reading import image_files, read_image

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ..images.axes import Channel


class Source(Protocol):
    """An input that is read as an image when a job runs, such as a layer of the viewer."""

    @property
    def name(self) -> str:
        """Name of the input in messages and in the provenance of results."""

    def read(self, stop: Stop = never) -> Image:
        """Read the image; raise Stopped if `stop` returns True before."""


ImageSource: TypeAlias = Image | str | os.PathLike[str] | Source
_Output = TypeVar("_Output", covariant=True)


class Job(Protocol[_Output]):
    """A piece of work, described by its fields."""

    @property
    def title(self) -> str:
        """Short description that begins with a verb in -ing: "training my model"."""

    def steps(self, stop: Stop = never) -> Steps[_Output]:
        """Do the work; call `stop` between two steps."""


def run_job(job: Job[Result]) -> Result:
    """Run a job with a progress bar and return its result; Ctrl-C stops it and keeps the result.

    Raises
    ------
    InputError, OSError, MemoryError
        If the work is impossible; the message is a sentence for the user.
    Stopped
        If the job was stopped before it had a result.
    """
    with stop_on_interrupt() as stop, closing(Reporter()) as report:
        return run(job.steps(stop), report)


def optional_sources(images: ImageSource | Sequence[ImageSource]) -> tuple[ImageSource, ...]:
    """Return one image source or a sequence of them as a tuple; the sequence may be empty."""
    return tuple(images) if isinstance(images, (list, tuple)) else (cast("ImageSource", images),)


def as_sources(images: ImageSource | Sequence[ImageSource]) -> tuple[ImageSource, ...]:
    """Return one image source or a sequence of them as a tuple.

    Raises
    ------
    InputError
        If the sequence is empty.
    """
    sources = optional_sources(images)
    if not sources:
        raise InputError("No image was given: name at least one.")
    return sources


def source_name(source: ImageSource) -> str:
    """Return the name of a source for messages."""
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else source.name


def check_pixel_size(pixel_size: float | None) -> None:
    """Raise an InputError if a pixel size, in nm, is given and no image can have it."""
    if pixel_size is not None:
        try:
            check_image_pixel_size(pixel_size, "pixel_size")
        except InputError as error:
            raise InputError(str(error), "pixel_size") from None


def check_resumed(resume: bool, out: object, start: object) -> None:
    """Raise an InputError if a training is to be resumed and has no folder, or begins from another model."""
    if resume and out is None:
        raise InputError("out must name the folder of the training that is resumed.", "out")
    if resume and start is not None:
        raise InputError(
            "start must be left out where a training is resumed: the training continues from its own state.", "start"
        )


def read_source(
    source: ImageSource, pixel_size: float | None = None, stop: Stop = never, channel: Channel = None
) -> Image:
    """Read one image.

    Parameters
    ----------
    source
        An image, the path of a file, or another object with a method `read`.
    pixel_size
        In nm; replaces that of the image.
    stop
        Called before the image is read.
    channel
        Index or name of the channel, for a file with several; images and other sources have chosen theirs.

    Raises
    ------
    FileNotFoundError, InputError
        As `read_image`.
    AnisotropicPixelsError
        If the pixels are not square, and no pixel size is given.
    Stopped
        If `stop` returns True.
    """
    if isinstance(source, Image):
        image = source
    elif isinstance(source, (str, os.PathLike)):
        if stop():
            raise Stopped(f"Stopped before {os.fspath(source)} was read.")
        return read_image(source, pixel_size, channel)
    elif isinstance(source, TableSlab):
        image = source.read(stop, pixel_size)  # rendered with pixels of this size
    else:
        try:
            image = source.read(stop)
        except AnisotropicPixelsError as error:
            if pixel_size is None:
                raise
            image = error.image
    return image if pixel_size is None else replace(image, pixel_size=pixel_size)


def read_sources(
    sources: Sequence[ImageSource],
    pixel_size: float | None = None,
    left_out: Collection[str] = (),
    stop: Stop = never,
    channel: Channel = None,
) -> list[Image]:
    """Read images of one pixel size, in the order of `sources`; a folder yields its files, sorted by name.

    Parameters
    ----------
    sources
        Images, paths of files and folders, and other objects with a method `read`.
    pixel_size
        In nm; replaces that of each image.
    left_out
        Kinds of provenance (`images.provenance`). Files of these kinds, which earlier jobs wrote, are skipped in
        folders.
    stop
        Called before each image is read.
    channel
        Index or name of the channel, for files with several.

    Raises
    ------
    FileNotFoundError
        If a path does not exist, or a folder holds no image.
    InputError
        If there is no image, one cannot be read, or two have different pixel sizes.
    Stopped
        If `stop` returns True.
    """
    images = []
    for source in _without_folders(sources, left_out):
        try:
            images.append(read_source(source, pixel_size, stop, channel))
        except FileNotFoundError:
            if source in sources:
                raise
            warnings.warn(f"{source} was removed meanwhile: it is left out.", InputWarning, stacklevel=2)
    common_pixel_size(images)
    return images


def _without_folders(sources: Sequence[ImageSource], left_out: Collection[str]) -> Iterator[ImageSource]:
    """Yield the sources; each folder is replaced by its files."""
    for source in sources:
        if isinstance(source, (str, os.PathLike)) and is_folder_of_images(user_path(source)):
            yield from image_files([source], left_out=left_out)
        else:
            yield source

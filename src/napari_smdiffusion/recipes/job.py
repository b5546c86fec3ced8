"""What a job is: the frozen description of a piece of work, and how it is run.

A command, a dock, copied Python and the methods of the public classes all build the same job. A job checks its fields
when it is made, as far as that needs no file. It reads, computes and writes in `steps`.
"""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar, cast

from ..base.errors import InputError, Stopped
from ..base.events import Result, Steps, Stop, never, run
from ..base.terminal import Reporter, stop_on_interrupt
from ..images.image import Image, common_pixel_size
from ..images.reading import image_files, read_image

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence


class Source(Protocol):
    """Something that is read as an image when a job runs, such as a layer of the viewer."""

    @property
    def name(self) -> str:
        """What a person calls it."""
        ...

    def read(self, stop: Stop = never) -> Image:
        """Read it; raises Stopped where `stop` says yes before it is read."""
        ...


ImageSource: TypeAlias = Image | str | os.PathLike[str] | Source
_Made = TypeVar("_Made", covariant=True)


class Job(Protocol[_Made]):
    """A piece of work, described by its fields."""

    @property
    def title(self) -> str:
        """What it does, in a few words that begin with a verb in -ing: "training my model"."""
        ...

    def steps(self, stop: Stop = never) -> Steps[_Made]:
        """Do the work; `stop` is asked between two steps."""
        ...


def run_job(job: Job[Result]) -> Result:
    """Run a job with a progress bar and return its result; Ctrl-C stops it and keeps the result.

    Raises
    ------
    InputError, OSError, MemoryError
        With a sentence, where the work cannot be done.
    Stopped
        If it was stopped before there was a result.
    """
    with stop_on_interrupt() as stop, closing(Reporter()) as report:
        return run(job.steps(stop), report)


def optional_sources(images: ImageSource | Sequence[ImageSource]) -> tuple[ImageSource, ...]:
    """Return one image source, or a sequence of them, which may be empty, as a tuple."""
    return tuple(images) if isinstance(images, (list, tuple)) else (cast("ImageSource", images),)


def as_sources(images: ImageSource | Sequence[ImageSource]) -> tuple[ImageSource, ...]:
    """Return one image source, or a sequence of them, as a tuple.

    Raises
    ------
    InputError
        If there is none.
    """
    sources = optional_sources(images)
    if not sources:
        raise InputError("No image was given: name at least one.")
    return sources


def check_pixel_size(pixel_size: float | None) -> None:
    """Raise an InputError if a pixel size, in nm, is given and is not positive and finite."""
    if pixel_size is not None and not 0 < pixel_size < float("inf"):
        raise InputError(f"pixel_size must be a positive number of nm, not {pixel_size:g}.", "pixel_size")


def read_source(source: ImageSource, pixel_size: float | None = None, stop: Stop = never) -> Image:
    """Read one image.

    Parameters
    ----------
    source
        An image, the path of a file, or anything else that has `read`.
    pixel_size
        In nm; replaces the image's own.
    stop
        Asked before it is read.

    Raises
    ------
    FileNotFoundError, InputError
        As `read_image`.
    Stopped
        If `stop` says yes.
    """
    if isinstance(source, Image):
        image = source
    elif isinstance(source, (str, os.PathLike)):
        if stop():
            raise Stopped(f"Stopped before {os.fspath(source)} was read.")
        return read_image(source, pixel_size)
    else:
        image = source.read(stop)
    return image if pixel_size is None else replace(image, pixel_size=pixel_size)


def read_sources(
    sources: Sequence[ImageSource],
    pixel_size: float | None = None,
    left_out: Collection[str] = (),
    stop: Stop = never,
) -> list[Image]:
    """Read images of one pixel size, in the order given; a folder stands for its files, by name.

    Parameters
    ----------
    sources
        Images, paths of files and folders, and anything else that has `read`.
    pixel_size
        In nm; replaces that of each image.
    left_out
        Kinds of provenance (`images.provenance`) of the files that are left out of folders: results of earlier work.
    stop
        Asked before each of them.

    Raises
    ------
    FileNotFoundError
        If a path does not exist, or a folder holds no image.
    InputError
        If there is no image, one cannot be read, or two have different pixel sizes.
    Stopped
        If `stop` says yes.
    """
    images = [read_source(one, pixel_size, stop) for one in _each(sources, left_out)]
    common_pixel_size(images)
    return images


def _each(sources: Sequence[ImageSource], left_out: Collection[str]) -> Iterator[ImageSource]:
    """Yield the sources, with the files of folders in their places."""
    for source in sources:
        if isinstance(source, (str, os.PathLike)):
            yield from image_files([source], left_out=left_out)
        else:
            yield source

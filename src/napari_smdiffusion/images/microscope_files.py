"""Files of microscope programs, which hold scenes with channels, depths and times; planes are read one by one.

The module of a format registers a reader that `microscope_reader` makes from a function that opens a file. Libraries
read the files; they are an extra.
"""

from __future__ import annotations

import errno
import importlib
import math
import tempfile
import warnings
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ..base.errors import InputError, InputWarning, is_out_of_memory
from ..base.printable import printable
from ..base.regular_files import open_regular
from ..base.scratch import forget_pages, scratch
from ..base.whole_files import check_room
from .axes import CHANNEL, Axis, Channel, axis_kind, channel_index, channel_text, fitting_axes, in_file_order
from .image import AnisotropicPixelsError, Image, read_only
from .limits import LIMIT_VARIABLE, largest_image
from .pixel_size import MAX_PIXEL_SIZE, MIN_PIXEL_SIZE, are_anisotropic
from .provenance import Provenance
from .readers import FileMetadata, Reader, SceneChoice, image_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from ..base.arrays import Pixels

_FLOAT = 4  # bytes of a pixel in memory
_LONGEST_NAME = 60  # characters of a name of a scene or channel in messages
_EXTRA = "pip install 'napari-smdiffusion[formats]'"


@dataclass(frozen=True)
class Scene:
    """One of the images in a file: a position of the stage, or a series.

    Parameters
    ----------
    name
        Its name in the file; "" if it has none.
    letters, lengths
        A letter of tifffile's for each axis before Y and X, and the lengths of these axes.
    size
        (height, width) of a plane in pixels.
    steps
        Sides of a pixel along "Y" and "X" and distances along "Z" in nm, and along "T" in s, as far as they are known.
    channels
        Names of the channels; () if they are not known.
    problem
        Why the scene cannot be read, to follow the name of the file: "is a color image: …". Empty if there is no
        problem.
    notes
        Sentences for the user on what is not understood of the file.
    """

    name: str
    letters: str
    lengths: tuple[int, ...]
    size: tuple[int, int]
    steps: Mapping[str, float] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    problem: str = ""
    notes: tuple[str, ...] = ()

    @property
    def sides(self) -> tuple[float, float] | None:
        """(y, x) sides of a pixel in nm; None if they are unknown, or no microscope has such pixels."""
        y, x = self.steps.get("Y"), self.steps.get("X")
        if y is None or x is None or not all(MIN_PIXEL_SIZE <= side <= MAX_PIXEL_SIZE for side in (y, x)):
            return None
        return y, x

    @property
    def pixel_size(self) -> float | None:
        """Pixel size in nm, along X if pixels are not square."""
        return self.sides[1] if self.sides else None


class MicroscopeFile(Protocol):
    """An open file."""

    @property
    def scenes(self) -> Sequence[Scene]:
        """The scenes in the order of the file."""
        ...

    def plane(self, scene: int, index: Mapping[str, int]) -> npt.NDArray[Any]:
        """Return a plane (Y, X) of a scene; `index` has an index for each letter of the scene."""
        ...


OpenFile: TypeAlias = "Callable[[Path], AbstractContextManager[MicroscopeFile]]"


@dataclass(frozen=True)
class ChosenPlanes:
    """The planes of one channel of a scene.

    Parameters
    ----------
    indices
        Index of each plane for `MicroscopeFile.plane`, in the order of files.
    axes
        Axes of the planes in this order.
    channel
        The channel in words; "" if there is only one.
    """

    indices: list[dict[str, int]]
    axes: tuple[Axis, ...]
    channel: str


def imported(package: str, path: Path) -> Any:
    """Return an imported package that reads the files of a format; raises InputError if it is missing."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        if is_out_of_memory(error):
            raise
        raise InputError(f"{path} needs the package {package.split('.')[0]}: install it with  {_EXTRA}.") from error


def microscope_reader(suffix: str, signatures: tuple[bytes, ...]) -> Callable[[OpenFile], Reader]:
    """Return a decorator that makes a `Reader` from a function that opens a file.

    Parameters
    ----------
    suffix
        Ending of the file names, in lower case with the dot.
    signatures
        First bytes of the files.
    """

    def supports(path: Path) -> bool:
        with suppress(OSError, InputError), open_regular(path) as file:
            return file.read(max(map(len, signatures))).startswith(signatures)
        return False

    def decorated(open_file: OpenFile) -> Reader:
        def read(path: Path, pixel_size: float | None, channel: Channel = None, scene: SceneChoice = None) -> Image:
            with opened(open_file, path) as file:
                return _image(file, path, pixel_size, channel, scene)

        made = image_reader(
            suffix, metadata=lambda path: _metadata(open_file, path), supports=supports, channels=True, scenes=True
        )(read)
        return replace(made, open_file=open_file)

    return decorated


@contextmanager
def opened(open_file: OpenFile, path: Path) -> Iterator[MicroscopeFile]:
    """Open a file; any error of the library that reads it becomes an InputError that names the file."""
    try:
        with open_file(path) as file:
            yield file
    except (InputError, MemoryError):
        raise
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):  # a place outside of a damaged file is no valid argument
            raise
        raise _damaged(path, error) from error
    except Exception as error:  # the libraries raise many kinds of errors for damaged files
        if is_out_of_memory(error):
            raise
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InputError:
    reason = printable(" ".join(str(error).split()), 120).removesuffix(".") or type(error).__name__
    return InputError(f"{path} cannot be read as a file of a microscope ({reason}): copy it again.")


def scene_index(file: MicroscopeFile, scene: SceneChoice, path: Path) -> int:
    """Return the index of a scene, chosen by its index or name.

    Raises
    ------
    InputError
        If none is chosen of several, or there is no such scene; the message lists the scenes.
    """
    names = [scene.name for scene in file.scenes]
    if not names:
        raise InputError(f"{path} holds no image: give a file with an image in it.")
    if scene is None and len(names) == 1:
        return 0
    listed = ", ".join(scene_text(k, names[k]) for k in range(min(len(names), 5))) + ", …" * (len(names) > 5)
    if scene is None:
        raise InputError(
            f"{path} holds {len(names)} scenes: {listed}. Commands read files of one scene. Save one in Python by "
            f"write_image('scene.tif', read_image({str(path.name)!r}, scene=0)), or open the file in napari."
        )
    named = [k for k, name in enumerate(names) if name == scene]
    if len(named) == 1:
        return named[0]
    text = str(scene).strip()
    index = int(text) if text.isdecimal() and not isinstance(scene, bool) else -1
    if not 0 <= index < len(names):
        raise InputError(f"{path} has no single scene {scene}, but {len(names)} scenes: {listed}. Choose one of them.")
    return index


def scene_text(index: int, name: str) -> str:
    """Return a scene in words: its index, and its name if it has one."""
    return f"{index} ({printable(name, _LONGEST_NAME)})" if name else str(index)


def check_readable(scene: Scene, path: Path, planes: int) -> None:
    """Raise an InputError if a scene is no gray image, or some of its planes take more memory than its file warrants.

    A file of kilobytes can state any number of pixels.
    """
    if scene.problem:
        raise InputError(f"{path} {scene.problem}")
    if min((*scene.size, *scene.lengths)) < 1:
        raise InputError(f"{path} is empty: give an image with pixels in it.")
    size, taken = path.stat().st_size, _FLOAT * planes * math.prod(scene.size)
    if taken > (limit := largest_image(size)):
        raise InputError(
            f"{path} has {size / 1e6:.3g} MB, and its image takes {taken / 1e9:.3g} GB of memory, more than "
            f"{limit / 1e9:.3g} GB. Save it in parts, or set the environment variable {LIMIT_VARIABLE} to more GB."
        )


def channel_choices(scene: Scene) -> tuple[str, int] | None:
    """Return the letter and the length of the axis of channels; None if there is a single channel."""
    several = [k for k, letter in enumerate(scene.letters) if axis_kind(letter) == CHANNEL and scene.lengths[k] > 1]
    return (scene.letters[several[0]], scene.lengths[several[0]]) if several else None


def planes_of(scene: Scene, path: Path, channel: Channel = None) -> ChosenPlanes:
    """Return the planes of one channel.

    Raises
    ------
    InputError
        If no channel is chosen of several, or there is no such channel, or the scene cannot be read.
    """
    kinds = [axis_kind(letter) for letter in scene.letters]
    several = [k for k, kind in enumerate(kinds) if kind == CHANNEL and scene.lengths[k] > 1]
    if len(several) > 1:
        axes = " and ".join(f"{scene.lengths[k]} along axis {scene.letters[k]}" for k in several)
        raise InputError(f"{path} has images of different kinds, {axes}: save one of them as TIFF.")
    fixed = {letter: 0 for letter, kind in zip(scene.letters, kinds, strict=True) if kind == CHANNEL}
    text = ""
    if several:
        count = scene.lengths[several[0]]
        names = scene.channels if len(scene.channels) == count else ()
        remedy = "Choose one by channel= (smdiffusion: --channel)"
        index = channel_index(channel, count, names, where=str(path), remedy=remedy)
        fixed[scene.letters[several[0]]], text = index, channel_text(index, names)
    leading = [k for k, kind in enumerate(kinds) if kind != CHANNEL]
    check_readable(scene, path, math.prod(scene.lengths[k] for k in leading))
    axes_here = [Axis(kinds[k], scene.lengths[k], scene.steps.get(kinds[k])) for k in leading]
    order = in_file_order(axes_here)
    letters = [scene.letters[leading[k]] for k in order]
    places = product(*(range(axes_here[k].length) for k in order))
    indices = [{**dict(zip(letters, place, strict=True)), **fixed} for place in places]
    return ChosenPlanes(indices, fitting_axes([axes_here[k] for k in order], len(indices)), text)


def _image(file: MicroscopeFile, path: Path, pixel_size: float | None, channel: Channel, choice: SceneChoice) -> Image:
    """Return one channel of one scene; a large image is kept in a temporary file, so that the memory stays flat."""
    number = scene_index(file, choice, path)
    scene = file.scenes[number]
    chosen = planes_of(scene, path, channel)
    pixels, empty = _read(file, number, chosen, path)
    for note in _notes(scene, chosen, path, channel, empty, len(pixels)):
        warnings.warn(InputWarning(note), stacklevel=6)
    provenance = Provenance(channel=chosen.channel) if chosen.channel else Provenance()
    image = Image(pixels, pixel_size or scene.pixel_size, (0.0, 0.0), str(path), provenance, chosen.axes)
    forget_pages(pixels)
    if pixel_size is None and scene.sides is not None and are_anisotropic(scene.sides):
        raise AnisotropicPixelsError(str(path), scene.sides, image)
    return image


def _read(file: MicroscopeFile, number: int, chosen: ChosenPlanes, path: Path) -> tuple[Pixels, int]:
    """Return the planes, and how many of them are 0 everywhere."""
    size = file.scenes[number].size
    shape = (len(chosen.indices), *size)
    check_room(Path(tempfile.gettempdir()) / path.name, _FLOAT * math.prod(shape))
    pixels, empty = scratch(shape), 0
    for n, index in enumerate(chosen.indices):
        plane = checked_plane(file.plane(number, index), size)
        pixels[n] = plane
        empty += not plane.any()
    return read_only(pixels), empty


def checked_plane(plane: npt.NDArray[Any], size: tuple[int, int]) -> npt.NDArray[Any]:
    """Return a plane (Y, X); raises ValueError if it has another form than its file states."""
    if plane.shape != size or plane.dtype.kind not in "buif":
        raise ValueError(f"A plane has {plane.shape} {plane.dtype} values instead of {size}.")
    return plane


def _notes(scene: Scene, chosen: ChosenPlanes, path: Path, channel: Channel, empty: int, planes: int) -> Iterator[str]:
    """Yield sentences on what is not used of a file, and on what is missing in it."""
    yield from scene.notes
    if channel is not None and not chosen.channel and channel not in (0, "0"):
        yield f"{path} has a single channel, which is read instead of channel {channel}."
    if ("X" in scene.steps or "Y" in scene.steps) and scene.sides is None:
        yield f"{path} states a pixel size that no microscope has: it is not used. Give the pixel size."
    if 0 < empty < planes:
        yield f"{path} has {empty} of {planes} planes that are 0 everywhere, as a stopped recording has. They are read."
    elif empty:
        yield f"{path} is 0 everywhere: compare it with the original."


def _metadata(open_file: OpenFile, path: Path) -> FileMetadata:
    """Return the metadata of a file with one scene; empty if it cannot be read, or has several."""
    with suppress(InputError, OSError, MemoryError), opened(open_file, path) as file:
        if len(file.scenes) == 1:
            (scene,) = file.scenes
            check_readable(scene, path, 1)
            axes = tuple(
                Axis(axis_kind(letter), length, scene.steps.get(axis_kind(letter)))
                for letter, length in zip(scene.letters, scene.lengths, strict=True)
            )
            anisotropic = scene.sides if scene.sides and are_anisotropic(scene.sides) else None
            problem = "its pixels are not square" if anisotropic else ""
            size = None if anisotropic else scene.pixel_size
            return FileMetadata(Provenance(), size, problem, axes, scene.channels, anisotropic)
    return FileMetadata()


def distinct_names(names: Sequence[str | None]) -> tuple[str, ...]:
    """Return names of channels if they differ, otherwise ()."""
    texts = tuple(printable(" ".join(str(name or "").split()), _LONGEST_NAME) for name in names)
    return texts if all(texts) and len(set(texts)) == len(texts) else ()


def known_steps(steps: Mapping[str, float | None]) -> dict[str, float]:
    """Return the steps that are positive numbers."""
    return {letter: float(step) for letter, step in steps.items() if step and math.isfinite(step) and step > 0}

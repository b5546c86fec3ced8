"""The axes of an image before Y and X: times, depths and planes of one kind. A channel is chosen, never an axis."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..base.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

TIME, DEPTH, PLANE, CHANNEL = "T", "Z", "N", "C"
Channel: TypeAlias = int | str | None
# Letters of tifffile for images of one kind, in no known relation: pages, positions and parts of a mosaic.
_PLANE_LETTERS = "NIQRMPVJK"
ALL_CHANNELS = "all"  # instead of a channel: the channels of the file are planes of one kind
_UNITS = {TIME: "s", DEPTH: "nm"}
_WORDS = {TIME: ("time", "times"), DEPTH: ("depth", "depths"), PLANE: ("plane", "planes")}
# Images along these axes differ in kind, so that one of them is chosen.
_CHOSEN_WORDS = {"C": "channels", "S": "samples per pixel", "E": "wavelengths", "H": "lifetimes", "L": "exposures"}


@dataclass(frozen=True)
class Axis:
    """One axis of a stack.

    Parameters
    ----------
    name
        "T" for times, "Z" for depths, "N" for planes of one kind in no known order.
    length
        Number of planes along the axis.
    step
        Distance between two planes: nm for depths, s for times. None if it is unknown.
    """

    name: str
    length: int
    step: float | None = None

    @property
    def unit(self) -> str:
        """Unit of `step`: "nm", "s", or "" for planes in no known order."""
        return _UNITS.get(self.name, "")

    @property
    def text(self) -> str:
        """The axis in words: "5 times (every 2.5 s)"."""
        words = _WORDS[self.name][self.length != 1]
        return f"{self.length} {words}" + (f" (every {self.step:.4g} {self.unit})" if self.step else "")


def axes_text(axes: Sequence[Axis]) -> str:
    """Return axes in words: "5 times × 3 depths"; "" for a plane or planes of one kind."""
    return " × ".join(axis.text for axis in axes)


def axes_to_json(axes: Sequence[Axis]) -> list[dict[str, Any]]:
    """Return axes in the form that the metadata of a file hold."""
    return [{"name": axis.name, "length": axis.length, "step": axis.step} for axis in axes]


def axes_from_json(values: Any, known: str = TIME + DEPTH + PLANE) -> tuple[Axis, ...]:
    """Return the axes that `axes_to_json` wrote; () if any value has another type, which other programs may write."""
    axes = []
    for value in values if isinstance(values, list) else ():
        name, length, step = map(value.get, ("name", "length", "step")) if isinstance(value, dict) else (None,) * 3
        right = isinstance(name, str) and len(name) == 1 and name in known
        if not (right and isinstance(length, int) and not isinstance(length, bool) and 0 < length < 2**31):
            return ()
        axes.append(Axis(str(name), length, positive_number(step)))
    return tuple(axes)


def positive_number(value: Any) -> float | None:
    """Return a positive finite number as a float; None for any other value, also for text and booleans."""
    if isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and 0 < value < 1e300:
        return float(value)
    return None


def fitting_axes(axes: Sequence[Axis], planes: int) -> tuple[Axis, ...]:
    """Return axes in their normal form, in which planes of one kind alone are ().

    Parameters
    ----------
    axes
        Axes of a stack. Axes of length 1 are dropped, and all axes of a single plane.
    planes
        Number of planes of the stack.

    Raises
    ------
    ValueError
        If the lengths of the axes do not multiply to `planes`.
    """
    if planes == 1:  # the first plane of a stack, for example
        return ()
    if axes and math.prod(axis.length for axis in axes) != planes:
        raise ValueError(f"{axes_text(axes)} are not {planes} planes.")
    longer = tuple(axis for axis in axes if axis.length > 1)
    return () if [axis.name for axis in longer] in ([], [PLANE]) else longer


def in_file_order(axes: Sequence[Axis]) -> list[int]:
    """Return the indices of axes in the order of files: planes of one kind, then times, then depths."""
    return sorted(range(len(axes)), key=lambda k: (PLANE + TIME + DEPTH).index(axes[k].name))


def axis_kind(letter: str) -> str:
    """Return "T", "Z", "N", "Y" or "X" for a letter of tifffile's; "C" for every axis of which one image is chosen."""
    return PLANE if letter in _PLANE_LETTERS else letter if letter in "TZYX" else CHANNEL


def arranged(
    pixels: npt.NDArray[Any],
    letters: str,
    channel: Channel = None,
    *,
    where: str,
    names: Sequence[str] = (),
    steps: Mapping[str, float] | None = None,
    remedy: str = "",
) -> tuple[npt.NDArray[Any], tuple[Axis, ...], str]:
    """Return the planes of one channel of an array with named axes.

    Parameters
    ----------
    pixels
        Array with any axes, among them Y and X.
    letters
        A letter of tifffile's for each axis: "TZCYX".
    channel
        Index or name of the channel; None if there is only one. "all": what the array calls channels are planes of one
        kind.
    where
        Name of the image, for messages.
    names
        Names of the channels, if they are known.
    steps
        Steps of the axes "T" in s and "Z" in nm, where they are known.
    remedy
        How to choose a channel, for the message.

    Returns
    -------
    (N, Y, X) planes, their axes with times before depths, and the channel in words ("" if there is only one).

    Raises
    ------
    InputError
        If the letters do not fit the array, it is empty, no channel is chosen of several, or there is no such channel.
    """
    if len(letters) != pixels.ndim or letters.count("Y") != 1 or letters.count("X") != 1:
        raise InputError(
            f"{where} has {pixels.ndim} axes, shape {pixels.shape}: name each of them by a letter, Y and X once, "
            "as in axes='TZYX'."
        )
    pixels, letters = _without_short_axes(pixels, letters, where)
    chosen = [k for k, letter in enumerate(letters) if axis_kind(letter) == CHANNEL]
    text = ""
    if len(chosen) > 1:
        several = " and ".join(f"{pixels.shape[k]} {_CHOSEN_WORDS.get(letters[k], 'channels')}" for k in chosen)
        raise InputError(f"{where} has {several}: save one of these images as a file of its own.")
    if chosen and _are_planes(channel, names):
        letters = letters.replace(letters[chosen[0]], PLANE)
    elif chosen:
        (k,) = chosen
        words = _CHOSEN_WORDS.get(letters[k], "images of different kinds")
        names = names if len(names) == pixels.shape[k] else ()
        index = channel_index(channel, pixels.shape[k], names, where=where, words=words, remedy=remedy)
        pixels, letters = np.take(pixels, index, k), letters[:k] + letters[k + 1 :]
        text = channel_text(index, names)
    return *_in_file_order(pixels, letters, steps or {}), text


def _are_planes(channel: Channel, names: Sequence[str]) -> bool:
    """Return whether the user states that the channels of a file are planes of one kind."""
    text = str(channel).strip().casefold()
    return text == ALL_CHANNELS and text not in [name.casefold() for name in names]


def _without_short_axes(pixels: npt.NDArray[Any], letters: str, where: str) -> tuple[npt.NDArray[Any], str]:
    """Return an array and its letters without axes of length 1 other than Y and X; an empty array is refused."""
    if not pixels.size:
        raise InputError(f"{where} is empty: give an image with pixels in it.")
    longer = [k for k, letter in enumerate(letters) if letter in "YX" or pixels.shape[k] > 1]
    return pixels.reshape([pixels.shape[k] for k in longer]), "".join(letters[k] for k in longer)


def _in_file_order(
    pixels: npt.NDArray[Any], letters: str, steps: Mapping[str, float]
) -> tuple[npt.NDArray[Any], tuple[Axis, ...]]:
    """Return an array without channels as (N, Y, X), and its axes in the order of files."""
    leading = [k for k, letter in enumerate(letters) if letter not in "YX"]
    kinds = [axis_kind(letters[k]) for k in leading]
    axes = [Axis(kind, pixels.shape[k], steps.get(kind)) for kind, k in zip(kinds, leading, strict=True)]
    order = in_file_order(axes)
    pixels = pixels.transpose([*(leading[k] for k in order), letters.index("Y"), letters.index("X")])
    return pixels.reshape(-1, *pixels.shape[-2:]), tuple(axes[k] for k in order)


def channel_index(
    channel: Channel, count: int, names: Sequence[str], *, where: str, words: str = "channels", remedy: str = ""
) -> int:
    """Return the index of a channel, chosen by its index or name.

    Raises
    ------
    InputError
        If none is chosen, or there is no such channel; the message lists the channels.
    """
    listed = _listed([channel_text(k, names) for k in range(count)])
    remedy = remedy or "Choose one by channel= (smdiffusion: --channel), or all if they are planes of one kind"
    if channel is None or isinstance(channel, bool):
        raise InputError(f"{where} has {count} {words}: {listed}. {remedy}.")
    named = [k for k, name in enumerate(names) if name.casefold() == str(channel).strip().casefold()]
    if isinstance(channel, str) and len(named) == 1:
        return named[0]
    with_sign = str(channel).strip()
    index = int(with_sign) if with_sign.isdecimal() else -1
    if not 0 <= index < count or len(named) > 1:
        raise InputError(f"{where} has no single channel {channel}, but {count} {words}: {listed}. Choose one of them.")
    return index


def channel_text(index: int, names: Sequence[str]) -> str:
    """Return a channel in words: its index, and its name if it is known."""
    return f"{index} ({names[index]})" if index < len(names) and names[index] else str(index)


def _listed(texts: Sequence[str]) -> str:
    """Return "0 (tubulin) and 1 (actin)"; the middle of a long list is left out."""
    if len(texts) > 6:
        return f"{', '.join(texts[:4])}, … and {texts[-1]}"
    return " and ".join([", ".join(texts[:-1]), texts[-1]])


def reordered(axes: Sequence[Axis], planes: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], tuple[Axis, ...]]:
    """Return (N, Y, X) planes and their axes in the order of files; a copy only if the order differs."""
    order = in_file_order(axes)
    if order == sorted(order):
        return planes, tuple(axes)
    stack = planes.reshape(*(axis.length for axis in axes), *planes.shape[-2:])
    stack = stack.transpose([*order, len(axes), len(axes) + 1])
    return stack.reshape(planes.shape), tuple(replace(axes[k]) for k in order)

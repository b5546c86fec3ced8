"""The axes of a layer: Y and X, times and depths, and the channel that the user chose. Without Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...base.errors import InputError
from ...images.axes import ALL_CHANNELS, CHANNEL, DEPTH, PLANE, TIME, Axis, Channel, axes_from_json, channel_index
from ...images.axes import channel_text as _channel_text
from ...images.provenance import METADATA, SYNTHETIC
from .own_metadata import own_metadata

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image as ImageLayer

# Words that programs use as labels of axes, in lower case.
_LABELS = {
    CHANNEL: ("c", "ch", "channel", "channels", "wavelength", "lambda", "fluorophore", "stain", "dye"),
    TIME: ("t", "time", "times", "timepoint", "timepoints", "frame", "frames"),
    DEPTH: ("z", "depth", "depths", "slice", "slices", "plane", "planes", "focus"),
}
_KNOWN = {label: name for name, labels in _LABELS.items() for label in labels}
_MOST_CHANNELS = 16  # an axis of unknown kind that is longer does not hold channels
_CHOICE = "channel"  # key of the user's choice in the layer's metadata


@dataclass(frozen=True)
class LayerAxes:
    """The axes of the pixels of a layer.

    Parameters
    ----------
    names
        "T", "Z", "C" or "N" (planes of one kind, or of unknown kind) for each axis before Y.
    lengths
        Lengths of these axes.
    steps
        Steps of these axes in nm ("Z") and s ("T"); None if unknown.
    behind
        Number of axes of length 1 behind X.
    channel_names
        Names of the channels; () if unknown.
    channel
        Index of the chosen channel; None if there are no channels, or none is chosen.
    is_decided
        Whether it is known which planes belong together: all are of one kind, or a channel is chosen.
    """

    names: tuple[str, ...]
    lengths: tuple[int, ...]
    steps: tuple[float | None, ...] = ()
    behind: int = 0
    channel_names: tuple[str, ...] = ()
    channel: int | None = None
    is_decided: bool = True

    @property
    def channel_axis(self) -> int | None:
        """Index of the axis of channels, or None."""
        return self.names.index(CHANNEL) if CHANNEL in self.names else None

    @property
    def plane_axes(self) -> tuple[int, int]:
        """Indices of the axes Y and X of the layer."""
        return len(self.names), len(self.names) + 1

    @property
    def index(self) -> tuple[int | slice, ...]:
        """Index of the planes to read: a slice for each of `axes`, and a number for each other axis before Y."""
        return tuple(
            (self.channel or 0) if k == self.channel_axis else slice(None) if length > 1 else 0
            for k, length in enumerate(self.lengths)
        )

    @property
    def axes(self) -> tuple[Axis, ...]:
        """Axes of the planes to read, in the order of the layer."""
        return tuple(
            Axis(name, length, step)
            for name, length, step in zip(self.names, self.lengths, self.steps, strict=True)
            if name != CHANNEL and length > 1
        )

    def shaped(self, pixels: Any) -> Any:
        """Return (N, Y, X) pixels of a result with the axes of the layer; the axis of channels has length 1."""
        lengths = [1 if k == self.channel_axis else length for k, length in enumerate(self.lengths)]
        if math.prod(lengths) != len(pixels):  # the layer was cropped meanwhile, or it grows
            before = max(len(lengths) - 1, 0)
            lengths = [1] * before + [len(pixels)] if lengths or len(pixels) > 1 else []
        return pixels.reshape(*lengths, *pixels.shape[-2:], *[1] * self.behind)

    @property
    def result_metadata(self) -> list[dict[str, Any]]:
        """The axes of a result for the metadata of its layer; the axis of channels has length 1."""
        return [
            {"name": name, "length": 1 if name == CHANNEL else length, "step": step}
            for name, length, step in zip(self.names, self.lengths, self.steps, strict=True)
        ]


def layer_axes(layer: ImageLayer) -> LayerAxes:
    """Return the axes of a layer: from its labels, from its file, or as the user chose."""
    shape = _shape(layer)
    behind = 0
    while len(shape) - behind > 2 and shape[len(shape) - behind - 1] == 1:
        behind += 1
    lengths = tuple(shape[: len(shape) - behind - 2])
    in_file = _axes_in_file(layer, lengths)
    names = _names(layer, lengths, in_file)
    steps = tuple(_step(layer, k, name, in_file) for k, name in enumerate(names))
    axis, channel = _choice(layer, lengths)
    if channel is not None:
        names = [PLANE if name == CHANNEL else name for name in names]
        if axis is not None:
            names[axis] = CHANNEL
        index = channel if axis is not None else None
        return LayerAxes(tuple(names), lengths, steps, behind, _channel_names(layer, lengths, axis), index)
    unknown = [k for k, n in enumerate(lengths) if n > 1 and names[k] == PLANE]
    several = sum(n > 1 for n in lengths) > 1
    decided = CHANNEL not in names and not (unknown and several and not _is_result(layer))
    channel_axis = names.index(CHANNEL) if CHANNEL in names else None
    return LayerAxes(
        tuple(names), lengths, steps, behind, _channel_names(layer, lengths, channel_axis), is_decided=decided
    )


def check_channel(layer: ImageLayer) -> LayerAxes:
    """Return the axes of a layer; raises InputError if the user has to choose a channel before."""
    axes = layer_axes(layer)
    if axes.is_decided:
        return axes
    k = axes.channel_axis
    if k is None:
        sizes = " × ".join(str(n) for n in axes.lengths if n > 1)
        raise InputError(
            f"{layer.name} has {sizes} planes on axes of unknown kind. Choose below its list whether one of the axes "
            "holds channels."
        )
    remedy = "Choose one of them below the list of layers"
    channel_index(None, axes.lengths[k], axes.channel_names, where=layer.name, remedy=remedy)
    return axes


def choose_channel(layer: ImageLayer, channel: Channel, axis: int | None = None) -> None:
    """Store the channel that the user chose for a layer.

    Parameters
    ----------
    channel
        Index or name of the channel; "all" if all planes are of one kind.
    axis
        Index of the axis of channels; None for the one that the labels or the file of the layer name.

    Raises
    ------
    InputError
        If the layer has no such axis, or no such channel.
    """
    axes = layer_axes(layer)
    axis = axes.channel_axis if axis is None else axis
    if str(channel).casefold() == ALL_CHANNELS:
        _store_choice(layer, {"axis": None, "index": 0})
        return
    if axis is None or not 0 <= axis < len(axes.lengths):
        raise InputError(f"{layer.name} has no axis of channels: give channel_axis, the index of that axis.")
    names = axes.channel_names if axis == axes.channel_axis else ()
    index = channel_index(channel, axes.lengths[axis], names, where=layer.name)
    _store_choice(layer, {"axis": axis, "index": index})


def channel_choices(layer: ImageLayer) -> list[tuple[str, int | None, Channel]]:
    """Return the choices of the user for a layer: (text, axis, channel), or none if it has no channels.

    The last choice is that all planes are of one kind.
    """
    axes = layer_axes(layer)
    longer = [k for k, n in enumerate(axes.lengths) if n > 1]
    if axes.is_decided and axes.channel_axis is None and _stored(layer) is None:
        return []
    channel_axis = axes.channel_axis
    if channel_axis is not None:
        candidates = [channel_axis]
    else:
        candidates = [k for k in longer if axes.names[k] == PLANE and axes.lengths[k] <= _MOST_CHANNELS]
    choices: list[tuple[str, int | None, Channel]] = []
    for k in candidates:
        names = axes.channel_names if k == channel_axis else ()
        place = "" if len(candidates) == 1 else f"axis {k + 1} of {len(axes.lengths) + 2}, "
        choices += [(f"{place}channel {_channel_text(i, names)}", k, i) for i in range(axes.lengths[k])]
    return [*choices, ("no channels: planes of one kind", None, ALL_CHANNELS)]


def chosen_channel(layer: ImageLayer) -> tuple[int | None, Channel] | None:
    """Return the (axis, channel) that the user chose, as in `channel_choices`; None if there is no choice."""
    axis, channel = _choice(layer, layer_axes(layer).lengths)
    if channel is None:
        return None
    return (None, ALL_CHANNELS) if axis is None else (axis, channel)


def channel_in_words(axes: LayerAxes) -> str | None:
    """Return the chosen channel in words, or None if there are no channels."""
    return None if axes.channel is None else _channel_text(axes.channel, axes.channel_names)


def _shape(layer: ImageLayer) -> tuple[int, ...]:
    shape = tuple((layer.data[0] if layer.multiscale else layer.data).shape)
    return shape[:-1] if layer.rgb else shape  # without the axis of colors


def _axes_in_file(layer: ImageLayer, lengths: tuple[int, ...]) -> tuple[Axis, ...]:
    """Return the axes that the file of a layer states; () if they are not those of the layer."""
    axes = axes_from_json(own_metadata(layer).get("axes"), TIME + DEPTH + PLANE + CHANNEL)
    return axes if tuple(axis.length for axis in axes) == lengths else ()


def _names(layer: ImageLayer, lengths: tuple[int, ...], in_file: Sequence[Axis]) -> list[str]:
    labels = [str(label).strip().casefold() for label in layer.axis_labels]
    names = [_KNOWN.get(label, PLANE) for label in labels[: len(lengths)]]
    if in_file and not any(name != PLANE for name in names):
        names = [axis.name for axis in in_file]
    names = [PLANE if name == CHANNEL and n == 1 else name for name, n in zip(names, lengths, strict=True)]
    for k, length in enumerate(lengths):
        dimension = layer.units[k].dimensionality
        inferred = TIME if "[time]" in dimension else DEPTH if "[length]" in dimension else PLANE
        # Generated images take the units of the layers beside them.
        if names[k] == PLANE and length > 1 and inferred not in names and _kind(layer) != SYNTHETIC:
            names[k] = inferred
    return names


def _step(layer: ImageLayer, k: int, name: str, in_file: Sequence[Axis]) -> float | None:
    """Return the step of an axis in nm or s, from the scale and unit of the layer or from its file."""
    unit, dimension = {TIME: ("s", "[time]"), DEPTH: ("nm", "[length]")}.get(name, ("", ""))
    if unit and dimension in layer.units[k].dimensionality:
        return float((abs(float(layer.scale[k])) * layer.units[k]).to(unit).magnitude)
    return in_file[k].step if in_file and in_file[k].name == name else None


def _stored(layer: ImageLayer) -> dict[str, Any] | None:
    choice = own_metadata(layer).get(_CHOICE)
    return choice if isinstance(choice, dict) else None


def _choice(layer: ImageLayer, lengths: tuple[int, ...]) -> tuple[int | None, int | None]:
    """Return the (axis, index) of the user's choice; (None, 0) for no channels, and (None, None) for no choice."""
    stored = _stored(layer) or {}
    axis: Any = stored.get("axis")
    index: Any = stored.get("index")
    if axis is None and index == 0:
        return None, 0
    whole = isinstance(axis, int) and isinstance(index, int)
    if whole and 0 <= axis < len(lengths) and 0 <= index < lengths[axis]:
        return int(axis), int(index)
    return None, None


def _store_choice(layer: ImageLayer, choice: dict[str, Any]) -> None:
    # An assignment, unlike a change in place, emits an event.
    layer.metadata = {**layer.metadata, METADATA: {**own_metadata(layer), _CHOICE: choice}}


def _channel_names(layer: ImageLayer, lengths: tuple[int, ...], axis: int | None) -> tuple[str, ...]:
    names = own_metadata(layer).get("channels")
    if axis is None or not isinstance(names, (list, tuple)) or len(names) != lengths[axis]:
        return ()
    return tuple(" ".join(str(name).split())[:40] for name in names)


def _kind(layer: ImageLayer) -> Any:
    return own_metadata(layer).get("provenance", {}).get("kind")


def _is_result(layer: ImageLayer) -> bool:
    """Return whether this program made the image of a layer, so that its planes are of one kind."""
    kind = _kind(layer)
    return isinstance(kind, str) and kind != "experimental"

"""Application of an enhancer to widefield images, tile by tile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from ..base.arrays import Pixels
from ..base.devices import autocast, is_out_of_memory, on_device, pick_device, release_memory
from ..base.errors import InputError, Stopped
from ..base.events import Countdown, Note, Progress, Steps, Stop, TileDone, never
from ..base.settings import to_dict
from ..base.version import __version__
from ..images.image import Image, with_own_pixels
from ..images.patches import SYMMETRIES, inverse_symmetry, symmetry
from ..images.provenance import ENHANCED, UNCERTAINTY, Provenance
from ..images.tiles import Tile, tiles
from .levels import Levels, widefield_levels
from .network import ALIGN, REACH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .model import Enhancer
    from .settings import EnhanceConfig
ResultKind = Literal["enhanced", "uncertainty"]
NewArray = Callable[[ResultKind, tuple[int, int, int]], Pixels]
BORDER = 16  # widefield pixels that are mirrored at the border of a plane; a multiple of ALIGN
_TILE = 256  # widefield pixels: large enough that the overlap costs little, small enough for any laptop


@dataclass(frozen=True, eq=False)
class Enhancement:
    """An enhanced image, and its uncertainty where it was asked for.

    The true image lies within `uncertainty` of the enhanced one in the share of pixels that was asked for
    (`EnhanceConfig.confidence`), as far as the widefield image is like those the enhancer was calibrated with. For an
    enhancer without a calibration it is the standard deviation over the 8 symmetries of the input.
    """

    image: Image
    uncertainty: Image | None = None


def enhance_steps(
    enhancer: Enhancer,
    image: Image,
    config: EnhanceConfig,
    *,
    new_array: NewArray | None = None,
    stop: Stop = never,
) -> Steps[Enhancement]:
    """Enhance a widefield image or stack, tile by tile.

    Parameters
    ----------
    enhancer
        A trained enhancer.
    image
        Widefield, (N, Y, X) in any units.
    config
        Settings.
    new_array
        Makes the array (N, Y·upscale, X·upscale) that each kind of result is written into, for results larger than
        memory.
    stop
        Asked at every tile.

    Yields
    ------
    Progress and TileDone at every tile, Note when memory ran out, or the pixel size is unknown or not the one of
    the training.

    Returns
    -------
    The enhanced image with its provenance; its pixel size is that of `image` divided by the factor, and its corner
    that of `image`.

    Raises
    ------
    InputError
        If all pixels of `image` have the same value, or the enhancer makes NaN of them.
    Stopped
        If it was stopped before the last tile was done: half an image is none.
    """
    factor = enhancer.config.upscale
    levels = widefield_levels(image)
    if note := _pixel_size_note(enhancer, image):
        yield Note(note)
    if config.uncertainty and enhancer.calibration is None:
        yield Note(
            f"{enhancer.name} was never calibrated: its uncertainty is only how much the 8 symmetries disagree. Train "
            "it again for intervals that hold."
        )
    make = new_array or _zeros
    shape = (len(image), image.size[0] * factor, image.size[1] * factor)
    sharp = make("enhanced", shape)
    spread = make("uncertainty", shape) if config.uncertainty else None
    device = pick_device(config.device)
    with on_device(enhancer.network, device) as network:
        work = _Tiles(network, device, enhancer, levels)
        yield from _enhance_planes(work, image, config, sharp, spread, stop)
    made = enhanced_provenance(enhancer, image, config)
    pixel_size = enhanced_pixel_size(enhancer, image)
    # The results may be larger than memory, and each tile was checked: they are not read again.
    name = f"{image.name} (enhanced)"
    result = with_own_pixels(image, sharp, pixel_size=pixel_size, name=name, provenance=made)
    if spread is None:
        return Enhancement(result)
    made = uncertainty_provenance(enhancer, image, config)
    name = f"{image.name} (uncertainty)"
    return Enhancement(result, with_own_pixels(result, spread, name=name, provenance=made))


def enhanced_provenance(enhancer: Enhancer, image: Image, config: EnhanceConfig) -> Provenance:
    """Return the provenance of what `enhancer` makes of `image`."""
    return Provenance(
        ENHANCED,
        f"napari-smdiffusion {__version__}",
        enhancer.name,
        source=Path(image.name).name,
        pixel_size_assumed=image.pixel_size is None and enhancer.pixel_size is not None,
        settings=to_dict(config),
    )


def uncertainty_provenance(enhancer: Enhancer, image: Image, config: EnhanceConfig) -> Provenance:
    """Return the provenance of the uncertainty map of what `enhancer` makes of `image`."""
    made = enhanced_provenance(enhancer, image, config)
    meaning = f"the true value lies within this of the enhanced one in {100 * config.confidence:g} % of the pixels"
    if enhancer.calibration is None:
        made = replace(made, settings={**made.settings, "confidence": None})  # nobody knows how often it holds
        meaning = "standard deviation over the 8 symmetries of the input"
    return replace(made, kind=UNCERTAINTY, meaning=meaning)


def enhanced_pixel_size(enhancer: Enhancer, image: Image) -> float | None:
    """Return the pixel size in nm of what `enhancer` makes of `image`; that of its training if the image has none."""
    return image.pixel_size / enhancer.config.upscale if image.pixel_size else enhancer.pixel_size


def _zeros(_: ResultKind, shape: tuple[int, int, int]) -> Pixels:
    return np.zeros(shape, np.float32)


def _pixel_size_note(enhancer: Enhancer, image: Image) -> str | None:
    if enhancer.pixel_size is None:
        return None
    expected = enhancer.pixel_size * enhancer.config.upscale
    if not image.pixel_size:
        return (
            f"{image.name} has no pixel size: it is taken to be {expected:.4g} nm, for which {enhancer.name} was "
            "trained. Give it if it is another."
        )
    if abs(image.pixel_size / expected - 1) < 0.15:
        return None
    return (
        f"{image.name} has pixels of {image.pixel_size:.4g} nm, but {enhancer.name} was trained for {expected:.4g} nm: "
        "train an enhancer for this pixel size, or take the result with care."
    )


@dataclass(frozen=True)
class _Tiles:
    """What it takes to enhance one tile."""

    network: torch.nn.Module
    device: torch.device
    enhancer: Enhancer
    levels: Levels

    @torch.no_grad()
    def enhanced(self, plane: Pixels, tile: Tile, k: int = 0) -> Pixels:
        """Return the core of a tile, seen in symmetry k, in the units of the result."""
        factor = self.enhancer.config.upscale
        window = self.levels.scale(plane[tile.window])
        margins = _margins(tile, plane.shape)
        window = np.pad(window, margins, mode="symmetric")
        batch = torch.from_numpy(np.ascontiguousarray(symmetry(window, k)))[None, None].to(self.device)
        with autocast(self.device):
            output = self.network(batch)
        values = inverse_symmetry(output[0, 0].float().cpu().numpy(), k)
        (top, _), (left, _) = margins
        core = values[top * factor :, left * factor :][tile.core_in_window(factor)]
        # Fluorescence is never negative; the units are those of the super-resolution training images.
        return self.enhancer.levels.unscale(np.maximum(core, 0))

    def uncertainty(self, views: Sequence[Pixels], confidence: float) -> Pixels:
        """Return the uncertainty of the first of the views of a tile's core in the 8 symmetries."""
        spread = np.asarray(np.std(views, axis=0), np.float32)
        calibration, levels = self.enhancer.calibration, self.enhancer.levels
        if calibration is None:
            return spread
        unit = levels.unit
        return unit * calibration.half_width(levels.scale(views[0]), spread / np.float32(unit), confidence)


def _margins(tile: Tile, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return how many pixels to mirror (before, after) a window on each axis.

    At the border of a plane the network would see zeros where there is light; and windows become whole blocks of its
    coarsest grid, so that a turned window meets that grid where the plane does.
    """
    margins = []
    for window, length in zip(tile.window, shape, strict=True):
        before = BORDER if window.start == 0 else 0
        after = BORDER if window.stop == length else 0
        margins.append((before, after + -(window.stop - window.start + before + after) % ALIGN))
    return margins


def _enhance_planes(
    work: _Tiles, image: Image, config: EnhanceConfig, sharp: Pixels, spread: Pixels | None, stop: Stop
) -> Steps[None]:
    side = -(-(config.tile or _TILE) // ALIGN) * ALIGN
    factor = work.enhancer.config.upscale
    todo = [(n, tile) for n in range(len(image)) for tile in tiles(image.size, side, REACH, ALIGN)]
    countdown, done, total = Countdown(0, len(todo)), 0, len(todo)
    while todo:
        n, tile = todo[0]
        views: list[Pixels] = []
        ran_out = False
        try:
            for k in SYMMETRIES if spread is not None else (0,):
                if stop():
                    raise Stopped("Stopped: the image is not enhanced.")
                views.append(work.enhanced(image.pixels[n], tile, k))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if side <= ALIGN * 4:
                raise MemoryError("Memory ran out with the smallest tile: close other programs.") from error
            ran_out = True
        # Here the error is gone, and with it what it held of the memory.
        if ran_out:
            side = side // 2 // ALIGN * ALIGN
            release_memory()
            yield Note(f"Memory ran out: going on with tiles of {side} pixels.")
            todo = [(m, part) for m, old in todo for part in tiles(image.size, side, REACH, ALIGN, old.core)]
            total = done + len(todo)
            countdown = Countdown(done, total)
            continue
        if not all(np.isfinite(view).all() for view in views):
            raise InputError(f"{work.enhancer.name} makes NaN or infinite pixels of {image.name}: train it again.")
        place = (n, *tile.core_in_plane(factor))
        sharp[place] = views[0]
        if spread is not None:
            spread[place] = work.uncertainty(views, config.confidence)
        todo.pop(0)
        done += 1
        yield TileDone(*place)
        yield Progress("enhancing", done, total, countdown.left(done))

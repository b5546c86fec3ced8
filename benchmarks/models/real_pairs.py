"""Measure how far the widefield and the STORM image of each real pair show the same: the limit of every comparison.

    python -m benchmarks.models.real_pairs

The coherence of both images tells for each period how much of the detail they share: 1 for all of it. Where it is 0, no
enhancer can be judged. The displacement of parts of the images shows whether the structure has moved between them. The
bundled enhancer and the interpolated widefield image are then compared with the STORM image, all without their smooth
part and equally blurred.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from benchmarks.common import CELLS, FACTORS, TESTED, no_options, save_entry
from napari_smdiffusion import load_enhancer
from napari_smdiffusion.images.registration import registration_shift, translated
from napari_smdiffusion.measure.restoration import correlation

if TYPE_CHECKING:
    import numpy.typing as npt

    Plane = npt.NDArray[np.float32]

TILE, BINS = 64, 16  # widefield pixels of a window, and rings of its spectrum
FARTHEST = 6  # widefield pixels: displacements are looked for up to here
HIGH_PASSES = (500.0, 1000.0)  # nm: what is smoother is removed
BLURS = (0.0, 40.0, 80.0, 120.0, 160.0, 200.0)  # nm


def tiles(plane: Plane) -> Plane:
    """Return overlapping windows, (N, TILE, TILE), without their mean and faded to their borders."""
    starts = [range(0, side - TILE + 1, TILE // 2) for side in plane.shape]
    windows = np.stack([plane[y : y + TILE, x : x + TILE] for y in starts[0] for x in starts[1]])
    fade = np.outer(np.hanning(TILE), np.hanning(TILE))
    return np.asarray((windows - windows.mean((1, 2), keepdims=True)) * fade, np.float32)


def coherence(sharp: Plane, widefield: Plane, pixel_size: float) -> dict[str, float]:
    """Return the coherence of two images of one grid by period in nm."""
    one, other = (np.fft.fft2(tiles(plane)) for plane in (sharp, widefield))
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(TILE), np.fft.fftfreq(TILE)))
    edges = np.linspace(0, 0.5, BINS + 1)
    found = {}
    for low, high in pairwise(edges):
        ring = (radius >= low) & (radius < high) & (radius > 0)
        cross = abs((one.conj() * other)[:, ring].sum())
        power = np.sqrt((abs(one[:, ring]) ** 2).sum() * (abs(other[:, ring]) ** 2).sum())
        found[f"{2 * pixel_size / (low + high):.0f}"] = round(float(cross / power), 3)
    return found


def displacements(sharp: Plane, widefield: Plane, pixel_size: float) -> dict[str, float]:
    """Return the spread of the displacement of parts of the images in nm, of those whose peak is clear."""

    def details(plane: Plane, blur: float) -> Plane:
        return np.asarray(gaussian_filter(plane, blur) - gaussian_filter(plane, FARTHEST), np.float32)

    found = []
    for one, other in zip(tiles(details(widefield, 1)), tiles(details(sharp, 1.8)), strict=True):
        product = np.fft.fftshift(np.fft.ifft2(np.fft.fft2(one) * np.fft.fft2(other).conj()).real)
        middle = slice(TILE // 2 - FARTHEST, TILE // 2 + FARTHEST + 1)
        near = product[middle, middle]
        peak = np.array(np.unravel_index(near.argmax(), near.shape)) - FARTHEST
        clear = near.max() > 0.4 * np.sqrt(np.square(one).sum() * np.square(other).sum())
        if clear and np.abs(peak).max() < FARTHEST:
            found.append(peak)
    return {"parts": len(found), "spread_nm": round(float(np.std(found, axis=0).mean() * pixel_size), 1)}


def band(plane: Plane, size: float, blur: float, smooth: float) -> Plane:
    """Return a plane with pixels of `size` nm, blurred by `blur` nm, without what `smooth` nm leave."""
    detail = gaussian_filter(plane, blur / size) if blur else plane
    return np.asarray(detail - gaussian_filter(plane, smooth / size), np.float32)


def compared(name: str) -> dict[str, Any]:
    """Return everything that is measured of one structure."""
    storm, _, widefield = CELLS[name]()
    factor, size = FACTORS[name], storm.pixel_size or 20.0
    shift = registration_shift(list(widefield.pixels), list(storm.pixels), factor) or (0.0, 0.0)
    height, width = widefield.size
    back = translated(storm.pixels[0].astype(np.float32), (-shift[0], -shift[1]))
    binned = back[: height * factor, : width * factor].reshape(height, factor, width, factor).mean((1, 3))
    coarse = widefield.pixels[0].astype(np.float32)
    images = {
        "enhanced": load_enhancer(name).enhance(widefield).pixels[0],
        "interpolated": zoom(coarse, factor, order=3, grid_mode=True, mode="nearest"),
    }
    images = {kind: translated(image, shift) for kind, image in images.items()}
    rows, columns = (slice(*part.indices(side)) for part, side in zip(TESTED[name], storm.size, strict=True))
    truth = storm.pixels[0].astype(np.float32)
    table: dict[str, dict[str, float]] = {}
    for smooth in HIGH_PASSES:
        for blur in BLURS:
            expected = band(truth, size, blur, smooth)[rows, columns]
            table[f"without {smooth:g} nm and more, blurred by {blur:g} nm"] = {
                kind: round(correlation(band(image, size, blur, smooth)[rows, columns], expected), 3)
                for kind, image in images.items()
            }
    return {
        "coherence_by_period_nm": coherence(binned, coarse, size * factor),
        "displacement": displacements(binned, coarse, size * factor),
        "correlation": table,
    }


def main() -> None:
    """Measure both pairs."""
    no_options(__doc__)
    for name in CELLS:
        save_entry("real_pairs", name, compared(name))


if __name__ == "__main__":
    main()

"""The grid that the last layer of an enhancer (a pixel shuffle) can leave in its result.

Such a grid repeats with the pixels of the widefield image, so that its phase at the frequencies k / period is the same
all over the image. Structure has any phase. So the product of these amplitudes of two different blocks is zero on
average without a grid, whatever the structure is. With one it is the power of the grid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..images.tiles import central

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..base.arrays import Pixels

# Strength above which a result is said to have a grid: measured on results of the bundled enhancers and of others that
# were hardly trained (benchmarks/models/doubts.py).
GRID = 0.02
_BLOCK = 16  # widefield pixels along the side of a block
_LARGEST = 256  # widefield pixels: side of the middle part that is looked at
_LEAST_BLOCKS = 4  # with structure
_CERTAIN = 4.0  # standard errors by which the power must exceed 0
_STRUCTURE = 0.1  # of the brightest block's mean: darker blocks show no structure


def grid_strength(enhanced: Pixels, period: float) -> float:
    """Return the root mean square of the grid in an enhanced plane, in parts of the brightness of its structure.

    Parameters
    ----------
    enhanced
        (Y, X) plane, in any units; at least 0.
    period
        Pixels of the plane per pixel of the network's input; not a whole number if the result was resampled.

    Returns
    -------
    The strength; 0 if no grid is certain.
    """
    plane = np.asarray(enhanced[central(enhanced.shape, round(_LARGEST * period))], np.float32)
    side = round(_BLOCK * period)
    rows, columns = (length // side for length in plane.shape)
    if rows * columns < _LEAST_BLOCKS or period < 2:
        return 0.0
    blocks = plane[: rows * side, : columns * side].reshape(rows, side, columns, side).transpose(0, 2, 1, 3)
    means = blocks.mean((2, 3))
    shown = means > _STRUCTURE * float(means.max())
    if shown.sum() < _LEAST_BLOCKS or not means.max() > 0:
        return 0.0
    amplitudes = _amplitudes(blocks - means[..., None, None], period)[shown]
    count = len(amplitudes)
    # Power of the sum, without the products of each block with itself.
    products = (amplitudes @ amplitudes.conj().T).real
    np.fill_diagonal(products, 0)
    pairs = count * (count - 1)
    power, error = float(products.sum()) / pairs, float(np.sqrt(2 * np.square(products).sum())) / pairs
    return float(np.sqrt(power) / means[shown].mean()) if power > _CERTAIN * error else 0.0


def grid_doubt(name: str, strength: float) -> str:
    """Return a sentence if the result of the image `name` has a grid; otherwise ""."""
    if strength <= GRID:
        return ""
    return (
        f"The result of {name} has a grid with the spacing of the widefield pixels ({100 * strength:.0f} % of its "
        f"brightness; up to {100 * GRID:g} % is usual). It is made by the enhancer and is no structure: train the "
        "enhancer for longer, or choose another one."
    )


def _amplitudes(blocks: npt.NDArray[np.float32], period: float) -> npt.NDArray[np.complex64]:
    """Return the amplitudes of blocks (rows, columns, Y, X) at the frequencies of a grid, (rows, columns, frequencies).

    The phases count from the corner of the image. One of each two opposite frequencies is left out, and counts twice.
    """
    rows, columns, side, _ = blocks.shape
    highest = int(period / 2)
    window = np.hanning(side + 2)[1:-1]
    window /= window.sum()
    steps = np.arange(-highest, highest + 1)
    down, across = (
        (window * np.exp(-2j * np.pi * steps[:, None, None] * np.arange(count * side).reshape(count, side) / period))
        .transpose(1, 0, 2)
        .astype(np.complex64)
        for count in (rows, columns)
    )
    found = np.einsum("yka,yxab,xlb->yxkl", down, blocks, across, optimize=True)
    weights = np.ones((len(steps), len(steps)), np.float32)
    weights[highest, highest] = 0
    return np.asarray((found * np.sqrt(weights)).reshape(rows, columns, -1), np.complex64)

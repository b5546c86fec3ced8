"""Mathematical models of labelled structures, rendered as a localization microscope would show them.

They are the baseline the paper compares with, and sample data that anyone may have. A structure is a set of curves;
fluorophores sit along them, each is localized a few times with a limited precision, and the localizations are rendered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from ..base.errors import InputError
from ..images.image import Image, common_pixel_size, read_only
from ..images.provenance import SIMULATED, Provenance
from .registry import STRUCTURES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base.arrays import Values
    from .registry import StructureModel

Structure: TypeAlias = str  # a key of STRUCTURES
_PRECISION = 9.0  # nm, localization precision (standard deviation) of a dSTORM measurement


def simulate(
    structure: Structure,
    count: int = 1,
    size: int = 512,
    pixel_size: float = 20.0,
    seed: int = 0,
    labelling: float | None = None,
) -> Image:
    """Simulate super-resolution images of a structure.

    Parameters
    ----------
    structure
        Name of one of `STRUCTURES`, such as "microtubules" or "mitochondria".
    count, size
        Number of images, and their side in pixels.
    pixel_size
        In nm.
    seed
        Image k depends on (seed, k) alone.
    labelling
        Share of the sites that carry a label, on average; it varies along a structure and between structures, so that
        there are gaps. From 3 on hardly any are left. By default it is that of the structure.

    Returns
    -------
    Image of (count, size, size): localizations per pixel, rendered with the localization precision.

    Raises
    ------
    InputError
        If there is no such structure, or a number is out of its range.
    """
    model = STRUCTURES[structure]
    labelling = model.labelling if labelling is None else labelling
    if count < 1 or size < 16 or seed < 0 or not pixel_size > 0 or not labelling > 0:
        raise InputError(
            f"count ({count}) must be at least 1, size ({size}) at least 16, the seed ({seed}) at least 0, and the "
            f"pixel size ({pixel_size}) and the labelling ({labelling}) positive."
        )
    planes = [_one(model, size, pixel_size, labelling, np.random.default_rng([seed, k])) for k in range(count)]
    provenance = Provenance(SIMULATED, structure=structure, seed=int(seed), pixel_size_nm=float(pixel_size))
    return Image(read_only(np.stack(planes)), pixel_size, name=f"simulated {structure}", provenance=provenance)


def simulated_like(
    structure: Structure, images: Sequence[Image], seed: int = 0, pixel_size: float | None = None
) -> list[Image]:
    """Return simulated fields of a structure to train on beside `images`, of their pixel size.

    Where there are no images it is `pixel_size` in nm, by default 20 nm.

    Returns
    -------
    One image of (8, 512, 512).
    """
    size = common_pixel_size(images) if images else pixel_size
    return [simulate(structure, 8, 512, size or 20.0, seed)]


def _one(
    model: StructureModel, size: int, pixel_size: float, labelling: float, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    field = size * pixel_size
    sites = model.draw_sites(field, labelling, rng)
    # Each labelled site blinks a geometric number of times; each blink is one localization.
    blinks = np.repeat(sites, rng.geometric(0.3, len(sites)), axis=0)
    localized = blinks + rng.normal(0, _PRECISION, blinks.shape)
    everything = np.concatenate([localized, _background(field, rng)])
    return _histogram(everything, size, pixel_size)


def _histogram(points: Values, size: int, pixel_size: float) -> npt.NDArray[np.float32]:
    """Count (y, x) points per pixel and blur the counts by the localization precision, as renderings do."""
    y, x = np.floor(points / pixel_size).astype(np.int64).T
    inside = (y >= 0) & (y < size) & (x >= 0) & (x < size)
    counts = np.bincount(y[inside] * size + x[inside], minlength=size * size).reshape(size, size)
    blurred: npt.NDArray[np.float32] = gaussian_filter(counts.astype(np.float32), max(_PRECISION / pixel_size, 0.3))
    return blurred


def _background(field: float, rng: np.random.Generator) -> Values:
    """Single false localizations, and small clusters of unbound label."""
    area = (field / 1000) ** 2
    single = rng.uniform(0, field, (rng.poisson(8 * area), 2))
    spots = rng.uniform(0, field, (rng.poisson(1.5 * area), 2))
    clusters = np.repeat(spots, rng.geometric(0.12, len(spots)), axis=0)
    return np.concatenate([single, clusters + rng.normal(0, 12, clusters.shape)])

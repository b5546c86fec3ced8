"""Simulated super-resolution images of labelled structures, as localization microscopy renders them.

A structure is a set of curves with fluorophores along them. Each fluorophore is localized several times with a limited
precision, and the localizations are rendered. The images are sample data, and the baseline of the realism score.
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
        A name of `STRUCTURES`, such as "microtubules" or "mitochondria".
    count, size
        Number of images, and their side in pixels.
    pixel_size
        Side of a pixel in nm.
    seed
        Seed of the random numbers; image k depends only on (seed, k).
    labelling
        Mean share of the sites that carry a label. It varies along a structure and between structures, which leaves
        gaps; at 3 and above there are hardly any gaps. The default is the one of the structure.

    Returns
    -------
    Image with pixels (count, size, size): localizations per pixel, blurred by the localization precision.

    Raises
    ------
    InputError
        If the structure is unknown, or a number is out of its range.
    """
    model = STRUCTURES[structure]
    labelling = model.labelling if labelling is None else labelling
    if count < 1 or size < 16 or seed < 0 or not pixel_size > 0 or not labelling > 0:
        raise InputError(
            f"count ({count}) must be at least 1, size ({size}) at least 16, the seed ({seed}) at least 0, and the "
            f"pixel size ({pixel_size}) and the labelling ({labelling}) positive."
        )
    planes = [
        _simulate_plane(model, size, pixel_size, labelling, np.random.default_rng([seed, k])) for k in range(count)
    ]
    provenance = Provenance(SIMULATED, structure=structure, seed=int(seed), pixel_size_nm=float(pixel_size))
    return Image(read_only(np.stack(planes)), pixel_size, name=f"simulated {structure}", provenance=provenance)


def simulated_like(
    structure: Structure, images: Sequence[Image], seed: int = 0, pixel_size: float | None = None
) -> list[Image]:
    """Simulate fields of a structure with the pixel size of `images`, as additional training images.

    If `images` is empty, the pixel size is `pixel_size` in nm. The default is 20 nm.

    Returns
    -------
    A list of one image with pixels (8, 512, 512).
    """
    size = common_pixel_size(images) if images else pixel_size
    return [simulate(structure, 8, 512, size or 20.0, seed)]


def _simulate_plane(
    model: StructureModel, size: int, pixel_size: float, labelling: float, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    field = size * pixel_size
    sites = model.draw_sites(field, labelling, rng)
    # The number of blinks of a site is geometrically distributed; each blink is one localization.
    blinks = np.repeat(sites, rng.geometric(0.3, len(sites)), axis=0)
    localized = blinks + rng.normal(0, _PRECISION, blinks.shape)
    return _render(np.concatenate([localized, _background(field, rng)]), size, pixel_size)


def _render(points: Values, size: int, pixel_size: float) -> npt.NDArray[np.float32]:
    """Count the points (N, 2) per pixel, and blur the counts (size, size) by the localization precision."""
    y, x = np.floor(points / pixel_size).astype(np.int64).T
    inside = (y >= 0) & (y < size) & (x >= 0) & (x < size)
    counts = np.bincount(y[inside] * size + x[inside], minlength=size * size).reshape(size, size)
    blurred: npt.NDArray[np.float32] = gaussian_filter(counts.astype(np.float32), max(_PRECISION / pixel_size, 0.3))
    return blurred


def _background(field: float, rng: np.random.Generator) -> Values:
    """Draw single false localizations and small clusters of unbound label: (N, 2) as (y, x) in nm."""
    area = (field / 1000) ** 2
    single = rng.uniform(0, field, (rng.poisson(8 * area), 2))
    spots = rng.uniform(0, field, (rng.poisson(1.5 * area), 2))
    clusters = np.repeat(spots, rng.geometric(0.12, len(spots)), axis=0)
    return np.concatenate([single, clusters + rng.normal(0, 12, clusters.shape)])

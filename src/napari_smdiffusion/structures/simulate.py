"""Simulated super-resolution images of labelled structures, as localization microscopy renders them.

A structure is a set of molecules. Some carry a label, whose fluorophore is localized several times with a limited
precision, and the localizations are rendered. The images are sample data, training data, and the baseline of the
realism score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from ..base.errors import InputError
from ..base.settings import setting_fields, to_dict
from ..images.image import Image, common_pixel_size, read_only
from ..images.provenance import SIMULATED, Provenance
from .labelling import localize, unspecific_localizations
from .registry import STRUCTURES
from .settings import BLINKS, LabellingConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base.arrays import Values
    from .registry import StructureModel

Structure: TypeAlias = str  # a key of STRUCTURES


def simulate(
    structure: Structure,
    count: int = 1,
    size: int = 512,
    pixel_size: float = 20.0,
    seed: int = 0,
    labelling: float | None = None,
    **settings: float | str | None,
) -> Image:
    """Simulate super-resolution images of a structure.

    Parameters
    ----------
    structure
        A name of `STRUCTURES`, such as "microtubules" or "nuclear-pores".
    count, size
        Number of images, and their side in pixels.
    pixel_size
        Side of a pixel in nm.
    seed
        Seed of the random numbers; image k depends only on (seed, k).
    labelling
        Mean share of the molecules that carry a label. It varies along filaments, which leaves gaps; at 3 and above
        there are hardly any gaps. The default is the one of the structure.
    **settings
        Other fields of `LabellingConfig`: `linkage_error` and `localization_precision` in nm, `blinks` (localizations
        per label), and `unspecific_background` (localizations per µm²). A structure can have settings of its own: those
        of microtubules are the fields of `MicrotubuleConfig`.

    Returns
    -------
    Image with pixels (count, size, size): localizations per pixel, blurred by the localization precision.

    Raises
    ------
    InputError
        If the structure is unknown, or a number is out of its range.
    """
    model = STRUCTURES[structure]
    if count < 1 or size < 16 or seed < 0 or not pixel_size > 0:
        raise InputError(
            f"count ({count}) must be at least 1, size ({size}) at least 16, the seed ({seed}) at least 0, and the "
            f"pixel size ({pixel_size}) positive."
        )
    names = {field.name for field in setting_fields(model.settings)} if model.settings else set()
    shape = [model.settings(**{name: settings.pop(name) for name in names & {*settings}})] if model.settings else []
    config = LabellingConfig(labelling=labelling, **settings)  # type: ignore[arg-type]  # its fields check themselves
    rngs = (np.random.default_rng([seed, k]) for k in range(count))
    planes = [_simulate_plane(model, size, pixel_size, config, shape, rng) for rng in rngs]
    changed = {name: value for each in (config, *shape) for name, value in _changed(each).items()}
    provenance = Provenance(
        SIMULATED, structure=structure, seed=int(seed), pixel_size_nm=float(pixel_size), settings=changed
    )
    return Image(read_only(np.stack(planes)), pixel_size, name=f"simulated {structure}", provenance=provenance)


def simulated_like(
    structure: Structure,
    images: Sequence[Image],
    seed: int = 0,
    pixel_size: float | None = None,
    labels: LabellingConfig | None = None,
) -> list[Image]:
    """Simulate fields of a structure with the pixel size of `images`, as additional training images.

    If `images` is empty, the pixel size is `pixel_size` in nm. The default is 20 nm. The default of `labels` are those
    of the structure.

    Returns
    -------
    A list of one image with pixels (8, 512, 512).
    """
    size = common_pixel_size(images) if images else pixel_size
    return [simulate(structure, 8, 512, size or 20.0, seed, **to_dict(labels or LabellingConfig()))]


def _changed(config: Any) -> dict[str, Any]:
    """Return the values of a config that are not the defaults."""
    return {name: value for name, value in to_dict(config).items() if value != getattr(type(config), name)}


def _simulate_plane(
    model: StructureModel,
    size: int,
    pixel_size: float,
    config: LabellingConfig,
    shape: Sequence[Any],
    rng: np.random.Generator,
) -> npt.NDArray[np.float32]:
    """Simulate one plane; `shape` holds the settings of the structure, if it has any."""
    field, precision = size * pixel_size, config.localization_precision
    sites = model.draw_sites(field, _stated(config.labelling, model.labelling), rng, *shape)
    linkage_error = _stated(config.linkage_error, model.linkage_error)
    localizations = localize(sites, linkage_error, _stated(config.blinks, BLINKS), precision, rng)
    background = unspecific_localizations(field, config.unspecific_background, rng)
    return _render(np.concatenate([localizations, background]), size, pixel_size, precision)


def _stated(value: float | None, default: float) -> float:
    """Return the value that the user stated, or the default."""
    return default if value is None else value


def _render(points: Values, size: int, pixel_size: float, precision: float) -> npt.NDArray[np.float32]:
    """Count the points (N, 2) per pixel, and blur the counts (size, size) by the localization precision."""
    y, x = np.floor(points / pixel_size).astype(np.int64).T
    inside = (y >= 0) & (y < size) & (x >= 0) & (x < size)
    counts = np.bincount(y[inside] * size + x[inside], minlength=size * size).reshape(size, size)
    blurred: npt.NDArray[np.float32] = gaussian_filter(counts.astype(np.float32), max(precision / pixel_size, 0.3))
    return blurred

"""How the map of trust is shown: in three colors, and not at all where no sample shows structure. Without Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...images.provenance import TRUST
from ...posterior.trust import CERTAIN, LIKELY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari.utils.colormaps import Colormap

    from ...enhance.applying import Enhancement

# (word, name of the color, color with its opacity, share of the samples from which on). The colors are distinct for
# color-blind people (Okabe and Ito). What is uncertain covers much of an image, and hides the least below it.
LEVELS = (
    ("uncertain", "red", "#D55E0099", 0.0),
    ("likely", "yellow", "#F0E442CC", LIKELY),
    ("certain", "green", "#009E73FF", CERTAIN),
)
_LEAST = 1e-3  # below the share of one sample of many, and the tolerance of a share that equals a threshold
TRUST_TITLE = f"trust ({', '.join(f'{name} {word}' for word, name, *_ in reversed(LEVELS))})"
LEGEND = (
    f"Green is certain: at least {10 * CERTAIN:.0f} of 10 samples show structure there. Yellow is likely: at least "
    f"{10 * LIKELY:.0f} of 10 do. Red is uncertain: fewer do. Elsewhere no sample shows structure."
)


def trust_colormap() -> Colormap:
    """Return a colormap for shares of samples between 0 and 1: three colors, transparent at 0."""
    from napari.utils.colormaps import Colormap

    rgba = [[int(color[k : k + 2], 16) / 255 for k in (1, 3, 5, 7)] for *_, color, _ in LEVELS]
    colors = np.array([[0, 0, 0, 0], *rgba], np.float32)
    starts = [_LEAST if share == 0 else share - _LEAST for *_, share in LEVELS]
    return Colormap(colors, name="trust", controls=[0, *starts, 1], interpolation="zero")


def look_of(kind: str) -> dict[str, Any]:
    """Return the options of a layer of a kind of image that has a look of its own: the map of trust."""
    if kind != TRUST:
        return {}
    look = {"colormap": trust_colormap(), "contrast_limits": (0.0, 1.0)}
    return {**look, "blending": "translucent_no_depth", "opacity": 0.7}


def samples_sentences(results: Iterable[Enhancement]) -> list[str]:
    """Return sentences on the samples of results and the colors of their map of trust; none without samples."""
    counts = {len(result.samples) // len(result.image) for result in results if result.samples is not None}
    if not counts:
        return []
    number = " or ".join(map(str, sorted(counts)))
    plural = "s" * (counts != {1})
    return [
        f"Move the slider named sample through the {number} sample{plural}.",
        "'Map shown' above shows the map of trust: green is certain, yellow likely, red uncertain.",
    ]

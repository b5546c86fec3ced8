"""Pictures for reports: fields side by side with scale bars. They need no display, because pyplot is not used."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.whole_files import atomic_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..base.arrays import Pixels
    from ..images.image import Image
    from .limits import Level

_COLORS = "inferno"
INK = "#1b1b1f"
KIND_COLORS = {"experimental": "#1f77b4", "generated": "#d62728"}
# Of verdicts, for all kinds of color vision (Okabe and Ito).
LEVEL_COLORS: Mapping[Level, str] = MappingProxyType(
    {"good": "#009E73", "differs": "#E69F00", "warning": "#D55E00", "unknown": "#8A8A8A"}
)


def new_figure(width: float, height: float) -> Figure:
    """Return a figure of this size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG file atomically."""
    with atomic_file(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")


def contrast(images: Sequence[Pixels], high: float = 99.7) -> tuple[float, float]:
    """Return the common intensities of `images` that are shown as black and white."""
    pixels = np.concatenate([np.ravel(image) for image in images])
    low, top = (float(v) for v in np.percentile(pixels, (1.0, high)))
    return low, top if top > low else low + 1


def show(
    axes: Axes,
    plane: Pixels,
    limits: tuple[float, float],
    title: str,
    pixel_size: float | None,
    patch: int | None = None,
) -> None:
    """Show a plane with a title, a scale bar, and a gamma of 0.7, which makes dim filaments visible.

    For a contact sheet, `patch` is the width of its patches in pixels; the scale bar fits into one patch.
    """
    low, high = limits
    shown = np.clip((plane - low) / (high - low), 0, 1) ** 0.7
    axes.imshow(shown, cmap=_COLORS, vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(title, fontsize=11, loc="left", color=INK)
    axes.set_axis_off()
    if pixel_size:
        _scale_bar(axes, plane.shape, pixel_size, patch)


def _scale_bar(axes: Axes, shape: tuple[int, ...], pixel_size: float, patch: int | None) -> None:
    """Draw a bar of a round length: a fifth of the width, or within the last patch of a contact sheet."""
    from matplotlib.patheffects import withStroke

    target = (shape[1] / 5 if patch is None else min(shape[1] / 5, 0.85 * patch)) * pixel_size
    length = max(v for v in (100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000) if v <= max(target, 100))
    width, margin = length / pixel_size, shape[1] * 0.04 if patch is None else patch * 0.06
    label = f"{length / 1000:g} µm" if length >= 1000 else f"{length:g} nm"
    y, x = shape[0] - margin, shape[1] - margin - width
    # Dark outlines, because the structure below may be bright.
    axes.plot([x, x + width], [y, y], color="black", lw=5, solid_capstyle="projecting")
    axes.plot([x, x + width], [y, y], color="white", lw=3, solid_capstyle="butt")
    text = axes.text(x + width / 2, y - margin * 0.4, label, color="white", fontsize=10, ha="center", va="bottom")
    text.set_path_effects([withStroke(linewidth=3, foreground="black")])


def contact_sheet(patches: Pixels, columns: int, gap: int = 2, fill: float | None = None) -> Pixels:
    """Arrange (N, Y, X) patches in rows of `columns`, with gaps of `gap` pixels; `fill` is the maximum by default."""
    rows = -(-len(patches) // columns)
    height, width = patches.shape[1] + gap, patches.shape[2] + gap
    sheet = np.full((rows * height - gap, columns * width - gap), patches.max() if fill is None else fill, np.float32)
    for i, patch in enumerate(patches):
        y, x = divmod(i, columns)
        sheet[y * height : y * height + patch.shape[0], x * width : x * width + patch.shape[1]] = patch
    return sheet


def draw_overview(
    path: Path,
    experimental: Image,
    generated: Image,
    widefield: Image,
    enhanced: Image,
    reference: Image | None,
) -> None:
    """Write the picture of the demo: experimental and generated fields, widefield, enhanced and reference images.

    Parameters
    ----------
    path
        PNG file.
    experimental, generated
        The first experimental plane and the first one or two generated planes are shown, cropped to one size.
    widefield, enhanced, reference
        Images of one field; the reference is a super-resolution image, or None.
    """
    side = min(*experimental.size, *generated.size)
    columns = 3 if reference is not None else 2
    fields = [_middle(experimental.pixels[0], side), *generated.pixels[: columns - 1, :side, :side]]
    # The kind may be "simulated", as that of the sample in the package.
    kind = experimental.provenance.kind.capitalize()
    titles = [f"{kind}, a training image", *["Generated, not measured"] * (columns - 1)]
    limits = contrast(fields)
    figure = new_figure(4.6 * columns, 9.9)
    parts: Any = figure.subfigures(2, 1)
    top, bottom = parts
    for axes, plane, title in zip(np.atleast_1d(top.subplots(1, len(fields))), fields, titles, strict=True):
        show(axes, plane, limits, title, generated.pixel_size)
    lower = np.atleast_1d(bottom.subplots(1, columns))
    show(lower[0], widefield.pixels[0], contrast([widefield.pixels[0]], 99.9), "Widefield", widefield.pixel_size)
    factor = enhanced.size[0] // widefield.size[0]
    plane = enhanced.pixels[0]
    show(lower[1], plane, contrast([plane]), f"Enhanced ×{factor}", enhanced.pixel_size)
    if reference is not None:
        plane = reference.pixels[0]
        show(lower[2], plane, contrast([plane]), "Super-resolution image of the same field", reference.pixel_size)
    save_figure(figure, path)


def _middle(plane: Pixels, side: int) -> Pixels:
    """Return the central window of a plane, `side`² pixels."""
    y, x = ((length - side) // 2 for length in plane.shape)
    return plane[y : y + side, x : x + side]

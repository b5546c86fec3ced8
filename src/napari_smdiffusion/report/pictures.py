"""Pictures for reports: fields side by side with scale bars. No pyplot, so that no display is needed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.whole_files import atomic_file
from ..images.patches import symmetry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..base.arrays import Pixels
    from ..images.image import Image
    from ..measure.copies import CopySearch

_COLORS = "inferno"
_INK = "#1b1b1f"
_KINDS = {"experimental": "#1f77b4", "generated": "#d62728"}


def new_figure(width: float, height: float) -> Figure:
    """Return a figure of this size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG, whole or not at all."""
    with atomic_file(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")


def contrast(images: Sequence[Pixels], high: float = 99.7) -> tuple[float, float]:
    """Return the intensities shown as black and white, common to all `images`."""
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
    """Show a plane with a gentle gamma, which lets dim filaments be seen, its title, and a scale bar.

    Of a contact sheet `patch` is the width of its patches in pixels, of which the bar is no longer than one.
    """
    low, high = limits
    shown = np.clip((plane - low) / (high - low), 0, 1) ** 0.7
    axes.imshow(shown, cmap=_COLORS, vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(title, fontsize=11, loc="left", color=_INK)
    axes.set_axis_off()
    if pixel_size:
        _scale_bar(axes, plane.shape, pixel_size, patch)


def _scale_bar(axes: Axes, shape: tuple[int, ...], pixel_size: float, patch: int | None) -> None:
    """Draw a bar of a round length, about a fifth of the width, or within the last patch of a contact sheet."""
    from matplotlib.patheffects import withStroke

    target = (shape[1] / 5 if patch is None else min(shape[1] / 5, 0.85 * patch)) * pixel_size
    length = max(v for v in (100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000) if v <= max(target, 100))
    width, margin = length / pixel_size, shape[1] * 0.04 if patch is None else patch * 0.06
    label = f"{length / 1000:g} µm" if length >= 1000 else f"{length:g} nm"
    y, x = shape[0] - margin, shape[1] - margin - width
    # Dark outlines, for there may be bright structure below.
    axes.plot([x, x + width], [y, y], color="black", lw=5, solid_capstyle="projecting")
    axes.plot([x, x + width], [y, y], color="white", lw=3, solid_capstyle="butt")
    text = axes.text(x + width / 2, y - margin * 0.4, label, color="white", fontsize=10, ha="center", va="bottom")
    text.set_path_effects([withStroke(linewidth=3, foreground="black")])


def contact_sheet(patches: Pixels, columns: int, gap: int = 2, fill: float | None = None) -> Pixels:
    """Lay (N, Y, X) patches out in rows of `columns`, with gaps of `gap` pixels of `fill`, or of the brightest."""
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
    """Write the one picture of the whole work: experimental and generated fields, widefield, enhanced, reference.

    Parameters
    ----------
    path
        PNG file.
    experimental, generated
        The first plane of one and the first one or two of the other are shown, cut to the same size.
    widefield, enhanced, reference
        One field; the reference is the super-resolution image of it, where there is one.
    """
    side = min(*experimental.size, *generated.size)
    columns = 3 if reference is not None else 2
    fields = [_middle(experimental.pixels[0], side), *generated.pixels[: columns - 1, :side, :side]]
    # The sample that ships with the package is simulated.
    seen = experimental.provenance.kind.capitalize()
    titles = [f"{seen}, seen in training", *["Generated: no microscope saw this"] * (columns - 1)]
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
    """Return the middle window of a plane."""
    y, x = ((length - side) // 2 for length in plane.shape)
    return plane[y : y + side, x : x + side]


@dataclass(frozen=True)
class ComparedPatches:
    """(N, Y, X) patches of both kinds, what was found of them, and (Y, X) training planes that were searched.

    `spectra` and `histograms` are what `assess` returns, `filaments` the differences that `compare_filaments` does, as
    plain values; `looked_up` is None where there was nothing to search.
    """

    experimental: Pixels
    generated: Pixels
    pixel_size: float | None
    spectra: Mapping[str, Any]
    histograms: Mapping[str, Any]
    filaments: Mapping[str, Any]
    training: Sequence[Pixels]
    looked_up: CopySearch | None


@dataclass(frozen=True)
class ShownField:
    """Planes of one field: widefield and error map (Y, X); enhanced, reference, uncertainty (Y·factor, X·factor)."""

    widefield: Pixels
    enhanced: Pixels
    reference: Pixels | None
    error: Pixels
    uncertainty: Pixels | None
    pixel_size: float | None  # of the enhanced plane, in nm
    factor: int


def draw_comparison(
    path: Path, patches: ComparedPatches | None, field: ShownField | None, said: Sequence[str] = ()
) -> None:
    """Write one picture of everything that was compared.

    Of patches: both kinds side by side, intensity histograms, radial spectra, what their skeletons say, and the nearest
    training patches if there are training images. Of an enhanced field: widefield, enhanced, reference if there is one,
    the error map, and the uncertainty map if there is one. And what is said of all that, below.

    Parameters
    ----------
    path
        PNG file.
    patches, field
        What there is of the two.
    said
        Sentences.
    """
    rows: list[tuple[float, Callable[[Any], None]]] = []
    if patches is not None:
        limits = contrast([patches.experimental, patches.generated])
        rows.append((5.0, partial(_draw_sheets, patches=patches, limits=limits)))
        rows.append((4.0, partial(_draw_statistics, patches=patches)))
        if (looked_up := patches.looked_up) is not None:
            rows.append((3.4, partial(_draw_nearest, looked_up=looked_up, training=patches.training, limits=limits)))
    if field is not None:
        rows.append((12.6 / len(_planes(field)) + 0.5, partial(_draw_field, field=field)))
    if lines := [line for sentence in said for line in wrap(sentence, 165, subsequent_indent="    ")]:
        rows.append((0.4 + 0.19 * len(lines), partial(_write, lines=lines)))
    heights = [height for height, _ in rows]
    figure = new_figure(13, sum(heights))
    parts: Any = figure.subfigures(len(rows), 1, squeeze=False, height_ratios=heights)[:, 0]
    for part, (_, draw) in zip(parts, rows, strict=True):
        draw(part)
    save_figure(figure, path)


def _write(figure: Any, lines: Sequence[str]) -> None:
    figure.text(0.012, 0.97, "\n".join(lines), fontsize=10, color=_INK, va="top", linespacing=1.3)


def _draw_sheets(figure: Any, patches: ComparedPatches, limits: tuple[float, float]) -> None:
    kinds = (("Experimental", patches.experimental), ("Generated", patches.generated))
    for axes, (title, kind) in zip(figure.subplots(1, 2), kinds, strict=True):
        sheet = contact_sheet(kind[:: max(1, len(kind) // 12)][:12], 4, fill=limits[1])
        show(axes, sheet, limits, title, patches.pixel_size, kind.shape[-1])


def _planes(field: ShownField) -> list[tuple[str, Pixels, float | None]]:
    """Return the planes that there are, with titles and pixel sizes."""
    coarse = field.pixel_size * field.factor if field.pixel_size else None
    planes = [
        ("Widefield", field.widefield, coarse),
        (f"Enhanced ×{field.factor}", field.enhanced, field.pixel_size),
        ("Super-resolution", field.reference, field.pixel_size),
        ("Error map", field.error, coarse),
        ("Uncertainty", field.uncertainty, field.pixel_size),
    ]
    return [(title, plane, size) for title, plane, size in planes if plane is not None]


def _draw_field(figure: Any, field: ShownField) -> None:
    there = _planes(field)
    for axes, (title, plane, size) in zip(figure.subplots(1, len(there)), there, strict=True):
        # Of a camera's plane few pixels are bright.
        show(axes, plane, contrast([plane], 99.9 if plane.shape == field.widefield.shape else 99.7), title, size)


def _draw_statistics(figure: Any, patches: ComparedPatches) -> None:
    spectra, histograms = patches.spectra, patches.histograms
    histogram, spectrum, *skeletons = figure.subplots(1, 3 if patches.filaments else 2)
    for name, color in _KINDS.items():
        histogram.stairs(histograms[f"{name}_share"], histograms["edges"], label=name, color=color)
        low, middle, high = (spectra[f"{name}_{part}"] for part in ("low", "median", "high"))
        spectrum.plot(spectra["frequency"], middle, label=name, color=color)
        spectrum.fill_between(spectra["frequency"], low, high, color=color, alpha=0.2, lw=0)
    histogram.set(yscale="log", xlabel="intensity", ylabel="share of the pixels", title="Intensities")
    title = "Radial power spectrum (middle half of the patches)"
    spectrum.set(yscale="log", xlabel=spectra["unit"], ylabel="power", title=title)
    histogram.legend()
    for axes in skeletons:
        _draw_filaments(axes, patches.filaments)


def _draw_filaments(axes: Axes, filaments: Mapping[str, Any]) -> None:
    """Show the medians of both kinds, and within what 90 % of the experimental patches lie, over their median."""
    names = list(filaments)[::-1]
    for place, name in enumerate(names):
        one = filaments[name]
        scale = abs(one["experimental"]) or 1.0
        axes.plot(
            [one["low"] / scale, one["high"] / scale], [place, place], color=_KINDS["experimental"], lw=6, alpha=0.3
        )
        for kind, color in _KINDS.items():
            axes.plot(one[kind] / scale, place, "o", color=color)
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.set(title="Skeletons", xlabel="relative to the experimental median")


def _draw_nearest(figure: Any, looked_up: CopySearch, training: Sequence[Pixels], limits: tuple[float, float]) -> None:
    """Show patches over the training windows they resemble: those called copies first, then the most alike."""
    matches = looked_up.matches
    order = sorted(range(len(matches)), key=lambda i: (not looked_up.copied[i], -matches[i].correlation))[:6]
    figure.suptitle("Generated patches (top) and the training windows they resemble most", fontsize=11)
    grid = figure.subplots(2, 6, squeeze=False)
    for column in range(6):
        for axes in grid[:, column]:
            axes.set_axis_off()
        if column >= len(order):
            continue
        match, patch = matches[order[column]], looked_up.patches[order[column]]
        turned = symmetry(patch, match.symmetry)
        height, width = turned.shape
        window = training[match.plane][2 * match.y : 2 * match.y + height, 2 * match.x : 2 * match.x + width]
        called = ", called a copy" if looked_up.copied[order[column]] else ""
        show(grid[0, column], turned, limits, f"r = {match.correlation:.2f}{called}", None)
        show(grid[1, column], window, limits, "", None)

"""Draw the picture of all simulated structures for structures.md: `python docs/draw_structures.py`.

Each structure is shown with pixels of 20 nm and, as a part of another field, of 10 nm.
"""

from __future__ import annotations

import io
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from napari_smdiffusion import STRUCTURES, simulate

PICTURE = Path(__file__).parent / "images" / "structures.png"
COLUMNS = 3  # structures beside each other
SIDE = 340  # pixels of a panel
FIELD = 1024  # pixels of a simulated field, for the stated time
GREYS = 24  # of the file, which is small then
GAMMA = 0.7  # lifts dim structure


def main() -> None:
    """Draw the picture, and print how long a field of each structure takes."""
    rows = -(-len(STRUCTURES) // COLUMNS)
    figure, all_axes = plt.subplots(rows, 2 * COLUMNS, figsize=(2.9 * 2 * COLUMNS, 3.15 * rows), dpi=120)
    panels = all_axes.reshape(-1, 2)
    for axes in panels.ravel():
        axes.axis("off")
    for pair, name in zip(panels, STRUCTURES, strict=False):
        for axes, pixel_size in zip(pair, (20.0, 10.0), strict=True):
            began = time.process_time()
            plane = simulate(name, size=FIELD, pixel_size=pixel_size, seed=2).pixels[0]
            print(f"{name}, {pixel_size:.0f} nm: {time.process_time() - began:.2f} s")
            part = fullest(plane)
            axes.imshow((part / np.percentile(part, 99.7)).clip(0, 1) ** GAMMA, cmap="gray", interpolation="nearest")
            micrometre = 1000 / pixel_size
            axes.plot([SIDE - 12 - micrometre, SIDE - 12], [SIDE - 12] * 2, color="white", linewidth=3)
        pair[0].set_title(name.replace("-", " "), fontsize=13, loc="left")
        pair[1].set_title("pixels of 10 nm", fontsize=10, loc="right")
    figure.tight_layout(pad=0.4, h_pad=1.0)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    Image.open(file).convert("L").quantize(GREYS).save(PICTURE, optimize=True)
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1000:.0f} kB")


def fullest(plane: np.ndarray) -> np.ndarray:
    """Return the part (SIDE, SIDE) of a plane that shows most, without its densest spots."""
    lit = np.minimum(plane, np.percentile(plane, 99))
    corners = [(y, x) for y in range(0, FIELD - SIDE, 40) for x in range(0, FIELD - SIDE, 40)]
    y, x = max(corners, key=lambda corner: lit[corner[0] : corner[0] + SIDE, corner[1] : corner[1] + SIDE].sum())
    return plane[y : y + SIDE, x : x + SIDE]


if __name__ == "__main__":
    main()

"""Skeletons of simulated microtubules of 512² beside those of the STORM image, and a picture of both.

    python -m benchmarks.realism.simulated_fields [--count 32] [--fields build/bundled/microtubules/fields.tif]

Every kind of field is compared with windows of the training columns, which overlap: the columns hold two windows of
10 µm apart. A statistic is inside where the median of the fields is between the 5th and the 95th percentile of these
windows. All choices of the drawing were made by the training columns. The test columns are too narrow for such a
window: theirs are as wide as the columns, and are sparser. `--fields` are fields of the bundled model, as
`models/bundled_models.py` writes them; they are left out where there are none.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image as Picture

from benchmarks.common import PICTURES, TRAIN_COLUMNS, microtubules, save
from napari_smdiffusion import read_image, simulate
from napari_smdiffusion.measure.filaments import compare_filaments

if TYPE_CHECKING:
    import numpy.typing as npt

    Pixels = npt.NDArray[np.float32]

SIDE, STEP = 512, 112  # pixels, of a window and between two windows
EMPTY_ROWS = 16  # of the STORM image, at its top
EMPTY_COLUMNS = 10  # at its right
SEED = 2026
# As the training columns are rendered: broader than by the default precision.
RENDERED: dict[str, Any] = {"localization_precision": 15.0}
DRAWINGS: dict[str, dict[str, Any]] = {
    "independent filaments": {"organisation": "random"},
    "independent filaments without gaps": {"organisation": "random", "labelling": 3.0},
    "filaments of a cell": {},
    "filaments of a cell, rendered as the image": RENDERED,
}
SHOWN = 4  # windows of each kind in the picture
GREYS, GAMMA = 24, 0.7


def windows(plane: Pixels, height: int = SIDE, width: int = SIDE) -> Pixels:
    """Return overlapping windows (N, height, width) of a plane (Y, X)."""
    rows, columns = (range(0, whole - part + 1, STEP) for whole, part in zip(plane.shape, (height, width), strict=True))
    return np.stack([plane[y : y + height, x : x + width] for y in rows for x in columns])


def compared(planes: Pixels, experimental: Pixels, pixel_size: float) -> dict[str, dict[str, Any]]:
    """Return the statistics of planes (N, Y, X) beside those of experimental windows, by their names."""
    found = compare_filaments(planes, experimental, pixel_size)
    return {name: dataclasses.asdict(one) for name, one in found.items()}


def draw(rows: dict[str, Pixels], pixel_size: float) -> Path:
    """Draw `SHOWN` windows of each kind in a row below the other, and return the path of the picture."""
    figure, axes = plt.subplots(len(rows), SHOWN, figsize=(3.1 * SHOWN, 3.3 * len(rows)), dpi=125)
    for line, (title, planes) in zip(axes, rows.items(), strict=True):
        line[0].set_title(title, fontsize=12, loc="left")
        for place, plane in zip(line, planes, strict=True):
            place.axis("off")
            place.imshow(
                (plane / np.percentile(plane, 99.7)).clip(0, 1) ** GAMMA, cmap="gray", interpolation="antialiased"
            )
            place.plot([SIDE - 15 - 1000 / pixel_size, SIDE - 15], [SIDE - 15] * 2, color="white", linewidth=3)
    figure.tight_layout(pad=0.4, h_pad=1.2)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    path = PICTURES / "simulated_fields.png"
    Picture.open(file).convert("L").quantize(GREYS).save(path, optimize=True)
    return path


def main() -> None:
    """Measure all kinds of fields, write the JSON, and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=32, help="simulated fields of each drawing (default 32)")
    parser.add_argument("--fields", type=Path, default=Path("build/bundled/microtubules/fields.tif"))
    options = parser.parse_args()
    storm, train, _ = microtubules()
    pixel_size = storm.pixel_size or 20.0
    real = windows(train.pixels[0][EMPTY_ROWS:])
    held_out = storm.pixels[0][EMPTY_ROWS:, TRAIN_COLUMNS:-EMPTY_COLUMNS]
    kinds = {"test columns": windows(held_out, width=held_out.shape[1])}
    if options.fields.exists():
        kinds["fields of the bundled model"] = read_image(options.fields).pixels[: options.count]
    for name, settings in DRAWINGS.items():
        kinds[name] = simulate("microtubules", options.count, SIDE, pixel_size, SEED, **settings).pixels
    began = time.process_time()
    simulate("microtubules", 4, 1024, pixel_size, SEED)
    seconds = (time.process_time() - began) / 4
    found = {name: {"planes": len(planes), **compared(planes, real, pixel_size)} for name, planes in kinds.items()}
    facts = {
        "side": SIDE,
        "step": STEP,
        "windows": len(real),
        "pixel_size": pixel_size,
        "seed": SEED,
        "seconds_1024": seconds,
    }
    save("simulated_fields", {**facts, "rendered": RENDERED, "kinds": found})
    apart = real[[0, 4, len(real) - 5, len(real) - 1]]  # the corners of the training columns
    rows = {
        "Simulated, rendered as the experimental image": kinds["filaments of a cell, rendered as the image"][:SHOWN],
        "Experimental (training columns of SFSRM)": apart,
    }
    print(draw(rows, pixel_size))


if __name__ == "__main__":
    main()

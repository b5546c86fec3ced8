"""A classifier that is told to tell generated patches from experimental ones: AUC 0.5 is ideal, 1 is easy.

    python -m benchmarks.realism.classifier MODEL [--epochs 12] [--sizes 128 256]

Three folds of 384 + 384 patches in all, rounded to the 8-bit grid of the source, at 128 pixels and at 256 pixels
averaged 2 × 2. The floor is what two halves (upper and lower rows) of the experimental image give. Experimental patches
are random windows of the training columns, and overlap, also between folds: the classifier may know a place again, so
that it tells them better than it would from windows it never saw a part of, which `claims/paper_claims.py` tries too.
For the two halves both kinds of patches can be known again.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.common import TRAIN_COLUMNS, microtubules, save
from napari_smdiffusion import load_diffusion_model
from napari_smdiffusion.measure.classifier import EPOCHS, two_sample_test

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_smdiffusion import DiffusionModel

PATCHES = 384
SCALE = 24  # grey levels, about the standard deviation of the microtubule image


def experimental(rows: slice, size: int, seed: int) -> npt.NDArray[Any]:
    """Return random windows of the training columns of the microtubule image."""
    plane = microtubules()[0].pixels[0][rows, :TRAIN_COLUMNS]
    rng = np.random.default_rng(seed)
    corners = [
        (rng.integers(plane.shape[0] - size + 1), rng.integers(plane.shape[1] - size + 1)) for _ in range(PATCHES)
    ]
    return np.stack([plane[y : y + size, x : x + size] for y, x in corners])


def judge(model: DiffusionModel, sizes: tuple[int, ...] = (128, 256), epochs: int = EPOCHS) -> dict[str, Any]:
    """Return the AUC of the model and of two halves of the experimental image, at each size."""
    result: dict[str, Any] = {"epochs": epochs}
    for size in sizes:
        made = model.generate(PATCHES, size=size, seed=1).pixels
        upper, lower = experimental(slice(0, 640), size, 3), experimental(slice(640, None), size, 4)
        for name, real, other in (
            ("generated", experimental(slice(None), size, 2), made),
            ("two_halves", upper, lower),
        ):
            test = two_sample_test(real, other, scale=SCALE, epochs=epochs)
            result[f"{name}_{size}"] = {"auc": round(test.auc, 3), "folds": [round(f, 3) for f in test.folds]}
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"how long the classifier learns (default {EPOCHS})")
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256])
    arguments = parser.parse_args()
    loaded = load_diffusion_model(arguments.model)
    report = judge(loaded, tuple(arguments.sizes), arguments.epochs)
    save(f"classifier_{arguments.epochs}_epochs", {"model": loaded.name, "steps": loaded.facts.steps, **report})

"""A classifier that is told to tell generated patches from experimental ones: AUC 0.5 is ideal, 1 is easy.

    python benchmarks/classifier.py MODEL [--epochs 12] [--sizes 128 256]

Three folds of 384 + 384 patches in all, rounded to the 8-bit grid of the source, at 128 pixels and at 256 pixels
averaged 2 × 2. The floor is what two halves (upper and lower rows) of the experimental image give. Experimental
patches are random windows of the training columns, and overlap between folds: that raises the floor and the AUC of a
model alike.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.stats import rankdata
from torch import nn

from common import TRAIN_COLUMNS, microtubules, save
from napari_smdiffusion import load_diffusion_model
from napari_smdiffusion.assess import halved
from napari_smdiffusion.patches import symmetry

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_smdiffusion import DiffusionModel

PATCHES, FOLDS, EPOCHS, BATCH = 384, 3, 12, 32


def network() -> nn.Sequential:
    """Return four convolutions that halve the size, and a mean over what is left."""
    layers: list[nn.Module] = []
    for before, after, kernel in ((1, 24, 5), (24, 48, 3), (48, 64, 3), (64, 96, 3)):
        layers += [nn.Conv2d(before, after, kernel, 2, kernel // 2), nn.GroupNorm(8, after), nn.SiLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(96, 1))


def area_under_curve(scores: npt.NDArray[Any], positive: npt.NDArray[Any]) -> float:
    """Return the chance that a positive scores higher than a negative."""
    ranks, n = rankdata(scores), int(positive.sum())
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(scores) - n)))


def _fit(x: npt.NDArray[Any], y: npt.NDArray[Any], seed: int, epochs: int) -> nn.Sequential:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net, steps = network(), epochs * (len(x) // BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in range(steps):
        chosen = rng.integers(len(x), size=BATCH)
        batch = np.stack([symmetry(x[i], int(rng.integers(8))) for i in chosen])
        logits = net(torch.from_numpy(batch)[:, None])[:, 0]
        loss = nn.functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(y[chosen]).float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net.eval()


def two_sample_test(a: npt.NDArray[Any], b: npt.NDArray[Any], seed: int = 0, epochs: int = EPOCHS) -> list[float]:
    """Return the AUC of each fold for two sets of patches, (N, Y, X) each."""
    grid = [np.clip(np.round(patches), 0, 255).astype(np.float32) / 24 for patches in (a, b)]
    if a.shape[-1] == 256:
        grid = [halved(patches) for patches in grid]
    x, y = np.concatenate(grid), np.repeat([False, True], [len(a), len(b)])
    fold = np.concatenate([np.arange(len(g)) % FOLDS for g in grid])
    result = []
    for k in range(FOLDS):
        net = _fit(x[fold != k], y[fold != k], seed + k, epochs)
        with torch.no_grad():
            views = [net(torch.from_numpy(symmetry(x[fold == k], s).copy())[:, None])[:, 0] for s in range(4)]
        result.append(area_under_curve(torch.stack(views).mean(0).numpy(), y[fold == k]))
    return result


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
        for name, folds in (
            ("generated", two_sample_test(experimental(slice(None), size, 2), made, epochs=epochs)),
            ("two_halves", two_sample_test(upper, lower, epochs=epochs)),
        ):
            result[f"{name}_{size}"] = {"auc": round(float(np.mean(folds)), 3), "folds": [round(f, 3) for f in folds]}
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"how long the classifier learns (default {EPOCHS})")
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256])
    arguments = parser.parse_args()
    loaded = load_diffusion_model(arguments.model)
    report = judge(loaded, tuple(arguments.sizes), arguments.epochs)
    save(f"classifier_{arguments.epochs}_epochs", {"model": loaded.name, "steps": loaded.facts.get("steps"), **report})

"""A classifier two-sample test: a small network is told to tell generated patches from experimental ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import rankdata
from torch import nn

from ..base.devices import seeded
from ..base.errors import InputError, Stopped
from ..base.events import Stop, never
from ..images.patches import averaged, symmetry

if TYPE_CHECKING:
    from ..base.arrays import Pixels

EPOCHS = 12
FOLDS = 3
_BATCH = 32
_LEAST = 24  # patches of each kind: one batch to learn from
_COARSE = 256  # pixels; from here on 2 × 2 are averaged, so that the network sees as far in the field


@dataclass(frozen=True)
class TwoSample:
    """What the test says.

    Parameters
    ----------
    auc
        Mean over the folds of the area under the ROC curve: the chance that the classifier finds the generated one of
        two patches, one of each kind. 0.5 is guessing, 1 is knowing.
    folds
        Of each fold: their spread is the least error of the mean.
    by_chance
        Between 0.5 minus and plus this a classifier that guesses lies with 95 % confidence, for so many patches.
    epochs
        How often it saw each patch: one that learns for longer may tell more.
    """

    auc: float
    folds: tuple[float, ...]
    by_chance: float
    epochs: int


def two_sample_test(
    experimental: Pixels,
    generated: Pixels,
    *,
    scale: float | None = None,
    seed: int = 0,
    epochs: int = EPOCHS,
    stop: Stop = never,
) -> TwoSample:
    """Train a classifier on two thirds of the patches to tell both kinds apart, and test it on the last third; 3 times.

    After Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017. The result depends on the number of
    patches and on `epochs`: compare it with that of two sets of experimental patches, from different regions.

    Parameters
    ----------
    experimental, generated
        (N, Y, X) patches of one size, at least 24 of each. Where the experimental ones are whole numbers, the generated
        ones are rounded to them: fractions would be too easy a mark. From 256 pixels on, 2 × 2 pixels are averaged.
        Patch i is tested by the classifier that learned from those of other i modulo 3 (`FOLDS`): patches that overlap
        must have the same, or it has seen a part of what it is tested on.
    scale
        Intensity above the background, the 1st percentile of the experimental patches, that becomes 1 for the
        network; by default their standard deviation.
    seed
        Of the classifier.
    epochs
        How often it sees each patch in training.
    stop
        Asked at every step.

    Raises
    ------
    InputError
        If there are too few patches, or they differ in size.
    Stopped
        If it was stopped.
    """
    if min(len(experimental), len(generated)) < _LEAST or experimental.shape[1:] != generated.shape[1:]:
        raise InputError(
            f"The classifier needs at least {_LEAST} patches of each kind and of one size, not {experimental.shape} "
            f"experimental and {generated.shape} generated: generate more, or use smaller patches."
        )
    unit = scale or float(experimental.std()) or 1.0
    kinds = [np.asarray(patches, np.float32) for patches in _on_one_grid(experimental, generated)]
    if experimental.shape[-1] >= _COARSE:
        kinds = [averaged(patches, 2) for patches in kinds]
    # Of a large offset, the edge that the convolutions' zeros make at the border would be all that is seen.
    background = float(np.percentile(kinds[0], 1))
    kinds = [(patches - background) / unit for patches in kinds]
    x, y = np.concatenate(kinds), np.repeat([False, True], [len(experimental), len(generated)])
    fold = np.concatenate([np.arange(len(kind)) % FOLDS for kind in kinds])
    result = []
    for k in range(FOLDS):
        net = _trained(x[fold != k], y[fold != k], seed + k, epochs, stop)
        with torch.no_grad():
            views = [net(torch.from_numpy(symmetry(x[fold == k], s).copy())[:, None])[:, 0] for s in range(4)]
        result.append(area_under_curve(torch.stack(views).mean(0).numpy(), y[fold == k]))
    auc = float(np.mean(result))
    n, m = len(experimental), len(generated)
    # The variance under the null hypothesis (Mann and Whitney 1947).
    by_chance = 1.96 * ((n + m + 1) / (12 * n * m)) ** 0.5
    return TwoSample(auc, tuple(result), by_chance, epochs)


def meaning(told: TwoSample, halves: TwoSample) -> str:
    """Say what it means for generated and experimental patches, beside two halves of the experimental ones."""
    auc, by_chance = told.auc, told.by_chance
    said = (
        f"Shown a generated and an experimental patch, a small network that learned in {told.epochs} epochs finds the "
        f"generated one {round(100 * auc)} times in 100, where guessing gives {round(100 * (0.5 - by_chance))} to "
        f"{round(100 * (0.5 + by_chance))}, and two halves of the experiment {round(100 * halves.auc)}"
    )
    if auc < 0.5 + by_chance:
        return f"{said}: it cannot tell them apart. With more patches, or for longer, it might learn to."
    if auc <= halves.auc:
        return f"{said}: they differ no more than two regions of the experiment do."
    if auc < 0.8:
        return f"{said}: there are differences, beyond those between two regions of the experiment."
    return f"{said}: the generated patches have a mark of their own."


def _on_one_grid(experimental: Pixels, generated: Pixels) -> tuple[Pixels, Pixels]:
    """Round the generated patches to whole numbers, within 8 or 16 bits, where the experimental ones are."""
    if not np.array_equal(experimental, np.round(experimental)):
        return experimental, generated
    low, high = float(experimental.min()), float(experimental.max())
    rounded = np.round(generated)
    if low >= 0 and high <= 2**16 - 1:
        rounded = np.clip(rounded, 0, 2**8 - 1 if high <= 2**8 - 1 else 2**16 - 1)
    return experimental, rounded


def area_under_curve(scores: npt.NDArray[np.float32], positive: npt.NDArray[np.bool_]) -> float:
    """Return the chance that a positive scores higher than a negative (Mann and Whitney 1947)."""
    ranks, n = rankdata(scores), int(positive.sum())
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(scores) - n)))


def _network(random: torch.Generator) -> nn.Sequential:
    """Return four convolutions that halve the size, and a mean over what is left; `random` is for its dropout."""
    layers: list[nn.Module] = []
    for before, after, kernel in ((1, 24, 5), (24, 48, 3), (48, 64, 3), (64, 96, 3)):
        layers += [nn.Conv2d(before, after, kernel, 2, kernel // 2), nn.GroupNorm(8, after), nn.SiLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), _Dropout(0.2, random), nn.Linear(96, 1))


class _Dropout(nn.Module):
    """Dropout that draws from a generator of its own: torch's is shared with trainings in other threads."""

    def __init__(self, share: float, random: torch.Generator) -> None:
        super().__init__()
        self._kept, self._random = 1 - share, random

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Drop a share of the features, and scale the others up, while the network learns."""
        if not self.training:
            return x
        return x * torch.empty_like(x).bernoulli_(self._kept, generator=self._random).div_(self._kept)


def _trained(x: Pixels, y: npt.NDArray[np.bool_], seed: int, epochs: int, stop: Stop) -> nn.Sequential:
    random, rng = torch.Generator(), np.random.default_rng(seed)
    with seeded(seed):
        net = _network(random)
        random.set_state(torch.default_generator.get_state())
    steps = epochs * (len(x) // _BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in range(steps):
        if stop():
            raise Stopped("Stopped before the classifier had learned: there is no result.")
        chosen = rng.integers(len(x), size=_BATCH)
        batch = np.stack([symmetry(x[i], int(rng.integers(8))) for i in chosen])
        logits = net(torch.from_numpy(batch)[:, None])[:, 0]
        loss = nn.functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(y[chosen]).float())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
    return net.eval()

"""A classifier two-sample test: a small network learns to distinguish generated from experimental patches."""

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
_MIN_PATCHES = 24  # of each kind: two thirds of 48 patches are one batch
_COARSE = 256  # pixels; patches of this side and larger are averaged over 2 × 2, to widen the network's view


@dataclass(frozen=True)
class TwoSample:
    """The result of the two-sample test.

    Parameters
    ----------
    auc
        Mean over the folds of the area under the ROC curve. It is the probability that the classifier recognizes the
        generated patch in a pair of one generated and one experimental patch: 0.5 for guessing, 1 for certainty.
    folds
        The area of each fold; their spread is a lower limit of the error of the mean.
    by_chance
        A classifier that guesses is within 0.5 ± `by_chance` with 95 % confidence.
    epochs
        How often the classifier saw each patch; a longer training may find more differences.
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
    """Train a classifier on two thirds of the patches and test it on the last third, 3 times (`FOLDS`).

    After Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017. The result depends on the number of
    patches and on `epochs`: compare it with the result for two sets of experimental patches from different regions.

    Parameters
    ----------
    experimental, generated
        (N, Y, X) patches of one size, at least 24 of each. If the experimental values are whole numbers, the generated
        values are rounded, because fractions would reveal them. Patches of 256 pixels and more are averaged over 2 × 2.
        The fold of patch i is i modulo 3. Patches that overlap must be in the same fold: otherwise the classifier is
        tested on pixels of its training.
    scale
        Intensity above the background that becomes 1 for the network; by default the standard deviation of the
        experimental patches. The background is their 1st percentile.
    seed
        Seed of the classifier's weights and batches.
    epochs
        How often the classifier sees each patch in training.
    stop
        Called before every training step.

    Returns
    -------
    The areas under the ROC curve.

    Raises
    ------
    InputError
        If there are too few patches, or they differ in size.
    Stopped
        If `stop` returns True.
    """
    if min(len(experimental), len(generated)) < _MIN_PATCHES or experimental.shape[1:] != generated.shape[1:]:
        raise InputError(
            f"The classifier needs at least {_MIN_PATCHES} patches of each kind and of one size, not "
            f"{experimental.shape} experimental and {generated.shape} generated: generate more, or use smaller patches."
        )
    kinds = _scaled(experimental, generated, scale or float(experimental.std()) or 1.0)
    x, y = np.concatenate(kinds), np.repeat([False, True], [len(experimental), len(generated)])
    fold = np.concatenate([np.arange(len(kind)) % FOLDS for kind in kinds])
    areas = []
    for k in range(FOLDS):
        net = _train(x[fold != k], y[fold != k], seed + k, epochs, stop)
        with torch.no_grad():
            views = [net(torch.from_numpy(symmetry(x[fold == k], s).copy())[:, None])[:, 0] for s in range(4)]
        areas.append(area_under_curve(torch.stack(views).mean(0).numpy(), y[fold == k]))
    n, m = len(experimental), len(generated)
    # The variance of the area if both kinds are alike (Mann and Whitney 1947).
    by_chance = 1.96 * ((n + m + 1) / (12 * n * m)) ** 0.5
    return TwoSample(float(np.mean(areas)), tuple(areas), by_chance, epochs)


def _scaled(experimental: Pixels, generated: Pixels, unit: float) -> list[Pixels]:
    """Return both kinds of patches as the network sees them: without background, in units of `unit`."""
    kinds = [np.asarray(patches, np.float32) for patches in _rounded_alike(experimental, generated)]
    if experimental.shape[-1] >= _COARSE:
        kinds = [averaged(patches, 2) for patches in kinds]
    # A large offset would make the zero padding of the convolutions the strongest edge in the image.
    background = float(np.percentile(kinds[0], 1))
    return [(patches - background) / unit for patches in kinds]


def meaning(result: TwoSample, halves: TwoSample) -> str:
    """Return a message that explains the result of generated against experimental patches.

    `halves` is the result for two halves of the experimental patches.
    """
    auc, by_chance = result.auc, result.by_chance
    numbers = (
        f"A small network, trained for {result.epochs} epochs, recognizes the generated one of two patches "
        f"{round(100 * auc)} times in 100. Guessing gives {round(100 * (0.5 - by_chance))} to "
        f"{round(100 * (0.5 + by_chance))}, and two halves of the experiment give {round(100 * halves.auc)}"
    )
    if auc < 0.5 + by_chance:
        return f"{numbers}: no difference was found. More patches or a longer training might find one."
    if auc <= halves.auc:
        return f"{numbers}: the difference is no larger than between two regions of the experiment."
    if auc < 0.8:
        return f"{numbers}: the difference is larger than between two regions of the experiment."
    return f"{numbers}: the generated patches clearly differ from the experimental ones."


def _rounded_alike(experimental: Pixels, generated: Pixels) -> tuple[Pixels, Pixels]:
    """Round the generated patches, within 8 or 16 bits, if the experimental values are whole numbers."""
    if not np.array_equal(experimental, np.round(experimental)):
        return experimental, generated
    low, high = float(experimental.min()), float(experimental.max())
    rounded = np.round(generated)
    if low >= 0 and high <= 2**16 - 1:
        rounded = np.clip(rounded, 0, 2**8 - 1 if high <= 2**8 - 1 else 2**16 - 1)
    return experimental, rounded


def area_under_curve(scores: npt.NDArray[np.float32], positive: npt.NDArray[np.bool_]) -> float:
    """Return the probability that a positive scores higher than a negative (Mann and Whitney 1947).

    `scores` and `positive` are (N,).
    """
    ranks, n = rankdata(scores), int(positive.sum())
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(scores) - n)))


def _network(random: torch.Generator) -> nn.Sequential:
    """Return four convolutions that halve the size, and a mean over the pixels; `random` draws the dropout."""
    layers: list[nn.Module] = []
    for before, after, kernel in ((1, 24, 5), (24, 48, 3), (48, 64, 3), (64, 96, 3)):
        layers += [nn.Conv2d(before, after, kernel, 2, kernel // 2), nn.GroupNorm(8, after), nn.SiLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), _Dropout(0.2, random), nn.Linear(96, 1))


class _Dropout(nn.Module):
    """Dropout with its own random generator, because other threads share the one of torch."""

    def __init__(self, share: float, random: torch.Generator) -> None:
        super().__init__()
        self._keep, self._random = 1 - share, random

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Drop a share of the features during training, and scale the others up."""
        if not self.training:
            return x
        return x * torch.empty_like(x).bernoulli_(self._keep, generator=self._random).div_(self._keep)


def _train(x: Pixels, y: npt.NDArray[np.bool_], seed: int, epochs: int, stop: Stop) -> nn.Sequential:
    random, rng = torch.Generator(), np.random.default_rng(seed)
    with seeded(seed):
        net = _network(random)
        random.set_state(torch.default_generator.get_state())
    steps = epochs * (len(x) // _BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in range(steps):
        if stop():
            raise Stopped("Stopped while the classifier was being trained: there is no result.")
        indices = rng.integers(len(x), size=_BATCH)
        batch = np.stack([symmetry(x[i], int(rng.integers(8))) for i in indices])
        logits = net(torch.from_numpy(batch)[:, None])[:, 0]
        loss = nn.functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(y[indices]).float())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
    return net.eval()

"""The summary of samples, which is made a part of the rows at a time, also of arrays larger than memory."""

import numpy as np
import pytest

from napari_smdiffusion.base import scratch
from napari_smdiffusion.posterior import summary
from napari_smdiffusion.posterior.combining import best_estimate
from napari_smdiffusion.posterior.summary import Summary
from napari_smdiffusion.posterior.trust import blurred

STRUCTURE = 0.8


@pytest.fixture(scope="module")
def drawn():
    """Return the estimate, the unit (0 in a corner) and three samples of 50 × 40 pixels."""
    random = np.random.default_rng(0)
    estimate, unit, *samples = random.gamma(1.0, 1.0, (5, 50, 40)).astype(np.float32)
    unit[:9, :9] = 0
    return estimate, unit, [sample * unit for sample in samples]


def _summarized(drawn):
    estimate, unit, samples = drawn
    results = {kind: np.full(unit.shape, -1, np.float32) for kind in ("enhanced", "trust", "uncertainty")}
    whole = Summary(estimate, unit, results, structure=STRUCTURE, half_width=lambda centre, spread: centre + 2 * spread)
    for sample in samples:
        whole.add(sample)
    return results


@pytest.mark.parametrize("in_memory", [True, False])
def test_parts_of_the_rows_give_what_whole_planes_give(drawn, monkeypatch, in_memory):
    monkeypatch.setattr(summary, "_ROWS", 7)
    monkeypatch.setattr(scratch, "_IN_MEMORY", 2**26 if in_memory else 0)
    results = _summarized(drawn)
    estimate, unit, samples = drawn
    local = [np.divide(sample, unit, out=np.zeros_like(unit), where=unit > 0) for sample in samples]
    smooth = np.array([blurred(sample) for sample in local])
    measured = unit > 0
    np.testing.assert_allclose(results["enhanced"], best_estimate(estimate, np.mean(local, 0), 3) * unit, rtol=1e-5)
    np.testing.assert_allclose(results["trust"], (smooth > STRUCTURE).mean(0) * measured, rtol=1e-6)
    centre = best_estimate(blurred(estimate), smooth.mean(0), 3)
    np.testing.assert_allclose(results["uncertainty"], (centre + 2 * smooth.std(0)) * unit, rtol=1e-4)


def test_a_large_array_is_mapped_and_its_pages_are_forgotten_without_loss(monkeypatch):
    assert not isinstance(scratch.scratch((4, 5)), np.memmap)
    monkeypatch.setattr(scratch, "_IN_MEMORY", 0)
    large = scratch.scratch((3, 500, 500))
    assert isinstance(large, np.memmap)
    assert not large.any()
    large[1] = 7
    scratch.forget_pages(large)
    assert large.sum() == 7 * 500 * 500
    scratch.forget_pages(np.zeros(3))

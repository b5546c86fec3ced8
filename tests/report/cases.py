"""Tiny comparisons whose reports are stored in `tests/data/reports.json`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter

from napari_smdiffusion import EnhancedField, Image, simulate

FACTOR = 4
Arguments = tuple[list[Image], Image | None, list[Image], EnhancedField | None]


def cases() -> dict[str, Arguments]:
    """Return arguments of `compare_images` without the folder, by name; together they reach every part of a report."""
    real, generated, training = (
        simulate("microtubules", 1, size, 20.0, seed=seed, organisation="random")
        for seed, size in ((1, 448), (2, 448), (3, 256))
    )
    blurred = replace(_pair(2), name="made")
    copied = generated.pixels.copy()
    copied[0, :128, :128] = training.pixels[0, 30:158, 60:188]
    return {
        "everything": ([real], Image(copied, 20.0, name="made"), [training], _field()),
        "left_out": (
            [Image(real.pixels[:, :256, :256])],
            Image(generated.pixels[:, :256, :256], name="made"),
            [],
            None,
        ),
        "blurred": ([_pair(1)], replace(blurred, pixels=gaussian_filter(blurred.pixels, (0, 3, 3))), [], None),
        "trained_on": ([training], replace(generated, name="made"), [training], None),
        "part": ([], None, [], _part(_field())),
        "not_registered": ([], None, [], _shifted(_field())),
    }


def _pair(seed: int) -> Image:
    return simulate("microtubules", count=2, size=256, pixel_size=20.0, seed=seed, organisation="random")


def _field() -> EnhancedField:
    """Return an enhanced image that is the truth with noise, its widefield image, the truth and an uncertainty map."""
    sharp = simulate("microtubules", size=256, pixel_size=20.0, seed=3, organisation="random").pixels
    truth = gaussian_filter(sharp, (0, 1.5, 1.5))
    coarse = gaussian_filter(truth[0].reshape(64, FACTOR, 64, FACTOR).mean((1, 3)), 1.3)[np.newaxis] * 40 + 7
    noise = np.random.default_rng(0).normal(0, 0.02 * truth.std(), truth.shape).astype(np.float32)
    width = np.full_like(truth, 0.03 * truth.std())
    return EnhancedField(
        Image(truth + noise, 20.0, name="e"),
        Image(coarse.astype(np.float32), 20.0 * FACTOR, name="w"),
        Image(truth, 20.0, name="r"),
        Image(width, 20.0, name="u", provenance={"settings": {"confidence": 0.9}}),
    )


def _part(field: EnhancedField) -> EnhancedField:
    assert field.reference is not None
    part = field.reference.crop(slice(40, 240), slice(20, 180))
    return EnhancedField.cropped_to_reference(field.enhanced, field.widefield, part)


def _shifted(field: EnhancedField) -> EnhancedField:
    assert field.reference is not None
    planes = np.roll(field.reference.pixels, (14, 0), (1, 2))
    return replace(field, reference=replace(field.reference, pixels=planes), uncertainty=None)

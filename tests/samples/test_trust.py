"""The map of trust of the bundled enhancer follows the widefield image."""

import numpy as np
import torch

from napari_smdiffusion import EnhanceConfig, Image, load_enhancer, run
from napari_smdiffusion.microscope.camera import widefield as widefield_of
from napari_smdiffusion.posterior.trust import agreement
from napari_smdiffusion.samples.applying import sample_image_steps


def _scene(enhancer, *rows):
    """Return the widefield image of straight filaments along these rows of the result, 48 × 48 pixels."""
    factor, size = enhancer.config.upscale, enhancer.pixel_size
    sharp = np.zeros((48 * factor, 48 * factor), np.float32)
    for row in rows:
        sharp[row - 1 : row + 2] = 60
    counts = widefield_of(
        torch.from_numpy(sharp)[None, None], enhancer.microscope, size, factor, torch.Generator().manual_seed(4)
    )
    return Image(counts[:, 0].numpy(), size * factor, name="filaments")


def test_a_filament_that_is_erased_takes_the_trust_with_it():
    enhancer = load_enhancer("microtubules")
    both, one = (
        run(sample_image_steps(enhancer, _scene(enhancer, *rows), EnhanceConfig(samples=2)))
        for rows in ((70, 170), (70,))
    )
    trust_of_both, trust_of_one = (result.trust.pixels[0] for result in (both, one))

    def at(trust, row):  # the strongest trust near a row, on the average over the columns
        return trust[row - 4 : row + 5, 40:-40].max(0).mean()

    assert at(trust_of_both, 70) > 0.7
    assert at(trust_of_one, 70) > 0.7
    assert at(trust_of_both, 170) > 0.7
    assert at(trust_of_one, 170) < 0.3
    # Empty field between the filaments is not trusted.
    assert at(trust_of_both, 120) < 0.3
    assert agreement(both.trust.pixels, both.image.pixels) > 0.5

"""The search for the window that a generated patch resembles most."""

from dataclasses import dataclass

import numpy as np
import pytest

from napari_smdiffusion import Image
from napari_smdiffusion.base.errors import Stopped
from napari_smdiffusion.base.events import run
from napari_smdiffusion.images.patches import symmetry
from napari_smdiffusion.recipes.nearest_patch import nearest_patch
from napari_smdiffusion.store.facts import training_image


@dataclass(frozen=True)
class _Source:
    image: Image

    @property
    def name(self):
        return self.image.name

    def read(self, stop):
        return self.image


def _random(seed, *shape):
    return np.random.default_rng(seed).poisson(2.0, shape).astype(np.float32)


@pytest.mark.parametrize("k", [0, 3, 5])
def test_a_turned_copy_is_found_at_its_pixels_in_the_part_that_was_trained_on(k):
    whole, other = Image(_random(0, 2, 96, 90), name="whole"), Image(_random(1, 1, 80, 80), name="other")
    part = whole.crop(slice(10, 90), slice(7, 87))
    copy = symmetry(whole.pixels[1, 23:55, 14:62], k)
    found = run(nearest_patch(copy, [_Source(other), _Source(whole)], [training_image(part)]))
    assert (found.source, found.plane, found.unseen) == (1, 1, "")
    assert found.window == (slice(23, 55), slice(14, 62))
    assert found.correlation > 0.999
    np.testing.assert_array_equal(found.pixels, copy)
    # Without the training image, all images are searched.
    found = run(nearest_patch(copy, [_Source(other)], [training_image(part)]))
    assert (found.source, found.unseen) == (0, training_image(part).name)


def test_a_search_that_is_stopped_at_once_has_no_result():
    with pytest.raises(Stopped):
        run(nearest_patch(_random(0, 32, 32), [_Source(Image(_random(1, 1, 64, 64)))], [], lambda: True))

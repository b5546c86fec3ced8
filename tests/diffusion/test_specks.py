"""Specks: structures that are smaller than any in the training images."""

import numpy as np
import pytest

from napari_smdiffusion.diffusion.intensities import Scaling
from napari_smdiffusion.diffusion.specks import LARGEST, smallest_structure, without_specks
from napari_smdiffusion.images.image import Image


def _plane(*squares: tuple[int, int, int]) -> np.ndarray:
    """Return a background of 10 with squares of 50, each (y, x, side)."""
    plane = np.full((96, 96), 10, np.float32)
    for y, x, side in squares:
        plane[y : y + side, x : x + side] = 50
    return plane


@pytest.mark.parametrize(
    ("squares", "area"),
    [
        ([(10, 10, 5), (30, 30, 12)], 25),
        ([(10, 10, 12), (40, 40, 20)], LARGEST),  # larger structures are not distinguished
        ([(10, 10, 12), (0, 40, 3)], LARGEST),  # structures at the border are left out
        ([(10, 10, 12), (40, 40, 1)], None),
        ([(10, 10, 2), (12, 12, 2), (40, 40, 20)], 8),  # two squares that touch at a corner are one structure
        ([], LARGEST),
    ],
)
def test_the_area_of_the_smallest_structure(squares, area):
    assert smallest_structure([_plane(*squares)], 10) == area


def test_one_speck_in_a_million_pixels_is_ignored():
    plane = np.zeros((1000, 1100), np.float32)
    plane[5, 5] = 1
    assert smallest_structure([plane], 0) == LARGEST
    plane[5, 9] = 1
    assert smallest_structure([plane], 0) is None


def test_specks_are_removed_and_structures_stay():
    structure, speck, cut_structure, cut_speck = (10, 10, 8), (40, 40, 4), (0, 60, 3), (50, 94, 2)
    planes = np.stack([_plane(structure, speck, cut_structure, cut_speck), _plane(structure)])
    before = planes.copy()
    cleaned = without_specks(planes, 10, 60)
    np.testing.assert_array_equal(cleaned, np.stack([_plane(structure, cut_structure), _plane(structure)]))
    np.testing.assert_array_equal(planes, before)


def test_the_scaling_has_the_area_of_the_smallest_structure():
    clean, spotted = _plane((10, 10, 5)), _plane((10, 10, 5), (40, 40, 1))
    assert Scaling.fit([Image(clean, 20.0)]).smallest == 25
    assert Scaling.fit([Image(clean, 20.0), Image(spotted, 20.0)]).smallest is None
    assert Scaling.fit([Image(clean / 7, 20.0)]).smallest is None  # only whole numbers have a distinct background

"""Patches, symmetries and tiles."""

import numpy as np
import pytest

from napari_smdiffusion import Image
from napari_smdiffusion.images.patches import SYMMETRIES, check_patch, draw_patches, inverse_symmetry, symmetry
from napari_smdiffusion.images.tiles import tiles

PLANE = np.random.default_rng(0).random((50, 70)).astype(np.float32)


def test_there_are_eight_symmetries_and_each_has_an_inverse():
    views = [symmetry(PLANE[:9, :9], k) for k in SYMMETRIES]
    assert len({view.tobytes() for view in views}) == 8
    for k in SYMMETRIES:
        np.testing.assert_array_equal(inverse_symmetry(symmetry(PLANE, k), k), PLANE)


def test_patches_are_parts_of_the_planes():
    patches = draw_patches([PLANE], 16, 20, np.random.default_rng(1))
    windows = np.lib.stride_tricks.sliding_window_view(PLANE, (16, 16)).reshape(-1, 16, 16)
    window_bytes = {window.tobytes() for window in windows}
    for patch in patches:
        assert any(np.ascontiguousarray(symmetry(patch, k)).tobytes() in window_bytes for k in SYMMETRIES)


def test_the_same_seed_draws_the_same_patches():
    first, second = (draw_patches([PLANE], 16, 4, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_planes_are_drawn_in_proportion_to_their_weights():
    planes = [np.zeros((32, 32), np.float32), np.ones((32, 32), np.float32)]
    patches = draw_patches(planes, 16, 400, np.random.default_rng(0), weights=[3, 1])
    assert patches.mean() == pytest.approx(0.25, abs=0.06)


@pytest.mark.parametrize(("size", "overlap", "align"), [(16, 0, 1), (20, 8, 4), (64, 16, 4), (200, 8, 8)])
def test_cores_of_tiles_cover_each_pixel_once(size, overlap, align):
    covered = np.zeros((50, 70), int)
    for tile in tiles((50, 70), size, overlap, align):
        covered[tile.core] += 1
        window = PLANE[tile.window]
        np.testing.assert_array_equal(window[tile.core_in_window()], PLANE[tile.core])
        assert all(side.start % align == 0 for side in tile.window)
    assert (covered == 1).all()


def test_the_core_of_a_tile_can_be_divided_into_smaller_tiles():
    covered = np.zeros((50, 70), int)
    for large_tile in tiles((50, 70), 36, 4, 4):
        for small_tile in tiles((50, 70), 16, 4, 4, large_tile.core):
            covered[small_tile.core] += 1
    assert (covered == 1).all()


def test_unsuitable_sizes_of_tiles_and_patches_are_refused():
    with pytest.raises(ValueError, match="must be multiples of 4"):
        list(tiles((50, 70), 10, 4, 4))
    with pytest.raises(ValueError, match="choose a patch of at most 48"):
        check_patch([Image(PLANE, name="small")], 64)

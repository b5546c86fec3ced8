"""Recognition of parts of an image by marks of its content."""

import numpy as np
import pytest

from napari_smdiffusion import simulate
from napari_smdiffusion.images.parts import fewer_marks, marks_of, shared_parts


@pytest.fixture(scope="module")
def pixels():
    """Return an image with structure and noise, (1, 400, 420)."""
    return np.random.default_rng(0).poisson(3 * _structure(0) + 0.2).astype(np.float32)


def _structure(seed):
    y, x = np.mgrid[:400, :420]
    return (1 + np.sin(0.11 * y + seed) * np.sin(0.07 * x + 2 * seed))[None]


def test_a_crop_and_the_whole_are_recognized_whichever_was_marked(pixels):
    crop = pixels[:, 37:190, 101:260]
    assert shared_parts(crop, [marks_of(pixels)]) == {0}
    assert shared_parts(pixels, [marks_of(crop)]) == {0}


@pytest.mark.parametrize(
    "change",
    [
        lambda crop: 3.7 * crop + 20,
        lambda crop: (crop / 256).astype(np.float32),
        lambda crop: crop[:, ::-1],
        lambda crop: np.rot90(crop, 1, (1, 2)),
    ],
    ids=["contrast", "scale", "mirrored", "rotated"],
)
def test_contrast_and_orientation_of_a_crop_do_not_matter(pixels, change):
    assert shared_parts(np.float32(change(pixels[:, 50:250, 60:260])), [marks_of(pixels)]) == {0}


def test_other_images_share_no_part(pixels):
    other = np.random.default_rng(1).poisson(3 * _structure(0) + 0.2).astype(np.float32)  # the same field, seen again
    assert shared_parts(other, [marks_of(pixels)]) == set()
    # Spots without noise look alike, but do not lie at the same distances.
    simulated = [simulate("microtubules", size=384, pixel_size=20.0, seed=seed).pixels for seed in range(2)]
    assert shared_parts(simulated[0], [marks_of(simulated[1]), marks_of(simulated[0])]) == {1}


def test_the_image_that_shares_a_part_is_named(pixels):
    other = np.random.default_rng(1).poisson(3 * _structure(1) + 0.2).astype(np.float32)
    marks = [marks_of(other), marks_of(np.concatenate([other, pixels]))]
    assert shared_parts(pixels[:, 100:300, 100:300], marks) == {1}


def test_an_image_without_structure_and_wrong_marks_match_nothing(pixels):
    empty = np.zeros((1, 64, 64), np.float32)
    assert marks_of(empty) == ""
    assert shared_parts(empty, [marks_of(pixels)]) == set()
    for wrong in ("", "no base64 ä", "AAAA", "A" * 4000):
        assert shared_parts(pixels, [wrong]) == set()


def test_fewer_marks_still_recognize_the_whole(pixels):
    few = fewer_marks(marks_of(pixels), 8)
    assert len(few) < 200
    assert shared_parts(pixels, [few]) == {0}


def test_an_image_smaller_than_a_mark_has_none(pixels):
    assert marks_of(pixels[:, :8, :8]) == ""
    assert shared_parts(pixels[:, :8, :8], [marks_of(pixels)]) == set()

"""Tests of rectangular regions: their checks, and the division of an image around what is held out."""

import numpy as np
import pytest

from napari_smdiffusion import Image, InputError
from napari_smdiffusion.images.provenance import Provenance
from napari_smdiffusion.images.regions import (
    as_rectangles,
    disjoint_windows,
    in_words,
    stated_window,
    window_of,
    windows_to_train_on,
    within,
)


def _pixels(size, windows):
    """Return how many of the windows hold each pixel."""
    count = np.zeros(size, int)
    for window in windows:
        count[window] += 1
    return count


@pytest.mark.parametrize(
    ("inside", "held_out", "least"),
    [
        ([], [(60, 110, 70, 120)], 40),
        ([], [(0, 50, 0, 40), (100, 180, 90, 200)], 32),
        ([(0, 120, 0, 100), (60, 180, 50, 200)], [(70, 90, 80, 100)], 16),
        ([], [(0, 20, 0, 500)], 16),
    ],
)
def test_the_rest_of_an_image_is_divided_into_windows_without_overlap(inside, held_out, least):
    size = (180, 200)
    windows = [[window_of(rectangle) for rectangle in group] for group in (inside, held_out)]
    parts = disjoint_windows(size, *windows, least)
    counts = _pixels(size, parts)
    allowed = (_pixels(size, windows[0]) > 0 if inside else np.ones(size, bool)) & (_pixels(size, windows[1]) == 0)
    assert counts.max() == 1
    assert not counts[~allowed].any()
    assert min(part.stop - part.start for window in parts for part in window) >= least
    # Few squares that touch nothing held out are lost at the cuts.
    assert counts.sum() > 0.75 * allowed.sum()


def test_a_part_narrower_than_a_patch_is_left_out_and_parts_of_pairs_begin_at_whole_widefield_pixels():
    held_out = [window_of((30, 70, 0, 100))]
    image = Image(np.ones((100, 100)), name="cell")
    assert windows_to_train_on(image, [], held_out, 30) == [
        (slice(0, 30), slice(0, 100)),
        (slice(70, 100), slice(0, 100)),
    ]
    assert windows_to_train_on(image, [], [window_of((30, 71, 0, 100))], 30) == [(slice(0, 30), slice(0, 100))]
    (window,) = windows_to_train_on(image, [window_of((3, 55, 11, 90))], [], 32, 4)
    assert window == (slice(4, 52), slice(12, 88))
    with pytest.raises(InputError, match=r"No patch of 64 × 64 pixels fits into the part of cell .* smaller patch"):
        windows_to_train_on(image, [], held_out, 64)


def test_rectangles_are_checked_and_cut_at_the_edge():
    assert as_rectangles((0, 16, 3, 90), "region") == ((0, 16, 3, 90),)
    assert as_rectangles([(0, 16, 3, 90), np.array([1, 20, 1, 20])], "region") == ((0, 16, 3, 90), (1, 20, 1, 20))
    assert as_rectangles((), "region") == as_rectangles(None, "region") == ()
    for wrong in ([0, 16, 3], (0.5, 20, 0, 20), (-1, 20, 0, 20), "0,20,0,20", (5, 20, 0, 20), [(0, 20, 0, 20)] * 33):
        with pytest.raises(InputError) as error:
            as_rectangles(wrong, "region")
        assert error.value.setting == "region"
    image = Image(np.ones((100, 100)), name="cell")
    assert within(image, (50, 200, 0, 20)) == (slice(50, 100), slice(0, 20))
    with pytest.raises(InputError, match="rows 90 to 199, columns 0 to 19 lies outside of cell, or covers fewer"):
        within(image, (90, 200, 0, 20))


def test_a_part_states_its_place_in_the_whole_image_also_when_it_is_cut_again():
    image = Image(np.arange(100 * 90).reshape(100, 90), 20.0)
    part = image.crop(slice(20, 80), slice(10, 70)).crop(slice(5, 40), slice(0, 30))
    assert part.provenance.window == (25, 60, 10, 40)
    assert part.origin == (500.0, 200.0)
    assert in_words(part.provenance.window) == "rows 25 to 59, columns 10 to 39"
    assert image.crop(slice(None), slice(None)).provenance == image.provenance
    assert Provenance.from_json(part.provenance.to_json()).window == (25, 60, 10, 40)
    assert Provenance.from_json({"window": [1, 2, 3]}).window is None
    # The window of a result is in pixels of the widefield image.
    result = Image(image.pixels, provenance={"kind": "enhanced", "window": [0, 25, 0, 20]})
    assert result.crop(slice(0, 50), slice(0, 50)).provenance.window is None


@pytest.mark.parametrize("numbers", [(), (1, 2, 3), (0, 10, 0, 40), (-4, 40, 0, 40), (0, 101, 0, 40), (40, 0, 0, 40)])
def test_an_impossible_window_in_a_file_is_none(numbers):
    assert stated_window(numbers, (100, 100)) is None
    assert stated_window((0, 100, 20, 60), (100, 100)) == (slice(0, 100), slice(20, 60))

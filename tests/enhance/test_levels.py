"""An enhanced pixel depends on its surroundings alone: not on borders, empty field, dirt, tiles or the exposure."""

import numpy as np
import pytest
import torch

from napari_smdiffusion import Image, load_enhancer
from napari_smdiffusion.base.events import Note, run
from napari_smdiffusion.enhance.applying import enhance_steps
from napari_smdiffusion.enhance.local_levels import BLOCK, CEILING, LocalLevels
from napari_smdiffusion.enhance.plane_levels import local_levels
from napari_smdiffusion.enhance.settings import EnhanceConfig
from napari_smdiffusion.images.samples import simulated_pair

SIDE = 128
TOLERANCE = 0.02  # of the signal, root mean square
FIVE = 5  # upscale


def enhanced(pixels: np.ndarray, **settings) -> tuple[np.ndarray, list[str]]:
    """Return the enhanced planes, and the messages about the image."""
    events = []
    image = Image(pixels, 97.0, name="cell")
    steps = enhance_steps(load_enhancer("microtubules"), image, EnhanceConfig(**settings))
    result = run(steps, events.append).image.pixels
    return result, [event.message for event in events if isinstance(event, Note)]


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    """Return a simulated widefield plane in raw counts, with the offset of a camera."""
    return simulated_pair()[1].pixels[0, 64 : 64 + SIDE, 64 : 64 + SIDE] + 1000.0


@pytest.fixture(scope="module")
def expected(clean) -> np.ndarray:
    return enhanced(clean)[0][0]


def difference(result: np.ndarray, expected: np.ndarray, mask: np.ndarray) -> float:
    """Return the root mean square difference within a mask of widefield pixels, relative to the signal."""
    fine = mask.repeat(FIVE, 0).repeat(FIVE, 1)
    return float(np.sqrt(np.square(result - expected)[fine].mean()) / np.percentile(expected, 99.5))


def away_from(*places: tuple[int, int], pixels: float) -> np.ndarray:
    """Return the widefield pixels that are farther than `pixels` from all places."""
    y, x = np.mgrid[:SIDE, :SIDE]
    return np.all([np.hypot(y - row, x - column) > pixels for row, column in places], axis=0)


def inside(pixels: int) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[pixels:-pixels, pixels:-pixels] = True
    return mask


def bordered(plane: np.ndarray, pixels: int, value: float) -> np.ndarray:
    plane = plane.copy()
    plane[:pixels], plane[-pixels:], plane[:, :pixels], plane[:, -pixels:] = (value,) * 4
    return plane


@pytest.mark.parametrize(("pixels", "value"), [(1, 0.0), (12, 0.0), (3, 65535.0)])
def test_a_border_without_a_measurement_changes_nothing_inside(clean, expected, pixels, value):
    (result,), messages = enhanced(bordered(clean, pixels, value))
    assert difference(result, expected, inside(pixels + 16)) < TOLERANCE
    assert not result[: FIVE * pixels].any()
    assert any("without a measurement" in message for message in messages)


def test_the_empty_corner_of_a_mosaic_changes_no_other_pixels(clean, expected):
    plane = clean.copy()
    plane[:40, :40] = 0
    mask = np.ones((SIDE, SIDE), bool)
    mask[:52, :52] = False
    assert difference(enhanced(plane)[0][0], expected, mask) < TOLERANCE


def test_a_burned_in_bar_changes_no_other_pixels(clean, expected):
    plane = clean.copy()
    plane[110:116, 60:110] = 65535
    mask = np.ones((SIDE, SIDE), bool)
    mask[100:126, 50:120] = False
    assert difference(enhanced(plane)[0][0], expected, mask) < TOLERANCE


def test_a_black_frame_of_a_film_does_not_change_the_others(clean, expected):
    (first, black), messages = enhanced(np.stack([clean, 0 * clean]))
    np.testing.assert_array_equal(first, expected)
    assert not black.any()
    assert any("all pixels of plane 1 are equal" in message for message in messages)


def test_dead_and_hot_pixels_are_replaced(clean, expected):
    plane, rng = clean.copy(), np.random.default_rng(1)
    dead = rng.random(plane.shape) < 0.005
    plane[dead] = 0
    plane[40, 40], plane[90, 30:32] = 65535, 5000
    result = enhanced(plane)[0][0]
    assert difference(result, expected, away_from((40, 40), (90, 30), pixels=4)) < 2 * TOLERANCE
    assert np.corrcoef(result.ravel(), expected.ravel())[0, 1] > 0.98


@pytest.mark.parametrize("times", [3, 20])
def test_a_bead_does_not_blank_its_surroundings(clean, expected, times):
    y, x = np.mgrid[:SIDE, :SIDE]
    bead = np.exp(-((y - 64) ** 2 + (x - 64) ** 2) / 2 / 1.4**2)
    plane = clean + times * (np.percentile(clean, 99.9) - np.median(clean)) * bead
    result, near = enhanced(plane)[0][0], away_from((64, 64), pixels=12) & ~away_from((64, 64), pixels=35)
    assert difference(result, expected, near) < 1.5 * TOLERANCE
    fine = near.repeat(FIVE, 0).repeat(FIVE, 1)
    # Beside a bead 20 times as bright as the structure, the bundled enhancer makes 5.1 % more light.
    assert result[fine].sum() == pytest.approx(expected[fine].sum(), rel=0.06)


def test_an_offset_and_the_exposure_change_nothing(clean, expected):
    np.testing.assert_allclose(enhanced(clean + 5000)[0][0], expected, atol=1e-3 * expected.max())
    np.testing.assert_allclose(enhanced(4 * clean)[0][0], 4 * expected, atol=4e-3 * expected.max())
    np.testing.assert_allclose(enhanced(1e-20 * clean)[0][0] * 1e20, expected, atol=0.02 * expected.max())


def test_a_crop_has_the_pixels_of_the_whole(clean, expected):
    part = enhanced(clean[16:112, 16:112])[0][0]
    whole = expected[16 * FIVE : 112 * FIVE, 16 * FIVE : 112 * FIVE]
    mask = np.zeros((96, 96), bool)
    mask[24:-24, 24:-24] = True
    assert difference(part, whole, mask) < TOLERANCE


def test_the_overlap_of_exported_tiles_is_large_enough():
    plane = simulated_pair()[1].pixels[0]
    whole, part = enhanced(plane)[0][0], enhanced(plane[:, :144])[0][0]
    rows, columns = np.s_[:], np.s_[: (144 - 112) * FIVE]
    error = np.sqrt(np.square(part[rows, columns] - whole[rows, columns]).mean())
    assert error < 5e-3 * np.percentile(whole, 99.5)


def test_empty_field_around_changes_nothing(clean, expected):
    field = np.random.default_rng(0).normal(np.percentile(clean, 5), 8.5, (3 * SIDE, 3 * SIDE))
    field[SIDE : 2 * SIDE, SIDE : 2 * SIDE] = clean
    result, messages = enhanced(field)
    own = result[0, SIDE * FIVE : 2 * SIDE * FIVE, SIDE * FIVE : 2 * SIDE * FIVE]
    assert difference(own, expected, inside(24)) < TOLERANCE
    result[0, (SIDE - 8) * FIVE : (2 * SIDE + 8) * FIVE, (SIDE - 8) * FIVE : (2 * SIDE + 8) * FIVE] = 0
    assert np.percentile(result, 99) < 0.1 * np.percentile(expected, 99)
    assert not messages


@pytest.mark.parametrize("tile", [64, 68])
def test_tiles_of_every_size_give_the_same_pixels(clean, expected, tile):
    plane = np.pad(clean, ((0, 120), (0, 0)), mode="reflect")
    whole, tiled = (enhanced(plane, tile=side)[0][0] for side in (512, tile))
    np.testing.assert_allclose(tiled, whole, atol=1e-3 * expected.max())


@pytest.mark.parametrize(
    "pixels",
    [
        np.random.default_rng(0).poisson(100, (SIDE, SIDE)),
        100 + np.random.default_rng(0).integers(0, 2, (SIDE, SIDE)),
    ],
)
def test_noise_is_not_stretched_to_structure(pixels, expected):
    (result,), messages = enhanced(pixels.astype(np.float32))
    assert np.percentile(result, 99.8) < 0.1 * np.percentile(expected, 99.8)
    assert any("hardly anything above its noise" in message for message in messages)


def test_the_unit_depends_on_the_structure_and_not_on_its_share():
    x = np.arange(320, dtype=np.float32)[None, :] * np.ones((320, 1), np.float32)
    noise = np.random.default_rng(0).normal(0, 1, (320, 320)).astype(np.float32)
    dense, sparse = (50 * np.exp(-0.5 * ((x % period - 16) / 1.5) ** 2) for period in (20, 320))
    levels, units = LocalLevels(), []
    for structure in (dense, sparse):
        _, unit, noise_level = local_levels(levels, torch.from_numpy(100 + noise + structure)[None, None])
        units.append(float(unit[0, 0, 160, 16]))
        assert float(noise_level.median()) == pytest.approx(1, abs=0.15)
    assert units[0] == pytest.approx(units[1], rel=0.15)


def test_levels_depend_on_the_stated_surroundings_alone():
    rng = np.random.default_rng(0)
    plane = rng.gamma(0.5, 100, (520, 40)).astype(np.float32)
    changed = plane.copy()
    changed[:BLOCK] += 300
    first, second = (local_levels(LocalLevels(), torch.from_numpy(p)[None, None])[1][0, 0] for p in (plane, changed))
    rows = (first - second).abs().amax(1).nonzero()
    reach = LocalLevels().reach
    assert reach // 2 < int(rows.max()) < reach + BLOCK


def test_the_input_of_the_network_is_limited():
    values = LocalLevels().compressed(torch.tensor([-1.0, 0.5, 3.0, 4.0, 1e6]))
    assert values[:3].tolist() == [-1.0, 0.5, 3.0]
    assert 3 < float(values[3]) < 4
    assert float(values[4]) <= CEILING

"""Simulated microtubules have the organisation of a cell, and those of the realism score are independent curves."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from napari_smdiffusion import STRUCTURES, MicrotubuleConfig, read_image, simulate
from napari_smdiffusion.cli import main
from napari_smdiffusion.images.patches import grid_patches
from napari_smdiffusion.measure.realism import realism
from napari_smdiffusion.structures.cell import draw_cell
from napari_smdiffusion.structures.curves import STEP
from napari_smdiffusion.structures.organisation import organised_curves

FIELD = 8000.0  # nm


def _curves(seed=0, field=FIELD, **settings):
    return organised_curves(field, MicrotubuleConfig(**{"edges": 0.0, **settings}), np.random.default_rng(seed))


def _cell(seed=0, field=FIELD, **settings):
    """Return the cell that `_curves` draws first, with the same seed."""
    return draw_cell(field, MicrotubuleConfig(**{"edges": 0.0, **settings}), np.random.default_rng(seed))


def _order(curves):
    return abs(np.exp(2j * curves.angle).mean())


def test_filaments_radiate_from_the_organising_centre():
    far = [_curves(seed, centre_distance=40.0, crossing=0.0, buckling=0.0) for seed in range(4)]
    assert np.mean([_order(curves) for curves in far]) > 0.6
    near = _curves(centre_distance=0.0, crossing=0.0, bundled=0.0)
    away = near.points - _cell(centre_distance=0.0, crossing=0.0, bundled=0.0).centre
    outwards = np.cos(near.angle - np.arctan2(away[:, 0], away[:, 1]))
    assert np.mean(outwards > 0.5) > 0.7
    assert _order(near) < np.mean([_order(curves) for curves in far])


def test_crossing_filaments_are_less_parallel():
    together, crossing = (
        np.mean([_order(_curves(seed, centre_distance=40.0, crossing=share)) for seed in range(4)])
        for share in (0.0, 1.0)
    )
    assert crossing < together - 0.2


def test_filaments_have_no_kinks_or_gaps():
    curves = _curves(1)
    inside = np.diff(curves.filament) == 0
    steps = np.hypot(*np.diff(curves.points, axis=0).T)[inside]
    np.testing.assert_allclose(steps, STEP, rtol=0.02)
    turns = (np.diff(curves.angle)[inside] + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(turns).max() / STEP < 8e-3  # 1/nm


@pytest.mark.parametrize("density", [1.0, 4.0])
def test_the_density_is_the_stated_one(density):
    def found(seed):
        points = _curves(seed, density=density, centre_distance=40.0).points
        return np.all((points >= 0) & (points < FIELD), axis=1).sum() * STEP / 1000 / (FIELD / 1000) ** 2

    assert np.mean([found(seed) for seed in range(6)]) == pytest.approx(density, rel=0.25)


def test_ends_in_the_field_are_rare():
    ends, length = 0, 0.0
    for seed in range(4):
        curves = _curves(seed, centre_distance=40.0)
        first = np.flatnonzero(np.diff(curves.filament, prepend=-1))
        end_points = curves.points[np.concatenate([first, np.append(first[1:] - 1, len(curves.points) - 1)])]
        ends += np.all((end_points > 0) & (end_points < FIELD), axis=1).sum()
        length += len(curves.points) * STEP / 1000
    assert ends / length < 0.06  # per µm


def test_filaments_stay_in_the_cell_and_mostly_out_of_the_nucleus():
    field = 20_000.0
    settings = {"edges": 1.0, "centre_distance": 7.0}
    curves, cell = _curves(3, field, **settings), _cell(3, field, **settings)
    assert cell.beyond_border(curves.points)[0].max() < 0.1 * field / 20
    # Uniform points tell the area of the nucleus.
    everywhere = np.random.default_rng(0).uniform(0, field, (20_000, 2))
    in_nucleus, of_area = (np.mean(cell.beyond_nucleus(points)[0] < 0) for points in (curves.points, everywhere))
    assert of_area > 0.05
    assert in_nucleus < 0.5 * of_area


def test_bundled_filaments_run_beside_others():
    def beside(bundled):
        curves = _curves(2, bundled=bundled, density=1.5)
        some = slice(None, None, 25)
        points, filament = curves.points[some], curves.filament[some]
        pairs = cKDTree(points).query_pairs(200, output_type="ndarray")
        others = pairs[filament[pairs[:, 0]] != filament[pairs[:, 1]]]
        return len(np.unique(others)) / len(points)

    assert beside(0.7) > beside(0.0) + 0.2  # filaments that cross are near each other as well


def test_a_seed_gives_the_same_filaments_at_two_pixel_sizes():
    fine = simulate("microtubules", size=128, pixel_size=20.0, seed=2).pixels[0]
    coarse = simulate("microtubules", size=64, pixel_size=40.0, seed=2).pixels[0]
    binned = fine.reshape(64, 2, 64, 2).sum((1, 3))
    assert np.corrcoef(binned.ravel(), coarse.ravel())[0, 1] > 0.95


def test_small_fields_are_never_empty():
    stack = simulate("microtubules", 12, 64, 20.0, seed=4, unspecific_background=0.0).pixels
    assert (stack > 0).mean((1, 2)).min() > 0.02


def test_the_unit_of_the_realism_score_is_made_of_independent_filaments():
    assert STRUCTURES["microtubules"].unit_settings == {"organisation": "random"}
    stack = simulate("microtubules", 4, 128, seed=0, organisation="random").pixels
    patches = grid_patches(list(stack), 32)
    assert realism(patches[::2], patches[1::2], baseline="microtubules").score is None, "it is the unit itself"


def test_the_command_has_the_settings_and_only_for_microtubules(tmp_path, capsys):
    path = tmp_path / "m.tif"
    command = ["simulate", "microtubules", "--out", str(path), "--size", "48", "--seed", "3", "--density", "5"]
    assert main([*command, "--organisation", "cell", "--centre-distance", "9"]) == 0
    expected = simulate("microtubules", size=48, seed=3, density=5.0, centre_distance=9.0)
    np.testing.assert_array_equal(read_image(path).pixels, expected.pixels)
    assert read_image(path).provenance["settings"] == {"density": 5.0, "centre_distance": 9.0}
    refused = ["simulate", "vesicles", "--out", str(tmp_path / "v.tif"), "--density", "5"]
    assert main(refused) == 2
    assert "--density is a setting of microtubules, not of vesicles: leave it out." in capsys.readouterr().err

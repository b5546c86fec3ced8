"""Filaments of known length and curvature are measured as such."""

from typing import get_type_hints

import numpy as np
import pytest

from curves import curves
from napari_smdiffusion.measure.filaments import SUMMARIES, Filaments, compare_filaments, measure_filaments

_Y, _X = np.mgrid[:160, :160] - 79.7


def _circle(radius):
    return np.exp(-((np.hypot(_Y, _X) - radius) ** 2) / 4.5).astype(np.float32)


def _line(angle, half=50):
    across, along = -_X * np.sin(angle) + _Y * np.cos(angle), _X * np.cos(angle) + _Y * np.sin(angle)
    return np.exp(-(across**2 + np.maximum(np.abs(along) - half, 0) ** 2) / 4.5).astype(np.float32)


@pytest.mark.parametrize("radius", [20, 40, 65])
def test_a_circle_has_its_length_and_curvature(radius):
    found = measure_filaments(_circle(radius)[np.newaxis])
    assert found.unit == "pixel"
    assert found.branch_lengths.sum() == pytest.approx(2 * np.pi * radius, rel=0.02)
    assert found.length_density == pytest.approx(2 * np.pi * radius / 160**2, rel=0.02)
    # Smoothing along the branch makes a circle of 20 pixels 5 % smaller, and wider ones less.
    assert found.curvature == pytest.approx(1 / radius, rel=0.06)
    assert found.curvature_90 == pytest.approx(1 / radius, rel=0.15)
    assert found.order < 0.05
    assert found.free_ends == 0


@pytest.mark.parametrize("angle", [0, 0.05, 0.2, 0.5, np.pi / 4, 1.2, 2.5])
def test_a_line_is_straight_at_any_angle(angle):
    found = measure_filaments(_line(angle)[np.newaxis])
    assert len(found.branch_lengths) == 1
    # The skeleton ends where the blurred intensity falls below the threshold.
    assert found.branch_length == pytest.approx(100, abs=4)
    assert found.curvature_90 < 0.003, "a staircase of pixels would have 0.03 and more"
    assert np.median(found.directions) == pytest.approx(angle, abs=0.01)
    assert found.order > 0.98
    assert found.intensity_variation < 0.08
    assert found.free_ends * found.branch_length == pytest.approx(2)


def test_lengths_are_in_micrometres_where_the_pixel_size_is_known():
    pixels, nm = measure_filaments(_circle(40)[np.newaxis]), measure_filaments(_circle(40)[np.newaxis], 20.0)
    assert nm.unit == "µm"
    assert nm.branch_length == pytest.approx(0.02 * pixels.branch_length)
    assert nm.curvature == pytest.approx(pixels.curvature / 0.02)
    assert nm.length_density == pytest.approx(pixels.length_density / 0.02)
    assert nm.order == pixels.order


def test_brightness_plays_no_part():
    field = np.stack([curves(0)])
    first, second = measure_filaments(field), measure_filaments(7 * field + 100)
    for name in SUMMARIES:
        assert getattr(first, name) == pytest.approx(getattr(second, name), rel=0.02)


def test_crossing_filaments_are_four_branches():
    found = measure_filaments(np.maximum(_line(0.3), _line(1.9))[np.newaxis])
    assert (found.branch_lengths > 30).sum() == 4
    assert found.branch_lengths.sum() == pytest.approx(200, rel=0.05)
    assert found.free_ends * found.branch_lengths.sum() == pytest.approx(4)


def test_wavy_filaments_are_more_bent():
    straight, *wavy = (measure_filaments(curves(0, number=12, wave=wave)[np.newaxis]) for wave in (0, 1, 2, 4))
    bent = [straight.curvature, *(one.curvature for one in wavy)]
    assert bent == sorted(bent)
    assert bent[1] > 1.3 * bent[0]
    # A sine of amplitude a has a curvature of a (2π/λ)² at its crests; some of it is smoothed away.
    assert 0.5 < np.quantile(wavy[1].curvatures, 0.8) / (2 * (2 * np.pi / 40) ** 2) < 1.1


def test_dashed_filaments_have_ends_and_uneven_light():
    found = [measure_filaments(curves(0, number=12, gap=gap)[np.newaxis]) for gap in (0, 0.2, 0.4, 0.6)]
    assert [one.free_ends for one in found] == sorted(one.free_ends for one in found)
    assert found[1].free_ends > 1.8 * found[0].free_ends
    assert found[1].intensity_variation > 1.1 * found[0].intensity_variation
    assert found[1].branch_length < 0.8 * found[0].branch_length
    assert found[3].length_density < found[0].length_density


def test_gaps_that_are_bridged_show_in_the_light():
    place = _X * np.cos(0.3) + _Y * np.sin(0.3)
    whole, uneven = (_line(0.3) * (1 - depth * (np.cos(place / 2) > 0.5)) for depth in (0, 0.6))
    first, second = (measure_filaments(plane[np.newaxis].astype(np.float32)) for plane in (whole, uneven))
    assert second.free_ends == pytest.approx(first.free_ends, rel=0.1)
    assert second.intensity_variation > 4 * first.intensity_variation


def test_nothing_is_measured_where_nothing_is():
    found = measure_filaments(np.zeros((2, 64, 64), np.float32))
    assert found.length_density == found.free_ends == 0
    assert np.isnan(found.curvature)
    with pytest.raises(ValueError, match=r"\(N, Y, X\)"):
        measure_filaments(np.zeros((64, 64), np.float32))


def test_patches_without_filaments_may_be_compared():
    patches = np.concatenate([np.stack([curves(i, number=6, size=64) for i in range(8)]), np.zeros((2, 64, 64))])
    same = compare_filaments(patches, patches)
    assert set(same) == set(SUMMARIES)
    assert all(one.inside and one.difference == 0 for one in same.values())


@pytest.mark.parametrize(("pixel_size", "length"), [(20.0, "µm"), (None, "pixel")])
def test_every_summary_has_its_unit(pixel_size, length):
    patches = np.stack([_line(angle) + _line(angle + 1) for angle in (0.1, 0.5, 0.9)])
    found = compare_filaments(patches, patches, pixel_size)
    units = {name: found[name].unit for name in SUMMARIES}
    assert units.pop("branch_length") == length
    assert [units.pop(name) for name in ("order", "intensity_variation")] == ["", ""]
    assert set(units.values()) == {f"1/{length}"}


def test_what_reports_compare_is_every_number_of_the_filaments():
    hints = get_type_hints(Filaments)
    assert tuple(name for name, kind in hints.items() if kind is float) == SUMMARIES

"""Measured statistics of filaments with known length, curvature and gaps."""

from dataclasses import fields

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
def test_the_length_and_curvature_of_a_circle(radius):
    filaments = measure_filaments(_circle(radius)[np.newaxis])
    assert filaments.unit == "pixel"
    assert filaments.branch_lengths.sum() == pytest.approx(2 * np.pi * radius, rel=0.02)
    assert filaments.length_density == pytest.approx(2 * np.pi * radius / 160**2, rel=0.02)
    # Smoothing along the branch shrinks a circle of 20 pixels by 5 %, and larger circles less.
    assert filaments.curvature == pytest.approx(1 / radius, rel=0.06)
    assert filaments.curvature_90 == pytest.approx(1 / radius, rel=0.15)
    assert filaments.order < 0.05
    assert filaments.free_ends == 0


@pytest.mark.parametrize("angle", [0, 0.05, 0.2, 0.5, np.pi / 4, 1.2, 2.5])
def test_a_line_is_straight_at_any_angle(angle):
    filaments = measure_filaments(_line(angle)[np.newaxis])
    assert len(filaments.branch_lengths) == 1
    # The skeleton ends where the blurred intensity falls below the threshold, near the end of the line.
    assert filaments.branch_length == pytest.approx(100, abs=4)
    assert filaments.curvature_90 < 0.003, "a staircase of pixels has at least 0.03"
    assert np.median(filaments.directions) == pytest.approx(angle, abs=0.01)
    assert filaments.order > 0.98
    assert filaments.intensity_variation < 0.08
    assert filaments.free_ends * filaments.branch_length == pytest.approx(2)


def test_lengths_are_in_micrometres_if_the_pixel_size_is_known():
    pixels, micrometres = measure_filaments(_circle(40)[np.newaxis]), measure_filaments(_circle(40)[np.newaxis], 20.0)
    assert micrometres.unit == "µm"
    assert micrometres.branch_length == pytest.approx(0.02 * pixels.branch_length)
    assert micrometres.curvature == pytest.approx(pixels.curvature / 0.02)
    assert micrometres.length_density == pytest.approx(pixels.length_density / 0.02)
    assert micrometres.order == pixels.order


def test_brightness_and_background_do_not_change_the_summaries():
    field = np.stack([curves(0)])
    first, second = measure_filaments(field), measure_filaments(7 * field + 100)
    for name in SUMMARIES:
        assert getattr(first, name) == pytest.approx(getattr(second, name), rel=0.02)


def test_two_crossing_filaments_have_four_branches():
    filaments = measure_filaments(np.maximum(_line(0.3), _line(1.9))[np.newaxis])
    assert (filaments.branch_lengths > 30).sum() == 4
    assert filaments.branch_lengths.sum() == pytest.approx(200, rel=0.05)
    assert filaments.free_ends * filaments.branch_lengths.sum() == pytest.approx(4)


def test_wavy_filaments_have_a_larger_curvature():
    straight, *wavy = (measure_filaments(curves(0, number=12, wave=wave)[np.newaxis]) for wave in (0, 1, 2, 4))
    curvatures = [straight.curvature, *(filaments.curvature for filaments in wavy)]
    assert curvatures == sorted(curvatures)
    assert curvatures[1] > 1.3 * curvatures[0]
    # A sine of amplitude a has a curvature of a (2π/λ)² at its crests; smoothing reduces it.
    assert 0.5 < np.quantile(wavy[1].curvatures, 0.8) / (2 * (2 * np.pi / 40) ** 2) < 1.1


def test_dashed_filaments_have_free_ends_and_varying_intensity():
    measured = [measure_filaments(curves(0, number=12, gap=gap)[np.newaxis]) for gap in (0, 0.2, 0.4, 0.6)]
    free_ends = [filaments.free_ends for filaments in measured]
    assert free_ends == sorted(free_ends)
    assert free_ends[1] > 1.8 * free_ends[0]
    assert measured[1].intensity_variation > 1.1 * measured[0].intensity_variation
    assert measured[1].branch_length < 0.8 * measured[0].branch_length
    assert measured[3].length_density < measured[0].length_density


def test_bridged_gaps_increase_the_intensity_variation():
    along = _X * np.cos(0.3) + _Y * np.sin(0.3)
    whole, uneven = (_line(0.3) * (1 - depth * (np.cos(along / 2) > 0.5)) for depth in (0, 0.6))
    first, second = (measure_filaments(plane[np.newaxis].astype(np.float32)) for plane in (whole, uneven))
    assert second.free_ends == pytest.approx(first.free_ends, rel=0.1)
    assert second.intensity_variation > 4 * first.intensity_variation


def test_empty_planes_have_no_filaments():
    filaments = measure_filaments(np.zeros((2, 64, 64), np.float32))
    assert filaments.length_density == filaments.free_ends == 0
    assert np.isnan(filaments.curvature)
    with pytest.raises(ValueError, match=r"\(N, Y, X\)"):
        measure_filaments(np.zeros((64, 64), np.float32))


def test_comparisons_accept_patches_without_filaments():
    patches = np.concatenate([np.stack([curves(i, number=6, size=64) for i in range(8)]), np.zeros((2, 64, 64))])
    same = compare_filaments(patches, patches)
    assert set(same) == set(SUMMARIES)
    assert all(summary.inside and summary.difference == 0 for summary in same.values())


@pytest.mark.parametrize(("pixel_size", "length"), [(20.0, "µm"), (None, "pixel")])
def test_every_summary_has_its_unit(pixel_size, length):
    patches = np.stack([_line(angle) + _line(angle + 1) for angle in (0.1, 0.5, 0.9)])
    differences = compare_filaments(patches, patches, pixel_size)
    units = {name: differences[name].unit for name in SUMMARIES}
    assert units.pop("branch_length") == length
    assert [units.pop(name) for name in ("order", "intensity_variation")] == ["", ""]
    assert set(units.values()) == {f"1/{length}"}


def test_reports_compare_every_number_of_the_filaments():
    assert tuple(field.name for field in fields(Filaments) if field.type == "float") == SUMMARIES

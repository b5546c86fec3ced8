"""The realism score that real fields of view reach by chance, and what the verdict makes of it."""

from dataclasses import replace

import numpy as np
import pytest

from napari_smdiffusion import Image
from napari_smdiffusion.images.patches import grid_patches, grid_places
from napari_smdiffusion.measure.chance import FieldLayout, chance_score
from napari_smdiffusion.measure.realism import Realism
from napari_smdiffusion.report.context import MeasureContext
from napari_smdiffusion.report.limits import LIMITS
from napari_smdiffusion.report.measures.realism import REALISM
from napari_smdiffusion.report.verdict import verdicts_of

_RESULT = Realism(0.7, 0.5, 0.9, 3.0, 1.0, 4.0, 1.0, 0.0, 1.0, 40)


def test_places_are_those_of_the_patches():
    planes = [np.arange(20.0).reshape(4, 5), np.arange(6.0).reshape(2, 3)]
    patches, places = grid_patches(planes, 2), grid_places(planes, 2)
    corners = [planes[n][2 * y, 2 * x] for n, y, x in places]
    assert corners == [patch[0, 0] for patch in patches]
    assert grid_places([], 2).shape == (0, 3)


def test_a_draw_has_whole_fields_of_one_plane():
    places = grid_places([np.zeros((6, 8))] * 2, 1)
    layout, rng = FieldLayout(places, 2, 3, 4), np.random.default_rng(0)
    for _ in range(20):
        drawn = layout.draw(rng).reshape(4, 6)
        for field in places[drawn]:
            plane, rows, columns = (np.unique(values) for values in field.T)
            assert (len(plane), len(rows), len(columns)) == (1, 2, 3)
            assert (np.ptp(rows), np.ptp(columns)) == (1, 2)
    assert len(FieldLayout(places, 6, 8, 9).draw(rng)) == 48  # a larger experiment would be needed for more


def _chance(uneven):
    """Return the chance score of four fields; a quarter of the experiment is shifted by `uneven`."""
    rng, places = np.random.default_rng(0), grid_places([np.zeros((16, 16))], 1)
    features = rng.normal(size=(256, 1)) + uneven * ((places[:, :1] < 8) & (places[:, 1:2] < 8))
    order = rng.permutation(256)
    layout = FieldLayout(places, 4, 4, 2)

    def distance(first, second):
        return float((first.mean() - second.mean()) ** 2)

    return chance_score(features, layout, [(order[:128], order[128:])], 1.0, distance, rng)


def test_fields_of_an_uneven_experiment_differ_more_by_chance():
    assert 0 < _chance(0) < 0.3
    assert _chance(4) > 10 * _chance(0)


def test_an_experiment_that_is_too_small_has_no_chance_score():
    order = np.arange(16)
    layout = FieldLayout(grid_places([np.zeros((4, 4))], 1), 4, 4, 1)
    nothing = np.zeros((16, 1))
    assert chance_score(nothing, layout, [(order[:8], order[8:])], 1.0, max, np.random.default_rng(0)) is None


@pytest.mark.parametrize(
    ("by_chance", "level", "words"),
    [
        (None, "differs", "differ from the experimental images in texture"),
        (0.4, "differs", "differ from the experimental images in texture"),
        (0.8, "unknown", "Cannot say"),
    ],
)
def test_a_score_that_real_fields_reach_is_no_difference(by_chance, level, words):
    (verdict,) = verdicts_of({"realism": replace(_RESULT, by_chance=by_chance)}, {})
    assert verdict.level == level
    assert words in verdict.text
    assert verdict.rows[0].level == level


def test_the_limit_by_chance_is_in_the_row_and_in_the_report():
    result = replace(_RESULT, by_chance=0.8)
    (verdict,) = verdicts_of({"realism": result}, {})
    assert "normal: up to 0.8, which so few real fields reach by chance;" in verdict.rows[0].text
    assert REALISM.from_json(REALISM.to_json(result)) == result
    assert "by_chance" not in REALISM.to_json(_RESULT)["realism"]
    assert LIMITS.texture_limit(replace(_RESULT, by_chance=0.01)) == LIMITS.texture


@pytest.mark.parametrize(("side", "fields"), [(128, None), (256, (2, 2, 8))])
def test_only_parts_of_larger_fields_have_a_layout(side, fields):
    rng = np.random.default_rng(0)
    real, made = (Image(rng.random(shape).astype(np.float32), 20.0) for shape in ((1, 512, 512), (8, side, side)))
    layout = MeasureContext((real,), made).layout
    assert (layout and (layout.rows, layout.columns, layout.fields)) == fields

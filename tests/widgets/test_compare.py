"""The Compare dock, used by mouse clicks."""

import json

import numpy as np
import pytest
from qtpy.QtGui import QGuiApplication
from scipy.ndimage import gaussian_filter

from examples import added
from napari_smdiffusion import simulate
from napari_smdiffusion.images.provenance import layer_metadata
from napari_smdiffusion.report.report import Report
from napari_smdiffusion.widgets.parts.report_view import VerdictBox, readable
from napari_smdiffusion.widgets.viewer.layers import drawn_extent
from napari_smdiffusion.widgets.viewer.view import canvas_grid, scene_camera

SIDE = 192  # pixels of each field


@pytest.fixture(scope="module")
def fields():
    """Return the pixels of two and of three simulated fields."""
    return [
        simulate("microtubules", count=n, size=SIDE, pixel_size=20.0, seed=n - 1, organisation="random").pixels
        for n in (2, 3)
    ]


@pytest.fixture(scope="module")
def truth():
    """Return the pixels of a simulated field."""
    return simulate("microtubules", size=256, pixel_size=20.0, seed=3, organisation="random").pixels[0]


@pytest.fixture
def pair(viewer, fields):
    """Return an experimental and a synthetic layer of the same structure at two places; there is a third layer."""
    real, generated = (pixels.copy() for pixels in fields)
    place = {"scale": (1, 20, 20), "units": ("pixel", "nm", "nm")}
    experimental = viewer.add_image(real, name="real", **place)
    synthetic = viewer.add_image(
        generated, name="made", metadata=layer_metadata({"kind": "synthetic"}), translate=(0, 0, 6000), **place
    )
    viewer.add_image(np.zeros((SIDE, SIDE)), name="other", scale=(20, 20), units=("nm", "nm"))
    return experimental, synthetic


@pytest.fixture
def dock(pair, open_dock):
    dock = open_dock("Compare images")
    dock.experimental.choose(pair[0])
    dock.training.choose([])
    return dock


def _rows(dock):
    return {dock.table.item(i, 0).text(): dock.table.item(i, 1).text() for i in range(dock.table.rowCount())}


@pytest.fixture
def mean_intensity():
    with added("A measure"):
        yield


def test_the_report_is_shown_and_saved_with_an_added_measure(mean_intensity, dock, click, qtbot, tmp_path):
    assert dock.generated.layer().name == "made"
    click(dock, dock.run_button)
    names = set(_rows(dock))
    dock.save_report(tmp_path / "report")
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert {readable(f"realism.{key}") for key in report["realism"]} <= names
    assert {readable(f"filaments.{key}") for key in report["filaments"]} <= names
    assert _rows(dock)["filaments: curvature"].endswith(" 1/µm")
    assert _rows(dock)["mean intensity: generated"] == f"{report['mean_intensity']['generated']:.4g} photons"
    assert "Mean intensity:" in dock.sentences.text()
    row = next(i for i in range(dock.table.rowCount()) if dock.table.item(i, 0).text() == "realism: score")
    assert "0 is the distance between" in dock.table.item(row, 1).toolTip()
    assert (tmp_path / "report" / "comparison.png").stat().st_size > 10_000
    assert not dock.picture.pixmap().isNull()
    written = Report.from_json(report)
    assert [f"• {sentence}" for sentence in written.sentences] == dock.sentences.text().splitlines()
    (box,) = dock.report.verdicts.findChildren(VerdictBox)
    (verdict,) = written.overall_verdicts
    assert box.text.text() == verdict.text == written.summary[0]
    assert [(name.text(), value.text()) for _, name, value in box.rows] == [(r.name, r.text) for r in verdict.rows]
    # The dock scrolls to the verdict.
    qtbot.waitUntil(lambda: 0 <= box.mapTo(dock.area, box.rect().topLeft()).y() < dock.area.height() / 2)
    assert not dock.table.isVisible()
    click(dock, dock.report.figures.button)
    assert dock.table.isVisible()


def test_side_by_side_and_back(viewer, dock, pair, click):
    experimental, synthetic = pair
    viewer.layers["other"].visible = True
    synthetic.contrast_limits = (0, 3)
    scene_camera(viewer).zoom = 0.07
    before = tuple(scene_camera(viewer).center), scene_camera(viewer).zoom
    click(dock, dock.side_by_side)
    assert canvas_grid(viewer).enabled
    assert {layer.name for layer in viewer.layers if layer.visible} == {"real", "made"}
    np.testing.assert_allclose(synthetic.translate[-2:], experimental.translate[-2:])
    experimental.contrast_limits = (0, 5)
    assert list(synthetic.contrast_limits) == [0, 5]
    click(dock, dock.side_by_side)
    assert not canvas_grid(viewer).enabled
    assert all(layer.visible for layer in viewer.layers)
    assert list(synthetic.contrast_limits) == [0, 3]
    np.testing.assert_allclose(synthetic.translate, (0, 0, 6000))
    assert (tuple(scene_camera(viewer).center), scene_camera(viewer).zoom) == before
    experimental.contrast_limits = (0, 4)
    assert list(synthetic.contrast_limits) == [0, 3]


def test_side_by_side_with_layers_of_different_units(viewer, dock, pair, click):
    """An experimental layer in µm at the position of the stage, as a microscope writes it."""
    experimental, synthetic = pair
    experimental.units = ("pixel", "um", "um")
    experimental.scale, experimental.translate = (1, 0.02, 0.02), (0, 50, 60)
    click(dock, dock.side_by_side)
    extents = [drawn_extent(viewer, layer, "nm") for layer in pair]
    np.testing.assert_allclose(*extents)
    centre = np.array(scene_camera(viewer).center[-2:]) * (
        1000 if str(viewer.layers.extent.units[-1]) == "micrometer" else 1
    )
    np.testing.assert_allclose(centre, extents[0].mean(0), atol=100)
    click(dock, dock.side_by_side)
    np.testing.assert_allclose(synthetic.translate, (0, 0, 6000))


def test_a_layer_may_be_deleted_while_side_by_side(viewer, dock, pair, click):
    click(dock, dock.side_by_side)
    viewer.layers.remove(pair[1])
    click(dock, dock.side_by_side)
    assert not canvas_grid(viewer).enabled


def test_the_experimental_image_is_not_ticked_as_a_training_image(pair, open_dock, viewer):
    viewer.add_image(np.zeros((64, 64)), name="widefield", scale=(100, 100), units=("nm", "nm"))
    dock = open_dock("Compare images")
    other = viewer.layers["other"]
    assert dock.experimental.layer() is other
    assert dock.training.layers() == [pair[0]]
    dock.experimental.choose(pair[0])
    assert dock.training.layers() == [other]
    viewer.layers.remove(other)
    assert dock.training.layers() == []


def test_training_images_are_searched_for_copies(dock, pair, click, viewer):
    training = viewer.add_image(
        simulate("microtubules", count=1, size=SIDE, pixel_size=20.0, seed=9, organisation="random").pixels[0],
        name="training",
        scale=(20, 20),
    )
    dock.training.choose([training])
    click(dock, dock.run_button)
    names = {dock.table.item(i, 0).text() for i in range(dock.table.rowCount())}
    assert "memorization: generated median" in names


def test_layers_that_cannot_be_compared_are_reported(viewer, dock, pair, click):
    dock.experimental.choose(pair[1])
    click(dock, dock.run_button)
    assert "two different layers" in dock.status.text()
    viewer.layers.clear()
    click(dock, dock.run_button)
    assert "Two layers are compared" in dock.status.text()
    click(dock, dock.side_by_side)
    assert not dock.side_by_side.isChecked()


def test_copied_code_does_the_same(dock, click, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    click(dock, dock.run_button)
    click(dock, dock.copy_button)
    exec(QGuiApplication.clipboard().text(), {})
    report = json.loads((tmp_path / "comparison" / "report.json").read_text())
    rows = {dock.table.item(i, 0).text(): dock.table.item(i, 1).text() for i in range(dock.table.rowCount())}
    for key, value in report["realism"].items():
        if isinstance(value, float):
            assert rows[readable(f"realism.{key}")] == f"{value:.4g}"


def test_an_enhanced_layer_is_judged_alone(truth, viewer, open_dock, click, tmp_path, monkeypatch):
    coarse = truth.reshape(64, 4, 64, 4).mean((1, 3)) + 1
    place = {"units": ("nm", "nm")}
    wide = viewer.add_image(coarse, name="wide", scale=(80, 80), **place)
    sharp = viewer.add_image(
        truth, name="sharp", scale=(20, 20), metadata=layer_metadata({"kind": "enhanced"}), **place
    )
    dock = open_dock("Compare images")
    assert dock.generated.layer() is None
    dock.enhanced.choose(sharp)
    click(dock, dock.run_button)
    assert "widefield layer" in dock.status.text()
    dock.widefield.choose(wide)
    click(dock, dock.run_button)
    rows = _rows(dock)
    assert {"enhanced: rsp", "enhanced: resolution"} <= set(rows)
    dock.reference.choose(sharp)
    dock.uncertainty.choose(
        viewer.add_image(truth, name="map", scale=(20, 20), metadata=layer_metadata({"kind": "uncertainty"}))
    )
    click(dock, dock.run_button)
    rows = _rows(dock)
    assert {"enhanced: uncertainty: coverage", "enhanced: uncertainty: rank correlation"} <= set(rows)
    assert rows["enhancement: enhanced: psnr"].endswith(" dB")
    assert rows["enhancement: registered: offset"].endswith(" pixels")
    click(dock, dock.copy_button)
    monkeypatch.chdir(tmp_path)
    exec(QGuiApplication.clipboard().text(), {})
    report = json.loads((tmp_path / "comparison" / "report.json").read_text())
    assert report["enhancement"]["enhanced"]["correlation"] == pytest.approx(1)


def test_a_reference_of_a_part_of_the_field_is_located(truth, viewer, open_dock, click):
    place = {"units": ("nm", "nm")}
    wide = viewer.add_image(gaussian_filter(truth, 4)[2::4, 2::4], name="wide", scale=(80, 80), **place)
    sharp = viewer.add_image(
        truth, name="sharp", scale=(20, 20), metadata=layer_metadata({"kind": "enhanced"}), **place
    )
    part = viewer.add_image(truth[40:240, 20:180], name="part", scale=(20, 20), **place)
    dock = open_dock("Compare images")
    dock.enhanced.choose(sharp)
    dock.widefield.choose(wide)
    dock.reference.choose(part)
    click(dock, dock.run_button)
    assert "Only rows 10 to 59 and columns 5 to 44 of wide are compared: the field of part." in dock.sentences.text()
    assert float(_rows(dock)["enhancement: enhanced: correlation"]) == pytest.approx(1)


def test_both_layers_may_be_deleted_while_side_by_side(viewer, dock, pair, click):
    other = viewer.add_image(np.zeros((64, 64), np.float32), name="other")
    click(dock, dock.side_by_side)
    assert not other.visible
    for layer in pair:
        viewer.layers.remove(layer)
    click(dock, dock.side_by_side)
    assert other.visible


def test_a_failed_run_leaves_the_previous_report(dock, pair, click, tmp_path):
    click(dock, dock.run_button)
    pair[1].data = np.asarray(pair[1].data)[:1, :64, :64]
    click(dock, dock.run_button)
    assert "at least" in dock.status.text()
    dock.save_report(tmp_path / "kept")
    assert (tmp_path / "kept" / "report.json").exists()

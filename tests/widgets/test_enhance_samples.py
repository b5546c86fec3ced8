"""Posterior samples in the Enhance dock: their layers, their slider, the map of trust, a stop and the settings."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtGui import QGuiApplication

from napari_smdiffusion import CalibrateJob, EnhanceConfig, EnhanceJob, Enhancement, Image, load_enhancer
from napari_smdiffusion.base.events import Note, run
from napari_smdiffusion.base.folders import user_folder
from napari_smdiffusion.images.localizations import WHOLE_DEPTH
from napari_smdiffusion.images.provenance import ENHANCED, SAMPLES, Provenance
from napari_smdiffusion.widgets.parts.map_choice import TRUST
from napari_smdiffusion.widgets.viewer.enhanced_layers import show_enhanced
from napari_smdiffusion.widgets.viewer.layers import kind, layer_image
from napari_smdiffusion.widgets.viewer.own_files import own_file_of, restore_place
from napari_smdiffusion.widgets.viewer.tables import layers_of_files
from napari_smdiffusion.widgets.viewer.trust_map import TRUST_TITLE, trust_colormap

from .conftest import PATIENCE


@pytest.fixture
def widefield(widefield):
    """Return a part of the widefield image, 24 × 32 pixels of 80 nm."""
    return widefield.crop(slice(0, 24), slice(0, 32))


@pytest.fixture
def coarse(viewer, widefield):
    """Return a widefield layer of 24 × 32 pixels of 80 nm, rotated and shifted."""
    return viewer.add_image(
        widefield.pixels[0], name="cell", scale=(80, 80), translate=(1040, 540), rotate=10, units=("nm", "nm")
    )


@pytest.fixture
def dock(open_dock, my_sampler, coarse):
    dock = open_dock("Enhance widefield")
    dock.model.choose(my_sampler)
    return dock


def _best_estimate(enhancer, widefield, samples):
    """Return the best estimate: the estimate counts as 16 samples."""
    estimate = enhancer.enhance(widefield).pixels[0]
    return (16 * estimate + samples.sum(0)) / (16 + len(samples))


def _choose_samples(dock, count, click):
    click(dock, dock.enhance_as.samples, wait=False)
    dock.enhance_as.count.setFocus()
    dock.enhance_as.count.show_number(count)


def _corners(layer):
    """Return the places of the outer corners of the first and last pixel of the last two axes."""
    low, high = [np.zeros(layer.ndim) for _ in range(2)]
    low[-2:], high[-2:] = -0.5, np.array(layer.data.shape[-2:]) - 0.5
    return np.array([layer.data_to_world(corner)[-2:] for corner in (low, high)])


def test_samples_are_one_layer_with_a_slider_and_a_hidden_map_of_trust(
    viewer, dock, click, coarse, widefield, my_sampler
):
    _choose_samples(dock, 2, click)
    click(dock, dock.copy_button, wait=False)
    code = QGuiApplication.clipboard().text()
    click(dock, dock.run_button)
    names = ["cell", "enhanced ×4: cell", "samples ×4: cell", f"{TRUST_TITLE}: cell"]
    assert [layer.name for layer in viewer.layers] == names
    _, enhanced, samples, trust = viewer.layers
    assert samples.data.shape == (2, 96, 128)
    assert viewer.dims.axis_labels[0] == "sample"
    assert [kind(layer) for layer in (enhanced, samples, trust)] == ["enhanced", "posterior samples", "map of trust"]
    assert [layer.visible for layer in (enhanced, samples, trust)] == [True, True, False]
    for layer in (enhanced, samples, trust):
        np.testing.assert_allclose(_corners(layer), _corners(coarse))
    assert set(np.unique(trust.data)) <= {0, 0.5, 1}
    best = _best_estimate(load_enhancer(my_sampler), widefield, samples.data)
    np.testing.assert_allclose(enhanced.data, best, rtol=2e-3, atol=0.1)
    assert "slider named sample through the 2 samples" in dock.status.text()
    assert dock.status.text().count("% of the light of the best estimate") == 1
    assert len(layer_image(samples)) == 2
    assert dock.save_results.layers() == [enhanced, samples, trust]
    dock.maps.box.setCurrentText(TRUST)
    assert trust.visible
    dock.maps.box.setCurrentText("none")
    assert not trust.visible
    exec(code, {})
    again = {layer.name: layer for layer in list(viewer.layers)[4:]}
    np.testing.assert_array_equal(again["samples ×4: cell [1]"].data, samples.data)
    assert again["samples ×4: cell [1]"].ndim == 3  # both stacks have the slider *sample*
    viewer.window.remove_dock_widget(dock)


def test_samples_have_a_slider_of_their_own_beside_a_film():
    viewer, random = ViewerModel(), np.random.default_rng(0)
    place = {"scale": (1, 80, 80), "units": ("s", "nm", "nm")}
    film = viewer.add_image(random.random((3, 12, 16)), name="film", axis_labels=("t", "y", "x"), **place)
    cell = viewer.add_image(random.random((12, 16)), name="cell", scale=(80, 80), units=("nm", "nm"))
    made = {}
    for layer, planes in ((cell, 1), (film, 3)):
        best, drawn = (random.random((n, 48, 64), np.float32) for n in (planes, 2 * planes))
        image = Image(best, 20.0, provenance=Provenance(ENHANCED))
        result = Enhancement(image, None, Image(drawn, 20.0, provenance=Provenance(SAMPLES)))
        made[layer.name] = drawn, show_enhanced(viewer, layer, result, 4, in_place=False)[1]
    (of_cell, cell_samples), (of_film, film_samples) = made["cell"], made["film"]
    assert cell_samples.data.shape == (2, 1, 48, 64)
    assert film_samples.data.shape == (2, 3, 48, 64)
    assert viewer.dims.axis_labels == ("sample", "t", "y", "x")
    assert viewer.dims.nsteps[:2] == (2, 3)
    for sample, time in itertools.product((0, 1), (0, 1, 2)):
        viewer.dims.set_point((0, 1), (sample, time))
        np.testing.assert_array_equal(cell_samples._data_view, of_cell[sample])
        np.testing.assert_array_equal(film_samples._data_view, of_film[3 * sample + time])
    for samples, layer, count in ((cell_samples, cell, 2), (film_samples, film, 6)):
        np.testing.assert_allclose(_corners(samples), _corners(layer))
        assert len(layer_image(samples)) == count
        assert layer_image(samples).pixel_size == 20


def test_stop_keeps_the_complete_samples_also_in_place(viewer, dock, click, qtbot, coarse, widefield, my_sampler):
    dock.in_place.setChecked(True)
    _choose_samples(dock, 64, click)
    click(dock, dock.run_button, wait=False)
    named = "drawing samples: cell"
    qtbot.waitUntil(lambda: named in viewer.layers and len(viewer.layers[named].data) >= 3, timeout=PATIENCE)
    assert viewer.dims.point[0] == len(viewer.layers[named].data) - 1  # the slider follows the newest one
    with pytest.raises(ValueError, match="still being computed: wait"):
        layer_image(viewer.layers[named])
    click(dock, dock.stop_button)
    qtbot.waitUntil(lambda: not dock.running, timeout=PATIENCE)
    samples = viewer.layers["samples ×4: cell"]
    count = len(samples.data)
    assert 1 <= count < 64
    assert samples.data.any(axis=(1, 2)).all()
    assert f"the {count} sample" in dock.status.text()
    assert "The work was stopped: what was complete is kept." in dock.status.text()
    assert coarse.name == "enhanced ×4: cell"
    best = _best_estimate(load_enhancer(my_sampler), widefield, samples.data)
    np.testing.assert_allclose(coarse.data, best, rtol=2e-3, atol=0.1)
    click(dock, dock.restore)
    assert coarse.data.shape == (24, 32)
    assert not samples.visible
    assert dock.status.text() == "Restored: cell. The samples of the enhanced image are hidden."


def test_only_enhancers_that_draw_samples_offer_them_and_the_wish_is_remembered(
    viewer, open_dock, dock, click, my_enhancer
):
    _choose_samples(dock, 5, click)
    assert "×4 with samples" in dock.model.box.currentText()
    dock.model.choose("tiny")
    assert dock.job().settings.samples == 0
    assert not dock.enhance_as.samples.isEnabled()
    assert "tiny makes best estimates only: choose an enhancer" in dock.enhance_as.samples.toolTip()
    dock.model.choose("")
    assert "best estimates only: choose the method" in dock.enhance_as.samples.toolTip()
    dock.training.method.show_values({"method": "samples"})
    assert dock.enhance_as.number() == 5
    assert dock.training.samples.isVisible()
    dock.model.choose("tiny")
    click(dock, dock.run_button)
    viewer.window.remove_dock_widget(dock)
    again = open_dock("Enhance widefield")
    again.model.choose("tiny sampler")
    assert again.job().settings.samples == 5
    assert again.training.method.values() == {"method": "samples"}


def test_colors_of_the_map_of_trust():
    shares = np.array([0, 1 / 64, 0.49, 0.5, 0.89, 0.9, 1], np.float32)
    colors = trust_colormap().map(shares)
    assert colors[0, 3] == 0
    distinct = [tuple(color) for color in colors[1:].round(3)]
    assert distinct[0] == distinct[1] != distinct[2] == distinct[3] != distinct[4] == distinct[5]
    assert all(0.5 < color[3] <= 1 for color in distinct)


def test_files_of_samples_and_trust_are_opened_as_they_were_shown(tiny_sampler, widefield, tmp_path):
    job = EnhanceJob(tiny_sampler, widefield, EnhanceConfig(samples=2), out=tmp_path / "x.tif")
    run(job.steps())
    viewer = ViewerModel()
    for name in ("x_samples", "x_trust"):
        layer = viewer.open(tmp_path / f"{name}.tif", plugin="napari")[0]
        restore_place(viewer, layer, own_file_of(layer))
    samples, trust = viewer.layers
    assert samples.data.shape == (2, 96, 128)
    assert viewer.dims.axis_labels[0] == "sample"
    assert (trust.colormap.name, trust.contrast_limits) == ("trust", [0, 1])
    (pixels, options, _), (_, trust_options, _) = layers_of_files(
        [tmp_path / "x_samples.tif", tmp_path / "x_trust.tif"], None, WHOLE_DEPTH
    )
    np.testing.assert_array_equal(pixels, samples.data)
    assert options["axis_labels"][0] == "sample"
    assert trust_options["colormap"].name == "trust"


def test_the_chosen_enhancer_is_calibrated_on_a_pair_of_layers(viewer, dock, click, monkeypatch, storm_layer, coarse):
    form, jobs = dock.calibration, []

    def calibrated(job, stop):
        jobs.append(job)
        yield Note("The 90 % intervals cover 91 %.")
        enhancer = load_enhancer("tiny sampler")
        return replace(enhancer, facts=replace(enhancer.facts, calibrated_on=("storm",)))

    monkeypatch.setattr(CalibrateJob, "steps", calibrated)
    dock.calibrating.button.click()
    assert (form.widefield.layer(), form.sharp.layer()) == (storm_layer, storm_layer)
    click(dock, form.run)
    assert "Choose two layers: a widefield image" in dock.status.text()
    form.widefield.choose(coarse)
    click(dock, form.copy)
    code = QGuiApplication.clipboard().text()
    click(dock, form.run)
    assert "tiny sampler is calibrated on storm: only its intervals changed.\nThe 90 %" in dock.status.text()
    assert (jobs[0].model, jobs[0].out) == ("tiny sampler", None)
    assert [source.read().size for source in jobs[0].pairs[0]] == [(24, 32), (192, 192)]
    exec(code, {})
    assert [image.size for image in jobs[1].pairs[0]] == [(24, 32), (192, 192)]
    dock.model.choose("microtubules")
    assert form.name.text() == "microtubules calibrated"
    assert form.job().out == user_folder() / "enhancer" / "microtubules calibrated"
    form.name.setText("")
    click(dock, form.run)
    assert "Enter a name for the calibrated enhancer: microtubules is bundled" in dock.status.text()

"""One model of several structures in the Train and Generate docks."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from napari_smdiffusion import Image, TrainConfig, TrainJob, load_diffusion_model
from napari_smdiffusion.base.events import run
from napari_smdiffusion.base.folders import user_folder
from napari_smdiffusion.widgets.viewer.layers import kind, layer_provenance

from .conftest import quick_training


@pytest.fixture
def noise_layer(viewer):
    """Return a layer of 64² pixels without a structure, of another brightness than the structure."""
    pixels = np.random.default_rng(0).normal(500, 20, (64, 64)).astype(np.float32)
    return viewer.add_image(pixels, name="background", scale=(20, 20), units=("nm", "nm"))


def test_named_layers_are_trained_on_and_a_structure_is_generated(
    viewer, open_dock, click, storm_layer, noise_layer, my_model
):
    train = open_dock("Train diffusion model")
    quick_training(train, batch=2)
    train.name.setText("both")
    train.layer_list.choose([storm_layer, noise_layer])
    assert train.structures.fields == []
    train.structures.several.setChecked(True)
    fields = dict(zip([layer.name for layer in train.layer_list.layers()], train.structures.fields, strict=True))
    click(train, train.run_button)
    assert "Name the structure that" in train.status.text()
    fields["storm"].setText("microtubules")
    fields["background"].setText("empty noise")
    train.layer_list.choose([storm_layer])
    click(train, train.run_button)
    assert "microtubules is the only structure" in train.status.text()
    train.layer_list.choose([storm_layer, noise_layer])  # the layers keep their names
    click(train, train.run_button)
    model = load_diffusion_model(user_folder() / "diffusion" / "both")
    assert sorted(model.structures) == ["empty noise", "microtubules"]
    assert f"Row by row: {', '.join(model.structures)}." in train.view.previews.caption.text()
    generate = open_dock("Generate images")
    generate.model.choose("both")
    assert generate.structure.isVisibleTo(generate)
    generate.structure.choose("empty noise")
    generate.structure.guidance.show_values({"guidance": 1.5})
    generate.main.show_values({"count": 1, "height": 64, "width": 64, "seed": 5})
    generate.advanced.show_values({"steps": 2})
    click(generate, generate.run_button)
    (layer,) = (layer for layer in viewer.layers if kind(layer) == "synthetic")
    assert layer.name == "synthetic: both, empty noise, seed 5"
    assert layer_provenance(layer).structure == "empty noise"
    assert layer_provenance(layer).settings["guidance"] == 1.5
    assert layer.contrast_limits[0] > 300  # those of the structure, and not of the other one
    generate.model.choose(my_model)
    assert not generate.structure.isVisibleTo(generate)
    assert generate.job().settings.structure == ""


def test_the_chosen_structure_is_remembered(open_dock, my_conditional, my_model):
    dock = open_dock("Generate images")
    dock.show_settings({"model": my_model, "structure": "microtubules", "guidance": 2.0})
    assert dock.job().settings.guidance == 1
    dock.model.choose(my_conditional)
    settings = dock.job().settings
    assert (settings.structure, settings.guidance) == ("microtubules", 2.0)
    assert dock.settings()["structure"] == "microtubules"


def test_a_resumed_training_has_the_names_of_its_layers(open_dock, click, storm, storm_layer, noise_layer):
    count = itertools.count()
    noise = Image(noise_layer.data, storm.pixel_size, name="background")
    images = {"empty noise": noise, "microtubules": replace(storm, name="storm")}
    settings = TrainConfig(steps=4, patch=64, batch=2, channels=(16, 32), previews=0)
    job = TrainJob(images, settings, start=None, out=user_folder() / "diffusion" / "interrupted")
    run(job.steps(lambda: next(count) >= 2))
    dock = open_dock("Train diffusion model")
    dock.layer_list.choose([storm_layer, noise_layer])
    dock.name.setText("interrupted")
    dock.resume.setChecked(True)
    assert list(dock.job().images) == ["empty noise", "microtubules"]
    click(dock, dock.run_button)
    assert load_diffusion_model("interrupted").facts.steps == 4

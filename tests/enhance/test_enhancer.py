"""The enhancer: tiles without seams, exact pixel positions, and a result better than interpolation."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import zoom

from napari_smdiffusion import Enhancer, EnhancerConfig, Image, MicroscopeConfig, Stopped, simulate
from napari_smdiffusion.base.devices import generator
from napari_smdiffusion.base.events import Note, Progress, TileDone, run
from napari_smdiffusion.enhance import training as enhancer_training
from napari_smdiffusion.enhance.applying import enhance_steps
from napari_smdiffusion.enhance.examples import simulation_task
from napari_smdiffusion.enhance.facts import EnhancerFacts
from napari_smdiffusion.enhance.held_out import split_held_out
from napari_smdiffusion.enhance.network import REACH, EnhancerNetwork
from napari_smdiffusion.enhance.settings import EnhanceConfig
from napari_smdiffusion.enhance.training import train_enhancer_steps
from napari_smdiffusion.measure.restoration import image_similarity
from napari_smdiffusion.microscope.camera import widefield as imaged
from napari_smdiffusion.store.folder import ModelFolderError
from napari_smdiffusion.training.state import TrainingState


@pytest.mark.parametrize("tile", [64, 68, 100])
def test_tiles_do_not_change_the_result(tiny_enhancer, widefield, tile):
    whole = tiny_enhancer.enhance(widefield, tile=512)
    tiled = tiny_enhancer.enhance(widefield, tile=tile)
    assert np.abs(whole.pixels - tiled.pixels).max() <= 1e-3 * np.ptp(whole.pixels)


def test_the_receptive_field_is_within_the_stated_reach():
    torch.manual_seed(0)
    network = EnhancerNetwork(2, 16)
    with torch.no_grad():
        for weights in network.parameters():
            weights += 0.1 * torch.randn(weights.shape)
        image = torch.rand(1, 1, 128, 128)
        changed = image.clone()
        changed[..., 0, 0] += 10
        last_changed_row = (network(image) - network(changed)).abs()[0, 0].amax(1).nonzero().max()
    assert int(last_changed_row) // 2 <= REACH


def test_a_result_has_the_field_of_its_input(tiny_enhancer, widefield):
    sharp = tiny_enhancer.enhance(widefield)
    assert sharp.size == (600, 524)
    assert sharp.pixel_size == 20.0
    assert sharp.origin == widefield.origin
    assert sharp.provenance["kind"] == "enhanced"
    assert not sharp.provenance["pixel_size_assumed"]


def test_an_unknown_pixel_size_is_that_of_the_training_and_reported(tiny_enhancer, widefield):
    events = []
    unknown = Image(widefield.pixels, name="cell")
    result = run(enhance_steps(tiny_enhancer, unknown, EnhanceConfig()), events.append).image
    assert result.pixel_size == tiny_enhancer.pixel_size
    assert result.provenance["pixel_size_assumed"]
    (note,) = [event.message for event in events if isinstance(event, Note)]
    assert note.startswith("cell has no pixel size: 80 nm is assumed")


def test_the_planes_of_a_stack_are_as_bright_as_they_were(tiny_enhancer, widefield):
    stack = Image(np.concatenate([widefield.pixels, 0.25 * widefield.pixels]), 80.0)
    events = []
    result = run(enhance_steps(tiny_enhancer, stack, EnhanceConfig(tile=64)), events.append)
    assert result.image.pixels.shape == (2, 600, 524)
    bright, dim = result.image.pixels
    # Neither plane depends on the other.
    np.testing.assert_array_equal(bright, tiny_enhancer.enhance(widefield, tile=64).pixels[0])
    np.testing.assert_allclose(dim, 0.25 * bright, atol=1e-3 * bright.max())
    assert {event.plane for event in events if isinstance(event, TileDone)} == {0, 1}
    progress = [event for event in events if isinstance(event, Progress)]
    assert progress[-1].step == progress[-1].total == len(progress)


def test_the_uncertainty_map_belongs_to_the_enhanced_image(tiny_enhancer, widefield):
    widefield = widefield.crop(slice(0, 90), slice(0, 70))  # two tiles along each axis
    both = tiny_enhancer.enhance_with_uncertainty(widefield, tile=64)
    np.testing.assert_array_equal(both.image.pixels, tiny_enhancer.enhance(widefield, tile=64).pixels)
    assert both.uncertainty.pixels.shape == both.image.pixels.shape
    assert both.uncertainty.pixels.min() >= 0
    assert both.uncertainty.pixels.max() > 0
    assert both.uncertainty.provenance["kind"].startswith("uncertainty")
    # An enhancer without a calibration states no confidence.
    uncalibrated = replace(tiny_enhancer, calibration=None).enhance_with_uncertainty(widefield, tile=64).uncertainty
    assert both.uncertainty.provenance["settings"]["confidence"] == 0.9
    assert uncalibrated.provenance["settings"]["confidence"] is None
    whole = tiny_enhancer.enhance_with_uncertainty(widefield, tile=512).uncertainty.pixels
    assert np.abs(whole - both.uncertainty.pixels).max() <= 2e-3 * np.ptp(both.image.pixels)


def test_the_tile_is_halved_when_memory_runs_out(tiny_enhancer, widefield, monkeypatch):
    whole = tiny_enhancer.enhance(widefield).pixels
    forward = EnhancerNetwork.forward

    def out_of_memory(self, x):
        if x.shape[-1] > 140:
            raise RuntimeError("CUDA out of memory")
        return forward(self, x)

    monkeypatch.setattr(EnhancerNetwork, "forward", out_of_memory)
    events = []
    result = run(enhance_steps(tiny_enhancer, widefield, EnhanceConfig(tile=132)), events.append)
    assert any(isinstance(event, Note) and "tiles of" in event.message for event in events)
    assert np.abs(result.image.pixels - whole).max() <= 1e-3 * np.ptp(whole)


def test_finished_results_are_not_read_again(tiny_enhancer, widefield):
    arrays = {}

    def new_array(plan):
        arrays[plan.kind] = np.zeros(plan.shape, np.float32)
        return arrays[plan.kind]

    config = EnhanceConfig(uncertainty=True)
    written = False
    for event in (steps := enhance_steps(tiny_enhancer, widefield, config, new_array=new_array)):
        written |= isinstance(event, TileDone)
        if written and isinstance(event, Progress) and event.step == event.total:
            break
    # Reading NaN would raise an error.
    for array in arrays.values():
        array[...] = np.nan
    with pytest.raises(StopIteration) as finished:
        next(steps)
    assert finished.value.value.image.pixels is arrays["enhanced"]
    assert finished.value.value.uncertainty.pixels is arrays["uncertainty"]


def test_an_enhancer_with_nan_weights_is_named(tiny_enhancer, widefield):
    network = EnhancerNetwork(4, 16)
    with torch.no_grad():
        network.leave.bias.fill_(np.nan)
    broken = replace(tiny_enhancer, network=network, facts=EnhancerFacts(name="broken"))
    with pytest.raises(ValueError, match="broken makes NaN or infinite pixels of cell: train it again"):
        broken.enhance(widefield)


@pytest.mark.parametrize("uncertainty", [False, True])
def test_a_stopped_enhancement_has_no_result(tiny_enhancer, widefield, uncertainty):
    widefield = widefield.crop(slice(0, 90), slice(0, 70))  # two tiles along each axis
    config = EnhanceConfig(tile=64, uncertainty=uncertainty)
    count = itertools.count()
    with pytest.raises(Stopped, match="not enhanced"):
        run(enhance_steps(tiny_enhancer, widefield, config, stop=lambda: next(count) >= 2))
    # During the last tile, a stop is not checked.
    calls = []
    run(enhance_steps(tiny_enhancer, widefield, config, stop=lambda: calls.append(True)))
    count = itertools.count(1)
    whole = run(enhance_steps(tiny_enhancer, widefield, config, stop=lambda: next(count) > len(calls)))
    assert (whole.uncertainty is not None) == uncertainty


def test_each_result_is_written_into_its_own_array(tiny_enhancer, widefield):
    arrays = {}

    def new_array(plan):
        arrays[plan.kind] = np.zeros(plan.shape, np.float32)
        return arrays[plan.kind]

    result = run(enhance_steps(tiny_enhancer, widefield, EnhanceConfig(uncertainty=True), new_array=new_array))
    np.testing.assert_array_equal(result.image.pixels, arrays["enhanced"])
    np.testing.assert_array_equal(result.uncertainty.pixels, arrays["uncertainty"])


def test_a_loaded_enhancer_equals_the_saved_one(tiny_enhancer, widefield, tmp_path):
    tiny_enhancer.save(tmp_path / "e")
    loaded = Enhancer.load(tmp_path / "e")
    np.testing.assert_array_equal(loaded.enhance(widefield).pixels, tiny_enhancer.enhance(widefield).pixels)
    assert (loaded.config, loaded.microscope, loaded.levels) == (
        tiny_enhancer.config,
        tiny_enhancer.microscope,
        tiny_enhancer.levels,
    )
    (tmp_path / "e" / "weights" / "enhancer.safetensors").write_bytes(b"no")
    with pytest.raises(ModelFolderError, match="e is damaged"):
        Enhancer.load(tmp_path / "e")


@pytest.mark.parametrize("upscale", [1, 2, 3, 8])
def test_every_factor_enlarges_the_image(storm, upscale, tmp_path):
    patch = max(32, 16 * upscale)
    enhancer = Enhancer.train(storm, upscale=upscale, steps=1, batch=2, channels=8, patch=patch, previews=0)
    assert enhancer.enhance(np.random.default_rng(0).random((40, 30))).size == (40 * upscale, 30 * upscale)


def test_an_untrained_network_has_no_grid():
    torch.manual_seed(0)
    with torch.no_grad():
        flat = EnhancerNetwork(5, 16)(torch.full((1, 1, 40, 40), 0.5))[0, 0, 60:-60, 60:-60]
    assert float(flat.std()) < 1e-3 * float(flat.abs().mean()) + 1e-6


def test_an_enhancer_is_saved_beside_a_folder_that_appeared_during_the_training(storm, tmp_path):
    config = EnhancerConfig(upscale=4, steps=2, batch=2, patch=64, channels=8, previews=0)
    steps = train_enhancer_steps([storm], config, MicroscopeConfig(), out=tmp_path / "mine")

    def take_place(_):
        (tmp_path / "mine").mkdir(exist_ok=True)
        (tmp_path / "mine" / "thesis.txt").touch()

    with pytest.raises(OSError, match=r"The trained model is in .*mine 2"):
        run(steps, take_place)
    assert Enhancer.load(tmp_path / "mine 2").calibration is not None


def test_training_beats_interpolation():
    sharp = simulate("microtubules", count=2, size=512, pixel_size=20.0, seed=1, organisation="random")
    enhancer = Enhancer.train(sharp, upscale=4, steps=100, batch=4, patch=96, channels=16, previews=0)
    truth = simulate("microtubules", size=256, pixel_size=20.0, seed=9, organisation="random").pixels
    plane = torch.from_numpy(truth / np.percentile(truth, 99.8))[:, None]
    camera = imaged(plane, MicroscopeConfig(), 20.0, 4, generator(0))[0, 0].numpy()
    enhanced = image_similarity(enhancer.enhance(camera).pixels[0], truth[0])
    interpolated = image_similarity(zoom(camera, 4, order=3, grid_mode=True, mode="nearest"), truth[0])
    # The difference of this training is 0.097; longer trainings reach more.
    assert enhanced.correlation > interpolated.correlation + 0.05


def test_training_starts_from_the_weights_of_another_enhancer(tiny_enhancer, storm, monkeypatch):
    states = []

    def recorded(*arguments):
        states.append(TrainingState(*arguments))
        return states[-1]

    monkeypatch.setattr(enhancer_training, "TrainingState", recorded)
    settings = {"steps": 1, "learning_rate": 1e-9, "batch": 1, "patch": 64, "previews": 0}
    enhancer = Enhancer.train(storm, start=tiny_enhancer, upscale=4, **settings)
    for weights, start in zip(enhancer.network.parameters(), tiny_enhancer.network.parameters(), strict=True):
        torch.testing.assert_close(weights, start)
        assert weights is not start
    assert enhancer.config.channels == tiny_enhancer.config.channels
    assert enhancer.facts.started_from == tiny_enhancer.name
    assert Enhancer.train(storm, upscale=4, channels=8, **settings).facts.started_from is None
    assert [state.learning_rate for state in states] == [0.5e-9, 1e-9]
    with pytest.raises(ValueError, match="enlarges 4 times, and the setting is 5 times"):
        Enhancer.train(storm, start=tiny_enhancer, upscale=5, **settings)


def test_an_enhancer_learns_from_registered_pairs(widefield):
    fine = Image(zoom(widefield.pixels[0], 2, order=1, grid_mode=True, mode="nearest"), 40.0, name="fine")
    config = EnhancerConfig(upscale=2, steps=60, batch=4, channels=16, patch=64, previews=0)
    enhancer = run(train_enhancer_steps([], config, MicroscopeConfig(), pairs=[(widefield, fine)]))
    assert enhancer.facts.trained_on == "registered pairs"
    result = enhancer.enhance(widefield).pixels[0]
    assert np.corrcoef(result.ravel(), fine.pixels.ravel())[0, 1] > 0.9
    shortcut = Enhancer.train(pairs=[(widefield, fine)], upscale=2, steps=2, batch=1, channels=8, patch=64, previews=0)
    assert shortcut.facts.trained_on == "registered pairs"
    arrays = [(widefield.pixels, fine.pixels)]
    with pytest.raises(ValueError, match="Crop both to the same field, or give another factor"):
        Enhancer.train(pairs=arrays, upscale=3)
    with pytest.raises(ValueError, match="This is no factor of 3"):
        Enhancer.train(pairs=iter([(widefield, fine)]), upscale=3)
    with pytest.raises(ValueError, match="either images or pairs"):
        Enhancer.train(fine, pairs=arrays, upscale=2)
    stack = Image(np.repeat(fine.pixels, 2, axis=0), 40.0, name="stack")
    with pytest.raises(ValueError, match="has 1 planes and stack 2"):
        Enhancer.train(pairs=[(widefield, stack)], upscale=2)


def test_images_in_different_units_can_be_mixed(storm):
    counts = Image(1000 * storm.pixels + 100, storm.pixel_size, name="counts")
    enhancer = Enhancer.train([counts, storm], upscale=4, steps=1, batch=2, channels=8, patch=64, previews=0)
    assert enhancer.levels.bright > 1000
    regions, _ = split_held_out([counts, storm], [1, 1], enhancer.config)
    task = simulation_task([counts, storm], regions, enhancer.config, MicroscopeConfig(), 20.0)
    assert np.allclose(*task.source.planes, atol=1e-3)


def test_results_have_more_values_than_bfloat16(tiny_enhancer, widefield):
    values = tiny_enhancer.enhance(widefield).pixels[0]
    assert len(np.unique(values[values > values.mean()])) > 20_000


def test_weights_mix_images(storm):
    mitochondria = simulate("mitochondria", size=192, seed=0)
    enhancer = Enhancer.train(
        [storm, mitochondria], weights=[3, 1], upscale=4, steps=1, batch=2, channels=8, patch=64, previews=0
    )
    assert enhancer.facts.weights == (3, 1)
    with pytest.raises(ValueError, match="one number of at least 0 for each of 2"):
        Enhancer.train([storm, mitochondria], weights=[1], upscale=4, steps=1)
    with pytest.raises(ValueError, match="All images have the weight 0: give at least one of them more"):
        Enhancer.train([storm, mitochondria], weights=[0, 0], upscale=4, steps=1)


def test_images_without_a_pixel_size_are_refused(storm):
    with pytest.raises(ValueError, match="has no pixel size"):
        Enhancer.train(Image(storm.pixels), steps=1)


def test_too_small_images_are_refused(storm):
    with pytest.raises(ValueError, match="fewer than 16 widefield pixels"):
        Enhancer.train(storm.crop(slice(0, 64), slice(0, 64)), upscale=8, steps=1)


def test_a_constant_widefield_image_is_refused(tiny_enhancer):
    with pytest.raises(ValueError, match="All pixels of flat have the value 3"):
        tiny_enhancer.enhance(Image(np.full((40, 40), 3), name="flat"))


@pytest.mark.parametrize("upscale", [2, 4, 5])
def test_background_has_no_grid_and_structure_stays(upscale):
    from napari_smdiffusion.enhance.network import even_background

    side = 24 * upscale
    phase = torch.rand(upscale, upscale, generator=torch.Generator().manual_seed(0))
    sharp = 0.004 * phase.repeat(24, 24)[None, None]
    structure = torch.zeros(1, 1, side, side)
    structure[..., side // 2 :] = torch.rand(1, 1, side, side // 2) + 0.5
    even = even_background(sharp + structure, upscale)
    margin = 2 * upscale
    empty = even[0, 0, margin:-margin, margin : side // 2 - margin]
    assert empty.std() < 1e-3 * sharp.std()
    torch.testing.assert_close(even[..., side // 2 + margin :], (sharp + structure)[..., side // 2 + margin :])


@pytest.mark.parametrize("rows", [4, 24, 25, 97])
def test_strips_of_the_fine_grid_have_no_seam(tiny_enhancer, rows):
    network = tiny_enhancer.network
    features = torch.randn(2, network.shuffle.out_channels, rows, 40, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(network._fine_in_strips(features), network._fine(features), atol=1e-5)

"""Models of several structures: each structure by its name, guidance, resuming, the folder, and what is refused."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from digests import one_thread_float32
from napari_smdiffusion import DiffusionModel, GenerateConfig, Image, InputError, TrainConfig
from napari_smdiffusion.base.events import Preview, run
from napari_smdiffusion.diffusion.denoiser import EdmDenoiser
from napari_smdiffusion.diffusion.generating import generate_steps
from napari_smdiffusion.diffusion.guidance import Guided
from napari_smdiffusion.diffusion.intensities import Scaling
from napari_smdiffusion.diffusion.learning import copy_warning, labelled_patches
from napari_smdiffusion.diffusion.network import make_unet, with_classes, without_classes
from napari_smdiffusion.diffusion.training import train_steps
from napari_smdiffusion.images.provenance import TrainingImage
from napari_smdiffusion.images.reading import read_image
from napari_smdiffusion.images.tiff import write_image
from napari_smdiffusion.store.catalogue import list_models
from napari_smdiffusion.store.folder import ModelFolderError
from napari_smdiffusion.store.model_card import read_model_card
from napari_smdiffusion.training.state import TrainingState

TINY = {"patch": 32, "batch": 4, "channels": (16, 32), "previews": 0}


def _blobs(seed=0):
    pixels = gaussian_filter(np.random.default_rng(seed).normal(size=(96, 96)), 3)
    return Image(50 + 100 * pixels, 20.0, name="blobs.tif")


def _noise(side=96):
    return Image(np.random.default_rng(1).normal(500, 20, (side, side)), 20.0, name="noise.tif")


@pytest.fixture(scope="module")
def learned():
    """Return a model of blobs and of empty noise that tells them apart."""
    config = TrainConfig(**{**TINY, "batch": 8}, steps=60, learning_rate=1e-2, wide_fraction=0.0)
    return run(train_steps({"blobs": [_blobs()], "empty noise": [_noise()]}, config))


def _generated(model, structure, guidance=1.0, **settings):
    values = {"count": 2, "height": 64, "width": 64, "steps": 6, **settings}
    return run(generate_steps(model, GenerateConfig(structure=structure, guidance=guidance, **values)))


def _smoothness(pixels):
    """Return the correlation of neighbouring pixels: 0.96 for the blobs, and 0 for noise."""
    centred = pixels - pixels.mean((1, 2), keepdims=True)
    return float((centred[:, :, 1:] * centred[:, :, :-1]).mean() / (centred**2).mean())


def test_a_model_generates_the_structure_that_it_is_asked_for_and_mixes_in_no_other(learned):
    for guidance in (1.0, 2.0):
        blobs, noise = (_generated(learned, name, guidance).pixels for name in ("blobs", "empty noise"))
        assert _smoothness(blobs) > 0.4
        assert abs(_smoothness(noise)) < 0.2
        # Each has the intensities of its own training images.
        assert abs(blobs.mean() - 50) < 20
        assert abs(noise.mean() - 500) < 20
        assert 10 < noise.std() < 30
    assert _smoothness(_generated(learned, "blobs", 2.0).pixels) > _smoothness(_generated(learned, "blobs").pixels)


def test_guidance_of_one_is_no_guidance(tiny_conditional):
    one, more = (_generated(tiny_conditional, "noise", strength, steps=3).pixels for strength in (1.0, 3.0))
    sampler, labels = tiny_conditional.sampler, torch.tensor([0, 0])
    noise = torch.randn(2, 1, 64, 64)
    *_, plain = sampler.sample(tiny_conditional.unet, noise, 3, class_labels=labels)
    *_, guided = sampler.sample(tiny_conditional.unet, noise, 3, guidance=1.0, class_labels=labels)
    assert torch.equal(plain, guided)
    assert not np.array_equal(one, more)


def test_guidance_moves_away_from_the_image_without_a_class():
    def denoiser(x, sigma, class_labels=None):
        return torch.full_like(x, 1.0) if class_labels is None else x * 0 + 3 * class_labels[:, None, None, None]

    x = torch.zeros(2, 1, 4, 4)
    guided = Guided(denoiser, 2.0)(x, 1.0, class_labels=torch.tensor([1, 2]))
    assert guided[:, 0, 0, 0].tolist() == [1 + 2 * (3 - 1), 1 + 2 * (6 - 1)]
    assert torch.equal(Guided(denoiser, 2.0)(x, 1.0), torch.ones_like(x))


def _random_network(classes):
    torch.manual_seed(0)
    network = make_unet((16, 32), classes=classes)
    with torch.no_grad():
        for weights in network.parameters():
            weights += 0.05 * torch.randn(weights.shape)
    return network.eval()


@one_thread_float32()  # "no class" is folded into a bias, which bfloat16 rounds otherwise
def test_a_network_with_classes_begins_as_its_start():
    x, sigma = torch.randn(3, 1, 32, 32), torch.tensor([0.1, 1.0, 10.0])
    single, known = _random_network(0), _random_network(2)
    with torch.no_grad():
        classes = EdmDenoiser(with_classes(single, [None, None]).eval())
        for label in range(3):
            same = classes(x, sigma, class_labels=torch.full((3,), label))
            torch.testing.assert_close(same, EdmDenoiser(single)(x, sigma))
        former = EdmDenoiser(known)
        reordered = EdmDenoiser(with_classes(known, [1, None]).eval())
        for label, former_label in ((0, 1), (1, 2), (2, 2)):
            expected = former(x, sigma, class_labels=torch.full((3,), former_label))
            torch.testing.assert_close(reordered(x, sigma, class_labels=torch.full((3,), label)), expected)
        without = EdmDenoiser(without_classes(known).eval())(x, sigma)
    torch.testing.assert_close(without, former(x, sigma, class_labels=torch.full((3,), 2)))
    torch.testing.assert_close(without, former(x, sigma))  # "no class" is the default
    assert not torch.allclose(without, former(x, sigma, class_labels=torch.zeros(3, dtype=torch.long)))


def test_classes_are_learned_at_a_higher_rate_and_the_order_of_the_weights_stays():
    """At the common rate, hundreds of steps would hardly tell the classes of a start apart."""
    for network, groups in ((make_unet((16, 32)), 1), (make_unet((16, 32), classes=2), 3)):
        state = TrainingState(network, 1e-3, total=100)
        network(torch.randn(2, 16, 16, 16), torch.zeros(2)).square().mean().backward()
        state.update()
        rates = {id(weights): group["lr"] for group in state.optimizer.param_groups for weights in group["params"]}
        assert list(rates) == [id(weights) for weights in network.parameters()]
        assert len(state.optimizer.param_groups) == groups
    common, classes = rates[id(network.conv_in.weight)], rates[id(network.class_embedding.weight)]
    assert classes == pytest.approx(30 * common)


def test_trainings_start_from_models_with_and_without_classes(tiny_model, tiny_conditional, storm):
    groups = {"microtubules": [storm], "blobs": [_blobs()]}
    config = TrainConfig(steps=1, learning_rate=1e-9, **TINY)
    for start in (tiny_model, tiny_conditional):
        model = run(train_steps(groups, config, start=start))
        assert model.structures == ("microtubules", "blobs")
        single = run(train_steps([storm], config, start=start))
        assert single.structures == ()
        assert single.unet.class_embedding is None
    rows, before = model.unet.class_embedding.weight, tiny_conditional.unet.class_embedding.weight
    torch.testing.assert_close(rows, before[[1, 2, 2]], atol=1e-6, rtol=1e-4)


def test_an_interrupted_training_of_several_structures_is_resumed(tmp_path):
    groups = {"blobs": [_blobs(), _blobs(2)], "noise": [_noise()]}
    config, count = TrainConfig(steps=8, **TINY), itertools.count()
    whole = run(train_steps(groups, config))
    run(train_steps(groups, config, out=tmp_path / "m", stop=lambda: next(count) >= 3))
    renamed = {"blobs": groups["blobs"], "other": groups["noise"]}
    for other in (renamed, [*groups["blobs"], *groups["noise"]], dict(reversed(groups.items()))):
        with pytest.raises(InputError, match=r"was trained on .*: resume with the same"):
            run(train_steps(other, config, out=tmp_path / "m", resume=True))
    resumed = run(train_steps(groups, config, out=tmp_path / "m", resume=True))
    loaded = DiffusionModel.load(tmp_path / "m")
    for model in (resumed, loaded):
        for ours, theirs in zip(model.unet.parameters(), whole.unet.parameters(), strict=True):
            assert torch.equal(ours, theirs)
    assert loaded.facts.groups == whole.facts.groups
    assert [image.group for image in loaded.facts.training_data] == ["blobs", "blobs", "noise"]


def test_the_folder_names_the_structures_with_their_scalings(tiny_conditional, tmp_path, monkeypatch):
    monkeypatch.setenv("SMDIFFUSION_HOME", str(tmp_path))
    folder = tmp_path / "diffusion" / "two"
    tiny_conditional.save(folder)
    facts = json.loads((folder / "model.json").read_text())
    assert [group["name"] for group in facts["groups"]] == ["noise", "microtubules"]
    assert facts["groups"][0]["scaling"]["spread"] == facts["scaling"]["spread"] == 0.5
    loaded = DiffusionModel.load("two")
    assert (loaded.structures, loaded.facts.groups) == (tiny_conditional.structures, tiny_conditional.facts.groups)
    assert loaded.scaling_of("microtubules").mean < 10 < 400 < loaded.scaling_of("noise").mean
    card = read_model_card("two", "diffusion").text
    assert "noise, microtubules" in card
    page = (folder / "README.md").read_text()
    assert "--structure noise" in page
    assert "- noise: noise.tif" in page
    (entry,) = (entry for entry in list_models("diffusion") if entry.name == "two")
    assert "2 structures" in entry.description


def test_generated_images_state_structure_and_guidance(tiny_conditional, tmp_path):
    image = _generated(tiny_conditional, "microtubules", 2.0, steps=2)
    write_image(tmp_path / "g.tif", image)
    for provenance in (image.provenance, read_image(tmp_path / "g.tif").provenance):
        assert provenance.structure == "microtubules"
        assert (provenance.settings["structure"], provenance.settings["guidance"]) == ("microtubules", 2.0)
        assert [trained.group for trained in provenance.training_data] == ["noise", "microtubules"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["groups"], [{"name": "a"}, {"name": "b"}]),
        (["groups", 0, "name"], "microtubules"),
        (["groups", 0, "name"], ""),
        (["groups", 0, "scaling", "spread"], 1.0),
        (["groups"], "two"),
        (["groups"], []),
    ],
)
def test_a_damaged_folder_is_refused(tiny_conditional, tmp_path, path, value):
    tiny_conditional.save(tmp_path / "m")
    facts = json.loads((tmp_path / "m" / "model.json").read_text())
    *parents, last = path
    target = facts
    for key in parents:
        target = target[key]
    target[last] = value
    (tmp_path / "m" / "model.json").write_text(json.dumps(facts))
    with pytest.raises(ModelFolderError, match="is damaged"):
        DiffusionModel.load(tmp_path / "m")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ({"blobs": [_blobs()]}, "blobs is the only structure"),
        ({"blobs": [_blobs()], " ": [_noise()]}, "cannot be the name of a structure"),
        ({"blobs": [_blobs()], "blobs ": [_noise()]}, "Two groups have the name blobs"),
        ({"blobs": [_blobs()], "noise": []}, "No image was given for noise"),
        ({"blobs": [_blobs()], "others": [_noise(), _blobs()]}, "blobs.tif is given for blobs and for others"),
        ({"blobs": [_blobs()], "noise": [replace(_noise(), pixel_size=40.0)]}, "one pixel size"),
        ({"blobs": [_blobs()], "noise": [_noise(16)]}, "smaller than a patch"),
        ({"blobs": [_blobs()], "empty": [Image(np.zeros((64, 64)), 20.0)]}, "All pixels have the value 0"),
    ],
)
def test_groups_that_cannot_be_trained_on_are_refused(images, message):
    with pytest.raises(InputError, match=message):
        run(train_steps(images, TrainConfig(steps=1, **TINY)))


@pytest.mark.parametrize(
    ("model", "settings", "setting", "message"),
    [
        ("tiny_conditional", {}, "structure", "structure must be one of noise, microtubules for unnamed"),
        ("tiny_conditional", {"structure": "actin"}, "structure", "not actin"),
        ("tiny_model", {"structure": "microtubules"}, "structure", "was trained on one structure"),
        ("tiny_model", {"guidance": 2.0}, "guidance", "was trained on one structure"),
    ],
)
def test_a_structure_that_a_model_does_not_know_is_refused(request, model, settings, setting, message):
    with pytest.raises(InputError, match=message) as error:
        request.getfixturevalue(model).generate(1, size=64, **settings)
    assert error.value.setting == setting


def test_every_structure_is_in_an_equal_share_of_the_patches():
    planes = [[np.full((40, 40), float(kind), np.float32)] * (1 + 9 * kind) for kind in range(3)]
    same = [Scaling(0.0, 0.5, -1.0, 9.0)] * 3  # network units are intensities
    steps = [labelled_patches(planes, same, 16, 4, step, np.random.default_rng(step)) for step in range(75)]
    drawn, labels = zip(*steps, strict=True)
    kinds, classes = np.concatenate(drawn)[:, 0, 0].astype(int), np.concatenate(labels)
    assert np.bincount(kinds).tolist() == [100] * 3
    labelled = classes < 3
    assert 0.05 < 1 - labelled.mean() < 0.15  # the rest is learned without a class
    np.testing.assert_array_equal(classes[labelled], kinds[labelled])
    assert {kinds[k] for k in np.flatnonzero(~labelled)} == {0, 1, 2}


def test_previews_show_every_structure_with_its_name():
    events = []
    config = TrainConfig(steps=1, **{**TINY, "patch": 64, "previews": 3})
    run(train_steps({"blobs": [_blobs()], "noise": [_noise()]}, config), events.append)
    preview = next(event for event in events if isinstance(event, Preview))
    assert preview.images.shape == (4, 64, 64)
    assert preview.names == ("blobs", "noise", "blobs", "noise")
    # All in the intensities of the first structure, so that one contrast shows all of them.
    assert -50 < preview.images.min() < preview.images.max() < 150


def test_copies_are_warned_of_for_the_structure_with_the_fewest_pixels():
    config = TrainConfig(batch=16, patch=64)
    few, many = TrainingImage("a", (1, 64, 64), group="a"), TrainingImage("b", (100, 640, 640), group="b")
    steps = 2000 // 16 + 1
    assert copy_warning([few], config, steps)
    assert not copy_warning([few, many], config, steps)  # half of the patches
    assert copy_warning([few, many], config, 2 * steps)

"""The diffusion model: training, resuming, saving, loading, and generation."""

import itertools
import json
import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_smdiffusion import DiffusionModel, Image, Stopped, TrainConfig, load_diffusion_model, read_image
from napari_smdiffusion.base.events import Generated, Note, Preview, run
from napari_smdiffusion.diffusion import generating, windows
from napari_smdiffusion.diffusion import training as diffusion_training
from napari_smdiffusion.diffusion.denoiser import EdmDenoiser
from napari_smdiffusion.diffusion.generating import generate_steps
from napari_smdiffusion.diffusion.intensities import to_intensities
from napari_smdiffusion.diffusion.noise import sample_sigmas, start_noise
from napari_smdiffusion.diffusion.settings import GenerateConfig
from napari_smdiffusion.diffusion.training import train_steps
from napari_smdiffusion.diffusion.windows import Windowed
from napari_smdiffusion.images.patches import grid_patches
from napari_smdiffusion.measure.copies import copy_report
from napari_smdiffusion.store.folder import STATE, ModelFolderError
from napari_smdiffusion.training.state import TrainingState

SHORT = {"learning_rate": 3e-3, "wide_fraction": 0.0, "previews": 0}
TINY = {"patch": 64, "batch": 4, "channels": (16, 32), "previews": 0}


def _after(steps):
    """Return a stop function that returns True from call number `steps` (counted from 0) on."""
    count = itertools.count()
    return lambda: next(count) >= steps


def _weights(model):
    return torch.cat([value.flatten() for value in model.unet.state_dict().values()])


@pytest.mark.parametrize("with_start", [False, True])
def test_a_resumed_training_is_bitwise_equal_to_an_uninterrupted_one(storm, tiny_model, tmp_path, with_start):
    config, start = TrainConfig(steps=12, **TINY), tiny_model if with_start else None
    whole = run(train_steps([storm], config, start=start))
    run(train_steps([storm], config, start=start, out=tmp_path / "m", stop=_after(5)))
    resumed = run(train_steps([storm], config, out=tmp_path / "m", resume=True))
    assert torch.equal(_weights(resumed), _weights(whole))
    assert resumed.facts.steps == 12
    assert resumed.facts.started_from == (tiny_model.name if with_start else None)
    assert torch.equal(_weights(DiffusionModel.load(tmp_path / "m")), _weights(whole))


def test_resuming_with_other_images_or_settings_is_refused(storm, tmp_path):
    config = TrainConfig(steps=2, **TINY)
    with pytest.raises(ValueError, match="no training to resume"):
        run(train_steps([storm], config, out=tmp_path / "m", resume=True))
    run(train_steps([storm], config, out=tmp_path / "m"))
    with pytest.raises(ValueError, match="is complete"):
        run(train_steps([storm], config, out=tmp_path / "m", resume=True))
    with pytest.raises(OSError, match="There is a model in"):
        run(train_steps([storm], config, out=tmp_path / "m"))
    with pytest.raises(ValueError, match="trained on other images"):
        run(train_steps([Image(storm.pixels[:, ::-1])], config, out=tmp_path / "m", resume=True))
    with pytest.raises(ValueError, match="seed 0, not 1"):
        run(train_steps([storm], TrainConfig(steps=2, seed=1, **TINY), out=tmp_path / "m", resume=True))
    other = TrainConfig(steps=2, **{**TINY, "channels": (32, 64)})
    with pytest.raises(ValueError, match="channels"):
        run(train_steps([storm], other, out=tmp_path / "m", resume=True))
    (tmp_path / "m" / STATE).write_bytes(b"broken")
    with pytest.raises(ModelFolderError, match="is damaged"):
        run(train_steps([storm], config, out=tmp_path / "m", resume=True))


def test_a_resumed_training_keeps_its_original_number_of_steps(storm, tmp_path):
    """Also when an older version, without `wide_fraction`, began the training."""
    path, notes = tmp_path / "m" / "model.json", []
    run(train_steps([storm], TrainConfig(steps=4, **TINY), out=tmp_path / "m", stop=_after(2)))
    facts = json.loads(path.read_text())
    del facts["config"]["wide_fraction"]
    path.write_text(json.dumps(facts))
    steps = train_steps([storm], TrainConfig(steps=9, **TINY), out=tmp_path / "m", resume=True)
    run(steps, lambda event: notes.append(event.message) if isinstance(event, Note) else None)
    assert notes == ["The training continues to step 4, its original length."]
    facts = json.loads(path.read_text())
    assert facts["steps"] == facts["config"]["steps"] == 4


@pytest.mark.parametrize("known", [False, True])
def test_a_resumed_training_keeps_its_original_minutes(storm, tmp_path, known):
    """If it was interrupted before its number of steps was known, the minutes of the new settings apply."""
    original, other, notes = TrainConfig(minutes=60, **TINY), TrainConfig(minutes=30, **TINY), []
    run(train_steps([storm], original, out=tmp_path / "m", stop=_after(30 if known else 2)))
    total = torch.load(tmp_path / "m" / STATE, weights_only=True)["total"]
    assert (total is not None) == known
    steps = train_steps([storm], other, out=tmp_path / "m", resume=True, stop=_after(2))
    run(steps, lambda event: notes.append(event.message) if isinstance(event, Note) else None)
    note = "The training continues for the rest of its 60 minutes, its original length."
    assert notes == ([note] if known else [])
    facts = json.loads((tmp_path / "m" / "model.json").read_text())
    assert facts["steps"] == (32 if known else 4)
    assert facts["config"]["minutes"] == (60 if known else 30)


def test_the_model_is_saved_beside_a_folder_that_got_other_files_during_the_training(storm, tmp_path):
    config = TrainConfig(steps=4, **TINY)
    run(train_steps([storm], config, out=tmp_path / "m", stop=_after(2)))
    (tmp_path / "m" / "generated.tif").touch()
    with pytest.raises(OSError, match="holds other files"):
        run(train_steps([storm], config, out=tmp_path / "m", resume=True), _never_called)
    (tmp_path / "m" / "generated.tif").unlink()
    steps = train_steps([storm], config, out=tmp_path / "m", resume=True)
    with pytest.raises(OSError, match="The trained model is in"):
        run(steps, lambda _: (tmp_path / "m" / "generated.tif").touch())
    assert DiffusionModel.load(tmp_path / "m 2").facts.steps == 4


def test_a_second_training_in_the_same_folder_is_refused(storm, tmp_path):
    config = TrainConfig(steps=4, **TINY)
    first = train_steps([storm], config, out=tmp_path / "m")
    next(first)
    for resume in (False, True):
        with pytest.raises(OSError, match="Another training is saving its model"):
            run(train_steps([storm], config, out=tmp_path / "m", resume=resume), _never_called)
    run(first)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def _never_called(event):
    raise AssertionError(event)


def test_an_image_name_that_is_not_valid_utf8_is_accepted(storm, tmp_path):
    image = replace(storm, name=os.fsdecode(b"F\xe4rbung.tif"))
    run(train_steps([image], TrainConfig(steps=1, **TINY), out=tmp_path / "m"))
    assert "rbung.tif" in (tmp_path / "m" / "README.md").read_text(encoding="utf-8")


def test_a_stopped_training_saves_a_usable_model(storm, tmp_path):
    model = run(train_steps([storm], TrainConfig(minutes=60, **TINY), out=tmp_path / "m", stop=_after(3)))
    assert model.facts.steps == 3
    assert DiffusionModel.load(tmp_path / "m").generate(1, size=64, steps=2).size == (64, 64)


def test_image_k_depends_only_on_the_seed_and_k(tiny_model):
    many = tiny_model.generate(5, size=(64, 96), seed=3, batch=5, steps=4).pixels
    single = tiny_model.generate(5, size=(64, 96), seed=3, batch=1, steps=4).pixels
    fewer = tiny_model.generate(3, size=(64, 96), seed=3, batch=2, steps=4).pixels
    span = np.ptp(many)
    np.testing.assert_allclose(single, many, atol=1e-2 * span)
    np.testing.assert_allclose(fewer, many[:3], atol=1e-2 * span)
    other = tiny_model.generate(1, size=(64, 96), seed=4, steps=4).pixels
    assert np.abs(other - many[:1]).max() > 0.1 * span


def test_generated_images_have_provenance_pixel_size_and_range(tiny_model, storm):
    image = tiny_model.generate(2, size=64, steps=2)
    assert image.pixel_size == storm.pixel_size
    assert image.provenance["kind"] == "synthetic"
    assert image.provenance["settings"]["seed"] == 0
    assert storm.pixels.min() <= image.pixels.min()
    assert image.pixels.max() <= storm.pixels.max()


@pytest.mark.parametrize("size", [np.int64(64), (np.int64(64), 96), np.array([64, 96])])
def test_a_size_may_be_numpy_integers(tiny_model, size):
    height, width = np.broadcast_to(size, 2)
    assert tiny_model.generate(np.int64(1), size=size, steps=2).size == (height, width)


@pytest.mark.parametrize("size", [(64, 1024), (64, 1104), (1040, 80)])
def test_large_and_oblong_fields_are_filled(tiny_model, size):
    """Fields above 1024 pixels are denoised in windows."""
    field = tiny_model.generate(1, size=size, steps=2)
    assert field.size == size
    assert field.pixels.std() > 0
    thirds = np.array_split(field.pixels[0], 3, axis=int(np.argmax(size)))
    np.testing.assert_allclose([third.mean() for third in thirds], field.pixels.mean(), rtol=0.3)


def test_stopping_the_generation_keeps_the_finished_images(tiny_model):
    config = GenerateConfig(count=4, height=64, width=64, steps=3, batch=1)
    images = run(generate_steps(tiny_model, config, stop=_after(9)))
    assert 1 <= len(images) < 4
    with pytest.raises(Stopped, match="nothing was generated"):
        run(generate_steps(tiny_model, config, stop=lambda: True))


def test_generation_yields_each_image_and_previews(tiny_model):
    events = []
    run(generate_steps(tiny_model, GenerateConfig(count=3, height=64, width=64, steps=4, batch=2)), events.append)
    assert [event.index for event in events if isinstance(event, Generated)] == [0, 1, 2]
    assert any(isinstance(event, Preview) for event in events)


def test_generation_halves_the_batch_when_memory_runs_out(tiny_model, monkeypatch):
    whole = tiny_model.generate(4, size=64, steps=2).pixels
    real = type(tiny_model.unet).forward

    def single_images_only(self, sample, *rest, **others):
        if len(sample) > 1:
            raise torch.OutOfMemoryError("out of memory")
        return real(self, sample, *rest, **others)

    monkeypatch.setattr(type(tiny_model.unet), "forward", single_images_only)
    events = []
    config = GenerateConfig(count=4, height=64, width=64, steps=2, batch=4)
    images = run(generate_steps(tiny_model, config), events.append)
    assert sum(isinstance(event, Note) for event in events) == 2
    np.testing.assert_allclose(images.pixels, whole, atol=1e-2 * np.ptp(whole))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("out of memory"), "Memory ran out with a single image: choose a smaller size"),
        (RuntimeError("shapes do not match"), "shapes do not match"),
    ],
)
def test_generation_ends_when_no_image_fits_or_the_network_fails(tiny_model, monkeypatch, error, expected):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(type(tiny_model.unet), "forward", fail)
    with pytest.raises((MemoryError, RuntimeError), match=expected):
        tiny_model.generate(2, size=64, steps=2)


def test_all_previews_start_from_the_same_noise(storm):
    events = []
    run(train_steps([storm], TrainConfig(steps=20, **{**TINY, "previews": 2})), events.append)
    previews = [event.images for event in events if isinstance(event, Preview)]
    assert len(previews) == 1 + 10
    assert previews[0].shape == (2, 64, 64)
    # The noise is the same, and the weights are nearly the same.
    assert np.corrcoef(previews[-1].ravel(), previews[-2].ravel())[0, 1] > 0.9


def test_a_saved_model_does_not_contain_the_path_it_was_loaded_from(tiny_model, tmp_path):
    tiny_model.save(tmp_path / "m")
    DiffusionModel.load(tmp_path / "m").save(tmp_path / "again")
    for path in (tmp_path / "again").rglob("*.json"):
        assert str(tmp_path) not in path.read_text(encoding="utf-8")


def test_a_saved_model_is_loaded_by_this_package_and_by_diffusers(tiny_model, tmp_path):
    from diffusers import UNet2DModel

    tiny_model.save(tmp_path / "m")
    loaded = DiffusionModel.load(tmp_path / "m")
    assert torch.equal(_weights(loaded), _weights(tiny_model))
    assert loaded.scaling == tiny_model.scaling
    assert (loaded.pixel_size, loaded.config) == (tiny_model.pixel_size, tiny_model.config)
    unet = UNet2DModel.from_pretrained(tmp_path / "m" / "weights", low_cpu_mem_usage=False)
    assert sum(p.numel() for p in unet.parameters()) == _weights(tiny_model).numel()
    assert "synthetic" in (tmp_path / "m" / "README.md").read_text()


@pytest.mark.parametrize(("bits", "size"), [(16, 0.6), (8, 0.6)])
def test_fewer_bits_make_the_file_smaller_and_keep_the_images(tiny_model, tmp_path, bits, size):
    tiny_model.save(tmp_path / "full")
    tiny_model.save(tmp_path / "few", bits=bits)
    weights = [next((tmp_path / name / "weights").glob("*.safetensors")) for name in ("full", "few")]
    sizes = [path.stat().st_size for path in weights]
    assert sizes[1] < size * sizes[0]
    full, few = (DiffusionModel.load(tmp_path / n).generate(1, size=64, steps=3).pixels for n in ("full", "few"))
    assert np.abs(full - few).mean() < 0.05 * full.std() + 1e-3


def test_damaged_weights_raise_an_error_that_names_the_folder(tiny_model, tmp_path):
    tiny_model.save(tmp_path / "m")
    for file in (tmp_path / "m" / "weights").glob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ModelFolderError, match="m is damaged"):
        DiffusionModel.load(tmp_path / "m")


def test_a_trained_model_has_the_memory_format_for_sampling(tiny_model):
    """Training on a CPU uses the other memory format."""
    assert tiny_model.unet.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
    assert not tiny_model.unet.training


def test_a_training_from_another_model_starts_with_its_weights_and_half_the_rate(storm, tiny_model, monkeypatch):
    rates = []

    def recorded(unet, rate):
        rates.append(rate)
        return TrainingState(unet, rate)

    monkeypatch.setattr(diffusion_training, "TrainingState", recorded)
    model = run(train_steps([storm], TrainConfig(steps=1, learning_rate=1e-9, **TINY), start=tiny_model))
    torch.testing.assert_close(_weights(model), _weights(tiny_model), atol=1e-6, rtol=1e-4)
    assert model.facts.started_from == tiny_model.name
    assert rates == [0.5e-9]


@pytest.mark.parametrize(
    ("images", "settings", "message"),
    [
        ([], {}, "No image was given"),
        ([np.zeros((64, 64))], {}, "All pixels have the value 0"),
        ([np.eye(50)], {}, "smaller than a patch of 64"),
        ([np.eye(128)], {"patch": 48, "channels": (16, 32, 32, 32)}, "patch must be a multiple of 32"),
    ],
)
def test_images_that_cannot_be_trained_on_are_refused(images, settings, message):
    with pytest.raises(ValueError, match=message):
        DiffusionModel.train(images, steps=1, **{**TINY, **settings})


def test_a_field_need_not_be_a_multiple_of_the_network(storm):
    model = DiffusionModel.train([storm], steps=1, **{**TINY, "channels": (16, 32, 32, 32)})
    images = model.generate(1, size=(80, 112), steps=2).pixels
    assert images.shape == (1, 80, 112)
    # The network needs multiples of 32: this field is the corner of a larger one.
    np.testing.assert_array_equal(images, model.generate(1, size=(96, 128), steps=2).pixels[:, :80, :112])


@pytest.mark.parametrize("size", [(64, 64), (64, 160), (112, 208)])
@pytest.mark.parametrize("together", [1, 3, 100])
def test_windows_cover_a_field_evenly(size, together, monkeypatch):
    """For a network without neighborhoods, windows give the same result as the whole field."""

    def pointwise(x, sigma):
        return 3 * x + sigma[:, None, None, None]

    monkeypatch.setattr(windows, "_TOGETHER", together * 2 * 64**2)
    scaled, sigma = start_noise(0, range(2), size), torch.tensor([1.0, 2.0])
    torch.testing.assert_close(Windowed(pointwise, 64)(scaled, sigma), pointwise(scaled, sigma), atol=1e-4, rtol=1e-5)


def test_batches_of_large_fields_are_smaller(tiny_model, monkeypatch):
    batches = []
    monkeypatch.setattr(type(tiny_model.unet), "forward", lambda unet, sample, *rest, **others: 0 * sample)

    def noise(seed, indices, size, channels):
        batches.append(list(indices))
        return start_noise(seed, indices, size, channels)

    monkeypatch.setattr(generating, "start_noise", noise)
    images = tiny_model.generate(4, size=(512, 1024), steps=2, batch=16)
    assert images.pixels.shape == (4, 512, 1024)
    assert batches == [[0], [1, 2], [3]]


def test_a_model_of_integer_images_generates_integers(storm):
    counts = Image(np.round(storm.pixels * 20), 20.0)
    generated = DiffusionModel.train([counts], steps=3, **TINY).generate(2, size=64, steps=3).pixels
    np.testing.assert_array_equal(generated, np.round(generated))


def test_no_intensity_is_generated_between_the_background_and_the_dimmest_structure(storm):
    # As in images that were stretched for display, pixels are 0 or at least 8.
    counts = np.where(storm.pixels > 0.2, np.round(8 + 20 * storm.pixels), 0)
    model = DiffusionModel.train([Image(counts, 20.0)], steps=3, **TINY)
    generated = model.generate(2, size=64, steps=3).pixels
    assert model.scaling.dimmest >= 8
    assert not ((generated > 0) & (generated < model.scaling.dimmest)).any()
    units = model.scaling.scale(np.array([0, 3, 5, 8, 40], np.float32))
    gap, none = (replace(model.scaling, dimmest=dimmest, smallest=None) for dimmest in (8.0, None))
    assert to_intensities(units, gap).tolist() == [0, 0, 8, 8, 40]
    assert to_intensities(units, none).tolist() == [0, 3, 5, 8, 40]


def test_noise_levels_are_stratified():
    sigma, quartile = sample_sigmas(16, torch.Generator().manual_seed(0))
    assert sorted(quartile.tolist()) == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4
    assert sigma[quartile == 0].max() < sigma[quartile == 3].min()


def test_training_on_a_real_image_lowers_the_held_out_loss(sfsrm):
    """After 160 steps the loss is far below that of an untrained model, which is the loss of the mean image."""
    storm = read_image(sfsrm / "microtubule_STORM.tif")
    train, held_out = storm.crop(slice(None), slice(0, 960)), storm.crop(slice(None), slice(960, None))
    model = DiffusionModel.train([train], steps=160, batch=4, patch=64, channels=(32, 48), **SHORT)
    clean = torch.from_numpy(model.scaling.scale(held_out.pixels[0, 200:328, :128]))[None, None].repeat(16, 1, 1, 1)
    sigma, _ = sample_sigmas(16, torch.Generator().manual_seed(1), -0.5, 1.4)
    with torch.no_grad():
        loss = float(EdmDenoiser(model.unet.eval()).loss(clean, sigma, start_noise(0, range(16), (128, 128))).mean())
    # An untrained network outputs 0. By the definition of the preconditioning its loss is 1.
    assert loss < 0.6
    assert model.facts.curve[-1][1] < 0.8 * model.facts.curve[0][1]


SIDE, WINDOW = 224, 128  # in pixels; the windows start at 0 and at 96


def _overlap_mask():
    """Return the mask of pixels that are in more than one window, (SIDE, SIDE)."""
    position = np.arange(SIDE)
    starts = windows.window_starts(SIDE, WINDOW)
    twice = sum((position >= start) & (position < start + WINDOW) for start in starts) > 1
    return twice[:, None] | twice


def _variance_in_overlaps(fields, whole):
    """Return the ratio of the variance in overlaps to that elsewhere, relative to the ratio of undivided fields."""
    twice = _overlap_mask()
    variance, reference = (((planes - planes.mean()) ** 2).mean(0) for planes in (fields, whole))
    return float(
        variance[twice].mean() / variance[~twice].mean() / (reference[twice].mean() / reference[~twice].mean())
    )


def _steps_at_borders(fields):
    """Return the ratio of the differences across window borders to those across the lines around them."""
    starts = windows.window_starts(SIDE, WINDOW)
    borders = np.array(sorted({edge for start in starts for edge in (start, start + WINDOW)} - {0, SIDE}))
    ratios = []
    for axis in (1, 2):
        across = np.abs(np.diff(fields, axis=axis)).mean(axis=(0, 3 - axis))
        usual = np.convolve(across, np.ones(17) / 17, mode="same")
        ratios.append((across / usual)[borders - 1].mean())
    return float(np.mean(ratios))


def _blended(crops):
    """Return the fields that `Windowed` blends from finished windows, {corner: (B, WINDOW, WINDOW)}."""
    following = (torch.from_numpy(planes)[:, None] for planes in crops.values())

    def finished(x, sigma):
        return torch.cat([next(following) for _ in range(len(x) // count)])

    count = len(next(iter(crops.values())))
    empty = torch.zeros(count, 1, SIDE, SIDE)
    return Windowed(finished, WINDOW)(empty, 1.0)[:, 0].numpy()


def test_a_field_of_many_windows_has_no_seams(monkeypatch):
    """The variance in overlaps is not lower, and borders show no steps; windows denoised separately fail both."""
    model = load_diffusion_model("microtubules")
    whole = model.generate(6, size=SIDE, steps=4).pixels
    monkeypatch.setattr("napari_smdiffusion.diffusion.sampler.WINDOW", WINDOW)
    together = model.generate(6, size=SIDE, steps=4).pixels
    assert np.abs(together - whole).max() > 1
    assert 0.88 < _variance_in_overlaps(together, whole) < 1.12
    assert _steps_at_borders(together) < 1.15
    # Windows from different fields, as if each window had been denoised separately.
    corners = itertools.product(windows.window_starts(SIDE, WINDOW), repeat=2)
    separate = {(y, x): np.roll(whole, k, 0)[:, y : y + WINDOW, x : x + WINDOW] for k, (y, x) in enumerate(corners)}
    assert _variance_in_overlaps(_blended(separate), whole) < 0.75
    pasted = np.empty_like(whole)
    for (y, x), crop in separate.items():
        pasted[:, y : y + WINDOW, x : x + WINDOW] = crop
    assert _steps_at_borders(pasted) > 1.7


def test_a_field_of_many_windows_does_not_repeat_itself(monkeypatch):
    monkeypatch.setattr("napari_smdiffusion.diffusion.sampler.WINDOW", WINDOW)
    model = load_diffusion_model("microtubules")
    field = model.generate(1, size=(256, 512), steps=4).pixels[0]
    left, right = field[:, :256], field[:, 256:]
    others = grid_patches(list(model.generate(1, size=256, steps=4, seed=1).pixels), 64)
    patches = grid_patches([left], 64)
    assert copy_report(patches, [right], others).copies == 0
    assert copy_report(patches, [np.roll(left, (17, 40), (0, 1))], others).copies >= len(patches) // 2


def test_a_long_training_on_few_images_warns_of_copies(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_smdiffusion.diffusion.learning._SEEN_TOO_OFTEN", 20)
    few = Image(np.random.default_rng(0).random((2, 64, 64)), 20.0)
    for steps, warned in ((9, 0), (12, 1)):
        events = []
        out = tmp_path / str(steps)
        run(train_steps([few], TrainConfig(**{**TINY, "steps": steps}), out=out), events.append)
        notes = [event.message for event in events if isinstance(event, Note) and "begin to copy" in event.message]
        assert len(notes) == warned
        assert ("begin to copy" in (out / "README.md").read_text(encoding="utf-8")) == bool(warned)


def test_a_note_states_that_a_resumed_training_does_not_use_its_start(storm, tiny_model, tmp_path):
    config, events = TrainConfig(steps=3, **TINY), []
    run(train_steps([storm], config, out=tmp_path / "m", stop=_after(1)))
    resumed = run(train_steps([storm], config, start=tiny_model, out=tmp_path / "m", resume=True), events.append)
    assert resumed.facts.started_from is None
    notes = [event.message for event in events if isinstance(event, Note)]
    assert f"continues from its own state: {tiny_model.name} is not used." in " ".join(notes)

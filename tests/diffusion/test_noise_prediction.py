"""Sampling with networks that predict the noise: schedules, steps and windows."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ddim import ddim
from napari_smdiffusion import DiffusionModel
from napari_smdiffusion.diffusion.denoiser import Clamped
from napari_smdiffusion.diffusion.facts import DiffusionFacts, ScheduleFacts
from napari_smdiffusion.diffusion.noise import start_noise
from napari_smdiffusion.diffusion.noise_prediction import NOISE_STEPS, NoisePredictionDenoiser, NoiseSchedule
from napari_smdiffusion.diffusion.sampler import pick_sampler
from napari_smdiffusion.diffusion.settings import NOISE, GenerateConfig
from napari_smdiffusion.diffusion.solvers import SOLVERS
from napari_smdiffusion.diffusion.windows import Windowed
from napari_smdiffusion.store.folder import ModelFolderError


class SingleImageNetwork(torch.nn.Module):
    """A network that has learned a single uniform image."""

    def __init__(self, schedule, image):
        super().__init__()
        self.schedule, self.image, self.times = schedule, torch.nn.Parameter(torch.tensor(image)), []

    def forward(self, noisy, time):
        self.times.append(float(time[0]))
        step = round(float(time[0]) * self.schedule.steps / 1000)
        signal = float(self.schedule.signal()[step])
        return (noisy - math.sqrt(signal) * self.image) / math.sqrt(1 - signal)


def sampled(network, noise, steps, schedule, window):
    """Turn noise into images with the denoiser of imported networks."""
    denoiser = Clamped(Windowed(NoisePredictionDenoiser(network, schedule), window), -1, 1)
    with torch.no_grad():
        yield from SOLVERS["dpmpp-2m"](denoiser, noise, schedule.levels(steps))


class NormalDistributionNetwork(torch.nn.Module):
    """The optimal network for images whose pixels, or whose uniform brightness, are normally distributed."""

    def __init__(self, schedule, mean, std, flat=False):
        super().__init__()
        signal = schedule.signal()
        self.log_levels, self.steps = np.log((1 - signal) / signal) / 2, schedule.steps
        self.mean, self.std, self.flat = torch.nn.Parameter(torch.tensor(mean)), std, flat

    def forward(self, noisy, time):
        step = float(time[0]) * self.steps / 1000
        sigma = math.exp(np.interp(step, np.arange(self.steps), self.log_levels))
        x = noisy * math.sqrt(1 + sigma**2)
        # A uniform brightness is estimated from the mean of all pixels, whose variance is smaller.
        estimate, variance = (x.mean((1, 2, 3), keepdim=True), sigma**2 / x[0].numel()) if self.flat else (x, sigma**2)
        image = (self.std**2 * estimate + variance * self.mean) / (self.std**2 + variance)
        return (x - image) / sigma


SCHEDULES = [NoiseSchedule(), NoiseSchedule(steps=2000), NoiseSchedule("linear", 500)]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("std", [0.05, 0.1, 0.25])
def test_the_default_steps_reproduce_a_known_distribution(schedule, std):
    noise = start_noise(0, range(4), (64, 64))
    *_, images = sampled(NormalDistributionNetwork(schedule, -0.2, std), noise, NOISE_STEPS, schedule, 64)
    assert float(images.mean()) == pytest.approx(-0.2, abs=0.005)
    assert float(images.std()) == pytest.approx(std, rel=0.07)
    # The sampler of the reference makes the distribution narrower.
    *_, reference = ddim(NormalDistributionNetwork(schedule, -0.2, std), noise, 25, schedule, 64)
    assert float(reference.std()) < 0.92 * std


def test_dark_images_stay_dark():
    """The mean of an image is still visible at noise levels that hide all structure."""
    schedule, noise = NoiseSchedule(), start_noise(0, range(64), (32, 32))
    network = NormalDistributionNetwork(schedule, -0.8, 0.05, flat=True)
    *_, images = sampled(network, noise, NOISE_STEPS, schedule, 64)
    assert float(images.mean()) == pytest.approx(-0.8, abs=0.01)
    *_, reference = ddim(network, noise, 10, schedule, 64)
    assert float(reference.mean()) > -0.78


@pytest.mark.parametrize("schedule", [*SCHEDULES, NoiseSchedule(steps=50)])
@pytest.mark.parametrize("steps", [1, 2, 7, 20, 50])
def test_noise_levels_fall_and_are_within_the_schedule(schedule, steps):
    sigmas = schedule.levels(steps)
    times = [schedule.time(sigma) for sigma in sigmas]
    trained = np.sqrt(1 / schedule.signal() - 1)
    assert len(sigmas) == len(times) == steps
    for falling in (sigmas, times):
        assert (np.diff(falling) < 0).all()
    assert trained[0] * 0.999 <= sigmas[-1] <= sigmas[0] <= min(trained[-1], 320) * 1.001
    assert 0 <= times[-1] <= times[0] < 1000
    network = NormalDistributionNetwork(schedule, 0.25, 1e-4)
    *_, last = sampled(network, start_noise(0, range(2), (8, 8), 3), steps, schedule, 64)
    torch.testing.assert_close(last, torch.full((2, 3, 8, 8), 0.25), atol=2e-3, rtol=0)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", [2, 7, 25, 300])
def test_any_number_of_steps_leads_to_the_image(schedule, steps):
    network = SingleImageNetwork(schedule, 0.25)
    *_, last = ddim(network, start_noise(0, range(2), (8, 8), 3), steps, schedule, 64)
    torch.testing.assert_close(last, torch.full((2, 3, 8, 8), 0.25), atol=1e-4, rtol=0)
    assert len(network.times) == steps
    assert network.times[-1] == 0
    # Steps are spaced evenly and start near pure noise; the times are those of 1000 steps.
    assert network.times[0] == pytest.approx(1000 * (1 - 1 / steps), abs=2)


def test_25_steps_use_every_40th_time():
    network = SingleImageNetwork(NoiseSchedule(), 0.0)
    list(ddim(network, start_noise(0, range(1), (8, 8)), 25, NoiseSchedule(), 64))
    assert network.times == list(range(960, -1, -40))


def test_windows_give_the_same_as_the_whole_field():
    schedule, noise = NoiseSchedule(), start_noise(0, range(1), (64, 160), 3)
    for sample in (ddim, sampled):
        *_, whole = sample(NormalDistributionNetwork(schedule, 0.3, 0.2), noise, 5, schedule, 256)
        *_, windows = sample(NormalDistributionNetwork(schedule, 0.3, 0.2), noise, 5, schedule, 64)
        torch.testing.assert_close(windows, whole, atol=1e-4, rtol=0)


def test_schedules_fall_from_the_image_to_noise():
    for schedule in (NoiseSchedule(), NoiseSchedule("linear"), NoiseSchedule("linear", 4000)):
        signal = schedule.signal()
        assert len(signal) == schedule.steps
        assert (np.diff(signal) < 0).all()
        assert signal[0] > 0.999
        assert 0 < signal[-1] < 1e-4
    cosine = [math.cos((i / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 for i in (0, 500)]
    assert NoiseSchedule().signal()[499] == pytest.approx(cosine[1] / cosine[0])


def test_an_unknown_parameterization_is_refused(tiny_model, tmp_path):
    DiffusionModel(
        tiny_model.unet,
        tiny_model.scaling,
        None,
        tiny_model.config,
        replace(tiny_model.facts, parameterization="flow"),
    ).save(tmp_path / "m")
    with pytest.raises(ModelFolderError, match="does not know the parameterization 'flow' of the model: update"):
        DiffusionModel.load(tmp_path / "m")
    assert pick_sampler(tiny_model.unet, tiny_model.facts).channels == 1
    unknown = replace(tiny_model.facts, parameterization=NOISE, noise_schedule=ScheduleFacts("cosine", 100))
    with pytest.raises(ModelFolderError, match="training images is unknown: import the checkpoint again"):
        pick_sampler(tiny_model.unet, unknown)


def test_the_default_number_of_steps_depends_on_the_kind_of_model(tiny_model):
    """It is 10 for own models, 20 for imported ones, and at most that of the schedule; the provenance states it."""
    schedule = ScheduleFacts("cosine", 1000)
    unet = SimpleNamespace(config=SimpleNamespace(sample_size=32, block_out_channels=(8, 16), in_channels=3))
    imported = pick_sampler(unet, DiffusionFacts(parameterization=NOISE, noise_schedule=schedule))
    short = replace(imported, most_steps=15)
    assert [sampler.steps(GenerateConfig()) for sampler in (tiny_model.sampler, imported, short)] == [10, 20, 15]
    assert imported.steps(GenerateConfig(steps=4)) == 4
    assert tiny_model.generate(1, size=64).provenance["settings"]["steps"] == 10
    assert tiny_model.generate(1, size=64, steps=3).provenance["settings"]["steps"] == 3

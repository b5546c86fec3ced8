"""Multistep solvers: the formula against diffusers, noise levels, and properties of any plan."""

import weakref

import numpy as np
import pytest
import torch

from napari_smdiffusion.diffusion.solver import Plan, karras_levels, run_multistep
from napari_smdiffusion.diffusion.solvers.dpmpp_2m import dpmpp_2m

LOW, HIGH, RHO, DATA = 0.02, 60.0, 5.0, 0.5


def curved(x, sigma):
    """Return a clean image that depends nonlinearly on the noisy one."""
    return x * DATA**2 / (DATA**2 + sigma**2) + 0.1 * torch.tanh(3 * x) * sigma / (1 + sigma)


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("steps", [2, 3, 5, 10, 20])
def test_dpmpp_2m_agrees_with_diffusers(steps):
    from diffusers import EDMDPMSolverMultistepScheduler

    theirs = EDMDPMSolverMultistepScheduler(LOW, HIGH, DATA, rho=RHO)
    theirs.set_timesteps(steps)
    start = noise(4, 1, 8, 8)
    guesses, x = [], start * HIGH
    for time, sigma in zip(theirs.timesteps, theirs.sigmas, strict=False):
        theirs.scale_model_input(x, time)
        guesses.append(curved(x, float(sigma)))
        skip, out = DATA**2 / (sigma**2 + DATA**2), sigma * DATA / (sigma**2 + DATA**2).sqrt()
        x = theirs.step((guesses[-1] - skip * x) / out, time, x).prev_sample
    ours = list(dpmpp_2m(curved, start, karras_levels(steps, LOW, HIGH, RHO)))
    assert len(ours) == steps
    for mine, other in zip(ours, guesses, strict=True):
        torch.testing.assert_close(mine, other, atol=2e-6, rtol=2e-6)


@pytest.mark.parametrize("steps", [2, 3, 7])
def test_noise_levels_fall_from_the_highest_to_the_lowest(steps):
    levels = karras_levels(steps, LOW, HIGH, RHO)
    assert len(levels) == steps
    assert levels[0] == pytest.approx(HIGH)
    assert levels[-1] == pytest.approx(LOW)
    assert (np.diff(levels) < 0).all()
    assert karras_levels(1, LOW, HIGH, RHO) == pytest.approx([HIGH])
    assert np.ptp(np.diff(np.power(levels, 1 / RHO))) < 1e-9  # evenly spread in this power


def test_any_plan_returns_the_image_of_a_constant_denoiser():
    image = noise(2, 1, 8, 8)
    plan = Plan((50.0, 3.0, 0.4, 0.1), ((), (-2.0,), (5.0, -7.0), (0.3, 0.2)))
    *_, last = run_multistep(lambda x, sigma: image, noise(2, 1, 8, 8), plan)
    torch.testing.assert_close(last, image, atol=1e-5, rtol=0)


def test_the_weights_of_the_last_step_apply_to_the_result():
    clean = iter((torch.tensor([1.0]), torch.tensor([2.0]), torch.tensor([4.0])))
    plan = Plan((3.0, 2.0, 1.0), ((), (), (0.5, 0.25)))
    yielded = list(run_multistep(lambda x, sigma: next(clean), torch.zeros(1), plan))
    # The clean image is 4. Those of the two steps before are smaller by 2 and by 3.
    assert [float(image) for image in yielded] == [1, 2, 4 - 0.5 * 2 - 0.25 * 3]


def test_only_the_clean_images_that_the_plan_uses_stay_in_memory():
    guesses = []

    def denoise(x, sigma):
        alive = sum(guess() is not None for guess in guesses)
        assert alive <= 2
        guess = curved(x, sigma)
        guesses.append(weakref.ref(guess))
        return guess

    for _ in dpmpp_2m(denoise, noise(1, 1, 8, 8), karras_levels(9, LOW, HIGH, RHO)):
        pass
    assert len(guesses) == 9

"""The denoiser and its wrappers: their common call, conditions, and gradients."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch

from napari_smdiffusion import GenerateConfig, InputError
from napari_smdiffusion.diffusion.denoiser import Clamped, EdmDenoiser
from napari_smdiffusion.diffusion.network import make_unet
from napari_smdiffusion.diffusion.noise_prediction import NoisePredictionDenoiser, NoiseSchedule
from napari_smdiffusion.diffusion.solver import karras_levels
from napari_smdiffusion.diffusion.solvers import SOLVERS
from napari_smdiffusion.diffusion.windows import Windowed

LEVELS = karras_levels(5, 0.02, 60.0, 5.0)


class Scaled(torch.nn.Module):
    """A network that multiplies its input by a condition."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, x, time, brightness=None):
        factor = 1.0 if brightness is None else brightness[:, None, None, None]
        return self.weight * x * factor


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "denoiser",
    [
        EdmDenoiser(Scaled()),
        NoisePredictionDenoiser(Scaled(), NoiseSchedule()),
        Windowed(EdmDenoiser(Scaled()), 32),
        Clamped(Windowed(NoisePredictionDenoiser(Scaled(), NoiseSchedule()), 32), -1, 1),
    ],
)
def test_the_noise_level_may_be_one_number_or_one_per_image(denoiser):
    x = noise(2, 1, 48, 64)
    each = torch.cat([denoiser(x[:1], 0.5), denoiser(x[1:], 2.0)])
    torch.testing.assert_close(denoiser(x, torch.tensor([0.5, 2.0])), each, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(denoiser(x, 0.5), denoiser(x, torch.tensor([0.5, 0.5])), atol=1e-5, rtol=1e-5)


def test_wrappers_pass_conditions_to_the_network():
    denoiser = Windowed(EdmDenoiser(Scaled()), 32)
    x, brightness = noise(2, 1, 48, 64), torch.tensor([0.5, 3.0])
    each = [denoiser(x[k : k + 1], 1.0, brightness=brightness[k : k + 1]) for k in range(2)]
    torch.testing.assert_close(denoiser(x, 1.0, brightness=brightness), torch.cat(each), atol=1e-5, rtol=1e-5)
    *_, dim = SOLVERS["dpmpp-2m"](denoiser, x, LEVELS, brightness=torch.tensor([0.1, 0.1]))
    *_, bright = SOLVERS["dpmpp-2m"](denoiser, x, LEVELS, brightness=torch.tensor([0.9, 0.9]))
    assert float(bright.detach().std()) != pytest.approx(float(dim.detach().std()), rel=0.01)


def test_conditions_of_the_size_of_the_field_are_cut_into_windows():
    def condition_alone(x, sigma, image):
        return 0 * x + image

    field = noise(1, 1, 80, 112)
    torch.testing.assert_close(Windowed(condition_alone, 32)(torch.zeros_like(field), 1.0, image=field), field)
    # A number counts for all windows.
    torch.testing.assert_close(Windowed(condition_alone, 32)(field, 1.0, image=2.0), torch.full_like(field, 2.0))


def test_a_wrapper_can_guide_the_sampling():
    @dataclass(frozen=True)
    class Guided:
        """Change the clean image towards a mean brightness, by the gradient with respect to the noisy image."""

        denoiser: Any
        mean: float

        def __call__(self, x, sigma, **condition):
            x = x.detach().requires_grad_()
            clean = self.denoiser(x, sigma, **condition)
            (gradient,) = torch.autograd.grad((clean.mean((1, 2, 3)) - self.mean).square().sum(), x)
            return (clean - 300 * gradient).detach()

    denoiser = EdmDenoiser(make_unet((16, 32)).eval())
    *_, free = SOLVERS["dpmpp-2m"](denoiser, noise(1, 1, 32, 32), LEVELS)
    *_, guided = SOLVERS["dpmpp-2m"](Guided(denoiser, 1.0), noise(1, 1, 32, 32), LEVELS)
    assert abs(float(guided.mean()) - 1) < abs(float(free.detach().mean()) - 1)


def test_the_loss_has_a_gradient_for_the_network():
    denoiser = EdmDenoiser(Scaled())
    loss = denoiser.loss(noise(3, 1, 16, 16), torch.tensor([0.1, 1.0, 10.0]), noise(3, 1, 16, 16))
    assert loss.shape == (3,)
    loss.sum().backward()
    assert denoiser.network.weight.grad is not None


@pytest.mark.parametrize("name", list(SOLVERS))
def test_every_solver_accepts_any_denoiser(name):
    image = noise(2, 1, 16, 16)
    *early, last = SOLVERS[name](lambda x, sigma: image, noise(2, 1, 16, 16), LEVELS)
    torch.testing.assert_close(last, image, atol=1e-5, rtol=0)
    assert len(early) == len(LEVELS) - 1


def test_generation_uses_the_solver_of_the_settings(tiny_model):
    images = {name: tiny_model.generate(1, size=64, steps=4, solver=name).pixels for name in ("dpmpp-2m", "euler")}
    assert abs(images["dpmpp-2m"] - images["euler"]).max() > 0
    with pytest.raises(InputError, match="solver must be one of dpmpp-2m, euler, not heun"):
        GenerateConfig(solver="heun")

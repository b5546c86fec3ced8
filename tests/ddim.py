"""The sampler of the reference implementation, by which its images are compared with those of an imported network."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from napari_smdiffusion.diffusion.windows import Windowed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_smdiffusion.diffusion.noise_prediction import NoiseSchedule


def _noise(unet: torch.nn.Module, x: torch.Tensor, time: float, window: int) -> torch.Tensor:
    """Return the predicted noise of a field, in windows where it is larger than one."""

    def predict(part: torch.Tensor, _sigma: object, /, **_: object) -> torch.Tensor:
        noise: torch.Tensor = unet(part, torch.full((len(part),), time, device=part.device))
        return noise

    return Windowed(predict, window)(x, 1.0)


@torch.no_grad()
def ddim(
    unet: torch.nn.Module, noise: torch.Tensor, steps: int, schedule: NoiseSchedule, window: int
) -> Iterator[torch.Tensor]:
    """Turn noise into images by DDIM without new noise (η = 0), as the reference's code does with "ddim25".

    After Song et al., "Denoising Diffusion Implicit Models", ICLR 2021. The steps lie evenly over the schedule, from
    its beginning: every 40th for 25 of 1000. So the first one sees pure noise, and is told that a part of it is image.

    Parameters
    ----------
    unet
        Predicts the noise; in evaluation mode, on the device to compute on.
    noise
        (B, C, Y, X) standard normal.
    steps
        Number of network evaluations, at most `schedule.steps`.
    schedule
        That the network was trained on.
    window
        Larger fields are denoised in windows of this size, in pixels.

    Yields
    ------
    The clean image in [-1, 1] that follows from the noise predicted at this step, (B, C, Y, X).
    """
    signal = schedule.signal()
    places = [i * schedule.steps // steps for i in range(steps)]
    x = noise.to(next(unet.parameters()).device)
    for place, following in zip(reversed(places), [*reversed(places[:-1]), None], strict=True):
        # The network was told the time as if there were 1000 steps, however many there were.
        predicted = _noise(unet, x, place * 1000 / schedule.steps, window)
        now, then = float(signal[place]), 1.0 if following is None else float(signal[following])
        guess = (x / math.sqrt(now) - predicted * math.sqrt(1 / now - 1)).clamp(-1, 1)
        # The noise that agrees with the guess, which was clamped.
        left = (x / math.sqrt(now) - guess) / math.sqrt(1 / now - 1)
        x = guess * math.sqrt(then) + left * math.sqrt(1 - then)
        yield guess

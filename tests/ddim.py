"""The sampler of the reference implementation, for comparison with imported networks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from napari_smdiffusion.diffusion.windows import Windowed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_smdiffusion.diffusion.noise_prediction import NoiseSchedule


def _noise(unet: torch.nn.Module, x: torch.Tensor, time: float, window: int) -> torch.Tensor:
    """Return the predicted noise of a field, which is divided into windows if it is larger than `window`."""

    def predict(part: torch.Tensor, _sigma: object, /, **_: object) -> torch.Tensor:
        noise: torch.Tensor = unet(part, torch.full((len(part),), time, device=part.device))
        return noise

    return Windowed(predict, window)(x, 1.0)


@torch.no_grad()
def ddim(
    unet: torch.nn.Module, noise: torch.Tensor, steps: int, schedule: NoiseSchedule, window: int
) -> Iterator[torch.Tensor]:
    """Turn noise into images by DDIM without new noise (η = 0), like the code of the reference with "ddim25".

    See Song et al., "Denoising Diffusion Implicit Models", ICLR 2021. The steps are spaced evenly over the schedule,
    from its first step on: every 40th step for 25 of 1000. The input of the first call is therefore pure noise, but its
    time is that of noise with some signal.

    Parameters
    ----------
    unet
        Predicts the noise; in evaluation mode, on the device to compute on.
    noise
        (B, C, Y, X) standard normal.
    steps
        Number of network evaluations, at most `schedule.steps`.
    schedule
        Noise schedule of the training.
    window
        Larger fields are denoised in windows of this size, in pixels.

    Yields
    ------
    The clean image in [-1, 1] that follows from the noise predicted at this step, (B, C, Y, X).
    """
    signal = schedule.signal()
    times = [i * schedule.steps // steps for i in range(steps)]
    x = noise.to(next(unet.parameters()).device)
    for step, following in zip(reversed(times), [*reversed(times[:-1]), None], strict=True):
        # The times are those of 1000 steps, for any length of the schedule.
        predicted = _noise(unet, x, step * 1000 / schedule.steps, window)
        now, then = float(signal[step]), 1.0 if following is None else float(signal[following])
        clean = (x / math.sqrt(now) - predicted * math.sqrt(1 / now - 1)).clamp(-1, 1)
        # The noise that is consistent with the clamped image.
        remaining = (x / math.sqrt(now) - clean) / math.sqrt(1 / now - 1)
        x = clean * math.sqrt(then) + remaining * math.sqrt(1 - then)
        yield clean

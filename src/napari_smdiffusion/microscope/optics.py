"""A super-resolution image as a widefield camera would see it.

The point spread function blurs the light, and a wider Gaussian blurs the out-of-focus part of it (haze). Camera pixels,
`factor` (f) times larger, average the light. `camera.py` adds the background and the noise.
All functions run in torch on (B, 1, Y, X) batches, with one draw of the optics per image.

Camera pixel i covers the fine pixels i·f to i·f + f - 1, so both grids share their corner.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from ..base.errors import InputError

if TYPE_CHECKING:
    from .settings import MicroscopeConfig


def psf_sigma(na: float, wavelength: float) -> float:
    """Return the standard deviation in nm of the Gaussian nearest to an in-focus widefield point spread function.

    0.225 λ / NA, the paraxial widefield value of Zhang, Zerubia and Olivo-Marin, Applied Optics 46, 1819 (2007).
    """
    return 0.225 * wavelength / na


_INDEX = 1.515  # refractive index of the immersion oil and, in this model, of the sample


def pupil_psf(na: float, wavelength: float, pixel_size: float, size: int, defocus: float = 0.0) -> torch.Tensor:
    """Return the scalar point spread function of a circular pupil in a medium of refractive index 1.515.

    |FT(P)|² with P = exp(i·defocus·k_z) inside the aperture: the scalar Debye model without apodisation
    (Gibson and Lanni 1991, without index mismatch).

    Parameters
    ----------
    na, wavelength, defocus
        Numerical aperture, and lengths in nm.
    pixel_size, size
        Pixel size of the result in nm, and its side, an odd number of pixels.

    Returns
    -------
    (size, size) float32 with sum 1, centred on the middle pixel.

    Raises
    ------
    InputError
        If `na` is out of range, or the pixels are too coarse for the aperture.
    ValueError
        If `size` is even.
    """
    if size % 2 == 0:
        raise ValueError(f"size must be odd, so that there is a middle pixel, not {size}.")
    if not 0 < na < _INDEX:
        raise InputError(f"na must be between 0 and {_INDEX}, not {na}.")
    # The grid is twice as wide as the result: on a smaller one the point spread function would wrap around.
    grid = 2 * size + 1
    frequency = torch.fft.fftfreq(grid, pixel_size, dtype=torch.float64)
    squared = frequency[:, None] ** 2 + frequency[None, :] ** 2
    if (na / wavelength) > 0.5 / pixel_size:
        raise InputError(f"pixels of {pixel_size:g} nm are too coarse for NA {na:g} at {wavelength:g} nm.")
    along = torch.sqrt(torch.clamp((_INDEX / wavelength) ** 2 - squared, min=0))
    pupil = (squared <= (na / wavelength) ** 2) * torch.exp(2j * math.pi * defocus * along)
    spread = torch.fft.fftshift(torch.fft.ifft2(pupil).abs() ** 2)
    cut = spread[grid // 2 - size // 2 :, grid // 2 - size // 2 :][:size, :size]
    normalised: torch.Tensor = (cut / cut.sum()).float()
    return normalised


def gaussian_blur(images: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Blur each image of (B, 1, Y, X) by a Gaussian with its own standard deviation; the border is mirrored.

    `sigma` is (B,), in pixels. The kernels of all images reach 4 times the largest `sigma` to each side.
    """
    radius = max(1, math.ceil(4 * float(sigma.max())))
    radius = min(radius, min(images.shape[-2:]) - 1)
    offset = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (offset / sigma.clamp(min=1e-3)[:, None]) ** 2)
    kernel = kernel / kernel.sum(1, keepdim=True)
    batch = images.shape[0]
    rows = F.pad(images.transpose(0, 1), (0, 0, radius, radius), mode="reflect")
    rows = F.conv2d(rows, kernel[:, None, :, None], groups=batch)
    both = F.conv2d(F.pad(rows, (radius, radius, 0, 0), mode="reflect"), kernel[:, None, None, :], groups=batch)
    return both.transpose(0, 1)


def convolved(images: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
    """Convolve each image of (B, 1, Y, X) with its own kernel of (B, K, K), K odd; the border is mirrored."""
    half = kernels.shape[-1] // 2
    reach = min(half, min(images.shape[-2:]) - 1)
    middle = slice(half - reach, half + reach + 1)
    kernels = kernels[:, None, middle, middle]
    kernels = kernels / kernels.sum((-2, -1), keepdim=True)
    padded = F.pad(images, (reach,) * 4, mode="reflect")
    size = padded.shape[-2:]
    blurred: torch.Tensor = torch.fft.irfft2(torch.fft.rfft2(padded) * torch.fft.rfft2(kernels, s=size), s=size)
    # Rounding errors of the FFT make some dark pixels slightly negative.
    return blurred[..., 2 * reach :, 2 * reach :].clamp(min=0)


def binned(images: torch.Tensor, factor: int) -> torch.Tensor:
    """Average `factor` × `factor` fine pixels into one camera pixel: (B, 1, Y, X) → (B, 1, Y/f, X/f)."""
    return F.avg_pool2d(images, factor) if factor > 1 else images


@dataclass(frozen=True)
class Optics:
    """The optics of B images; every field is (B,) float32 except `psf`."""

    sigma: torch.Tensor  # standard deviation of the point spread function, in fine pixels
    haze: torch.Tensor  # share of the light that is out of focus
    haze_sigma: torch.Tensor  # standard deviation of the out-of-focus blur, in camera pixels
    photons: torch.Tensor  # in a camera pixel of intensity 1
    background: torch.Tensor  # relative to intensity 1
    psf: torch.Tensor | None = None  # (B, K, K) in fine pixels, in place of the Gaussian


def draw_optics(
    config: MicroscopeConfig, batch: int, pixel_size: float, factor: int, generator: torch.Generator
) -> Optics:
    """Draw the optics of `batch` images from the ranges of `config`.

    `pixel_size` is the side of a fine pixel in nm, and `factor` the number of fine pixels per camera pixel.
    """

    def uniform(limits: tuple[float, float]) -> torch.Tensor:
        return limits[0] + (limits[1] - limits[0]) * torch.rand(batch, generator=generator)

    low, high = config.photons_range
    width = uniform(config.width_range)
    return Optics(
        sigma=psf_sigma(config.na, config.wavelength) / pixel_size * width,
        haze=uniform(config.haze_range),
        haze_sigma=uniform(config.haze_width_range) / (pixel_size * factor),
        # Light levels of experiments differ by factors: the logarithm is drawn uniformly.
        photons=torch.exp(uniform((math.log(low), math.log(high)))),
        background=uniform(config.background_range),
        psf=_pupil_psfs(config, pixel_size, width) if config.psf == "pupil" else None,
    )


def _pupil_psfs(config: MicroscopeConfig, pixel_size: float, width: torch.Tensor) -> torch.Tensor:
    """Return pupil point spread functions (B, K, K) that are `width` (B,) times as wide as the diffraction limit."""
    slope = config.na / math.sqrt(max(_INDEX**2 - config.na**2, 1e-9))
    # The kernel reaches three dark rings far, plus the radius of the light cone at that defocus.
    reach = (2 * config.wavelength / config.na + config.defocus * slope) * float(width.max())
    size = 2 * math.ceil(reach / pixel_size) + 1
    return torch.stack(
        [pupil_psf(config.na, config.wavelength, pixel_size / float(w), size, config.defocus) for w in width]
    )


def mean_widefield(
    images: torch.Tensor, optics: Optics, factor: int, haze_gain: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the noise-free widefield images, (B, 1, Y/f, X/f), in the units of `images`.

    The out-of-focus light (haze) is multiplied by `haze_gain`, (B, 1, Y/f, X/f), if there is one. Half of it comes from
    the image itself. The other half comes from the previous image of the batch, in place of the unknown structure above
    and below the plane.
    """
    blurred = gaussian_blur(images, optics.sigma) if optics.psf is None else convolved(images, optics.psf)
    focused = binned(blurred, factor)
    out_of_focus = 0.5 * (focused + focused.roll(1, 0))
    hazy = gaussian_blur(out_of_focus, optics.haze_sigma)
    if haze_gain is not None:
        hazy = hazy * haze_gain
    share = optics.haze[:, None, None, None]
    return (1 - share) * focused + share * hazy

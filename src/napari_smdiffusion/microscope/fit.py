"""The simulated microscope fitted to a person's own widefield image: how wide, how hazy and how noisy it is.

Nobody knows what structure lies under a widefield image, but its power spectrum is that of the structure times the
squared transfer function, plus the flat spectrum of noise. The spectrum of the structure is known from
super-resolution images of the same kind, experimental or generated; the rest is fitted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from ..base.errors import InputError
from ..images.patches import averaged, grid_patches
from ..measure.spectrum import radial_spectrum
from .optics import psf_sigma

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base.arrays import Values
    from ..images.image import Image
    from .settings import MicroscopeConfig

_SIDE, _LEAST = 64, 16  # widefield pixels at most and at least of the patches whose spectra are averaged
_RINGS = 3 / 8  # per pixel of such a side
_SPREAD = 0.15  # the fitted values are given this range, for no fit is exact
_POOR = 0.3  # residual
_OTHER_PIXELS = 0.15  # relative difference of pixel sizes that is no rounding
_BRIGHT = 99.5  # percentile that counts as bright in a widefield image


@dataclass(frozen=True)
class MicroscopeFit:
    """What was found in a widefield image.

    Parameters
    ----------
    width
        Of the point spread function, relative to that of the aperture in focus.
    haze
        Share of the light that is out of focus.
    haze_width
        Standard deviation of its blur, in nm.
    photons
        In a bright pixel, as many as would make as much noise.
    residual
        Root mean square difference of the logarithms of the measured and the fitted spectrum: below about 0.3 is good.
    contradiction
        A sentence where the widefield image says that its pixels are of another size than was fitted.
    """

    width: float
    haze: float
    haze_width: float
    photons: float
    residual: float
    contradiction: str = ""

    @property
    def sentence(self) -> str:
        """What was found, in words."""
        doubt = (
            " The fit is poor: train without it, or give a widefield image with more structure."
            if self.residual > _POOR
            else ""
        )
        found = (
            f"Fitted to the widefield image: a point spread function {self.width:.2f} times as wide as in focus, "
            f"{100 * self.haze:.0f} % haze of {self.haze_width:.0f} nm, {self.photons:.0f} photons in a bright pixel."
        )
        return found + doubt + self.contradiction

    def config(self, microscope: MicroscopeConfig) -> MicroscopeConfig:
        """Return `microscope` with narrow ranges around what was found, within what the settings allow."""

        def around(value: float, high: float = math.inf) -> tuple[float, float]:
            return min(value * (1 - _SPREAD), high), min(value * (1 + _SPREAD), high)

        return replace(
            microscope,
            psf="gaussian",  # whose width stands for all of the blur
            width_range=around(self.width),
            haze_range=around(self.haze, 0.95),
            haze_width_range=around(self.haze_width),
            # Noise differs within an image as light does.
            photons_range=(self.photons / 2, self.photons * 2),
        )


def fit_microscope(
    widefield: Image, sharp: Sequence[Image], microscope: MicroscopeConfig, upscale: int
) -> MicroscopeFit:
    """Fit the microscope to a widefield image.

    Parameters
    ----------
    widefield
        (N, Y, X), at least 16 pixels along each side.
    sharp
        Super-resolution images of the same kind of structure, of pixels `upscale` times finer; of any field. The larger
        they are, up to 64 widefield pixels, the better haze is told.
    microscope
        Its aperture and wavelength are taken; its ranges are where the fit begins.
    upscale
        Fine pixels per widefield pixel.

    Raises
    ------
    InputError
        If an image is too small, or the pixel size is not known.
    """
    pixel_size = sharp[0].pixel_size
    if pixel_size is None:
        raise InputError(f"{sharp[0].name} has no pixel size: give it in nm to fit the microscope.")
    spectra = _spectra(widefield, sharp, upscale, pixel_size * upscale)
    found, residual = _fitted(spectra, microscope)
    # Shot noise has the variance of the counts: the mean light, and what lies under it, over the photons of bright.
    under = float(np.mean(microscope.background_range))
    photons = (spectra.light + under) / max(_variance(found.noise, spectra.side), 1e-9)
    return MicroscopeFit(
        found.width,
        found.haze,
        found.haze_width,
        float(np.clip(photons, 5.0, 1e5)),
        residual,
        _contradiction(widefield, sharp[0], pixel_size * upscale, upscale),
    )


def _contradiction(widefield: Image, sharp: Image, wide: float, upscale: int) -> str:
    if not widefield.pixel_size or abs(widefield.pixel_size / wide - 1) <= _OTHER_PIXELS:
        return ""
    return (
        f" It was fitted as if its pixels were of {wide:.4g} nm, {upscale} times those of {sharp.name}, but "
        f"{widefield.name} says {widefield.pixel_size:.4g} nm: correct the factor, unless the file is wrong."
    )


@dataclass(frozen=True)
class _Spectra:
    """Power spectra of the widefield image and of the structure, in the same rings.

    Parameters
    ----------
    frequency
        Of the rings, in 1/nm.
    seen, emitted
        Power of the widefield image and of the structure, both from 0, dark, to 1, bright.
    light
        Mean of the widefield image in these units.
    side
        Widefield pixels of a side of the patches.
    """

    frequency: Values
    seen: Values
    emitted: Values
    light: float
    side: int


def _spectra(widefield: Image, sharp: Sequence[Image], upscale: int, wide: float) -> _Spectra:
    side = _side(widefield, sharp, upscale)
    rings = int(side * _RINGS)
    camera = _patches(widefield, 1, side)
    # Each image in units of its own mean light, so that those in other units count alike.
    structure = np.concatenate([_of_mean_1(_patches(image, upscale, side)) for image in sharp])
    dark, bright = (float(v) for v in np.percentile(widefield.pixels, (1.0, _BRIGHT)))
    if not dark < bright:
        raise InputError(f"All pixels of {widefield.name} have the value {dark:g}: give an image with something in it.")
    seen = _spectrum(((camera - dark) / (bright - dark)).astype(np.float32), rings)
    # The widefield image shows as much light.
    light = float((camera.mean() - dark) / (bright - dark))
    emitted = _spectrum((structure * light).astype(np.float32), rings)
    return _Spectra((np.arange(rings) + 0.5) / rings * 0.5 / wide, seen, emitted, light, side)


class _Unknowns(NamedTuple):
    """What is fitted, or something for each of it."""

    width: float  # of the point spread function, relative to that in focus
    haze: float  # share of the light
    haze_width: float  # nm
    noise: float  # logarithm of its power
    scale: float  # logarithm of the light's power


_STEP = _Unknowns(0.3, 0.2, 200, 1, 0.5)  # in which each is changed, more or less


def _fitted(spectra: _Spectra, microscope: MicroscopeConfig) -> tuple[_Unknowns, float]:
    """Return what fits the spectra best, and the residual."""
    wanted = np.log(spectra.seen)
    in_focus = psf_sigma(microscope.na, microscope.wavelength)
    begin = _Unknowns(
        width=float(np.mean(microscope.width_range)),
        haze=float(np.mean(microscope.haze_range)),
        haze_width=float(np.mean(microscope.haze_width_range)),
        noise=float(wanted[-2:].min()),
        scale=0.0,
    )
    low = _Unknowns(0.7, 0.0, 150.0, float(wanted.min()) - 8, -2.0)
    high = _Unknowns(2.5, 0.95, 1500.0, float(wanted.max()), 2.0)
    found = least_squares(
        lambda values: _log_power(spectra, _Unknowns(*values), in_focus) - wanted,
        np.clip(begin, low, high),
        bounds=(low, high),
        x_scale=_STEP,
    )
    return _Unknowns(*(float(v) for v in found.x)), float(np.sqrt(np.mean(found.fun**2)))


def _log_power(spectra: _Spectra, known: _Unknowns, in_focus: float) -> Values:
    """Return the logarithm of the spectrum that such a microscope would see; `in_focus` is a Gaussian's width in nm."""
    focused = (1 - known.haze) * _transfer(spectra.frequency, known.width * in_focus)
    # Half of the haze comes from the plane itself, half from others that are like it but not it.
    hazy = 0.5 * known.haze * _transfer(spectra.frequency, math.hypot(known.width * in_focus, known.haze_width))
    light = np.exp(known.scale) * spectra.emitted * ((focused + hazy) ** 2 + hazy**2)
    return np.asarray(np.log(light + np.exp(known.noise)))


def _side(widefield: Image, sharp: Sequence[Image], upscale: int) -> int:
    """Return how large the patches can be, in widefield pixels."""
    for image, factor in [(widefield, 1), *((one, upscale) for one in sharp)]:
        if min(image.size) < _LEAST * factor:
            raise InputError(
                f"{image.name} is {image.size[0]} × {image.size[1]} pixels: fitting the microscope needs at least "
                f"{_LEAST * factor} along each side."
            )
    return min(_SIDE, *widefield.size, *(length // upscale for image in sharp for length in image.size))


def _patches(image: Image, factor: int, side: int) -> npt.NDArray[np.float32]:
    """Return (N, side, side) patches on the widefield grid, made by gathering `factor`² fine pixels."""
    return grid_patches([averaged(plane, factor) for plane in image.pixels], side)


def _of_mean_1(patches: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    above = patches - np.percentile(patches, 1).astype(np.float32)
    return np.asarray(above / max(float(above.mean()), 1e-9), np.float32)


def _spectrum(patches: npt.NDArray[np.float32], rings: int) -> Values:
    """Return the mean power of patches in rings of equal width."""
    return np.asarray(np.mean([radial_spectrum(patch, rings) for patch in patches], axis=0) + 1e-12, np.float64)


def _transfer(frequency: Values, sigma: float) -> Values:
    """Return the transfer function of a Gaussian of `sigma` nm."""
    return np.asarray(np.exp(-2 * (np.pi * sigma * frequency) ** 2), np.float64)


def _variance(log_noise: float, side: int) -> float:
    """Return the variance per pixel of noise whose power in patches, as `radial_spectrum` gives it, is known."""
    window = np.outer(np.hanning(side), np.hanning(side))
    return math.exp(log_noise) * float(window.sum()) / float((window**2).sum())

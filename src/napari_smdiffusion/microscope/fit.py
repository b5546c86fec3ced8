"""Fit of the simulated microscope to a widefield image: blur, out-of-focus light and noise.

The structure in the widefield image is unknown, but its power spectrum is the same as in super-resolution images of the
same kind, experimental or generated. The power spectrum of the widefield image is the spectrum of the structure times
the squared transfer function, plus the flat spectrum of the noise. The fit finds the transfer function and the noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from ..base.errors import InputError
from ..images.brightness import brightness
from ..images.patches import averaged, grid_patches
from ..images.unmeasured import scan
from ..measure.spectrum import radial_spectrum
from .optics import psf_sigma

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base.arrays import Values
    from ..images.image import Image
    from .settings import MicroscopeConfig

_MAX_SIDE, _MIN_SIDE = 64, 16  # side in widefield pixels of the patches whose spectra are averaged
_RINGS = 3 / 8  # rings of the spectrum per pixel of that side
_TOLERANCE = 0.15  # half-width of the ranges around the fitted values, relative to them
_POOR = 0.3  # residual above which the fit is poor
_PIXEL_SIZE_DIFFERENCE = 0.15  # relative difference of pixel sizes that is more than rounding
_BRIGHT = 99.5  # percentile that counts as bright in a widefield image


@dataclass(frozen=True)
class MicroscopeFit:
    """The microscope that was fitted to a widefield image.

    Parameters
    ----------
    width
        Width of the point spread function, relative to its width in focus.
    haze
        Share of the light that is out of focus.
    haze_width
        Standard deviation of the out-of-focus blur, in nm.
    photons
        Photons in a bright pixel whose shot noise equals the measured noise.
    residual
        Root mean square difference of the logarithms of the measured and the fitted spectrum; it should be below 0.3.
    contradiction
        A message if the pixel size of the widefield image differs from the one of the fit; otherwise empty.
    """

    width: float
    haze: float
    haze_width: float
    photons: float
    residual: float
    contradiction: str = ""

    @property
    def sentence(self) -> str:
        """The result of the fit, as a message to the user."""
        doubt = (
            " The fit is poor: train without it, or give a widefield image with more structure."
            if self.residual > _POOR
            else ""
        )
        result = (
            f"Fitted to the widefield image: a point spread function {self.width:.2f} times as wide as in focus, "
            f"{100 * self.haze:.0f} % haze of {self.haze_width:.0f} nm, {self.photons:.0f} photons in a bright pixel."
        )
        return result + doubt + self.contradiction

    def config(self, microscope: MicroscopeConfig) -> MicroscopeConfig:
        """Return `microscope` with narrow ranges around the fitted values, within the limits of the settings."""

        def narrow_range(value: float, high: float = math.inf) -> tuple[float, float]:
            return min(value * (1 - _TOLERANCE), high), min(value * (1 + _TOLERANCE), high)

        return replace(
            microscope,
            psf="gaussian",  # the fitted width includes defocus and aberrations
            width_range=narrow_range(self.width),
            haze_range=narrow_range(self.haze, 0.95),
            haze_width_range=narrow_range(self.haze_width),
            # The noise varies within an image, because the light does.
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
        Super-resolution images of the same kind of structure, of any field, with pixels `upscale` times finer. Larger
        images, up to 64 widefield pixels along each side, determine the haze more accurately.
    microscope
        Its aperture and wavelength are used as they are; the fit starts in the middle of its ranges.
    upscale
        Fine pixels per widefield pixel.

    Returns
    -------
    The fitted microscope, whose `config` makes the settings to train with.

    Raises
    ------
    InputError
        If an image is too small or constant, or the first super-resolution image has no pixel size.
    """
    pixel_size = sharp[0].pixel_size
    if pixel_size is None:
        raise InputError(f"{sharp[0].name} has no pixel size: give it in nm to fit the microscope.")
    spectra = _spectra(widefield, sharp, upscale, pixel_size * upscale)
    fitted, residual = _fit(spectra, microscope)
    # In units of a bright pixel, the variance of shot noise is (mean light + background) / photons of a bright pixel.
    background = float(np.mean(microscope.background_range))
    photons = (spectra.light + background) / max(_variance(fitted.noise, spectra.side), 1e-9)
    return MicroscopeFit(
        fitted.width,
        fitted.haze,
        fitted.haze_width,
        float(np.clip(photons, 5.0, 1e5)),
        residual,
        _contradiction(widefield, sharp[0], pixel_size * upscale, upscale),
    )


def _contradiction(widefield: Image, sharp: Image, expected: float, upscale: int) -> str:
    """Return a message if the widefield image's pixel size differs from the `expected` one in nm; otherwise ''."""
    if not widefield.pixel_size or abs(widefield.pixel_size / expected - 1) <= _PIXEL_SIZE_DIFFERENCE:
        return ""
    return (
        f" The fit assumed pixels of {expected:.4g} nm, {upscale} times those of {sharp.name}, but the pixel size of "
        f"{widefield.name} is {widefield.pixel_size:.4g} nm: correct the factor, unless the file is wrong."
    )


@dataclass(frozen=True)
class _Spectra:
    """Power spectra of the widefield image and of the structure, in the same rings.

    Parameters
    ----------
    frequency
        (R,) frequency of each ring, in 1/nm.
    image_power, structure_power
        (R,) power of the widefield image and of the structure, in units in which dark is 0 and bright is 1.
    light
        Mean of the widefield image in these units.
    side
        Side of the patches in widefield pixels.
    """

    frequency: Values
    image_power: Values
    structure_power: Values
    light: float
    side: int


def _spectra(widefield: Image, sharp: Sequence[Image], upscale: int, pixel_size: float) -> _Spectra:
    """Return the spectra; `pixel_size` is the side of a widefield pixel in nm."""
    side = _side(widefield, sharp, upscale)
    rings = int(side * _RINGS)
    camera = _measured_patches(widefield, side)
    # Each image is divided by its own mean light, so that images in different units have equal weight.
    structure = np.concatenate([_normalized(_patches(_limited(image), upscale, side)) for image in sharp])
    dark, bright = (float(v) for v in np.percentile(camera, (1.0, _BRIGHT)))
    # In a sparse field, that percentile is background.
    bright = max(bright, brightness(list(camera)).middle)
    if not dark < bright:
        raise InputError(
            f"All pixels of {widefield.name} have the value {dark:g}: give an image that shows a structure."
        )
    image_power = _spectrum(((camera - dark) / (bright - dark)).astype(np.float32), rings)
    # The structure gets the mean light of the widefield image.
    light = float((camera.mean() - dark) / (bright - dark))
    structure_power = _spectrum((structure * light).astype(np.float32), rings)
    return _Spectra((np.arange(rings) + 0.5) / rings * 0.5 / pixel_size, image_power, structure_power, light, side)


class _Unknowns(NamedTuple):
    """The parameters of the fit, or one value (a bound, a step) for each of them."""

    width: float  # of the point spread function, relative to that in focus
    haze: float  # share of the light
    haze_width: float  # nm
    noise: float  # logarithm of the power of the noise
    scale: float  # logarithm of a factor on the power of the light


_STEP = _Unknowns(0.3, 0.2, 200, 1, 0.5)  # typical change of each parameter, the scale of the optimizer


def _fit(spectra: _Spectra, microscope: MicroscopeConfig) -> tuple[_Unknowns, float]:
    """Return the parameters of the best fit to the spectra, and the residual."""
    measured = np.log(spectra.image_power)
    in_focus = psf_sigma(microscope.na, microscope.wavelength)
    begin = _Unknowns(
        width=float(np.mean(microscope.width_range)),
        haze=float(np.mean(microscope.haze_range)),
        haze_width=float(np.mean(microscope.haze_width_range)),
        noise=float(measured[-2:].min()),
        scale=0.0,
    )
    low = _Unknowns(0.7, 0.0, 150.0, float(measured.min()) - 8, -2.0)
    high = _Unknowns(2.5, 0.95, 1500.0, float(measured.max()), 2.0)
    fit = least_squares(
        lambda values: _log_power(spectra, _Unknowns(*values), in_focus) - measured,
        np.clip(begin, low, high),
        bounds=(low, high),
        x_scale=_STEP,
    )
    return _Unknowns(*(float(v) for v in fit.x)), float(np.sqrt(np.mean(fit.fun**2)))


def _log_power(spectra: _Spectra, values: _Unknowns, in_focus: float) -> Values:
    """Return the logarithm of the expected widefield spectrum.

    `in_focus` is the standard deviation in nm of the point spread function in focus.
    """
    focused = (1 - values.haze) * _transfer(spectra.frequency, values.width * in_focus)
    # Half of the haze comes from the plane itself, half from similar but independent planes (see `mean_widefield`).
    hazy = 0.5 * values.haze * _transfer(spectra.frequency, math.hypot(values.width * in_focus, values.haze_width))
    light = np.exp(values.scale) * spectra.structure_power * ((focused + hazy) ** 2 + hazy**2)
    return np.asarray(np.log(light + np.exp(values.noise)))


def _side(widefield: Image, sharp: Sequence[Image], upscale: int) -> int:
    """Return the largest side of patches that fits into all images, in widefield pixels."""
    for image, factor in [(widefield, 1), *((image, upscale) for image in sharp)]:
        if min(image.size) < _MIN_SIDE * factor:
            raise InputError(
                f"{image.name} is {image.size[0]} × {image.size[1]} pixels: fitting the microscope needs at least "
                f"{_MIN_SIDE * factor} along each side."
            )
    return min(_MAX_SIDE, *widefield.size, *(length // upscale for image in sharp for length in image.size))


def _patches(image: Image, factor: int, side: int) -> npt.NDArray[np.float32]:
    """Return (N, side, side) patches on the widefield grid; each pixel is the mean of `factor`² fine pixels."""
    return grid_patches([averaged(plane, factor) for plane in image.pixels], side)


def _limited(image: Image) -> Image:
    """Return a super-resolution image whose beads are no brighter than structure can be."""
    limit = np.float32(brightness(list(image.pixels)).outlier)
    return replace(image, pixels=np.minimum(image.pixels, limit)) if image.pixels.max() > limit else image


def _measured_patches(widefield: Image, side: int) -> npt.NDArray[np.float32]:
    """Return the patches of a widefield image that show no border, scale bar, bead or hot pixel.

    All patches are returned if each of them shows one: the fit is then the best that these images allow.
    """
    limit = brightness(list(widefield.pixels)).outlier
    selected = []
    for plane in widefield.pixels:
        facts = scan(plane)
        measured = np.ones(plane.shape, bool) if (mask := facts.measured(plane)) is None else mask
        valid = grid_patches([(measured & (plane <= limit)).astype(np.float32)], side).min((1, 2)) > 0
        selected.append(grid_patches([plane], side)[valid])
    patches = np.concatenate(selected)
    return patches if len(patches) else _patches(widefield, 1, side)


def _normalized(patches: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Subtract the 1st percentile of the patches, and divide them by their mean."""
    above = patches - np.percentile(patches, 1).astype(np.float32)
    return np.asarray(above / max(float(above.mean()), 1e-9), np.float32)


def _spectrum(patches: npt.NDArray[np.float32], rings: int) -> Values:
    """Return the mean power (rings,) of patches in rings of equal width."""
    return np.asarray(np.mean([radial_spectrum(patch, rings) for patch in patches], axis=0) + 1e-12, np.float64)


def _transfer(frequency: Values, sigma: float) -> Values:
    """Return the transfer function of a Gaussian of `sigma` nm."""
    return np.asarray(np.exp(-2 * (np.pi * sigma * frequency) ** 2), np.float64)


def _variance(log_noise: float, side: int) -> float:
    """Return the variance per pixel of noise; `log_noise` is the logarithm of its power by `radial_spectrum`."""
    window = np.outer(np.hanning(side), np.hanning(side))
    return math.exp(log_noise) * float(window.sum()) / float((window**2).sum())

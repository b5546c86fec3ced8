"""Settings of the simulated widefield microscope."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Unit

from ..base.settings import ASCENDING, Checked, Help, NotNegative, Positive, Shares, Span

Unevenness = Annotated[float, Ge(0), Le(3)]  # at the upper limit, light varies by a factor of 400 within an image


@dataclass(frozen=True)
class MicroscopeConfig(Checked):
    """The simulated widefield microscope; each value with a `_range` is drawn again for every image."""

    na: Annotated[Positive, Le(1.7), Help("numerical aperture of the objective")] = 1.4
    wavelength: Annotated[float, Gt(100), Le(2000), Unit("nm"), Help("emission wavelength")] = 670.0
    psf: Annotated[
        Literal["gaussian", "pupil"],
        Help("point spread function: a Gaussian, or the scalar pupil model if the defocus is known"),
    ] = "gaussian"
    defocus: Annotated[
        float,
        Ge(0),
        Le(1000),
        Unit("nm"),
        Help("distance of the structure from the focal plane, for the pupil model"),
    ] = 0.0
    width_range: Annotated[Span, Help("width of the point spread function, relative to its width in focus")] = (
        0.85,
        1.4,
    )
    haze_range: Annotated[Shares, Help("share of the light that is out of focus")] = (0.2, 0.85)
    haze_width_range: Annotated[Span, Unit("nm"), Help("width (standard deviation) of the out-of-focus blur")] = (
        200.0,
        600.0,
    )
    haze_unevenness_range: Annotated[
        tuple[Unevenness, Unevenness],
        ASCENDING,
        Help(
            "uneven out-of-focus light, as cells differ in thickness: standard deviation of the logarithm of its "
            "slowly varying gain; for training"
        ),
    ] = (0.0, 1.5)
    smooth_light_range: Annotated[
        tuple[NotNegative, NotNegative],
        ASCENDING,
        Help(
            "smooth light without a counterpart in the super-resolution image, relative to the standard deviation of "
            "the other light; for training"
        ),
    ] = (0.0, 4.0)
    smooth_light_width_range: Annotated[
        Span,
        Unit("nm"),
        Help(
            "width (standard deviation) of the blur of the smooth light; if left as it is, a training widens it to at "
            "least 2 to 8 times the width of the structure"
        ),
    ] = (500.0, 2000.0)
    unevenness_range: Annotated[
        tuple[Unevenness, Unevenness],
        ASCENDING,
        Help(
            "uneven light: standard deviation of the logarithm of a slowly varying gain of the light, which the "
            "super-resolution image does not show; for training"
        ),
    ] = (0.0, 0.6)
    unevenness_width_range: Annotated[
        Span,
        Unit("nm"),
        Help("width (standard deviation) of the blur of uneven light and of uneven out-of-focus light"),
    ] = (600.0, 2000.0)
    correlated_noise_range: Annotated[
        tuple[NotNegative, NotNegative],
        ASCENDING,
        Help(
            "noise that neighbouring pixels share, as in averaged, registered or denoised images: standard deviation "
            "at a bright widefield pixel, relative to it; for training"
        ),
    ] = (0.0, 0.06)
    correlated_noise_width_range: Annotated[
        Span, Unit("px"), Help("width (standard deviation) of the blur of that noise, in widefield pixels")
    ] = (0.5, 1.3)
    photons_range: Annotated[Span, Unit("photons"), Help("photons in a bright widefield pixel")] = (50.0, 2000.0)
    background_range: Annotated[
        tuple[NotNegative, NotNegative], ASCENDING, Help("uniform background, relative to a bright widefield pixel")
    ] = (0.0, 0.3)
    read_noise: Annotated[NotNegative, Unit("electrons"), Help("read noise of the camera")] = 1.6
    gain: Annotated[Positive, Help("camera counts per photon")] = 1.0
    offset: Annotated[NotNegative, Help("camera counts without light")] = 0.0

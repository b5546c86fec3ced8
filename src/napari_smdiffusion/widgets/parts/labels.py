"""The labels of settings in forms, where the name of the field is not plain enough."""

_LABELS = {
    "na": "numerical aperture (NA)",
    "psf": "point spread function (PSF)",
    "wavelength": "emission wavelength",
    "width_range": "width of the PSF",
    "haze_range": "out-of-focus light",
    "haze_width_range": "blur of the out-of-focus light",
    "haze_unevenness_range": "uneven out-of-focus light",
    "smooth_light_range": "smooth light",
    "smooth_light_width_range": "blur of the smooth light",
    "unevenness_range": "uneven light",
    "unevenness_width_range": "blur of the uneven light",
    "correlated_noise_range": "correlated noise",
    "correlated_noise_width_range": "blur of the correlated noise",
    "photons_range": "photons in a bright pixel",
    "background_range": "background",
    "offset": "camera offset",
    "gain": "camera gain",
    "upscale": "factor of the enhancement",
    "wide_fraction": "share of wide patches",
    "widest_fraction": "share of widest patches",
    "patch": "side of a patch",
    "count": "number of images",
    "tile": "side of a tile",
    "channels": "width of the network",
    "previews": "preview images",
    "device": "compute on",
}


# Words for the choices of a setting, by the name of the setting.
_CHOICES = {"method": {"estimate": "best estimate", "samples": "best estimate and samples"}}


def choice_label(name: str, choice: str) -> str:
    """Return the words for a choice of a setting."""
    return _CHOICES.get(name, {}).get(choice, choice)


def label_of(name: str, unit: str) -> str:
    """Return the label of a setting with its unit; a range has two fields, from the first to the last value."""
    label = _LABELS.get(name, name.removesuffix("_range").replace("_", " "))
    if unit and unit not in label:
        label = f"{label} [{unit}]"
    return f"{label}, from – to" if name.endswith("_range") else label

"""Sample images: a simulated pair that is part of the package, and measured pairs from a public repository."""

from __future__ import annotations

import os
from pathlib import Path

from ..base.folders import user_folder
from .image import Image
from .provenance import Provenance
from .reading import read_image

# Chen et al., "Single-frame deep-learning super-resolution microscopy for intracellular dynamics imaging", Nature
# Communications 14, 2854 (2023); BSD-3-Clause.
SFSRM = "https://raw.githubusercontent.com/crrayna/SFSRM/7ec43a2fb5b9458bfcf8f965b2885a285d7694d1/test_data/"
_HASHES = {
    "microtubule/reference/microtubule_STORM.tif": "a6868b52c4750f33da873ef007579c8aa19d8e793cf00ba4f8a3baefd3b752d5",
    "microtubule/widefield/microtubule_widefield.tif": (
        "0b24cebee6248f18d67f00b4604808e329cb7d6564b98bd1200bead695d55e6d"
    ),
    "mitochondria/reference/mitochondria_STORM.tif": "73d72e82c1f30ac9c49f01bb4c8ad4fd7e3679ebc046fe8a0cb62308cb26d7d3",
    "mitochondria/widefield/mitochondria_widefield.tif": (
        "1a88eeedcfe056db814a3e19ca38a2f5745cdf8815ec57730aaaad64c83868dd"
    ),
}
_STORM_PIXEL = {"microtubule": 19.35600, "mitochondria": 20.0}  # nm; 20 nm is an estimate, the data states no value
_FACTOR = {"microtubule": 5, "mitochondria": 4}
# Corner of the STORM image in the widefield image, (y, x) in widefield pixels. The fractions come from
# `registration.registration_shift`; they differ by up to 0.3 between parts of these fields.
_CORNER = {"microtubule": (50.52, 48.16), "mitochondria": (-0.53, 0.54)}


def simulated_pair() -> tuple[Image, Image]:
    """Return (super-resolution, widefield) of simulated microtubules: 1280² pixels of 20 nm, and 256² of 100 nm.

    The two images show different fields of the same structure, as in a typical experiment. A model that is trained on
    the super-resolution image has therefore not used the widefield field. `simulated_reference` shows the widefield
    field.
    """
    folder = Path(__file__).parents[1] / "bundled"
    return read_image(folder / "sample_super_resolution.tif"), read_image(folder / "sample_widefield.tif")


def simulated_reference() -> Image:
    """Return the super-resolution image of the widefield sample's field, as a reference for an enhanced image."""
    return read_image(Path(__file__).parents[1] / "bundled" / "sample_reference.tif")


def sfsrm_pair(structure: str) -> tuple[Image, Image]:
    """Return (STORM, widefield) of one fixed cell; their origins register the two images.

    The first call downloads the files to the user's folder. The variable SMDIFFUSION_SAMPLES replaces the address.

    Parameters
    ----------
    structure
        "microtubule" (factor 5; the STORM image covers a part of the widefield field) or "mitochondria" (factor 4).

    Raises
    ------
    OSError
        If the files cannot be downloaded, or have unexpected content.
    """
    fine_pixel = _STORM_PIXEL[structure]
    coarse_pixel = fine_pixel * _FACTOR[structure]
    storm = read_image(_local_copy(f"{structure}/reference/{structure}_STORM.tif"), fine_pixel)
    widefield = read_image(_local_copy(f"{structure}/widefield/{structure}_widefield.tif"), coarse_pixel)
    y, x = _CORNER[structure]
    origin = (-y * coarse_pixel, -x * coarse_pixel)
    shown = "microtubules" if structure == "microtubule" else structure
    provenance = Provenance(source="SFSRM, Chen et al. 2023 (BSD-3-Clause)", structure=shown)
    return (
        Image(storm.pixels, fine_pixel, name=f"{structure}, STORM", provenance=provenance),
        Image(widefield.pixels, coarse_pixel, origin, f"{structure}, widefield", provenance),
    )


def _local_copy(path: str) -> Path:
    """Return the local copy of one of the SFSRM files; the file is downloaded if there is none."""
    import pooch

    address = os.environ.get("SMDIFFUSION_SAMPLES", SFSRM)
    folder = user_folder() / "samples"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"{folder} cannot be written ({error.strerror}): set SMDIFFUSION_HOME to a folder of yours."
        ) from error
    pooch.get_logger().setLevel("WARNING")
    try:
        file = pooch.retrieve(address + path, known_hash=_HASHES[path], fname=Path(path).name, path=folder)
    # requests, urllib and pooch raise many kinds of errors; the user needs the same message for all.
    except Exception as error:
        raise OSError(
            f"The sample images cannot be downloaded from {address} ({type(error).__name__}): connect to the internet "
            "and try again, or open the simulated pair, which needs no download."
        ) from error
    return Path(file)

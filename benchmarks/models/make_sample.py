"""Make the sample that ships with the package: simulated microtubules and a widefield image of another field.

python -m benchmarks.models.make_sample
"""

from pathlib import Path

import numpy as np
import tifffile
import torch

from benchmarks.common import no_options
from napari_smdiffusion import MicroscopeConfig, simulate
from napari_smdiffusion.base.devices import generator
from napari_smdiffusion.base.folders import bundled_folder
from napari_smdiffusion.microscope.camera import widefield

PIXEL_SIZE, FACTOR = 20.0, 5
# An ordinary microscope in the middle of the ranges that enhancers are trained on.
MICROSCOPE = MicroscopeConfig(
    width_range=(1.1, 1.1),
    haze_range=(0.4, 0.4),
    haze_width_range=(350.0, 350.0),
    photons_range=(250.0, 250.0),
    background_range=(0.2, 0.2),
    offset=100.0,
)


def eight_bit(pixels: np.ndarray) -> np.ndarray:
    """Stretch to 8 bits, as renderings are usually saved."""
    return np.asarray(np.clip(np.round(pixels / np.percentile(pixels, 99.95) * 255), 0, 255), np.uint8)


def save(name: str, plane: np.ndarray, pixel_size: float) -> Path:
    """Write a small ImageJ TIFF with its pixel size."""
    path = bundled_folder() / name
    per_um = 1e3 / pixel_size
    tifffile.imwrite(path, plane, imagej=True, resolution=(per_um, per_um), metadata={"unit": "um"}, compression="zlib")
    return path


def main() -> None:
    """Write the three files."""
    no_options(__doc__)
    sharp, other = (
        eight_bit(simulate("microtubules", 1, 1280, PIXEL_SIZE, seed, organisation="random").pixels[0])
        for seed in (11, 12)
    )
    plane = torch.from_numpy(other.astype(np.float32))[None, None]
    camera = widefield(plane, MICROSCOPE, PIXEL_SIZE, FACTOR, generator(12))[0, 0].numpy()
    for name, pixels, size in (
        ("sample_super_resolution.tif", sharp, PIXEL_SIZE),
        ("sample_reference.tif", other, PIXEL_SIZE),
        ("sample_widefield.tif", np.round(camera).astype(np.uint16), PIXEL_SIZE * FACTOR),
    ):
        path = save(name, pixels, size)
        print(f"{path.name}: {pixels.shape} {pixels.dtype}, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()

"""Compare our resolution estimates with those of nanopyx, which runs in an environment of its own.

    python -m benchmarks.realism.nanopyx_agreement

Makes `build/nanopyx` with nanopyx from PyPI the first time. Images are simulated microtubules and points blurred to
known resolutions, and the STORM images of SFSRM. Both programs see the same arrays.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.common import environment, no_options, save, sfsrm
from napari_smdiffusion import decorrelation_analysis, fourier_ring_correlation, simulate

PIXEL = 20.0  # nm
THEIRS = """
import json, sys
from importlib.metadata import version
import numpy as np
from nanopyx.core.analysis.decorr import DecorrAnalysis
from nanopyx.core.analysis.frc import FIRECalculator

found = {"version": version("nanopyx"), "decorrelation": {}, "frc": {}}
arrays = np.load(sys.argv[1])
for name in arrays.files:
    image, pixel = arrays[name], float(sys.argv[2])
    if image.ndim == 3:
        calculator = FIRECalculator(pixel_size=pixel, units="nm")
        found["frc"][name] = float(calculator.calculate_fire_number(image[0], image[1]))
    else:
        analysis = DecorrAnalysis(pixel_size=pixel, units="nm")
        analysis.run_analysis(image)
        found["decorrelation"][name] = float(analysis.resolution)
json.dump(found, open(sys.argv[3], "w"))
"""


def images() -> dict[str, np.ndarray]:
    """Return single images (Y, X) for the decorrelation analysis, and pairs (2, Y, X) for the FRC."""
    rng = np.random.default_rng(0)
    found: dict[str, np.ndarray] = {}
    for sigma in (1.0, 1.5, 2.0, 3.0, 4.0):
        field = gaussian_filter(simulate("microtubules", 1, 512, PIXEL, seed=1, organisation="random").pixels[0], sigma)
        noise = 0.05 * field.std()
        found[f"filaments, sigma {sigma * PIXEL:g} nm"] = field + rng.normal(0, noise, field.shape)
        pair = rng.poisson(np.stack([field, field]) / field.max() * 200)
        found[f"pair of filaments, sigma {sigma * PIXEL:g} nm"] = pair
        points = (rng.random((512, 512)) < 2e-3).astype(float)
        blurred = gaussian_filter(points, sigma)
        found[f"points, sigma {sigma * PIXEL:g} nm"] = blurred + rng.normal(0, 0.02 * blurred.max(), blurred.shape)
    storm, widefield = sfsrm("microtubule")
    real = {
        "microtubule_STORM": storm,
        "microtubule_widefield": widefield,
        "mitochondria_STORM": sfsrm("mitochondria")[0],
    }
    # In pixels of the same size as the others: what is compared is the agreement.
    found |= {name: image.pixels[0][:1024, :1024] for name, image in real.items()}
    return {name: np.ascontiguousarray(image, np.float32) for name, image in found.items()}


def main() -> None:
    """Run both, and save the estimates side by side."""
    no_options(__doc__)
    python = environment("nanopyx", ("nanopyx",))
    arrays: dict[str, Any] = images()
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "images.npz", Path(folder) / "found.json"
        np.savez(given, **arrays)
        subprocess.run([python, "-W", "ignore", "-c", THEIRS, given, str(PIXEL), found], check=True, cwd=folder)
        theirs = json.loads(found.read_text())
    rows = {}
    for name, image in arrays.items():
        kind = "frc" if image.ndim == 3 else "decorrelation"
        ours = (
            fourier_ring_correlation(image[0], image[1], PIXEL)
            if kind == "frc"
            else decorrelation_analysis(image, PIXEL)
        )
        rows[name] = {"method": kind, "ours_nm": ours.resolution, "nanopyx_nm": theirs[kind][name]}
    save("nanopyx_agreement", {"nanopyx": theirs["version"], "pixel_size_nm": PIXEL, "images": rows})


if __name__ == "__main__":
    main()

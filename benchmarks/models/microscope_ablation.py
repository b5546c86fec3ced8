"""Measure what each part of the simulated light adds to an enhancer that is trained on generated fields.

    python -m benchmarks.models.microscope_ablation

Small enhancers of the same network, steps and seeds learn through microscopes that differ in their smooth light, their
uneven light, their correlated noise and their uneven haze alone. Each is judged on the real widefield image of its
structure, registered, in the part that no diffusion model saw and in the other part. A third structure is simulated: a
network that fills much of the field, under light of other planes that is stronger than its own. No microscope was
chosen by it.

Called again, it goes on where it was cut.
"""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, zoom

from benchmarks.common import CELLS, FACTORS, TESTED, entries, save_entry
from benchmarks.models.bundled_models import fields
from napari_smdiffusion import EnhancedField, EnhancerConfig, Image, MicroscopeConfig, simulate, train_enhancer_steps
from napari_smdiffusion.base.devices import generator
from napari_smdiffusion.base.events import Progress, run
from napari_smdiffusion.enhance import training
from napari_smdiffusion.images.registration import registration_shift, translated
from napari_smdiffusion.measure.restoration import correlation
from napari_smdiffusion.microscope.camera import camera_counts, light_through_optics
from napari_smdiffusion.report.enhanced import compare_with_reference

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_smdiffusion import Enhancer

    Window = tuple[slice, slice]
    Plane = npt.NDArray[np.float32]

NAME = "microscope_ablation"
STEPS, CHANNELS, PATCH = 800, 24, 160
HIGH_PASS = 500.0  # nm: the smooth part that is removed from both images
BLUR = 80.0  # nm
EVEN_HAZE = MicroscopeConfig(haze_unevenness_range=(0.0, 0.0))
INDEPENDENT_NOISE = replace(EVEN_HAZE, correlated_noise_range=(0.0, 0.0))
EVEN = replace(INDEPENDENT_NOISE, unevenness_range=(0.0, 0.0))
NO_SMOOTH_LIGHT = replace(EVEN, smooth_light_range=(0.0, 0.0))
ANY = "smooth light of one width for any structure"
ARMS = {
    "smooth light, wider than the structure, uneven light, correlated noise, and uneven haze (the default)": (
        MicroscopeConfig()
    ),
    "smooth light, wider than the structure, uneven light, and correlated noise": EVEN_HAZE,
    "smooth light, wider than the structure, and uneven light": INDEPENDENT_NOISE,
    "smooth light, wider than the structure": EVEN,
    ANY: EVEN,
    "neither": NO_SMOOTH_LIGHT,
}
DENSE, DENSE_FACTOR, DENSE_SIZE = "dense network", 4, 1024
# The real microscope of the dense network is one of many; its light is not that of the trainings.
DENSE_OPTICS = MicroscopeConfig(
    width_range=(1.25, 1.25), haze_range=(0.5, 0.5), haze_width_range=(400.0, 400.0), photons_range=(400.0, 400.0)
)
NUCLEUS, NUCLEUS_LIGHT, OTHER_LIGHT = 4000.0, 8.0, 3.0  # nm, and standard deviations of the light in focus


@dataclass(frozen=True)
class Case:
    """A widefield image, its super-resolution image and the parts that are judged."""

    factor: int
    source: Image
    widefield: Image
    truth: Image
    parts: dict[str, Window]


def real(structure: str) -> Case:
    """Return the real pair of a structure, with generated fields to learn from."""
    storm, train, widefield = CELLS[structure]()
    parts = {"test": TESTED[structure], "training": (slice(0, train.size[0]), slice(0, train.size[1]))}
    return Case(FACTORS[structure], fields(structure), widefield, storm, parts)


def network(count: int, size: int, seed: int) -> Image:
    """Return planes of crowded tubes and filaments, (count, size, size)."""
    planes = []
    for k in range(count):
        tubes = simulate("mitochondria", 3, size, 20.0, seed + 10 * k, labelling=2.0).pixels.sum(0)
        filaments = simulate(
            "microtubules", 5, size, 20.0, seed + 10 * k + 5, labelling=2.0, organisation="random"
        ).pixels.sum(0)
        planes.append(tubes / tubes.std() + filaments / filaments.std())
    return Image(np.stack(planes).astype(np.float32), 20.0, name=DENSE, provenance={"kind": "simulated"})


def dense() -> Case:
    """Return a dense network, seen through light of other planes that is bright around a nucleus."""
    truth = network(1, DENSE_SIZE, 10_000)
    planes, random = torch.from_numpy(truth.pixels.copy())[:, None], generator(0, 1)
    light, optics = light_through_optics(planes, DENSE_OPTICS, 20.0, DENSE_FACTOR, random)
    side, pixel = light.shape[-1], 20.0 * DENSE_FACTOR
    y, x = np.mgrid[:side, :side] * pixel
    far = np.hypot(y - 0.4 * side * pixel, x - 0.6 * side * pixel)
    nucleus = np.exp(-0.5 * ((far - NUCLEUS) / (NUCLEUS / 2)) ** 2)
    # Structure in other planes, out of focus.
    others = network(1, DENSE_SIZE, 20_000).pixels[0].reshape(side, DENSE_FACTOR, side, DENSE_FACTOR).mean((1, 3))
    others = gaussian_filter(others, 900.0 / pixel)
    smooth = NUCLEUS_LIGHT * nucleus + OTHER_LIGHT * (others - others.min()) / others.std()
    total = light + float(light.std()) * torch.from_numpy(smooth.astype(np.float32))[None, None]
    counts = camera_counts(total / float(np.percentile(light.numpy(), 99.5)), optics, DENSE_OPTICS, random)
    widefield = Image(counts[:, 0].numpy(), pixel, name=f"widefield image of a {DENSE}")
    return Case(DENSE_FACTOR, network(12, 512, 0), widefield, truth, {"test": (slice(None), slice(None))})


def high_passed(plane: Plane, pixel_size: float, blur: float) -> Plane:
    """Return a plane blurred by `blur` nm, without what is smoother than `HIGH_PASS`."""
    detail = gaussian_filter(plane, blur / pixel_size) if blur else plane
    return np.asarray(detail - gaussian_filter(plane, HIGH_PASS / pixel_size), np.float32)


def trained(case: Case, microscope: MicroscopeConfig, seed: int) -> Enhancer:
    """Train a small enhancer, with the short calibration of a stopped training."""
    done = 0

    def note(event: object) -> None:
        nonlocal done
        done = event.step if isinstance(event, Progress) else done

    config = EnhancerConfig(
        upscale=case.factor, channels=CHANNELS, patch=PATCH, steps=STEPS, seed=seed, previews=0, device="cpu"
    )
    return run(train_enhancer_steps([case.source], config, microscope, stop=lambda: done >= STEPS), note)


def as_it_is(microscope: MicroscopeConfig, *_: object) -> MicroscopeConfig:
    """Stand in for `suited_to`, which makes smooth light wider than the structure."""
    return microscope


def judged(case: Case, enhancer: Enhancer) -> dict[str, Any]:
    """Compare the enhanced image with the truth, raw, blurred and without its smooth part."""
    enhanced = enhancer.enhance(case.widefield)
    field, pixel = EnhancedField(enhanced, case.widefield, case.truth), case.truth.pixel_size or 20.0
    truth = case.truth.pixels[0]
    shift = registration_shift(list(case.widefield.pixels), list(case.truth.pixels), case.factor) or (0.0, 0.0)
    interpolated = zoom(case.widefield.pixels[0], case.factor, order=3, grid_mode=True, mode="nearest")
    images = {"enhanced": enhanced.pixels[0], "interpolated": interpolated}
    placed = {name: translated(image, shift) for name, image in images.items()}
    # The real pair of mitochondria shares no finer detail (benchmarks/models/real_pairs.py).
    blurs = {"high-passed": 0.0, "high-passed, blurred by 80 nm": BLUR}
    found: dict[str, Any] = {}
    for part, (rows, columns) in case.parts.items():
        similarity = compare_with_reference(field, columns, rows)["registered"]["enhanced"]
        found[part] = {
            "raw": round(similarity["correlation"], 4),
            "blurred": round(similarity["correlation_blurred"], 4),
            **{
                f"{name}, {words}": round(
                    correlation(*(high_passed(plane, pixel, blur)[rows, columns] for plane in (image, truth))), 4
                )
                for name, image in placed.items()
                for words, blur in blurs.items()
            },
        }
    return found


def main() -> None:
    """Train and judge what is missing: all arms with one seed, then with the next."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--structures", nargs="+", choices=(*CELLS, DENSE), default=[*CELLS, DENSE])
    options = parser.parse_args()
    cases = {name: dense() if name == DENSE else real(name) for name in options.structures}
    for seed, arm, name in product(range(options.seeds), options.arms, cases):
        key = f"{name}, {arm}, seed {seed}"
        if key not in entries(NAME):
            # A training widens smooth light by itself.
            with patch.object(training, "suited_to", as_it_is) if arm == ANY else nullcontext():
                enhancer = trained(cases[name], ARMS[arm], seed)
            save_entry(NAME, key, {"structure": name, "arm": arm, "seed": seed, **judged(cases[name], enhancer)})


if __name__ == "__main__":
    main()

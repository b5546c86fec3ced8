"""Digests of results with fixed seeds: they show whether a change of the code has changed a result.

A digest of an array holds its shape, mean and standard deviation, and 64 of its values. These agree on all processors
within a thousandth of the standard deviation. A digest also holds the SHA-256 of the bytes, which is the same only on
the same machine with the same version of torch.

    python tests/digests.py              compare with the stored digests
    python tests/digests.py --exact      compare the hashes too
    python tests/digests.py --write      store the digests of the current results
    python tests/digests.py --write-old  store models and files saved by this version, then all digests

Version 0.1.0 wrote `tests/data/old`. Later versions must read these files: do not replace them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_smdiffusion import DiffusionModel, Enhancer, Image, TrainConfig

    Arrays = dict[str, np.ndarray]

DATA = Path(__file__).parent / "data"
STORED = DATA / "digests.json"
OLD = DATA / "old"
TOLERANCE = 1e-3  # of the standard deviation of an array
_VALUES = 64
_GOLDEN = (5**0.5 - 1) / 2
_STOPPED_AT = 26  # training steps after which the stored training was stopped


@contextmanager
def one_thread_float32() -> Iterator[None]:
    """Compute with one thread and in float32, also on processors that support bfloat16."""
    import torch

    def no_autocast(device_type: str, *_: object, **__: object) -> torch.amp.autocast:
        return autocast(device_type, enabled=False)

    threads, autocast = torch.get_num_threads(), torch.autocast
    torch.set_num_threads(1)
    capabilities = mock.patch.object(torch.cpu, "get_capabilities", return_value={}, create=True)
    try:
        with capabilities, mock.patch.object(torch, "autocast", no_autocast):
            yield
    finally:
        torch.set_num_threads(threads)


def digest(array: np.ndarray) -> dict[str, Any]:
    """Return shape, mean, standard deviation, 64 values at fixed indices, and the SHA-256 of the bytes."""
    flat = np.ascontiguousarray(array).ravel()
    indices = ((np.arange(_VALUES) + 0.5) * _GOLDEN % 1 * flat.size).astype(int)
    return {
        "shape": list(array.shape),
        "mean": _short(flat.mean(dtype=np.float64)),
        "std": _short(flat.std(dtype=np.float64)),
        "values": [_short(value) for value in flat[indices]],
        "sha256": hashlib.sha256(flat.tobytes()).hexdigest(),
    }


def _short(value: float) -> float:
    return float(f"{float(value):.7g}")


def difference(current: dict[str, Any], stored: dict[str, Any]) -> float:
    """Return the largest difference of two digests, relative to the stored standard deviation."""
    if current["shape"] != stored["shape"]:
        return float("inf")
    numbers, expected = (np.array([d["mean"], d["std"], *d["values"]]) for d in (current, stored))
    return float(np.abs(numbers - expected).max() / stored["std"])


def read_stored() -> dict[str, Any]:
    """Return the stored digests of each group, and the metadata of the stored images."""
    stored: dict[str, Any] = json.loads(STORED.read_text(encoding="utf-8"))
    return stored


# Results of this version.


def structures() -> Arrays:
    """Return simulated structures, and widefield images of microtubules."""
    import torch

    from napari_smdiffusion import MicroscopeConfig, simulate
    from napari_smdiffusion.microscope.camera import widefield

    tubules = simulate("microtubules", 2, 160, 20.0, seed=3, organisation="random")  # the unit of the realism score
    mitochondria = simulate("mitochondria", 2, 160, 20.0, seed=3)
    arrays = {"microtubules": tubules.pixels, "mitochondria": mitochondria.pixels}
    arrays["microtubules of a cell"] = simulate("microtubules", 2, 160, 20.0, seed=3).pixels
    names = (
        "actin-cortex",
        "actin-stress-fibres",
        "clathrin-pits",
        "endoplasmic-reticulum",
        "nuclear-pores",
        "synaptic-vesicles",
        "vesicles",
    )
    arrays |= {name: simulate(name, size=160, pixel_size=20.0, seed=3).pixels for name in names}
    clean = torch.from_numpy(tubules.pixels / tubules.pixels.max())[:, None]
    for psf in ("gaussian", "pupil"):
        # Almost no shot noise: the draws of torch.poisson depend on the last bit of its mean.
        optics = MicroscopeConfig(psf=psf, photons_range=(1e9, 1e9))
        camera = widefield(clean, optics, 20.0, 4, torch.Generator().manual_seed(3))
        arrays[f"widefield, {psf}"] = camera.numpy()
    return arrays


def generated() -> Arrays:
    """Return square and oblong fields of every bundled diffusion model."""
    from napari_smdiffusion import load_diffusion_model

    arrays = {}
    for name in ("microtubules", "mitochondria", "start-any"):
        model = load_diffusion_model(name)
        settings: dict[str, Any] = {"steps": 4, "device": "cpu"}
        if model.structures:
            settings["structure"] = "nuclear-pores"
        arrays[f"{name}, 64 × 64"] = model.generate(2, size=64, seed=3, **settings).pixels
        arrays[f"{name}, 80 × 96"] = model.generate(1, size=(80, 96), seed=6, **settings).pixels
    return arrays


def enhanced() -> Arrays:
    """Return results and uncertainties of every bundled enhancer, of a widefield image of odd size."""
    from napari_smdiffusion import load_enhancer

    arrays = {}
    for name in ("microtubules", "microtubules-x4", "mitochondria", "mitochondria-x5"):
        # The first image is enhanced in two tiles.
        image = camera_image(67, 35) if name == "microtubules" else camera_image(35, 41)
        result = load_enhancer(name).enhance_with_uncertainty(image, tile=64, device="cpu")
        arrays[name] = result.image.pixels
        arrays[f"{name}, uncertainty"] = result.uncertainty.pixels
    return arrays


def camera_image(height: int, width: int) -> Image:
    """Return a blurred and noisy image of simulated filaments, of 100 nm pixels."""
    from scipy.ndimage import gaussian_filter

    from napari_smdiffusion import Image, simulate

    blurred = gaussian_filter(
        simulate("microtubules", size=96, pixel_size=100.0, seed=3, organisation="random").pixels[0], 1.3
    )
    noise = np.random.default_rng(3).normal(0, 3, (height, width))
    return Image(100 + 500 * blurred[:height, :width] / blurred.max() + noise, 100.0, name="cell")


def from_scratch() -> Arrays:
    """Return weights, image and losses of a diffusion model that is trained from scratch."""
    return _diffusion_arrays(_trained(start=None, channels=(16, 32), steps=24, batch=4))


def from_bundled() -> Arrays:
    """Return the change of the weights, and an image, of a diffusion model that is trained from the bundled start.

    The first steps of Adam are nearly the sign of the gradient. Rounding decides the sign of gradients near zero. The
    norm of the change hardly depends on it, and with a low learning rate neither does the image.
    """
    from dataclasses import replace

    from napari_smdiffusion import load_diffusion_model
    from napari_smdiffusion.diffusion.network import without_classes

    model = _trained(start="default", steps=3, batch=2, learning_rate=2e-4)
    arrays = _diffusion_arrays(model)
    begun = replace(load_diffusion_model("start-any"), unet=without_classes(load_diffusion_model("start-any").unet))
    change = arrays["weights"] - _weights(begun)
    # A digest needs a standard deviation, so the norm is stored beside 0.
    return {"change": np.array([0.0, np.sqrt(np.mean(change**2))]), "image": arrays["image"]}


def _trained(**settings: Any) -> DiffusionModel:
    from napari_smdiffusion import DiffusionModel

    return DiffusionModel.train([training_image()], patch=64, seed=3, previews=0, device="cpu", **settings)


def _diffusion_arrays(model: DiffusionModel) -> Arrays:
    image = model.generate(1, size=64, seed=3, steps=4, device="cpu")
    losses = {"losses": np.array(model.facts.curve)[:, 1:]} if model.facts.curve else {}
    return {"weights": _weights(model), "image": image.pixels, **losses}


def enhancer() -> Arrays:
    """Return weights, image and uncertainty of an enhancer that is trained from scratch."""
    return _enhancer_arrays(train_enhancer(8, steps=20))


def _enhancer_arrays(model: Enhancer) -> Arrays:
    result = model.enhance_with_uncertainty(camera_image(33, 29), device="cpu")
    return {"weights": _weights(model), "image": result.image.pixels, "uncertainty": result.uncertainty.pixels}


def train_enhancer(channels: int, steps: int) -> Enhancer:
    """Train an enhancer, with the short calibration of a stopped training."""
    from napari_smdiffusion import EnhancerConfig, MicroscopeConfig, Progress, run, train_enhancer_steps

    done = 0

    def note(event: object) -> None:
        nonlocal done
        done = event.step if isinstance(event, Progress) else done

    config = EnhancerConfig(
        upscale=4, channels=channels, steps=steps, batch=2, patch=64, seed=3, previews=0, device="cpu"
    )
    none = (0.0, 0.0)
    even = MicroscopeConfig(unevenness_range=none, correlated_noise_range=none, haze_unevenness_range=none)
    work = train_enhancer_steps([training_image()], config, even, stop=lambda: done >= steps, name="old")
    return run(work, note)


def _weights(model: DiffusionModel | Enhancer) -> np.ndarray:
    """Return all weights in the folder of a model as one row.

    Biases of attention keys are left out. The loss does not depend on them, and training only adds rounding errors.
    """
    from safetensors.numpy import load_file

    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model")
        (path,) = (Path(folder) / "model").rglob("*.safetensors")
        tensors = load_file(path)
    return np.concatenate([tensors[key].ravel() for key in sorted(tensors) if not key.endswith("to_k.bias")])


def training_image() -> Image:
    """Return a stored training image, because the last bits of a simulated one depend on the processor."""
    from napari_smdiffusion import read_image

    return read_image(OLD / "simulated.tif")


# Files of an earlier version.


def old_diffusion() -> Arrays:
    """Return the arrays of a stored diffusion model, before and after its training is resumed."""
    from napari_smdiffusion import load_diffusion_model, run, train_steps

    arrays = {f"cut, {key}": value for key, value in _diffusion_arrays(load_diffusion_model(OLD / "diffusion")).items()}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "diffusion"
        shutil.copytree(OLD / "diffusion", copy)
        model = run(train_steps([training_image()], old_config(), out=copy, resume=True))
        saved = load_diffusion_model(copy)
    if (steps := saved.facts.steps) != old_config().steps:
        raise AssertionError(f"The resumed training ended at step {steps}, not {old_config().steps}.")
    return arrays | {f"resumed, {key}": value for key, value in _diffusion_arrays(model).items()}


def old_config() -> TrainConfig:
    """Return the settings of the stored training."""
    from napari_smdiffusion import TrainConfig

    return TrainConfig(steps=44, patch=64, batch=2, channels=(16,), seed=3, previews=0, device="cpu")


def old_enhancer() -> Arrays:
    """Return weights, image and uncertainty of a stored enhancer."""
    from napari_smdiffusion import load_enhancer

    return _enhancer_arrays(load_enhancer(OLD / "enhancer"))


def old_files() -> Arrays:
    """Return the pixels of stored images."""
    from napari_smdiffusion import read_image

    return {path.name: read_image(path).pixels for path in sorted(OLD.glob("*.tif"))}


def old_facts() -> dict[str, Any]:
    """Return the metadata of the stored images."""
    from napari_smdiffusion import read_image

    images = {path.name: read_image(path) for path in sorted(OLD.glob("*.tif"))}
    return {
        name: {"pixel_size": image.pixel_size, "origin": list(image.origin), "provenance": dict(image.provenance)}
        for name, image in images.items()
    }


GROUPS: dict[str, Callable[[], Arrays]] = {
    "structures": structures,
    "generated": generated,
    "enhanced": enhanced,
    "trained from scratch": from_scratch,
    "trained from the bundled model": from_bundled,
    "trained enhancer": enhancer,
    "old diffusion model": old_diffusion,
    "old enhancer": old_enhancer,
    "old files": old_files,
}


def computed(group: str) -> dict[str, dict[str, Any]]:
    """Return the digest of each array of a group."""
    with one_thread_float32():
        return {name: digest(array) for name, array in GROUPS[group]().items()}


# The script.


def write_old() -> None:
    """Save small models and images with this version."""
    from napari_smdiffusion import DiffusionModel, Progress, run, simulate, train_steps, write_image

    for kind in ("diffusion", "enhancer"):
        shutil.rmtree(OLD / kind, ignore_errors=True)
    write_image(
        OLD / "simulated.tif", simulate("microtubules", size=112, pixel_size=25.0, seed=3, organisation="random")
    )
    done = 0

    def note(event: object) -> None:
        nonlocal done
        done = event.step if isinstance(event, Progress) else done

    run(train_steps([training_image()], old_config(), out=OLD / "diffusion", stop=lambda: done >= _STOPPED_AT), note)
    model = DiffusionModel.load(OLD / "diffusion")
    write_image(OLD / "generated.tif", model.generate(1, size=(64, 80), seed=5, steps=4, device="cpu"))
    enhancer = train_enhancer(8, steps=40)
    enhancer.save(OLD / "enhancer", bits=16)
    result = enhancer.enhance_with_uncertainty(camera_image(17, 19), device="cpu")
    write_image(OLD / "enhanced.tif", result.image)
    write_image(OLD / "enhanced_uncertainty.tif", result.uncertainty)


def _compare(exact: bool) -> bool:
    stored, equal = read_stored()["digests"], True
    for group in GROUPS:
        current = computed(group)
        for name in sorted(current.keys() | stored[group].keys()):
            if name not in current or name not in stored[group]:
                print(f"{group}: {name}: only {'computed' if name in current else 'stored'}")
                equal = False
                continue
            far = difference(current[name], stored[group][name])
            same = current[name]["sha256"] == stored[group][name]["sha256"]
            equal &= far <= TOLERANCE and (same or not exact)
            print(f"{group}: {name}: differs by {far:.1e} of its deviation, {'same' if same else 'OTHER'} bytes")
    return equal


def main() -> int:
    """Run the script; return 1 if a digest differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="store the digests of the current results")
    parser.add_argument("--write-old", action="store_true", help="save models and files of this version too")
    parser.add_argument("--exact", action="store_true", help="compare the bytes too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["SMDIFFUSION_HOME"] = home  # otherwise the user's own models would come first
        if options.write_old:
            with one_thread_float32():
                write_old()
        if not (options.write or options.write_old):
            return 0 if _compare(options.exact) else 1
        stored = {"facts": old_facts(), "digests": {group: computed(group) for group in GROUPS}}
        STORED.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

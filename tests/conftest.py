"""Fixtures of all tests: tiny images, tiny models, and real data if they are present."""

import gc
import os
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
# Test processes in parallel share the cores. With all cores for each of them, they would wait for each other.
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if _WORKERS > 1:
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // _WORKERS)))


def pytest_collection_finish():
    """Leave what the test modules have imported out of garbage collections, which search it for tenths of a second.

    Collect less often, too: tests that need a collection ask for it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(autouse=True)
def _empty_user_folder(tmp_path, monkeypatch):
    """Use an empty folder in place of the folder of the user's models."""
    monkeypatch.setenv("SMDIFFUSION_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session", autouse=True)
def _models_simulated_once():
    """Simulate the mathematical models of the realism score once for all tests that compare patches of one size."""
    from napari_smdiffusion.measure import realism

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(realism, "simulate", lru_cache(maxsize=16)(realism.simulate))
        yield


@pytest.fixture(scope="session")
def storm():
    """Return a simulated super-resolution image, 192² pixels of 20 nm."""
    from napari_smdiffusion import simulate

    return simulate("microtubules", size=192, pixel_size=20.0, seed=3)


@pytest.fixture(scope="session")
def tiny_model(storm):
    """Return a diffusion model after a few training steps."""
    from napari_smdiffusion import DiffusionModel

    return DiffusionModel.train([storm], steps=6, patch=64, batch=4, channels=(16, 32), previews=0)


@pytest.fixture(scope="session")
def tiny_conditional(storm):
    """Return a model of two structures, "noise" (of another brightness) and "microtubules", after two steps."""
    from napari_smdiffusion import DiffusionModel, Image

    noise = Image(np.random.default_rng(0).normal(500, 20, (1, 64, 64)), storm.pixel_size, name="noise.tif")
    images = {"noise": noise, "microtubules": [storm]}
    return DiffusionModel.train(images, start=None, steps=2, patch=64, batch=4, channels=(16, 32), previews=0)


@pytest.fixture(scope="session")
def tiny_enhancer(storm):
    """Return an enhancer ×4 with random weights in all layers, so that every layer changes the result."""
    import torch

    from napari_smdiffusion import Enhancer

    with pytest.MonkeyPatch.context() as patch:
        _calibrate_quickly(patch)
        enhancer = Enhancer.train(storm, upscale=4, steps=2, batch=4, channels=16, patch=64, previews=0)
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in enhancer.network.parameters():
            weights += 0.05 * torch.randn(weights.shape, generator=random)
        # Results are brighter than background, which would be averaged.
        enhancer.network.leave.bias += 0.5
    return enhancer


@pytest.fixture(scope="session")
def tiny_sampler(tiny_enhancer):
    """Return `tiny_enhancer` with a sampler of random weights: the conditions and the noise change its samples."""
    from dataclasses import replace

    import torch

    from napari_smdiffusion.diffusion.network import for_sampling, make_unet, with_given_images
    from napari_smdiffusion.posterior.conditions import GIVEN
    from napari_smdiffusion.posterior.facts import SamplerFacts, SampleScale
    from napari_smdiffusion.posterior.sampler import PosteriorSampler

    torch.manual_seed(0)
    network = with_given_images(make_unet((16, 32)), GIVEN)
    with torch.no_grad():
        for weights in (network.conv_in.weight, network.conv_out.weight):
            weights += 0.05 * torch.randn(weights.shape)
    facts = SamplerFacts(SampleScale(0.3, 0.2), structure=0.3, steps=5, total_steps=5)
    return replace(tiny_enhancer, sampler=PosteriorSampler(for_sampling(network), facts))


@pytest.fixture
def quick_calibration(monkeypatch):
    """Calibrate on 8 patches instead of 80, and samples on 4, which takes less time than the tiny trainings of tests.

    What the training's images look like is not described.

    Rooms whose tests train enhancers for another purpose use it for all of them; the tests of the calibration do not.
    """
    _calibrate_quickly(monkeypatch)


def _calibrate_quickly(patch):
    from napari_smdiffusion.enhance import training, uncertainty
    from napari_smdiffusion.samples import calibrating, recalibrating
    from napari_smdiffusion.samples import training as samples_training

    patch.setattr(training, "familiar_of", lambda task: None)
    patch.setattr(training, "CALIBRATION_PATCHES", 8)
    patch.setattr(training, "ROUGH_CALIBRATION_PATCHES", 4)
    patch.setattr(uncertainty, "_PIXELS", 40_000)
    patch.setattr(recalibrating, "CALIBRATION_PATCHES", 8)
    patch.setattr(recalibrating, "PATCHES", 4)
    patch.setattr(samples_training, "PATCHES", 4)
    patch.setattr(calibrating, "SAMPLES", 2)


@pytest.fixture
def no_other_enhancers(monkeypatch):
    """Leave the likely structure of an image open: its images are nearer to one or the other bundled enhancer."""
    from napari_smdiffusion.enhance import likely_structure

    monkeypatch.setattr(likely_structure, "enhancers_at_hand", lambda: iter(()))


@pytest.fixture
def no_picture(monkeypatch):
    """Draw no picture of a comparison: that takes half of the time of a test that asks for the numbers alone."""
    from napari_smdiffusion.report import compare

    monkeypatch.setattr(compare, "draw_comparison", lambda path, report, context: path.write_bytes(b""))


@pytest.fixture
def quick_classifier(monkeypatch):
    """Train the classifier of reports for one epoch instead of 12, where a test asks for no area under its curve."""
    from napari_smdiffusion.measure import classifier

    monkeypatch.setattr(classifier, "two_sample_test", partial(classifier.two_sample_test, epochs=1))


@pytest.fixture
def widefield():
    """Return a widefield image of odd size, 150 × 131 pixels of 80 nm."""
    from scipy.ndimage import gaussian_filter

    from napari_smdiffusion import Image

    noise = np.random.default_rng(0).gamma(0.5, 100, (150, 131))
    return Image(gaussian_filter(noise, 1.5) + 100, 80.0, origin=(1000.0, 500.0), name="cell")


@pytest.fixture(scope="session")
def sfsrm() -> Path:
    """Return the folder of the real STORM and widefield pairs."""
    data = os.environ.get("SMDIFFUSION_DATA", Path(__file__).parents[2] / "shared" / "data")
    folder = Path(data) / "sfsrm"
    if not folder.exists():
        pytest.skip(f"the real SFSRM images are missing: set SMDIFFUSION_DATA, or put them into {folder}")
    return folder


@pytest.fixture(scope="session")
def reference() -> Path:
    """Return the folder of a checkpoint of improved_diffusion_for_SMLM, with the results of that package."""
    folder = Path(os.environ.get("SMDIFFUSION_REFERENCE", Path(__file__).parents[2] / "shared" / "reference"))
    if not (folder / "ema_0.9999_000000.npz").exists():
        pytest.skip(f"the reference checkpoint is missing: set SMDIFFUSION_REFERENCE, or put it into {folder}")
    return folder

"""The strides of the network: smooth ones do not depend on a crop; models of earlier versions keep plain ones."""

import json
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from napari_smdiffusion import Enhancer, Image
from napari_smdiffusion.base.devices import seeded
from napari_smdiffusion.base.events import Progress, run
from napari_smdiffusion.enhance.export import _ScriptableEnhancer
from napari_smdiffusion.enhance.network import REACH, EnhancerNetwork
from napari_smdiffusion.enhance.settings import EnhancerConfig
from napari_smdiffusion.recipes.train_enhancer import TrainEnhancerJob

_TINY = {"upscale": 4, "steps": 2, "batch": 1, "channels": 8, "patch": 64, "previews": 0}
_SIDE = 2 * REACH + 32


@pytest.fixture
def plain(tiny_enhancer, tmp_path):
    """Return the folder of an enhancer of an earlier version, whose model.json states no strides."""
    folder = tmp_path / "earlier"
    tiny_enhancer.save(folder)
    facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    assert facts.pop("strides") == "smooth"
    (folder / "model.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


def crop_dependence(strides: str) -> float:
    """Return the rms difference that a crop by 1 to 3 pixels makes, relative to the deviation of the result.

    The weights are random. Every block changes its input about as much as in a trained network.
    """
    with seeded(0):
        network = EnhancerNetwork(2, 16, strides).eval()
        for name, weights in network.named_parameters():
            if name.endswith("second.weight"):
                torch.nn.init.normal_(weights, 0, 0.05)
    noise = np.random.default_rng(0).gamma(0.2, 1.0, (_SIDE, _SIDE))
    blurred = gaussian_filter(noise, 1.3)  # the microscope's
    image = torch.from_numpy(blurred / np.percentile(blurred, 99.5)).float()[None, None]
    middle = slice(2 * REACH, -2 * REACH)
    with torch.no_grad():
        whole = network(image)[..., middle, middle]
        crops = [
            network(image[..., s:, s:])[..., 2 * (REACH - s) : -2 * REACH, 2 * (REACH - s) : -2 * REACH]
            for s in (1, 2, 3)
        ]
    return float(torch.stack([(crop - whole).square().mean() for crop in crops]).mean().sqrt() / whole.std())


def test_a_crop_hardly_changes_the_result_of_a_network_with_smooth_strides():
    smooth, plain = crop_dependence("smooth"), crop_dependence("plain")
    # Measured 0.035 and 0.34; they hardly depend on the size of the blocks' weights.
    assert smooth < 0.05
    assert plain > 5 * smooth


def test_an_enhancer_of_an_earlier_version_keeps_its_strides(plain, tiny_enhancer, widefield, storm):
    earlier = Enhancer.load(plain)
    assert (earlier.network.strides, tiny_enhancer.network.strides) == ("plain", "smooth")
    assert earlier.digest() != tiny_enhancer.digest()
    assert np.abs(earlier.enhance(widefield).pixels - tiny_enhancer.enhance(widefield).pixels).max() > 0
    # So does a training that starts from it, which would otherwise begin with weights that do not fit.
    trained = Enhancer.train(storm, start=earlier, **{**_TINY, "channels": 16})
    trained.save(plain.parent / "later")
    assert Enhancer.load(plain.parent / "later").network.strides == "plain"


def test_a_resumed_training_keeps_its_strides(storm, tmp_path):
    job = TrainEnhancerJob(storm, EnhancerConfig(**_TINY), out=tmp_path / "e")
    seen: list[object] = []
    run(job.steps(lambda: any(isinstance(event, Progress) for event in seen)), seen.append)
    facts = json.loads((tmp_path / "e" / "model.json").read_text(encoding="utf-8"))
    assert facts.pop("strides") == "smooth"
    (tmp_path / "e" / "model.json").write_text(json.dumps(facts), encoding="utf-8")
    assert run(replace(job, resume=True).steps()).record.strides == "plain"


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_an_exported_enhancer_has_the_strides_of_its_network(plain, widefield, monkeypatch):
    # In float32, as the package computes.
    monkeypatch.setattr("napari_smdiffusion.enhance.predicting.autocast", lambda device: nullcontext())
    earlier = Enhancer.load(plain)
    part = np.ascontiguousarray(widefield.pixels[:, :61, :70])
    with torch.no_grad():
        module = torch.jit.script(_ScriptableEnhancer(earlier.network, earlier.widefield).eval())
        theirs = module(torch.from_numpy(part)[None]).numpy()[0]
    ours = earlier.enhance(Image(part)).pixels
    np.testing.assert_allclose(theirs, ours, atol=1e-5 * np.ptp(ours))

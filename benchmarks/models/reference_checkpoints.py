"""Whether imported checkpoints compute what the paper's own code computes with them, in its first and last version.

    python -m benchmarks.models.reference_checkpoints

Takes the environment of `speed/against_reference.py`, made the first time, and both versions of
improved_diffusion_for_SMLM from PyPI. Each makes networks for all its image sizes, with random weights (its own
beginning, and noise on every parameter, for it begins with zeros that would hide a mistake), saves them as it saves a
training, predicts noise and draws images by DDIM in 25 evaluations; the files are imported and the same is computed
here. A minute on two cores.
"""

from __future__ import annotations

import subprocess
from typing import Any

import numpy as np
import torch

from benchmarks.common import ROOT, no_options, save
from benchmarks.speed.against_reference import reference_python
from napari_smdiffusion import import_checkpoint
from napari_smdiffusion.diffusion.noise_prediction import NoiseSchedule
from tests.ddim import ddim

WORK = ROOT / "build" / "reference_checkpoints"
VERSIONS = ("0.3.0", "0.4.8")
# Image size, width of the network, blocks, whether it learns the variance, and whether images are drawn too.
NETWORKS = (
    (32, 64, 1, False, True),
    (64, 32, 1, False, True),
    (64, 128, 2, False, False),
    (128, 64, 1, True, False),
    (128, 96, 1, False, True),
    (256, 64, 1, False, False),
)
EVALUATIONS = 25
THEIRS = """
import sys
from importlib.metadata import version
sys.path.insert(0, sys.argv[8])  # the environment has a version too
assert version("improved_diffusion_for_SMLM") == sys.argv[9]
import numpy, torch
from improved_diffusion_for_SMLM.improved_diffusion.script_util import (
    create_model_and_diffusion, model_and_diffusion_defaults)

size, width, blocks, variance, draws, evaluations = map(int, sys.argv[1:7])
torch.manual_seed(0)
model, diffusion = create_model_and_diffusion(**{
    **model_and_diffusion_defaults(), "diffusion_steps": 1000, "image_size": size, "num_channels": width,
    "num_res_blocks": blocks, "learn_sigma": bool(variance), "timestep_respacing": f"ddim{evaluations}"})
with torch.no_grad():
    for parameter in model.parameters():
        parameter += 0.03 * torch.randn_like(parameter)
    model.eval()
    torch.save(model.state_dict(), sys.argv[7] + ".pt")
    x, t = torch.randn(2, 3, size, size), torch.tensor([37, 803])
    kept = {"x": x, "t": t, "noise": model(x, t)[:, :3]}
    if draws:
        kept["images"] = diffusion.ddim_sample_loop(
            model, tuple(x.shape), noise=x, clip_denoised=True, device="cpu", eta=0.0)
numpy.savez(sys.argv[7] + ".npz", **{name: one.numpy() for name, one in kept.items()})
"""


def _package(version: str) -> str:
    """Return the folder that holds a version, fetched the first time."""
    place = WORK / version
    if not (place / "improved_diffusion_for_SMLM").exists():
        options = ("--quiet", "--no-deps", "--target", str(place), f"improved_diffusion_for_SMLM=={version}")
        subprocess.run([reference_python(), "-m", "pip", "install", *options], check=True)
    return str(place)


def _apart(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Return the largest difference, relative to the standard deviation."""
    return float((ours - theirs).abs().max() / theirs.std())


def _compared(version: str, network: tuple[int, ...]) -> dict[str, Any]:
    size, width, blocks, variance, draws = network
    place = WORK / f"{version}_{size}_{width}"
    place.mkdir(exist_ok=True)
    # Named as the averaged weights of a training are.
    kept = f"{place}/ema_0.9999_000000"
    told = (size, width, blocks, int(variance), int(draws), EVALUATIONS, kept, _package(version), version)
    subprocess.run([str(reference_python()), "-W", "ignore", "-c", THEIRS, *map(str, told)], check=True)
    model = import_checkpoint(f"{kept}.pt")
    theirs = {name: torch.from_numpy(array) for name, array in np.load(f"{kept}.npz").items()}
    with torch.no_grad():
        found = {"noise": _apart(model.unet(theirs["x"], theirs["t"]), theirs["noise"])}
        if draws:
            *_, images = ddim(model.unet, theirs["x"], EVALUATIONS, NoiseSchedule(), 4 * size)
            found["images"] = _apart(images, theirs["images"])
    return {"size": size, "width": width, "blocks": blocks, "variance": variance, **found}


if __name__ == "__main__":
    no_options(__doc__)
    WORK.mkdir(parents=True, exist_ok=True)
    result = {version: [_compared(version, network) for network in NETWORKS] for version in VERSIONS}
    save("reference_checkpoints", {"evaluations": EVALUATIONS, "compared": result})

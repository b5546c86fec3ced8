"""Statistics and trainings of images that are larger than memory: the same in strips, without a copy in memory."""

import subprocess
import sys

import numpy as np
import pytest

from napari_smdiffusion import Image
from napari_smdiffusion.diffusion.intensities import Scaling
from napari_smdiffusion.images import strips
from napari_smdiffusion.images.strips import in_strips

TRAINED = """
import sys
import numpy as np
from napari_smdiffusion import DiffusionModel, Image

def anonymous():
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("RssAnon"))) / 1024

side = int(sys.argv[2])
pixels = np.memmap(sys.argv[1], np.float32, "r", shape=(1, side, side))
settings = dict(start=None, steps=2, patch=64, batch=2, channels=(16, 32), previews=0, device="cpu")
DiffusionModel.train(Image(pixels[:, :128, :128]), **settings)  # what any training needs
before = anonymous()
DiffusionModel.train(Image(pixels), **settings)
print(anonymous() - before)
"""


def test_strips_cover_a_plane_and_small_planes_are_one(monkeypatch):
    monkeypatch.setattr(strips, "_MOST", 400)
    small, large = np.zeros((10, 40), np.float32), np.arange(1500, dtype=np.float32).reshape(50, 30)
    parts = in_strips([small, large])
    assert parts[0] is small
    assert max(part.size for part in parts) <= 400
    np.testing.assert_array_equal(np.concatenate(parts[1:]), large)
    assert all(np.shares_memory(part, large) for part in parts[1:])


def test_the_scaling_of_strips_is_that_of_the_whole(monkeypatch, storm):
    whole = Scaling.fit([storm])
    monkeypatch.setattr(strips, "_MOST", storm.pixels.shape[2] * 20)
    strip = Scaling.fit([storm])
    assert (strip.low, strip.high, strip.integer, strip.dimmest) == (
        whole.low,
        whole.high,
        whole.integer,
        whole.dimmest,
    )
    np.testing.assert_allclose([strip.mean, strip.std], [whole.mean, whole.std], rtol=1e-6)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory of a process alone is read from /proc")
def test_a_training_does_not_copy_a_mapped_image(tmp_path):
    side = 3000  # 36 MB
    pixels = np.memmap(tmp_path / "large", np.float32, "w+", shape=(side, side))
    rng = np.random.default_rng(0)
    for top in range(0, side, 500):
        pixels[top : top + 500] = rng.gamma(1.0, 10.0, (500, side))
    pixels.flush()
    command = [sys.executable, "-c", TRAINED, str(tmp_path / "large"), str(side)]
    megabytes = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])
    assert megabytes < 15
    assert Image(pixels[np.newaxis]).pixels.base is not None

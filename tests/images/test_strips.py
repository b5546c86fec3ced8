"""Statistics and trainings of images that are larger than memory: the same in strips, without a copy in memory."""

import subprocess
import sys

import numpy as np
import pytest

from napari_smdiffusion.diffusion.intensities import Scaling
from napari_smdiffusion.images import strips
from napari_smdiffusion.images.strips import in_strips

TRAINED = """
import sys
import numpy as np
from napari_smdiffusion import DiffusionModel, Image
from napari_smdiffusion.images import strips

strips._MOST = 2**20

def anonymous():
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("RssAnon"))) / 1024

pixels = np.memmap(sys.argv[1], np.float32, "r").reshape(1, -1, 1000)
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
    height, width = 24_000, 1000  # 96 MB, of which some thousand rows are in memory at once
    pixels = np.memmap(tmp_path / "large", np.float32, "w+", shape=(height, width))
    rng = np.random.default_rng(0)
    for top in range(0, height, 1000):
        pixels[top : top + 1000] = rng.gamma(1.0, 10.0, (1000, width))
    pixels.flush()
    command = [sys.executable, "-c", TRAINED, str(tmp_path / "large")]
    megabytes = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])
    assert megabytes < 40

"""The sample data: the simulated pair is always here, the real ones are fetched and checked."""

import functools
import http.server
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from napari_smdiffusion.base.folders import user_folder
from napari_smdiffusion.widgets.viewer import samples

DATA = Path(os.environ.get("SMDIFFUSION_DATA", Path(__file__).parents[3] / "shared" / "data")) / "sfsrm"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the real images are not here")


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serve a folder on the loopback interface as if it were the public repository; return the folder."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        monkeypatch.setenv("SMDIFFUSION_SAMPLES", f"http://127.0.0.1:{httpd.server_port}/")
        yield folder
        httpd.shutdown()
        thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def _serve(folder, structure):
    for place, name in (("reference", "STORM"), ("widefield", "widefield")):
        target = folder / structure / place / f"{structure}_{name}.tif"
        target.parent.mkdir(parents=True)
        shutil.copy(DATA / target.name, target)


def test_simulated_pair_is_placed_and_marked():
    (fine, first, _), (coarse, second, _) = samples.simulated_pair_layers()
    assert fine.shape == (1280, 1280)
    assert coarse.shape == (256, 256)
    np.testing.assert_allclose(np.array(first["translate"]) - np.array(second["translate"]), (10 - 50, 10 - 50))
    assert "simulated" in first["name"]


@needs_data
@pytest.mark.parametrize(("structure", "least"), [("microtubule", 0.6), ("mitochondria", 0.45)])
def test_widefield_lies_on_the_storm_image(server, structure, least):
    """Where their places say that two pixels coincide, they show the same thing: better than half a pixel off."""
    from scipy.ndimage import gaussian_filter, map_coordinates

    _serve(server, structure)
    storm, widefield = samples.sfsrm_pair(structure)
    factor = widefield.pixel_size / storm.pixel_size
    # Without haze and noise: a band of lengths that both images hold.
    sharp = gaussian_filter(storm.pixels[0], 1.3 * factor) - gaussian_filter(storm.pixels[0], 3.3 * factor)
    coarse = gaussian_filter(widefield.pixels[0], 0.7) - gaussian_filter(widefield.pixels[0], 3)

    def agreement(dy, dx):
        y, x = ((np.arange(100, n - 100, 4) + 0.5) * storm.pixel_size for n in sharp.shape)
        rows = (y - widefield.origin[0]) / widefield.pixel_size - 0.5 + dy
        columns = (x - widefield.origin[1]) / widefield.pixel_size - 0.5 + dx
        there = map_coordinates(coarse, np.meshgrid(rows, columns, indexing="ij"), order=1, mode="nearest")
        return np.corrcoef(there.ravel(), sharp[100:-100:4, 100:-100:4].ravel())[0, 1]

    here = agreement(0, 0)
    assert here > least
    assert all(agreement(dy, dx) < here for dy, dx in ((0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5)))


@needs_data
def test_layers_are_fetched_once(server):
    _serve(server, "microtubule")
    layers = samples.microtubule_layers()
    shutil.rmtree(server / "microtubule")
    again = samples.microtubule_layers()
    assert any((user_folder() / "samples").iterdir())
    assert [options["name"] for _, options, _ in layers] == ["microtubule, STORM", "microtubule, widefield"]
    np.testing.assert_array_equal(layers[1][0], again[1][0])
    assert layers[1][1]["translate"][0] < 0  # the widefield image begins before the STORM image


def test_no_network_is_a_sentence(monkeypatch):
    monkeypatch.setenv("SMDIFFUSION_SAMPLES", "http://127.0.0.1:9/")
    with pytest.raises(OSError, match="connect to the internet"):
        samples.mitochondria_layers()


@pytest.mark.skipif(os.name == "nt", reason="a file is no folder there either, but the error is another")
def test_a_place_that_cannot_be_written_is_a_sentence(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("SMDIFFUSION_HOME", str(tmp_path / "file"))
    with pytest.raises(OSError, match="set SMDIFFUSION_HOME"):
        samples.microtubule_layers()


def test_another_file_is_refused(server):
    target = server / "microtubule" / "reference" / "microtubule_STORM.tif"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"something else")
    with pytest.raises(OSError, match="cannot be fetched"):
        samples.microtubule_layers()

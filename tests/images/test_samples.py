"""Sample images: the simulated pair is part of the package, the measured pairs are downloaded and checked."""

import functools
import http.server
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_smdiffusion.base.folders import user_folder
from napari_smdiffusion.images.provenance import METADATA
from napari_smdiffusion.widgets.viewer import samples

DATA = Path(os.environ.get("SMDIFFUSION_DATA", Path(__file__).parents[3] / "shared" / "data")) / "sfsrm"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the measured images are not available")


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serve a folder on the loopback interface in place of the public repository; return the folder."""
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
    for subfolder, name in (("reference", "STORM"), ("widefield", "widefield")):
        target = folder / structure / subfolder / f"{structure}_{name}.tif"
        target.parent.mkdir(parents=True)
        shutil.copy(DATA / target.name, target)


def test_the_simulated_pair_has_positions_and_a_name():
    (fine, first, _), (coarse, second, _) = samples.simulated_pair_layers()
    assert fine.shape == (1280, 1280)
    assert coarse.shape == (256, 256)
    np.testing.assert_allclose(np.array(first["translate"]) - np.array(second["translate"]), (10 - 50, 10 - 50))
    assert "simulated" in first["name"]
    for options in (first, second):
        assert options["metadata"][METADATA]["provenance"]["kind"] == "simulated"
    # The same molecules: averaged to the widefield pixels and blurred, the one resembles the other.
    averaged = gaussian_filter(fine.reshape(256, 5, 256, 5).mean((1, 3)), 1.2)
    assert np.corrcoef(averaged.ravel(), coarse.ravel())[0, 1] > 0.6
    ((other, _, _),) = samples.simulated_training_layers()
    unrelated = gaussian_filter(other.reshape(256, 5, 256, 5).mean((1, 3)), 1.2)
    assert abs(np.corrcoef(unrelated.ravel(), coarse.ravel())[0, 1]) < 0.2


@needs_data
@pytest.mark.parametrize(("structure", "lowest"), [("microtubule", 0.6), ("mitochondria", 0.45)])
def test_the_widefield_image_is_registered_with_the_storm_image(server, structure, lowest):
    """The correlation is higher at the stated origins than half a widefield pixel away."""
    from scipy.ndimage import gaussian_filter, map_coordinates

    _serve(server, structure)
    storm, widefield = samples.sfsrm_pair(structure)
    factor = widefield.pixel_size / storm.pixel_size
    # A band of spatial frequencies that both images have, without haze and noise.
    sharp = gaussian_filter(storm.pixels[0], 1.3 * factor) - gaussian_filter(storm.pixels[0], 3.3 * factor)
    coarse = gaussian_filter(widefield.pixels[0], 0.7) - gaussian_filter(widefield.pixels[0], 3)

    def correlation(dy, dx):
        y, x = ((np.arange(100, n - 100, 4) + 0.5) * storm.pixel_size for n in sharp.shape)
        rows = (y - widefield.origin[0]) / widefield.pixel_size - 0.5 + dy
        columns = (x - widefield.origin[1]) / widefield.pixel_size - 0.5 + dx
        resampled = map_coordinates(coarse, np.meshgrid(rows, columns, indexing="ij"), order=1, mode="nearest")
        return np.corrcoef(resampled.ravel(), sharp[100:-100:4, 100:-100:4].ravel())[0, 1]

    registered = correlation(0, 0)
    assert registered > lowest
    assert all(correlation(dy, dx) < registered for dy, dx in ((0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5)))


@needs_data
def test_samples_are_downloaded_once(server):
    _serve(server, "microtubule")
    layers = samples.microtubule_layers()
    shutil.rmtree(server / "microtubule")
    second_layers = samples.microtubule_layers()
    assert any((user_folder() / "samples").iterdir())
    assert [options["name"] for _, options, _ in layers] == ["microtubule, widefield", "microtubule, STORM"]
    np.testing.assert_array_equal(layers[0][0], second_layers[0][0])
    assert layers[0][1]["translate"][0] < 0  # the widefield image begins before the STORM image


def test_without_a_network_the_error_states_the_remedy(monkeypatch):
    monkeypatch.setenv("SMDIFFUSION_SAMPLES", "http://127.0.0.1:9/")
    with pytest.raises(OSError, match="connect to the internet"):
        samples.mitochondria_layers()


@pytest.mark.skipif(os.name == "nt", reason="Windows raises another error for a file in place of a folder")
def test_for_a_folder_that_cannot_be_written_the_error_states_the_remedy(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("SMDIFFUSION_HOME", str(tmp_path / "file"))
    with pytest.raises(OSError, match="set SMDIFFUSION_HOME"):
        samples.microtubule_layers()


def test_a_file_with_unexpected_content_is_refused(server):
    target = server / "microtubule" / "reference" / "microtubule_STORM.tif"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"something else")
    with pytest.raises(OSError, match="cannot be downloaded"):
        samples.microtubule_layers()

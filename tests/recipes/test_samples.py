"""Tests of EnhanceJob with posterior samples: in memory, in files, refused, stopped, killed and resumed."""

from dataclasses import replace

import numpy as np
import pytest

from napari_smdiffusion import EnhanceConfig, EnhanceJob
from napari_smdiffusion.base.events import Note, run
from napari_smdiffusion.images import unfinished
from napari_smdiffusion.images.provenance import RESULT_KINDS
from napari_smdiffusion.images.reading import image_files, kind_of_file

_SAMPLES = EnhanceConfig(samples=3, seed=4, uncertainty=True)


@pytest.fixture
def widefield(widefield):
    return widefield.crop(slice(0, 24), slice(0, 32))


@pytest.fixture(autouse=True)
def _marks_at_once(monkeypatch):
    monkeypatch.setattr(unfinished, "_SECONDS", 0.0)


def _results(result):
    enhancement = result.images[0].enhancement
    return {name: getattr(enhancement, name) for name in ("image", "uncertainty", "samples", "trust")}


def test_samples_in_files_are_equal_to_samples_in_memory(tiny_sampler, widefield, tmp_path):
    notes = []
    job = EnhanceJob(tiny_sampler, widefield, _SAMPLES, error_map=True, out=tmp_path / "x.tif")
    written, expected = _results(run(job.steps(), notes.append)), _results(run(replace(job, out=None).steps()))
    assert expected["samples"].pixels.std(axis=0).max() > 0
    for name, image in expected.items():
        np.testing.assert_array_equal(written[name].pixels, image.pixels)
        assert written[name].pixel_size == image.pixel_size == 20
        assert written[name].provenance.settings["samples"] == 3
    names = ["x.tif", *(f"x_{end}.tif" for end in ("error", "samples", "trust", "uncertainty"))]
    assert sorted(path.name for path in tmp_path.glob("*.tif")) == names
    messages = [note.message for note in notes if isinstance(note, Note)]
    assert all(any(name in message for message in messages) for name in names)
    assert any("% of the light of the best estimate is at places that at least nine of ten" in m for m in messages)
    with pytest.raises(FileNotFoundError, match="only results"):
        image_files([tmp_path], left_out=RESULT_KINDS)
    assert kind_of_file(tmp_path / "x_samples.tif") == "posterior samples"

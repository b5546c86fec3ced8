"""Tests of the jobs: commands, copied code and methods set every field. `widgets/test_job_forms` tests the docks."""

import dataclasses
import itertools
import subprocess
import sys

import numpy as np
import pytest

from napari_smdiffusion import (
    GenerateConfig,
    GenerateJob,
    Image,
    InputError,
    Stopped,
    TrainConfig,
    TrainJob,
    read_image,
    run_job,
    write_image,
)
from napari_smdiffusion.base.events import Note, run
from napari_smdiffusion.recipes.job import read_sources
from napari_smdiffusion.widgets.frame.scripts import job_code

from .faces import JOBS, all_fields, changed_fields, jobs_from_flags, other_settings

NAMES = list(JOBS)


@pytest.fixture
def submitted_jobs(monkeypatch):
    """Replace `run_job` by a function that appends the job to a list, and return the list."""
    jobs = []
    for name in ("napari_smdiffusion.run_job", "napari_smdiffusion.recipes.job.run_job"):
        monkeypatch.setattr(name, jobs.append)
    return jobs


def _check(name, face, jobs):
    faces = JOBS[name]
    changed = set().union(*map(changed_fields, jobs))
    assert changed == all_fields(faces.job) - set(faces.but.get(face, {}))


@pytest.mark.parametrize("name", NAMES)
def test_flags_set_every_field_of_a_job(name):
    jobs = jobs_from_flags(JOBS[name])
    missing = all_fields(JOBS[name].job) - set().union(*map(changed_fields, jobs))
    assert not missing


@pytest.mark.parametrize("name", [name for name in NAMES if JOBS[name].calls])
def test_the_class_method_sets_every_field_of_a_job(name, submitted_jobs):
    for call in JOBS[name].calls:
        call(**other_settings(JOBS[name].job))
    _check(name, "method", submitted_jobs)


@pytest.mark.parametrize("name", NAMES)
def test_copied_code_sets_every_field_of_a_job(name, submitted_jobs):
    for job in jobs_from_flags(JOBS[name]):
        exec(job_code(job), {})
        copied = submitted_jobs[-1]
        assert type(copied) is type(job)
        for field in dataclasses.fields(job):
            assert getattr(copied, field.name) == getattr(job, field.name), field.name


def test_copied_code_is_short_and_readable(tmp_path):
    code = job_code(GenerateJob("tiny", GenerateConfig(seed=3)))
    assert code == (
        "from napari_smdiffusion import GenerateConfig, GenerateJob, run_job\n\n"
        "job = GenerateJob(model='tiny', settings=GenerateConfig(seed=3))\n"
        "result = run_job(job)\n"
    )
    settings = TrainConfig(minutes=2.0, patch=64, batch=4, seed=7, wide_fraction=0.5, learning_rate=1e-4, steps=100)
    long = job_code(TrainJob(tmp_path / "a.tif", settings, out=tmp_path / "m")).splitlines()
    assert max(map(len, long)) <= 120 + len(str(tmp_path))
    assert long[0] == "from pathlib import Path"
    assert "    settings=TrainConfig(" in long


def test_jobs_are_created_without_torch():
    code = (
        "import sys; from napari_smdiffusion import GenerateJob, TrainJob\n"
        "GenerateJob('m'); TrainJob('a.tif'); print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


@pytest.mark.parametrize(
    ("make", "setting"),
    [
        (lambda: TrainJob([]), ""),
        (lambda: TrainJob("a.tif", pixel_size=0.0), "pixel_size"),
        (lambda: TrainJob("a.tif", resume=True), "out"),
        (lambda: TrainJob("a.tif", out="m", resume=True, start="tiny"), "start"),
        (lambda: GenerateJob("m", out="g.png"), "out"),
        (lambda: TrainConfig(patch=100), "patch"),
    ],
)
def test_a_job_refuses_bad_fields_when_it_is_created(make, setting):
    with pytest.raises(InputError) as error:
        make()
    assert error.value.setting == setting
    assert str(error.value).startswith(setting)


class Layer:
    """A source with a method `read`."""

    name = "layer"

    def read(self, stop=lambda: False):
        return Image(np.ones((32, 32)), name=self.name)


def test_sources_are_folders_images_and_objects_with_read(tmp_path, storm):
    write_image(tmp_path / "a.tif", storm)
    write_image(tmp_path / "generated.tif", dataclasses.replace(storm, provenance={"kind": "synthetic"}))
    images = read_sources([tmp_path, storm, Layer()], 25.0, ("synthetic",))
    assert [image.name for image in images] == [str(tmp_path / "a.tif"), storm.name, "layer"]
    assert {image.pixel_size for image in images} == {25.0}
    with pytest.raises(Stopped):
        read_sources([tmp_path], stop=lambda: True)
    with pytest.raises(InputError, match="give images of one pixel size"):
        read_sources([storm, dataclasses.replace(storm, pixel_size=50.0)])


def test_generated_images_stream_into_a_file_and_a_stop_keeps_the_finished_ones(tiny_model, tmp_path):
    settings = GenerateConfig(count=4, height=64, width=80, steps=2, batch=1, seed=2)
    expected = run(GenerateJob(tiny_model, settings).steps())
    whole = run_job(GenerateJob(tiny_model, settings, tmp_path / "whole.tif"))
    np.testing.assert_array_equal(whole.pixels, expected.pixels)
    count = itertools.count()
    part = run(GenerateJob(tiny_model, settings, tmp_path / "part.tif").steps(lambda: next(count) > 6))
    assert 0 < len(part) < 4
    np.testing.assert_array_equal(read_image(tmp_path / "part.tif").pixels, expected.pixels[: len(part)])
    assert read_image(tmp_path / "part.tif").provenance["kind"] == "synthetic"
    with pytest.raises(Stopped):
        run(GenerateJob(tiny_model, settings, tmp_path / "none.tif").steps(lambda: True))
    assert sorted(path.name for path in tmp_path.glob("*.tif")) == ["part.tif", "whole.tif"]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_job_resumes_an_interrupted_training(storm, tmp_path):
    settings = TrainConfig(steps=4, patch=64, batch=2, channels=(16, 32), previews=0)
    count, notes = itertools.count(), []
    job = TrainJob(storm, settings, out=tmp_path / "m")
    interrupted = run(job.steps(lambda: next(count) >= 2), notes.append)
    assert interrupted.facts.steps < 4
    assert any(isinstance(note, Note) and "from scratch" in note.message for note in notes)
    with pytest.raises(FileExistsError, match="or resume its training"):
        run(job.steps())
    model = run(dataclasses.replace(job, resume=True).steps())
    assert model.facts.steps == 4
    with pytest.raises(InputError, match="is complete"):
        run(dataclasses.replace(job, resume=True).steps())

"""The docks' forms set every field of their jobs, and the copied code makes the same job."""

import dataclasses
import itertools

import pytest
from qtpy.QtGui import QGuiApplication

from napari_smdiffusion import EnhancerConfig, TrainEnhancerJob
from napari_smdiffusion.base.events import run
from napari_smdiffusion.base.folders import user_folder
from napari_smdiffusion.images.image import Image
from napari_smdiffusion.widgets.parts.forms import ConfigForm
from recipes.faces import JOBS, all_fields, changed_fields, other_settings


@pytest.fixture
def interrupted_enhancer(storm):
    """Make an interrupted training, whose enhancer "interrupted" is in the user's folder."""
    settings = EnhancerConfig(upscale=4, steps=4, patch=64, batch=2, channels=8, previews=0)
    count = itertools.count()
    job = TrainEnhancerJob(storm, settings, out=user_folder() / "enhancer" / "interrupted")
    run(job.steps(lambda: next(count) >= 2))


def _read(value):
    """Return a value of a job for comparison, with the images that its sources read."""
    if isinstance(value, (list, tuple)):
        return tuple(map(_read, value))
    if isinstance(value, dict):
        return {name: _read(own) for name, own in value.items()}
    image = value.read() if hasattr(value, "read") else value
    return (image.name, image.digest, image.pixel_size) if isinstance(image, Image) else image


def _part(job, kind):
    """Return a job of the class `kind`: the job itself, or the training that it begins with."""
    part = job if type(job) is kind else job.model
    assert type(part) is kind
    return part


@pytest.mark.parametrize("name", [name for name, faces in JOBS.items() if faces.dock])
def test_forms_set_every_field_and_copied_code_makes_the_same_job(
    name,
    viewer,
    open_dock,
    click,
    storm_layer,
    interrupted,
    interrupted_enhancer,
    my_conditional,
    my_enhancer,
    my_sampler,
    monkeypatch,
):
    faces, jobs, copied = JOBS[name], [], []
    for place in ("napari_smdiffusion.run_job", "napari_smdiffusion.recipes.job.run_job"):
        monkeypatch.setattr(place, lambda job: copied.append(job))
    dock = open_dock(faces.dock)
    for fill in faces.fill:
        for form in dock.findChildren(ConfigForm):
            form.show_values(other_settings(faces.job))
        fill(dock)
        jobs.append(_part(dock.job(), faces.job))
        click(dock, dock.copy_button, wait=False)
        code = QGuiApplication.clipboard().text()
        exec(code[: code.index("result = run_job(job)\n") + len("result = run_job(job)\n")], {})
        copied[-1] = _part(copied[-1], faces.job)
        for field in dataclasses.fields(faces.job):
            assert _read(getattr(copied[-1], field.name)) == _read(getattr(jobs[-1], field.name)), field.name
    changed = set().union(*map(changed_fields, jobs))
    assert all_fields(faces.job) - changed <= set(faces.but.get("form", {}))


def test_an_interrupted_training_is_resumed(viewer, open_dock, click, storm_layer, interrupted):
    dock = open_dock("Train diffusion model")
    assert not dock.resume.isVisible()
    dock.name.setText("interrupted")
    assert dock.resume.isVisible()
    dock.resume.setChecked(True)
    assert not dock.start_from.isEnabled()
    job = dock.job()
    assert (job.resume, job.settings.seed, job.settings.channels) == (True, 5, (16, 32))
    click(dock, dock.run_button)
    assert "is trained" in dock.status.text()
    assert not dock.resume.isVisible()
    assert dock.name.text() == "interrupted 2"
    dock.name.setText("interrupted")  # the training is complete now
    assert not dock.resume.isVisible()
    assert dock.start_from.isEnabled()

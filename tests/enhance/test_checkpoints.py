"""Checkpoints of the training of an enhancer, and resumed trainings."""

import json
from dataclasses import replace

import pytest
import torch

from napari_smdiffusion import Enhancer, EnhancerConfig, InputError, MicroscopeConfig
from napari_smdiffusion.base.events import run
from napari_smdiffusion.enhance import training
from napari_smdiffusion.enhance.model import save_enhancer
from napari_smdiffusion.recipes.train_enhancer import TrainEnhancerJob, interrupted_enhancer_training
from napari_smdiffusion.training import loop

_CONFIG = EnhancerConfig(upscale=4, steps=5, batch=2, channels=8, patch=64, previews=0)


def _run_until(job, step):
    """Run a training, and stop it after a step."""
    seen = []
    run(job.steps(lambda: step in seen), lambda event: seen.append(getattr(event, "step", 0)))


@pytest.fixture
def interrupted(tmp_path, storm):
    """Return the job of a training that was stopped after 2 of 5 steps."""
    job = TrainEnhancerJob(storm, _CONFIG, out=tmp_path / "e")
    _run_until(job, 2)
    assert Enhancer.load(tmp_path / "e").facts.steps == 2
    return job


def test_a_resumed_training_gives_the_same_enhancer_as_an_uninterrupted_one(interrupted, storm):
    assert interrupted_enhancer_training(interrupted.out) is not None
    resumed = run(replace(interrupted, resume=True).steps())
    whole = run(TrainEnhancerJob(storm, _CONFIG).steps())
    assert all(map(torch.equal, resumed.network.parameters(), whole.network.parameters()))
    assert resumed.calibration.record == whole.calibration.record
    assert resumed.facts.curve == whole.facts.curve
    # A complete enhancer has no state, and cannot be resumed.
    assert interrupted_enhancer_training(interrupted.out) is None
    with pytest.raises(InputError, match=r"There is no training to resume in .*: its training is complete"):
        run(replace(interrupted, resume=True).steps())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": replace(_CONFIG, seed=2)}, "with seed 0, not 2: resume with the same settings"),
        ({"microscope": MicroscopeConfig(na=1.2)}, "with na 1.4, not 1.2: resume with the same settings"),
        ({"weights": [3.0]}, "other widefield images or with other weights"),
        ({"simulated": [("microtubules", 1.0)]}, "was trained on other images"),
        ({"out": None}, "out must name the folder"),
        ({"start": "microtubules"}, "start must be left out"),
    ],
)
def test_a_training_is_resumed_with_the_same_input_only(interrupted, change, message):
    with pytest.raises(InputError, match=message):
        run(replace(interrupted, resume=True, **change).steps())
    assert Enhancer.load(interrupted.out).facts.steps == 2


def test_a_training_of_an_earlier_version_is_resumed_with_its_light(interrupted):
    path = interrupted.out / "model.json"
    stated = json.loads(path.read_text(encoding="utf-8"))
    for name in [name for name in stated["microscope"] if name.startswith(("smooth_light", "unevenness"))]:
        del stated["microscope"][name]
    path.write_text(json.dumps(stated), encoding="utf-8")
    uneven = MicroscopeConfig(unevenness_range=(0.1, 0.2))
    with pytest.raises(InputError, match=r"with unevenness_range \[0\.0, 0\.0\], not \[0\.1, 0\.2\]"):
        run(replace(interrupted, resume=True, microscope=uneven).steps())
    resumed = run(replace(interrupted, resume=True).steps())
    assert resumed.microscope.unevenness_range == (0.0, 0.0) != MicroscopeConfig().unevenness_range


def test_checkpoints_are_written_while_it_is_trained(tmp_path, storm, monkeypatch):
    monkeypatch.setattr(loop, "_CHECKPOINT_SECONDS", 0.0)
    steps = TrainEnhancerJob(storm, _CONFIG, out=tmp_path / "e").steps()
    for event in steps:
        if getattr(event, "step", 0) == 3:
            break
    steps.close()  # as a kill: nothing is saved at the end
    assert 1 <= Enhancer.load(tmp_path / "e").facts.steps <= 3
    assert run(TrainEnhancerJob(storm, _CONFIG, out=tmp_path / "e", resume=True).steps()).facts.steps == 5


def test_a_training_that_was_killed_while_it_was_calibrated_is_only_calibrated(tmp_path, storm, monkeypatch):
    def fail(*arguments):
        raise KeyboardInterrupt
        yield

    calibrate = training.calibration_steps
    monkeypatch.setattr(training, "calibration_steps", fail)
    with pytest.raises(KeyboardInterrupt):
        run(TrainEnhancerJob(storm, _CONFIG, out=tmp_path / "e").steps())
    monkeypatch.setattr(training, "calibration_steps", calibrate)
    resumed = run(TrainEnhancerJob(storm, _CONFIG, out=tmp_path / "e", resume=True).steps())
    assert resumed.facts.steps == 5
    assert resumed.calibration is not None


def test_a_stopped_enhancer_that_is_saved_in_another_folder_has_no_state(interrupted, tmp_path):
    save_enhancer(Enhancer.load(interrupted.out), tmp_path / "copy")
    assert interrupted_enhancer_training(tmp_path / "copy") is None


def test_a_training_without_room_for_its_enhancer_ends_before_its_first_step(tmp_path, storm, monkeypatch):
    monkeypatch.setattr("napari_smdiffusion.base.whole_files.shutil.disk_usage", lambda _: type("", (), {"free": 1000}))
    events = []
    with pytest.raises(OSError, match=r"e needs .* MB: free some space"):
        run(TrainEnhancerJob(storm, _CONFIG, out=tmp_path / "e").steps(), events.append)
    assert events == []

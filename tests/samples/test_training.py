"""Training of samplers: saving, resuming, starting from an enhancer, real pairs."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_smdiffusion import EnhancerConfig, InputError, MicroscopeConfig, Stopped, load_enhancer, run, simulate
from napari_smdiffusion.base.events import Preview, Progress
from napari_smdiffusion.diffusion.facts import ScheduleFacts
from napari_smdiffusion.enhance.facts import EnhancerRecord
from napari_smdiffusion.enhance.training import training_set_steps
from napari_smdiffusion.posterior.facts import SampleScale
from napari_smdiffusion.posterior.sampling import EVALUATIONS
from napari_smdiffusion.recipes.train_enhancer import TrainEnhancerJob
from napari_smdiffusion.recipes.train_samples import _part
from napari_smdiffusion.samples.task import SamplesTask
from napari_smdiffusion.samples.training import SamplerInputs, check_start, recalibrated_samples, trained_sampler
from napari_smdiffusion.store.folder import read_facts
from napari_smdiffusion.training import loop


@pytest.fixture(autouse=True)
def _quick(quick_calibration):
    """Calibrate quickly: these tests train for another purpose."""


def _train(images, prior, *, on_event=None, stop=lambda: False, start=None, out=None, resume=False, **settings):
    values = {"upscale": 4, "method": "samples", "steps": 4, "patch": 64, "batch": 2, "previews": 0}
    values |= {} if start is not None else {"channels": 8}
    job = TrainEnhancerJob(
        images, EnhancerConfig(**{**values, **settings}), prior=prior, start=start, out=out, resume=resume
    )
    return run(job.steps(stop), on_event)


def test_an_interrupted_training_of_samples_is_resumed(storm, tiny_model, tiny_enhancer, tmp_path):
    whole = _train([storm], tiny_model, start=tiny_enhancer, out=tmp_path / "whole")
    events = []

    def stop():
        stages = [event for event in events if isinstance(event, Progress) and event.stage == "training the samples"]
        return len(stages) >= 2

    stopped = _train(
        [storm], tiny_model, start=tiny_enhancer, out=tmp_path / "parts", stop=stop, on_event=events.append
    )
    assert not stopped.sampler.facts.complete
    assert load_enhancer(tmp_path / "parts").sampler.facts.steps == 2
    events.clear()
    again = _train([storm], tiny_model, out=tmp_path / "parts", resume=True, channels=16)
    for one, other in zip(whole.sampler.network.parameters(), again.sampler.network.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    loaded = load_enhancer(tmp_path / "parts")
    assert loaded.sampler.facts.complete
    assert loaded.samples_calibration is not None
    assert loaded.digest() == again.digest() == whole.digest()
    assert loaded.sampler.facts.microscope == MicroscopeConfig()
    assert loaded.sampler.facts.evaluations == EVALUATIONS
    assert not (tmp_path / "parts" / "training_state.pt").exists()


def test_samples_are_added_to_an_enhancer_as_it_is(tiny_model, tiny_enhancer):
    other = simulate("microtubules", size=192, pixel_size=20.0, seed=9, organisation="random")
    enhancer = _train([other], tiny_model, start=tiny_enhancer, steps=1)
    stated = [image.sha256 for image in enhancer.facts.training_data]
    assert stated == [*(image.sha256 for image in tiny_enhancer.facts.training_data), other.digest]
    assert enhancer.config.channels == tiny_enhancer.config.channels
    for one, other in zip(enhancer.network.parameters(), tiny_enhancer.network.parameters(), strict=True):
        assert torch.equal(one, other)
    assert enhancer.facts.started_from == tiny_enhancer.name


def test_samples_learn_from_real_pairs(storm, tiny_model, tiny_enhancer):
    from napari_smdiffusion import Image

    noise = np.random.default_rng(0).poisson(100, (1, 48, 48))
    coarse = storm.pixels.reshape(1, 48, 4, 48, 4).mean((2, 4)) * 50 + noise
    job = TrainEnhancerJob(
        [storm],
        EnhancerConfig(upscale=4, method="samples", steps=2, patch=64, batch=2, previews=0),
        widefield=[Image(coarse, 80.0)],
        start=tiny_enhancer,
        prior=tiny_model,
    )
    enhancer = run(job.steps())
    assert enhancer.sampler.facts.steps == 2


def test_a_resumed_training_needs_the_same_images(storm, tiny_model, tiny_enhancer, tmp_path):
    out = tmp_path / "mine"
    events = []
    _train([storm], tiny_model, start=tiny_enhancer, out=out, stop=lambda: len(events) > 1, on_event=events.append)
    other = simulate("microtubules", size=192, pixel_size=20.0, seed=9, organisation="random")
    with pytest.raises(InputError, match="other images"):
        _train([other], tiny_model, out=out, resume=True, channels=16)
    settings = EnhancerConfig(upscale=4, method="samples", steps=4, patch=64, batch=2, previews=0, channels=16)
    optics = MicroscopeConfig(na=1.0)
    with pytest.raises(InputError, match="another microscope"):
        run(TrainEnhancerJob([storm], settings, optics, prior=tiny_model, out=out, resume=True).steps())


def test_the_record_and_the_card_state_the_microscope_of_the_samples(storm, tiny_model, tiny_enhancer, tmp_path):
    out, settings = tmp_path / "mine", {"upscale": 4, "method": "samples", "steps": 1, "patch": 64, "batch": 2}
    job = TrainEnhancerJob(
        [storm],
        EnhancerConfig(**settings, previews=0),
        MicroscopeConfig(na=1.0),
        start=tiny_enhancer,
        prior=tiny_model,
        out=out,
    )
    run(job.steps())
    record = read_facts(out, "enhancer", EnhancerRecord)
    assert record.sampler_microscope.na == 1.0
    assert record.microscope.na == tiny_enhancer.microscope.na != 1.0
    assert "microscope differs from that of the best estimate: na 1.0" in (out / "README.md").read_text("utf-8")


def test_a_stop_before_the_samples_keeps_the_enhancer(storm, tiny_model, tmp_path):
    events = []
    done = lambda: any(isinstance(e, Progress) and e.stage == "calibrating" for e in events)  # noqa: E731
    enhancer = _train([storm], tiny_model, out=tmp_path / "mine", stop=done, on_event=events.append)
    assert enhancer.sampler is None
    assert "before its samples" in events[-1].message
    assert _train([storm], tiny_model, out=tmp_path / "mine", resume=True).sampler is not None


def test_the_progress_has_the_share_of_both_parts():
    def part():
        yield Progress("training", 1, 2, 1.0, loss=0.1)
        yield Progress("training", 2, 2, 0.0, loss=0.1)
        yield Progress("calibrating", 1, 2, 1.0)
        yield Progress("calibrating", 2, 2, 0.0)

    shares = [event.share for begin, end in ((0.0, 0.4), (0.4, 1.0)) for event in _part(part(), begin, end)]
    assert shares == pytest.approx([0.18, 0.36, 0.38, 0.4, 0.67, 0.94, 0.97, 1.0])


def test_the_samples_begin_with_what_a_prior_of_several_structures_knows_without_names(
    storm, tiny_enhancer, tiny_conditional
):
    network = _train([storm], tiny_conditional, start=tiny_enhancer, steps=1).sampler.network
    assert network.config.num_class_embeds is None


def test_an_imported_prior_is_refused(storm, tiny_enhancer, tiny_model):
    facts = replace(
        tiny_model.facts, parameterization="reference-noise-prediction", noise_schedule=ScheduleFacts("cosine", 100)
    )
    imported = replace(tiny_model, facts=facts)
    with pytest.raises(InputError, match="imported"):
        _train([storm], imported, start=tiny_enhancer)


def test_a_stop_before_the_first_step_leaves_nothing(storm, tiny_model, tiny_enhancer, tmp_path):
    with pytest.raises(Stopped):
        _train([storm], tiny_model, start=tiny_enhancer, out=tmp_path / "mine", stop=lambda: True)
    assert not (tmp_path / "mine").exists()


def test_a_training_of_minutes_goes_on_with_the_samples_of_an_enhancer(
    storm, tiny_model, tiny_sampler, tmp_path, monkeypatch
):
    monkeypatch.setattr(loop, "_CHECKPOINT_SECONDS", 0.0)
    events = []
    enhancer = _train(
        [storm],
        tiny_model,
        start=replace(tiny_sampler, facts=replace(tiny_sampler.facts, name="theirs")),
        out=tmp_path / "mine",
        on_event=events.append,
        **{"minutes": 0.005, "steps": None, "previews": 1},
    )
    assert (enhancer.name, enhancer.sampler.facts.started_from) == ("mine", "theirs")
    assert enhancer.sampler.facts.steps >= 1
    assert enhancer.samples_calibration is not None
    previews = [event.images for event in events if isinstance(event, Preview)]
    assert previews
    assert all(images.shape == (1, 64, 64) and np.isfinite(images).all() for images in previews)
    assert load_enhancer(tmp_path / "mine").digest() == enhancer.digest()


def test_the_samples_of_an_enhancer_are_calibrated_anew(storm, tiny_sampler):
    enhancer = recalibrated_samples(tiny_sampler, SamplerInputs([storm], tiny_sampler.microscope))
    facts = enhancer.samples_calibration.facts
    assert len(facts.levels) == len(facts.coverage) > 0
    assert enhancer.calibration is tiny_sampler.calibration


def test_enhancers_and_patches_that_samples_cannot_be_trained_for_are_refused(storm, tiny_enhancer):
    old = replace(tiny_enhancer, widefield=replace(tiny_enhancer.widefield, method="percentiles"))
    with pytest.raises(InputError, match="was trained by an earlier version, and no samples can be trained for it"):
        check_start(old)
    with pytest.raises(ValueError, match="The enhancer has no sampler"):
        trained_sampler(tiny_enhancer, None)
    pairs = run(
        training_set_steps([storm], (), None, tiny_enhancer.config, tiny_enhancer.microscope, old.widefield)
    ).task
    task = SamplesTask(pairs, tiny_enhancer.network, SampleScale(0.3, 0.2), 128)
    with pytest.raises(InputError, match="Samples need patches of 128 pixels or more, not 64") as error:
        task.draw(0)
    assert error.value.setting == "patch"
    assert task.preview(tiny_enhancer.network) is None

"""The message after a training: how far it came, and whether that is enough."""

from dataclasses import replace

import pytest

from napari_smdiffusion.posterior.facts import SamplerFacts
from napari_smdiffusion.recipes.outcome import enhancer_outcome, outcome
from napari_smdiffusion.store.facts import TrainingFacts

ENOUGH = "a useful model needs at least 300 steps, and good ones have thousands"


@pytest.mark.parametrize(
    ("steps", "total", "sentence"),
    [
        (
            2,
            20,
            f"The training of the model m was stopped after 2 of about 20 steps. This is too few: {ENOUGH}. Go on.",
        ),
        (1, None, f"The training of the model m was stopped after 1 step. This is too few: {ENOUGH}. Go on."),
        (
            900,
            4000,
            "The training of the model m was stopped after 900 of about 4000 steps. "
            f"This may be enough: {ENOUGH}. Go on.",
        ),
        (7, 7, f"The model m is trained, but in only 7 steps: {ENOUGH}. Start a longer training from it."),
        (4000, 4000, "The model m is trained, in 4000 steps."),
    ],
)
def test_a_training_reports_how_far_it_came_and_whether_that_is_enough(steps, total, sentence):
    assert outcome("the model m", TrainingFacts(steps=steps, total_steps=total), "Go on.") == sentence


def test_a_training_of_samples_reports_both_networks(tiny_sampler):
    def said(sampler, **facts):
        config = replace(tiny_sampler.config, method="samples")
        facts = replace(tiny_sampler.facts, **{"name": "mine", "steps": 900, "total_steps": 900, **facts})
        return enhancer_outcome(replace(tiny_sampler, sampler=sampler, config=config, facts=facts), "Go on.")

    trained = replace(tiny_sampler.sampler, facts=SamplerFacts(steps=7, total_steps=7))
    stopped = replace(tiny_sampler.sampler, facts=SamplerFacts(steps=400, total_steps=1000))
    assert said(trained) == (
        f"The enhancer mine is trained, in 900 steps. The sampler of mine is trained, but in only 7 steps: {ENOUGH}. "
        "Start a longer training from it."
    )
    assert said(stopped, started_from="theirs") == (
        "The enhancer mine has the best estimate of theirs. The training of the sampler of mine was stopped after 400 "
        f"of about 1000 steps. This may be enough: {ENOUGH}. Go on."
    )
    assert said(None) == "The enhancer mine is trained, in 900 steps. Its samples are not trained yet. Go on."
    assert said(None, steps=3).startswith("The training of the enhancer mine was stopped after 3 of about 900 steps.")

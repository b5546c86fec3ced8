"""The message after a training: how far it came, and whether that is enough."""

import pytest

from napari_smdiffusion.recipes.outcome import outcome
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

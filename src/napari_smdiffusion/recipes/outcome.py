"""How far a training came, and whether that is enough for a useful model: one sentence for commands and docks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..training.pace import ENOUGH_STEPS, enough

if TYPE_CHECKING:
    from ..store.facts import TrainingFacts


def was_stopped(facts: TrainingFacts) -> bool:
    """Return whether a training ended before its planned number of steps."""
    return facts.total_steps is None or facts.steps < facts.total_steps


def outcome(what: str, facts: TrainingFacts, go_on: str) -> str:
    """Return how far a training came, and whether that is enough.

    Parameters
    ----------
    what
        The model, as in "the model mine".
    facts
        The facts after the training.
    go_on
        A sentence that states how a stopped training is continued.
    """
    rule = f"a useful model needs at least {ENOUGH_STEPS} steps, and good ones have thousands"
    if was_stopped(facts):
        planned = "" if facts.total_steps is None else f" of about {facts.total_steps}"
        plural = "" if planned == "" and facts.steps == 1 else "s"
        far = f"The training of {what} was stopped after {facts.steps}{planned} step{plural}."
        verdict = "This may be enough" if enough(facts.steps) else "This is too few"
        return f"{far} {verdict}: {rule}. {go_on}"
    begin = f"{what[0].upper()}{what[1:]} is trained,"
    if enough(facts.steps):
        return f"{begin} in {facts.steps} steps."
    return f"{begin} but in only {facts.steps} steps: {rule}. Start a longer training from it."

"""How far a training came, and whether that is enough for a useful model: one sentence for commands and docks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..training.pace import ENOUGH_STEPS, enough

if TYPE_CHECKING:
    from ..enhance.model import Enhancer


class Trained(Protocol):
    """The length of a training, as the facts of a model or of a sampler state it."""

    @property
    def steps(self) -> int:
        """Number of training steps."""

    @property
    def total_steps(self) -> int | None:
        """The planned number of steps; None if the plan was not known."""


def was_stopped(facts: Trained) -> bool:
    """Return whether a training ended before its planned number of steps."""
    return facts.total_steps is None or facts.steps < facts.total_steps


def outcome(what: str, facts: Trained, go_on: str) -> str:
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


def enhancer_outcome(enhancer: Enhancer, go_on: str) -> str:
    """Return how far the training of an enhancer came, with that of its sampler if samples were trained.

    Parameters
    ----------
    enhancer
        The enhancer after its training.
    go_on
        A sentence that states how a stopped training is continued.
    """
    what, facts, sampler = f"the enhancer {enhancer.name}", enhancer.facts, enhancer.sampler
    if enhancer.config.method == "estimate" or (sampler is None and was_stopped(facts)):
        return outcome(what, facts, go_on)
    estimate = outcome(what, facts, go_on)
    if facts.started_from is not None:  # the training of samples keeps the best estimate of its start
        estimate = f"The enhancer {enhancer.name} has the best estimate of {facts.started_from}."
    if sampler is None:
        return f"{estimate} Its samples are not trained yet. {go_on}"
    return f"{estimate} {outcome(f'the sampler of {enhancer.name}', sampler.facts, go_on)}"

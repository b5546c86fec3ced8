"""The training of a diffusion model: checks, the interrupted run, checkpoints, and the loop."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..base.devices import pick_device
from ..base.events import Note, Steps, Stop, never
from ..base.settings import to_dict
from ..images.image import Image, common_pixel_size
from ..images.patches import check_patch
from ..store.facts import UNNAMED, training_facts
from ..store.folder import bytes_of_model, check_place, save_or_save_beside, training_lock
from ..training.loop import optimize_steps
from ..training.pace import Budget
from ..training.processes import joined
from ..training.state import TrainingState, released_when_done
from .facts import DiffusionFacts, DiffusionRecord, StructureGroup
from .groups import as_groups, check_no_image_twice, structure_names
from .intensities import Scaling
from .learning import DenoisingTask, annotated, initial_network, interrupted_run, resume_run
from .model import DiffusionModel, save_model
from .network import for_sampling, for_training
from .settings import TrainConfig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import torch

    from ..training.processes import Processes


def train_steps(
    images: Sequence[Image] | Mapping[str, Sequence[Image]],
    config: TrainConfig,
    *,
    start: DiffusionModel | None = None,
    out: Path | None = None,
    resume: bool = False,
    name: str | None = None,
    stop: Stop = never,
) -> Steps[DiffusionModel]:
    """Train a diffusion model.

    Parameters
    ----------
    images
        Super-resolution images of one pixel size, (N, Y, X); for several structures, those of each by its name.
    config
        Settings.
    start
        The model whose weights and `channels` the training starts with; None to train from scratch. A resumed training
        starts with its own state.
    out
        Folder for the model and for checkpoints, less than a minute apart; None to keep the model in memory only.
    resume
        Continue the interrupted training in `out`; settings and images must be the same.
    name
        Name of the model; by default the name of the folder.
    stop
        Called at every training step; True stops the training.

    Yields
    ------
    Progress, Preview and Note events.

    Returns
    -------
    The trained model, when the budget is used up or `stop` returned True.

    Raises
    ------
    InputError
        If the images cannot be trained on, or the training cannot be resumed.
    OSError
        If no model can be written to `out`; this is checked before the training.
    MemoryError
        If memory is too small for a single patch.
    TrainingDivergedError
        If the loss is not finite.
    Stopped
        If the training was stopped before the first step.
    """
    began = time.monotonic()
    device = pick_device(config.device)
    with joined(device) as processes:
        place = None if out is None else out.absolute()
        run = _prepared(images, config, start, place, resume, name, writes=processes.first)
        with released_when_done(run.state, device), training_lock(run.out if processes.first else None):
            run = yield from _resumed(run)
            yield from _optimized(run, processes, device, began, stop)
    for_sampling(run.model.unet)
    return run.trained()


def _optimized(run: _Run, processes: Processes, device: torch.device, began: float, stop: Stop) -> Steps[None]:
    """Train a run that is ready, together with the other processes."""
    processes.check_same(run.identity, run.model.config.batch)
    length = Budget(run.model.config.minutes, run.model.config.steps, began=began)
    steps = optimize_steps(
        run.state, run.task, length, stop=stop, checkpoint=run.save, device=device, processes=processes
    )
    yield from annotated(steps, run.model.facts.training_data, run.task)


@dataclass(frozen=True, eq=False)
class _Run:
    """A training that is ready to start.

    Parameters
    ----------
    model
        The model that is trained, with the facts that are known before.
    state, task
        See `optimize_steps`.
    out
        Folder for the model; None to keep it in memory only.
    interrupted
        The record of the run that is resumed, or None.
    notes
        Messages to the user.
    """

    model: DiffusionModel
    state: TrainingState
    task: DenoisingTask
    out: Path | None
    interrupted: DiffusionRecord | None
    notes: tuple[str, ...]

    @property
    def identity(self) -> tuple[str, ...]:
        """What makes a training: its images, the settings that change the result, the steps done, and the weights."""
        settings = {
            key: value for key, value in to_dict(self.model.config).items() if key not in ("device", "previews")
        }
        images = (f"{image.group} {image.sha256}" for image in self.model.facts.training_data)
        weights = sum(float(weights.detach().double().sum()) for weights in self.state.network.parameters())
        return (*images, str(settings), str(self.state.step), f"{weights:.6g}")

    def trained(self) -> DiffusionModel:
        """Return the model with the facts of the training so far."""
        state = self.state
        return replace(self.model, facts=self.model.facts.after(state.curve, state.step, state.total))

    def save(self, state: TrainingState, last: bool) -> None:
        """Save the model and the state; the last time beside `out` if something else is there by then."""
        if self.out is None:
            return
        if last:
            saved = save_or_save_beside(lambda folder: save_model(self.trained(), folder, state=state), self.out)
            saved.raise_if_elsewhere()
        else:
            save_model(self.trained(), self.out, state=state)


def _prepared(
    images: Sequence[Image] | Mapping[str, Sequence[Image]],
    config: TrainConfig,
    start: DiffusionModel | None,
    out: Path | None,
    resume: bool,
    name: str | None,
    *,
    writes: bool,
) -> _Run:
    """Check the images and, if this process `writes`, the place; make the network and its state."""
    groups = as_groups(images)
    pixel_size = common_pixel_size(_all(groups))
    check_patch(_all(groups), config.patch)
    check_no_image_twice(groups)
    if out is not None and writes:
        check_place(out, replace=resume)
    device = pick_device(config.device)
    interrupted = interrupted_run(out) if resume else None
    notes = []
    if interrupted is not None and start is not None:
        notes.append(f"The resumed training continues from its own state: {start.name} is not used.")
        start = None
    elif start is not None:
        notes.append(f"The training starts from {start.name}.")
    # The channels of a resumed training may come from its start; `resume_run` refuses others that are stated.
    if interrupted is not None and config.channels == TrainConfig().channels:
        config = replace(config, channels=interrupted.config.channels)
    structures = structure_names(groups)
    config, unet = initial_network(config, start, structures)
    if out is not None and writes:
        check_place(out, replace=resume, needed=bytes_of_model(sum(p.numel() for p in unet.parameters())))
    scalings = [Scaling.fit(own) for own in groups.values()]
    notes += [note for own, scaling in zip(groups.values(), scalings, strict=True) for note in _limited(own, scaling)]
    origin = start.name if start is not None else None
    started_from = origin if interrupted is None else interrupted.started_from
    name = name or (out.name if out is not None else UNNAMED)
    facts = _facts(groups, scalings, name, started_from)
    # Half the learning rate preserves more of what the start has learned.
    state = TrainingState(for_training(unet, device), config.learning_rate * (0.5 if started_from else 1.0))
    planes = [[plane for image in own for plane in image.pixels] for own in groups.values()]
    task = DenoisingTask(planes, config, scalings, structures)
    model = DiffusionModel(unet, scalings[0], pixel_size, config, facts)
    return _Run(model, state, task, out, interrupted, tuple(notes))


def _all(groups: Mapping[str, Sequence[Image]]) -> list[Image]:
    """Return the images of all groups."""
    return [image for own in groups.values() for image in own]


def _limited(images: Sequence[Image], scaling: Scaling) -> list[str]:
    """Return a note if pixels of the images are brighter than structure; otherwise nothing."""
    limited = [image.name for image in images if image.pixels.max() > scaling.high]
    if not limited:
        return []
    return [
        f"{', '.join(limited[:3])}: a few pixels are far brighter than the structure, as beads and hot pixels are. "
        f"They are limited to {scaling.high:g}, so that the model learns the structure."
    ]


def _facts(
    groups: Mapping[str, Sequence[Image]], scalings: Sequence[Scaling], name: str, started_from: str | None
) -> DiffusionFacts:
    """Return the facts of a model at the start of its training."""
    facts = training_facts(DiffusionFacts, _all(groups), name, started_from=started_from)
    if not structure_names(groups):
        return facts
    owners = [group for group, own in groups.items() for _ in own]
    return replace(
        facts,
        structure="",
        training_data=tuple(
            replace(image, group=owner) for image, owner in zip(facts.training_data, owners, strict=True)
        ),
        groups=tuple(StructureGroup(*pair) for pair in zip(groups, scalings, strict=True)),
    )


def _resumed(run: _Run) -> Steps[_Run]:
    """Load the state of the interrupted run, if there is one, and yield the notes."""
    if run.interrupted is not None and run.out is not None:
        config, note = resume_run(run.state, run.out, run.interrupted, run.model.config, run.model.facts)
        run = replace(run, model=replace(run.model, config=config))
        if note:
            yield Note(note)
    for note in run.notes:
        yield Note(note)
    return run

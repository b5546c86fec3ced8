"""The diffusion model: training, saving and loading."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

import torch

from ..base.devices import pick_device
from ..base.events import Note, Steps, Stop, never
from ..images.image import Image, as_images, common_pixel_size
from ..images.patches import check_patch
from ..store.catalogue import find_model
from ..store.facts import UNNAMED, training_facts
from ..store.folder import (
    STATE,
    WEIGHTS,
    Kind,
    ModelFolderError,
    check_place,
    model_errors,
    read_facts,
    save_folder,
    save_or_save_beside,
    training_lock,
    write_errors,
)
from ..training.loop import Budget, optimize_steps
from ..training.state import TrainingState, released_when_done
from .facts import DiffusionFacts, DiffusionRecord
from .intensities import Scaling
from .learning import DenoisingTask, initial_network, interrupted_run, resume_run, with_copy_warning
from .network import for_sampling, for_training
from .sampler import Sampler, pick_sampler
from .settings import GenerateConfig, TrainConfig
from .unet import UNet, read_unet, write_unet
from .unet_config import UnknownNetworkError

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import numpy.typing as npt

KIND: Kind = "diffusion"


@dataclass(frozen=True, eq=False)
class DiffusionModel:
    """A trained diffusion model and all that is known of it.

    Parameters
    ----------
    unet
        The network, on the CPU, in float32.
    scaling
        From intensities to network units, as fitted on the training images.
    pixel_size
        Of the training images, and so of the generated ones, in nm; None where it was not known.
    config
        How it was trained; of an imported model only the size of the images and the width of the network.
    facts
        Training data, loss curve, versions and date.
    """

    unet: UNet
    scaling: Scaling
    pixel_size: float | None
    config: TrainConfig
    facts: DiffusionFacts = field(default_factory=DiffusionFacts)

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.facts.name

    @property
    def record(self) -> DiffusionRecord:
        """All that model.json holds of it."""
        return DiffusionRecord.of(self.facts, config=self.config, pixel_size_nm=self.pixel_size, scaling=self.scaling)

    @cached_property
    def sampler(self) -> Sampler:
        """How images are drawn from it."""
        return pick_sampler(self.unet, self.facts)

    @classmethod
    def train(
        cls,
        images: Image | npt.ArrayLike | Sequence[Image | npt.ArrayLike],
        *,
        start: DiffusionModel | str | os.PathLike[str] | None = "default",
        out: str | os.PathLike[str] | None = None,
        name: str | None = None,
        resume: bool = False,
        pixel_size: float | None = None,
        **settings: Any,
    ) -> DiffusionModel:
        """Train on `images` with a progress bar; Ctrl-C stops and keeps the model.

        Parameters
        ----------
        images
            One image or several, (Y, X) or (N, Y, X), of one pixel size.
        start
            A model to begin from, its name or its folder; None to begin from nothing. "default" is the bundled
            `simulated-filaments`, or nothing where `channels` are not those of its network.
        out
            Folder for the model, which is saved while it is trained too; None: only in memory.
        name
            What to call the model; by default the name of the folder.
        resume
            Continue the training that was interrupted in `out`, with the same images and settings.
        pixel_size
            In nm; replaces that of the images.
        **settings
            The fields of `TrainConfig`: `DiffusionModel.train([storm], minutes=15, seed=1)`.

        Raises
        ------
        InputError
            For images that cannot be trained on, or a setting that cannot be.
        OSError
            If no model can be written at `out`.
        MemoryError, TrainingDivergedError
            If not even one patch can be computed, or the loss is no number any more.
        Stopped
            If it was stopped before the first step.
        """
        from ..recipes.job import run_job
        from ..recipes.train_diffusion import TrainJob

        sources = as_images(images)
        return run_job(TrainJob(sources, TrainConfig(**settings), start, out, name, resume, pixel_size))

    def generate(
        self,
        count: int = 16,
        *,
        size: SupportsIndex | tuple[int, int] = 128,
        out: str | os.PathLike[str] | None = None,
        **settings: Any,
    ) -> Image:
        """Generate `count` images of `size` pixels, a side or (height, width), with a progress bar.

        With `out`, a TIFF file, they are written as they are finished. Other `settings` are the fields of
        `GenerateConfig`.

        Returns
        -------
        Image of (count, height, width) float32, in the units of the training images: those that were finished when it
        was stopped.

        Raises
        ------
        InputError
            If a setting cannot be, or the size does not suit the network.
        OSError
            If `out` cannot be written.
        MemoryError
            If there is no room for so many images, or not even one can be computed.
        Stopped
            If it was stopped before the first image was finished.
        """
        from ..recipes.generate import GenerateJob
        from ..recipes.job import run_job

        height, width = _sides(size)
        return run_job(GenerateJob(self, GenerateConfig(count=count, height=height, width=width, **settings), out))

    def save(self, folder: str | os.PathLike[str], *, half: bool = False) -> None:
        """Save as a model folder, whole or not at all; with `half`, the weights in 16 bits.

        Raises
        ------
        OSError
            If something that is no model folder is there already, or it cannot be written.
        """
        save_model(self, Path(folder), half=half)

    @classmethod
    def load(cls, model: str | os.PathLike[str]) -> DiffusionModel:
        """Load a model by its folder or its name; raises ModelFolderError if there is none, or it is damaged."""
        folder = find_model(model, KIND)
        return read_model(folder, read_facts(folder, KIND, DiffusionRecord))


def read_model(folder: Path, record: DiffusionRecord) -> DiffusionModel:
    """Read the network of a model folder whose model.json holds `record`; raises ModelFolderError if it is damaged."""
    with model_errors(folder):
        unet = for_sampling(_read_unet(folder))
        model = DiffusionModel(unet, record.scaling, record.pixel_size_nm, record.config, record.facts)
        _ = model.sampler  # raises an error here, and not after an image was asked for
        return model


def _sides(size: Any) -> tuple[Any, Any]:
    """Return (height, width) of a side or a pair. NumPy's whole numbers are numbers too."""
    try:
        operator.index(size)
    except TypeError:
        height, width = size
        return height, width
    return size, size


def _read_unet(folder: Path) -> UNet:
    try:
        return read_unet(folder / WEIGHTS)
    except UnknownNetworkError as error:
        raise ModelFolderError(
            f"{folder} holds a network that cannot be used here. {error} Update napari-smdiffusion, or train the model "
            "again."
        ) from error


def save_model(model: DiffusionModel, folder: Path, *, half: bool = False, state: TrainingState | None = None) -> None:
    """Write the model folder, with the state of a running training when there is one."""
    from .card import write_diffusion_card

    weights = model.unet.state_dict()
    if state is not None:
        for (key, _), value in zip(model.unet.named_parameters(), state.average, strict=True):
            weights[key] = value

    def write_weights(path: Path) -> None:
        with write_errors(folder):
            write_unet(path, model.unet.config, weights, torch.float16 if half else torch.float32)

    def write_state(path: Path, _: DiffusionRecord) -> None:
        if state is not None:
            with write_errors(folder):
                torch.save(state.state_dict(), path / STATE)

    save_folder(folder, KIND, model.record, write_weights, write_state, write_diffusion_card)


def train_steps(
    images: Sequence[Image],
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
        One or more super-resolution images of one pixel size; stacks count plane by plane.
    config
        Settings.
    start
        Begin from this model's weights instead of from nothing, with its `channels`. A run that is resumed goes on
        from its own state.
    out
        Folder for checkpoints, less than a minute apart, and for the model. None: only in memory.
    resume
        Continue the run that was cut in `out`; settings and images must be the same.
    name
        What to call the model; by default the name of the folder.
    stop
        Asked at every step.

    Yields
    ------
    Progress, Preview and Note events.

    Returns
    -------
    The model as it is when the budget is used up or `stop` says so.

    Raises
    ------
    InputError
        For images that cannot be trained on, or a run that cannot be resumed.
    OSError
        If no model can be written at `out`; nothing was trained then.
    MemoryError, TrainingDivergedError
        If not even one patch can be computed, or the loss is no number any more.
    Stopped
        If it was stopped before the first step.
    """
    pixel_size = common_pixel_size(images)
    check_patch(images, config.patch)
    if out is not None:
        out = out.absolute()
        check_place(out, replace=resume)
    device = pick_device(config.device)
    cut = interrupted_run(out) if resume else None
    begun_from, unused = (None, start) if cut is not None else (start, None)
    # The network of the run may be that of the model it began from; whoever names another is refused below.
    if cut is not None and config.channels == TrainConfig().channels:
        config = replace(config, channels=cut.config.channels)
    config, unet = initial_network(config, begun_from)
    scaling = Scaling.fit(images)
    started_from = cut.started_from if cut is not None else None if begun_from is None else begun_from.name
    name = name or (out.name if out is not None else UNNAMED)
    facts = training_facts(DiffusionFacts, images, name, started_from=started_from)
    # What is learned already is to be kept: half the rate changes it less.
    state = TrainingState(for_training(unet, device), config.learning_rate * (0.5 if started_from else 1.0))
    task = DenoisingTask([scaling.scale(plane) for s in images for plane in s.pixels], config, scaling)

    def model(state: TrainingState) -> DiffusionModel:
        known = facts.after(state.curve, state.step, state.total)
        return DiffusionModel(unet, scaling, pixel_size, config, known)

    def checkpoint(state: TrainingState, last: bool) -> None:
        if out is None:
            return
        if last:
            save_or_save_beside(lambda folder: save_model(model(state), folder, state=state), out).raise_if_elsewhere()
        else:
            save_model(model(state), out, state=state)

    with released_when_done(state, device), training_lock(out):
        if cut is not None and out is not None:
            config, said = resume_run(state, out, cut, config, facts)
            if said:
                yield Note(said)
        if begun_from is not None:
            yield Note(f"Trained on from {begun_from.name}.")
        if unused is not None:
            yield Note(f"The training that was cut goes on from its own state: {unused.name} is not begun from.")
        steps = optimize_steps(
            state,
            task,
            Budget(config.minutes, config.steps),
            stop=stop,
            checkpoint=None if out is None else checkpoint,
            device=device,
        )
        yield from with_copy_warning(steps, facts.training_data, config)
    for_sampling(unet)
    return model(state)


def load_diffusion_model(model: str | os.PathLike[str]) -> DiffusionModel:
    """Do what `DiffusionModel.load` does."""
    return DiffusionModel.load(model)

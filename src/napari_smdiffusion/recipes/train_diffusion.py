"""The job that trains a diffusion model."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.events import Note, Steps, Stop, never
from ..base.folders import bundled_folder, user_path
from ..base.launched import is_first_process
from ..diffusion.settings import DEFAULT_START, TrainConfig
from ..images.provenance import MADE_BY_MODELS
from ..images.regions import as_rectangles
from ..store.folder import STATE, ModelFolderError, check_place, read_facts
from .groups import checked_sources, groups_of, ungrouped
from .job import check_pixel_size, check_resumed
from .regions import divided, division
from .training_images import read_training_images

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..diffusion.facts import DiffusionRecord
    from ..diffusion.model import DiffusionModel
    from ..images.axes import Channel
    from ..images.image import Image
    from ..images.regions import Rectangles
    from .groups import GroupedSources


@dataclass(frozen=True, eq=False)
class TrainJob:
    """Train a diffusion model.

    Parameters
    ----------
    images
        One or more super-resolution images of one pixel size: images, layers, files or folders of files. Results of
        this program in folders are skipped. For one model of several structures, those of each structure by its name:
        `{"microtubules": "a.tif", "mitochondria": ["b.tif", "c.tif"]}`.
    settings
        Settings of the network and of the training.
    start
        Model whose network the training begins from, or its name or folder. None: begin from random weights.
        "default": begin from the bundled `start-any` if `settings` has the channels of its network, otherwise
        from random weights.
    out
        Folder for the model and for checkpoints, which are less than a minute apart. None: in memory only.
    name
        Name of the model; by default the name of the folder.
    resume
        Continue the training that was interrupted in `out`. Images and settings must be the same.
    pixel_size
        In nm; replaces that of the images.
    channel
        Index (the first is 0) or name of the channel, for files with several.
    allow_computed
        Train on images that a model computed too (generated, enhanced): they are refused otherwise.
    region
        Rectangles of each image that are trained on, in its pixels: (first row, last row + 1, first column, last column
        + 1), or a sequence of them. (): all of it.
    held_out
        Rectangles of each image that are not trained on, for a fair comparison afterwards: no patch has a pixel of
        them.

    Raises
    ------
    InputError
        If there is no image, or two fields contradict each other.
    """

    images: GroupedSources
    settings: TrainConfig = field(default_factory=TrainConfig)
    start: DiffusionModel | str | os.PathLike[str] | None = "default"
    out: str | os.PathLike[str] | None = None
    name: str | None = None
    resume: bool = False
    pixel_size: float | None = None
    channel: Channel = None
    allow_computed: bool = False
    region: Rectangles = ()
    held_out: Rectangles = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", checked_sources(self.images))
        for name in ("region", "held_out"):
            object.__setattr__(self, name, as_rectangles(getattr(self, name), name))
        check_pixel_size(self.pixel_size)
        check_resumed(self.resume, self.out, None if self.start == "default" else self.start)

    @property
    def title(self) -> str:
        """Short description of the job."""
        return f"training {self.name or ('a model' if self.out is None else Path(self.out).absolute().name)}"

    def steps(self, stop: Stop = never) -> Steps[DiffusionModel]:
        """Train the model.

        Yields
        ------
        Progress, Preview and Note events.

        Returns
        -------
        The model when the time is used up or `stop` returns True.

        Raises
        ------
        InputError
            If the images cannot be trained on, `start` is not a diffusion model, or the run cannot be resumed.
        OSError
            If an image cannot be read, or `out` cannot be written; no training took place then.
        MemoryError, TrainingDivergedError
            If there is no memory for one patch, or the loss is no longer a finite number.
        Stopped
            If the job was stopped before the first training step.
        """
        out = None if self.out is None else user_path(self.out).absolute()
        if out is not None and is_first_process():
            _check_out(out, self.resume)
            # The model card needs matplotlib. Its import at the first checkpoint would block the event loop.
            import matplotlib.figure  # noqa: F401
        images = self._training_images(stop)
        from ..diffusion.training import train_steps

        start, note = (None, None) if self.resume else starting_model(self.start, self.settings.channels)
        if note is not None:
            yield note
        return (
            yield from train_steps(
                images, self.settings, start=start, out=out, resume=self.resume, name=self.name, stop=stop
            )
        )

    def _training_images(self, stop: Stop) -> list[Image] | dict[str, list[Image]]:
        """Return the parts of the images that are trained on, by structure if there are several."""
        region, held_out = (as_rectangles(value, "region") for value in (self.region, self.held_out))
        groups = {
            name: read_training_images(
                sources, self.pixel_size, MADE_BY_MODELS, self.allow_computed, self.channel, stop
            )
            for name, sources in groups_of(self.images).items()
        }
        images = [image for own in groups.values() for image in own]
        windows = iter(division(images, region, held_out, self.settings.patch))
        return ungrouped({name: divided(own, [next(windows) for _ in own]) for name, own in groups.items()})


def _check_out(out: Path, resume: bool) -> None:
    """Raise an OSError if the model must not be written at `out`."""
    check_place(out, replace=True)
    if not resume and (out / "model.json").exists():
        raise FileExistsError(f"There is a model in {out} already: choose another name, or resume its training.")


def interrupted_training(out: Path) -> TrainConfig | None:
    """Return the settings of a training that was interrupted in `out`, or None if there is nothing to resume.

    The function reads only model.json, so a form can call it while the user types a name.
    """
    record = _interrupted_record(out)
    return None if record is None else record.config


def interrupted_structures(out: Path) -> dict[str, str]:
    """Return the structures that the images of an interrupted training show, by the names of the images.

    It is empty if there is nothing to resume in `out`, and for a model of one structure.
    """
    record = _interrupted_record(out)
    return {} if record is None else {image.name: image.group for image in record.training_data if image.group}


def _interrupted_record(out: Path) -> DiffusionRecord | None:
    if not (out / STATE).exists():
        return None
    from ..diffusion.facts import DiffusionRecord

    try:
        record = read_facts(out, "diffusion", DiffusionRecord)
    except ModelFolderError:  # a damaged training cannot be resumed
        return None
    total = record.total_steps
    return None if total is not None and record.steps >= total else record


def default_start(channels: Sequence[int]) -> DiffusionModel | None:
    """Return the model that trainings begin from by default, or None if its network has other channels.

    The model was trained on simulated structures alone. Its network can denoise, and knows what filaments, tubes,
    networks, rings and spots look like, which takes far longer to learn than the texture of an image.
    """
    from ..diffusion.facts import DiffusionRecord
    from ..diffusion.model import read_model

    folder = bundled_folder() / "diffusion" / DEFAULT_START
    record = read_facts(folder, "diffusion", DiffusionRecord)
    return read_model(folder, record) if tuple(channels) == record.config.channels else None


def starting_model(
    start: DiffusionModel | str | os.PathLike[str] | None, channels: Sequence[int]
) -> tuple[DiffusionModel | None, Note | None]:
    """Return the model that a training begins from, or None, and a note if the default start has other channels.

    Parameters
    ----------
    start
        A model, its name or its folder; "default" is the model of `default_start`; None is no model.
    channels
        Channels of the network that will be trained.

    Raises
    ------
    ModelFolderError
        If there is no such model, or it is damaged.
    """
    from ..diffusion.model import load_diffusion_model

    if start == "default":
        model = default_start(channels)
        if model is not None:
            return model, None
        widths = " ".join(map(str, channels))
        return None, Note(
            f"The training begins from scratch: the default start, {DEFAULT_START}, has other channels than {widths}."
        )
    if isinstance(start, (str, os.PathLike)):
        return load_diffusion_model(start), None
    return start, None

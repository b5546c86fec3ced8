"""The diffusion model: training, saving and loading."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeAlias

from ..base.errors import InputError
from ..base.folders import user_path
from ..images.image import Image, as_images
from ..store.catalogue import find_model
from ..store.folder import (
    WEIGHTS,
    Kind,
    ModelFolderError,
    model_errors,
    read_facts,
    save_folder,
    write_errors,
    write_training_state,
)
from .facts import DiffusionFacts, DiffusionRecord
from .network import BLOCK, for_sampling
from .sampler import Sampler, pick_sampler
from .settings import EDM, SIGMA_DATA, GenerateConfig, TrainConfig
from .unet import UNet, read_unet, write_unet
from .unet_config import UnknownNetworkError

if TYPE_CHECKING:
    import os
    from pathlib import Path

    import numpy.typing as npt

    from ..base.stored_weights import Bits
    from ..images.regions import Rectangles
    from ..training.state import TrainingState
    from .intensities import Scaling

    Images: TypeAlias = Image | npt.ArrayLike | Sequence[Image | npt.ArrayLike]

KIND: Kind = "diffusion"


@dataclass(frozen=True, eq=False)
class DiffusionModel:
    """A trained diffusion model: its network, scaling, settings and facts.

    Parameters
    ----------
    unet
        The network, on the CPU, in float32.
    scaling
        Map from intensities to network units, fitted on the training images; of a conditional model that of its first
        structure, see `scaling_of`.
    pixel_size
        Pixel size of the training images and of the generated images, in nm; None where it is unknown.
    config
        Settings of the training. For an imported model only `patch` and `channels` are known.
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
        """The name of the model."""
        return self.facts.name

    @property
    def record(self) -> DiffusionRecord:
        """The content of its model.json."""
        return DiffusionRecord.of(self.facts, config=self.config, pixel_size_nm=self.pixel_size, scaling=self.scaling)

    @property
    def structures(self) -> tuple[str, ...]:
        """The structures of a conditional model, one of which `generate` needs; () for a model of one structure."""
        return self.facts.structures

    def scaling_of(self, structure: str = "") -> Scaling:
        """Return the scaling of a structure of a conditional model, or that of a model of one structure."""
        return self.record.scaling_of(structure)

    @cached_property
    def sampler(self) -> Sampler:
        """The sampler of its network."""
        return pick_sampler(self.unet, self.facts)

    @classmethod
    def train(
        cls,
        images: Images | Mapping[str, Images],
        *,
        start: DiffusionModel | str | os.PathLike[str] | None = "default",
        out: str | os.PathLike[str] | None = None,
        name: str | None = None,
        resume: bool = False,
        pixel_size: float | None = None,
        allow_computed: bool = False,
        region: Rectangles = (),
        held_out: Rectangles = (),
        **settings: Any,
    ) -> DiffusionModel:
        """Train a model on `images` with a progress bar; Ctrl-C stops the training and keeps the model.

        Parameters
        ----------
        images
            Super-resolution images, (Y, X) or (N, Y, X), of one pixel size. For one model of several structures, those
            of each structure by its name: `{"microtubules": a, "mitochondria": [b, c]}`.
        start
            The model to start from, its name or its folder; None to train from scratch. "default" is the bundled
            `start-any`, or None if `channels` differ from those of its network.
        out, name
            Folder of the model, also during the training; None to keep it in memory. Name, by default of the folder.
        resume
            Continue the interrupted training in `out`, with the same images and settings.
        pixel_size
            In nm; replaces that of the images.
        allow_computed
            Train on generated and enhanced images too; they are refused otherwise.
        region, held_out
            Rectangles (first row, last row + 1, first column, last column + 1) in pixels of each image that are trained
            on, or not trained on.
        **settings
            The fields of `TrainConfig`: `DiffusionModel.train([storm], minutes=15, seed=1)`.

        Raises
        ------
        InputError, OSError, MemoryError, TrainingDivergedError, Stopped
            As `TrainJob.steps`.
        """
        from ..recipes.job import run_job
        from ..recipes.train_diffusion import TrainJob

        return run_job(
            TrainJob(
                _read_groups(images),
                TrainConfig(**settings),
                start,
                out,
                name,
                resume,
                pixel_size,
                allow_computed=allow_computed,
                region=region,
                held_out=held_out,
            )
        )

    def generate(
        self,
        count: int = 16,
        *,
        size: SupportsIndex | tuple[int, int] = 128,
        out: str | os.PathLike[str] | None = None,
        resume: bool = False,
        **settings: Any,
    ) -> Image:
        """Generate images with a progress bar; Ctrl-C stops and keeps the finished images.

        Parameters
        ----------
        count
            Number of images.
        size
            Size of an image in pixels: the side of a square, or (height, width).
        out
            TIFF file that each finished image is written to; None to keep the images in memory.
        resume
            Go on with the images of an interrupted run in `out`.
        **settings
            Other fields of `GenerateConfig`: `structure` names one of `structures`, if the model has several.

        Returns
        -------
        The finished images, (count, height, width) float32, in the units of the training images.

        Raises
        ------
        InputError
            If a setting is invalid, or the size or the structure does not suit the network.
        OSError
            If `out` cannot be written.
        MemoryError
            If memory is too small for `count` images or for computing a single one.
        Stopped
            If the run was stopped before the first image was finished.
        """
        from ..recipes.generate import GenerateJob
        from ..recipes.job import run_job

        height, width = _sides(size)
        config = GenerateConfig(count=count, height=height, width=width, **settings)
        return run_job(GenerateJob(self, config, out, resume))

    def save(self, folder: str | os.PathLike[str], *, bits: Bits = 32) -> None:
        """Save as a model folder, complete or not at all, with weights of `bits` each; see `stored_weights`.

        Raises
        ------
        OSError
            If `folder` holds other files, or cannot be written.
        """
        save_model(self, user_path(folder), bits=bits)

    @classmethod
    def load(cls, model: str | os.PathLike[str]) -> DiffusionModel:
        """Load a model by its folder or its name; raises ModelFolderError if it is missing or damaged."""
        folder = find_model(model, KIND)
        return read_model(folder, read_facts(folder, KIND, DiffusionRecord))


def read_model(folder: Path, record: DiffusionRecord) -> DiffusionModel:
    """Read the network of a model folder whose model.json holds `record`; raises ModelFolderError if it is damaged."""
    with model_errors(folder):
        unet = for_sampling(_read_unet(folder))
        _check_network(unet, record)
        model = DiffusionModel(unet, record.scaling, record.pixel_size_nm, record.config, record.facts)
        _ = model.sampler  # raises errors now, and not when an image is generated
        return model


def _check_network(unet: UNet, record: DiffusionRecord) -> None:
    """Raise an InputError unless the network is the one that model.json describes."""
    shape, edm = unet.config, record.parameterization == EDM
    if shape.block_out_channels != record.config.channels:
        raise InputError("config.json and model.json state different widths of the network.")
    if shape.in_channels != shape.out_channels or (edm and shape.in_channels != BLOCK**2):
        raise InputError("config.json states a network with other numbers of channels.")
    if shape.num_class_embeds != (len(record.groups) + 1 if record.groups else None):
        raise InputError("config.json and model.json state different numbers of structures.")
    scalings = [record.scaling, *(group.scaling for group in record.groups)]
    if edm and any(abs(scaling.sigma_data - SIGMA_DATA) > 1e-6 for scaling in scalings):
        raise InputError(f"model.json states a spread other than {SIGMA_DATA}.")


def _read_groups(images: Images | Mapping[str, Images]) -> list[Image] | dict[str, list[Image]]:
    """Return arrays as images, by the name of the structure if there are names."""
    if isinstance(images, Mapping):
        return {name: as_images(own) for name, own in images.items()}
    return as_images(images)


def _sides(size: Any) -> tuple[Any, Any]:
    """Return (height, width) from a side or a pair, which may be NumPy integers."""
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
            f"{folder} holds a network that this version cannot use. {error} Update napari-smdiffusion, or train the "
            "model again."
        ) from error


def save_model(model: DiffusionModel, folder: Path, *, bits: Bits = 32, state: TrainingState | None = None) -> None:
    """Write the model folder; during a training also its state and its averaged weights."""
    from .card import write_diffusion_card

    weights = model.unet.state_dict()
    if state is not None:
        for (key, _), value in zip(model.unet.named_parameters(), state.average, strict=True):
            weights[key] = value

    def write_weights(path: Path) -> None:
        with write_errors(folder):
            write_unet(path, model.unet.config, weights, bits)

    def write_state(path: Path, _: DiffusionRecord) -> None:
        if state is not None:
            write_training_state(path, state.state_dict())

    save_folder(folder, KIND, model.record, write_weights, write_state, write_diffusion_card)


def load_diffusion_model(model: str | os.PathLike[str]) -> DiffusionModel:
    """Load a model by its folder or its name; the same as `DiffusionModel.load`."""
    return DiffusionModel.load(model)

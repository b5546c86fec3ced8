"""The job that generates images with a diffusion model."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.errors import InputError
from ..base.events import Steps, Stop, never
from ..base.whole_files import check_space
from ..diffusion.settings import GenerateConfig, check_generation
from ..images.reading import mapped_image
from ..images.tiff import TIFF_SUFFIXES, growing_tiff
from ..store.catalogue import find_model
from ..store.folder import read_facts
from .outputs import check_output_file

if TYPE_CHECKING:
    from ..base.arrays import Pixels
    from ..diffusion.facts import DiffusionRecord
    from ..diffusion.model import DiffusionModel
    from ..images.image import Image


@dataclass(frozen=True, eq=False)
class GenerateJob:
    """Generate images with a diffusion model.

    Parameters
    ----------
    model
        The model, its name or its folder.
    settings
        Number and size of the images, and settings of the solver.
    out
        TIFF file. Each image is written into it when it is finished, so all images together may be larger than memory.
        A file that this program wrote is replaced; any other file raises an error. None: images in memory only.

    Raises
    ------
    InputError
        If `out` does not end in .tif.
    """

    model: DiffusionModel | str | os.PathLike[str]
    settings: GenerateConfig = field(default_factory=GenerateConfig)
    out: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        if self.out is not None and Path(self.out).suffix.lower() not in TIFF_SUFFIXES:
            raise InputError(f"out must end in .tif, not {os.fspath(self.out)}.", "out")

    @property
    def title(self) -> str:
        """Short description of the job."""
        count = self.settings.count
        return f"generating {count} image{'s' * (count != 1)}"

    def steps(self, stop: Stop = never, *, pixels: Pixels | None = None) -> Steps[Image]:
        """Generate the images.

        Parameters
        ----------
        stop
            Called at every sampling step.
        pixels
            Array to generate into, (count, height, width) float32; used only without `out`.

        Yields
        ------
        Progress after every sampling step, Preview of the denoising, and Generated when an image is finished.

        Returns
        -------
        The finished images, (N, height, width) float32; with `out`, planes are read from the file when they are used.

        Raises
        ------
        InputError
            If there is no such model, or the size or the number of steps does not suit it.
        OSError
            If `out` cannot be written.
        MemoryError
            If there is no memory for `count` images, or for the computation of one.
        Stopped
            If the job was stopped before the first image was finished.
        """
        if isinstance(self.model, (str, os.PathLike)):
            facts_to_generate(self.model, self.settings)  # fails before torch and the network are loaded
        shape = self.settings.count, self.settings.height, self.settings.width
        out = None if self.out is None else check_output_file(self.out)
        if out is not None:
            check_space(out, shape)
        from ..diffusion.generating import generate_steps, provenance
        from ..diffusion.model import load_diffusion_model

        model = load_diffusion_model(self.model) if isinstance(self.model, (str, os.PathLike)) else self.model
        if out is None:
            return (yield from generate_steps(model, self.settings, pixels=pixels, stop=stop))
        with growing_tiff(out, shape, model.pixel_size, provenance=provenance(model, self.settings)) as file:
            images = yield from generate_steps(model, self.settings, pixels=file.pixels, stop=stop)
            file.finished = len(images)
            del images  # Windows does not rename a mapped file
        return mapped_image(out)


def facts_to_generate(model: str | os.PathLike[str], settings: GenerateConfig) -> DiffusionRecord:
    """Return the content of model.json of a diffusion model, by its folder or name, without loading the network.

    Raises
    ------
    ModelFolderError
        If there is no such model, or it is damaged.
    InputError
        If the model cannot generate images of the size, or with the number of steps, in `settings`.
    """
    from ..diffusion.facts import DiffusionRecord, generation_limits

    record = read_facts(find_model(model, "diffusion"), "diffusion", DiffusionRecord)
    check_generation(settings, *generation_limits(record))
    return record

"""The public class of a trained enhancer: shortcuts for jobs, saving and loading."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from safetensors.torch import save

from ..base.errors import InputError
from ..base.folders import user_path
from ..base.json_values import to_json
from ..base.stored_weights import stored_weights
from ..base.tensors import read_weights, shapes_of
from ..diffusion.settings import DEFAULT_START
from ..images.image import Image, as_image, as_images
from ..microscope.settings import MicroscopeConfig
from ..posterior.facts import SamplerFacts
from ..posterior.sampler import PosteriorSampler, read_sampler, write_sampler
from ..store.folder import (
    WEIGHTS,
    Kind,
    keep_training_state,
    model_errors,
    read_facts,
    save_folder,
    write_errors,
    write_training_state,
)
from ..store.weights import digest_of_weights
from ..structures.settings import LabellingConfig
from .facts import EnhancerFacts, EnhancerRecord, Familiar, WidefieldLevels, fields_of
from .network import EnhancerNetwork
from .settings import EnhanceConfig, EnhancerConfig
from .uncertainty import Calibration

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from ..base.stored_weights import Bits
    from ..diffusion.model import DiffusionModel
    from ..images.regions import Rectangles
    from ..training.state import TrainingState
    from .applying import Enhancement
    from .levels import Levels

KIND: Kind = "enhancer"
_WEIGHTS_FILE = "enhancer.safetensors"


@dataclass(frozen=True, eq=False)
class Enhancer:
    """A trained enhancer: its network, its settings and the facts of its training.

    Parameters
    ----------
    network
        On the CPU, in float32.
    levels
        Intensity levels of the super-resolution training images.
    pixel_size
        Pixel size of the results in nm, for a widefield image with the pixel size of the training; None if unknown.
    config, microscope
        Settings of the training and of the simulated microscope.
    facts
        Training data, loss curve, versions and date.
    calibration
        The size of the errors; None for an enhancer without a calibration.
    widefield
        The levels of widefield images that the network was trained with.
    sampler
        Draws posterior samples; None for an enhancer that makes the best estimate only.
    samples_calibration
        The size of the errors of the mean of samples; None without a calibration.
    familiar
        What the widefield images of the training look like; None if it is not known.
    """

    network: EnhancerNetwork
    levels: Levels
    pixel_size: float | None
    config: EnhancerConfig
    microscope: MicroscopeConfig
    facts: EnhancerFacts = field(default_factory=EnhancerFacts)
    calibration: Calibration | None = None
    widefield: WidefieldLevels = field(default_factory=WidefieldLevels)
    sampler: PosteriorSampler | None = None
    samples_calibration: Calibration | None = None
    familiar: Familiar | None = None

    @property
    def name(self) -> str:
        """Name of the enhancer."""
        return self.facts.name

    @property
    def widefield_pixel_size(self) -> float | None:
        """Pixel size in nm of the widefield images that the enhancer was trained for; None if unknown."""
        return None if self.pixel_size is None else self.pixel_size * self.config.upscale

    @property
    def record(self) -> EnhancerRecord:
        """The content of model.json."""
        return EnhancerRecord(
            **fields_of(self.facts),
            config=self.config,
            microscope=self.microscope,
            pixel_size_nm=self.pixel_size,
            levels=self.levels,
            calibration=None if self.calibration is None else self.calibration.record,
            widefield=self.widefield,
            strides=self.network.strides,
            samples=None if self.sampler is None else self.sampler.facts,
            samples_calibration=None if self.samples_calibration is None else self.samples_calibration.record,
            familiar=self.familiar,
        )

    def digest(self) -> str:
        """Return the SHA-256 of what results depend on: the weights, the strides, the levels and the calibration."""
        record = self.record
        values = json.dumps([to_json(part) for part in (record.levels, record.calibration, record.widefield)])
        if record.strides != "plain":  # results of earlier versions state the digest without it
            values += record.strides
        text = f"{digest_of_weights(self.network)} {values}"
        if self.sampler is not None:
            facts = self.sampler.facts
            values = json.dumps([to_json(facts.scale), facts.structure, to_json(record.samples_calibration)])
            if facts.evaluations != SamplerFacts.evaluations:  # results of earlier versions state the digest without it
                values += str(facts.evaluations)
            text += f" {digest_of_weights(self.sampler.network)} {values}"
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def train(
        cls,
        images: Image | npt.ArrayLike | Sequence[Image | npt.ArrayLike] = (),
        *,
        pairs: Sequence[tuple[Image | npt.ArrayLike, Image | npt.ArrayLike]] = (),
        weights: Sequence[float] | None = None,
        microscope: MicroscopeConfig | None = None,
        fit: Image | npt.ArrayLike | None = None,
        simulated: Sequence[tuple[str, float]] = (),
        labels: LabellingConfig | None = None,
        start: Enhancer | str | os.PathLike[str] | None = None,
        prior: DiffusionModel | str | os.PathLike[str] = DEFAULT_START,
        out: str | os.PathLike[str] | None = None,
        name: str | None = None,
        resume: bool = False,
        pixel_size: float | None = None,
        allow_computed: bool = False,
        region: Rectangles = (),
        held_out: Rectangles = (),
        **settings: Any,
    ) -> Enhancer:
        """Train on super-resolution images and show a progress bar; Ctrl-C stops the training and keeps the enhancer.

        Parameters
        ----------
        images, pairs
            Super-resolution images, (Y, X) or (N, Y, X), of one pixel size; or (widefield, super-resolution) images.
        weights, microscope, fit, simulated, labels, start, prior, out, name, resume, pixel_size, allow_computed
            See `TrainEnhancerJob`, as for `region` and `held_out`.
        **settings
            The fields of `EnhancerConfig`: `Enhancer.train(fields, upscale=5, minutes=2, method="samples")`.

        Raises
        ------
        InputError, OSError, MemoryError, TrainingDivergedError, Stopped
            As `TrainEnhancerJob.steps`.
        """
        from ..recipes import job, train_enhancer

        sharp, widefield = _images_or_pairs(as_images(images), list(pairs))
        training = train_enhancer.TrainEnhancerJob(
            sharp,
            EnhancerConfig(**settings),
            microscope or MicroscopeConfig(),
            weights=weights,
            widefield=widefield,
            fit=None if fit is None else as_image(fit, "widefield"),
            simulated=simulated,
            labels=labels or LabellingConfig(),
            start=start,
            prior=prior,
            out=out,
            name=name,
            resume=resume,
            pixel_size=pixel_size,
            allow_computed=allow_computed,
            region=region,
            held_out=held_out,
        )
        return job.run_job(training)

    def enhance(self, image: Image | npt.ArrayLike, **settings: Any) -> Image:
        """Enhance a widefield image or stack and show a progress bar.

        `settings` are the fields of `EnhanceConfig`, and `out`, `pixel_size`, `resume`, `region`, `workers` and
        `scheduler` of `EnhanceJob`.

        Returns
        -------
        Image of (N, Y·upscale, X·upscale) float32 of the same field as `image`, in its units above the background. With
        `samples`, it is the mean of this number of posterior samples.

        Raises
        ------
        InputError
            If the image is constant, a setting is out of range, or the enhancer draws no samples.
        OSError
            If `out` cannot be written.
        MemoryError
            If memory is too small for the result or for the smallest tile.
        Stopped
            If it was stopped; there is no result then.
        """
        return self.enhance_with_uncertainty(image, **{**settings, "uncertainty": False}).image

    def enhance_with_uncertainty(
        self,
        image: Image | npt.ArrayLike,
        *,
        out: str | os.PathLike[str] | None = None,
        pixel_size: float | None = None,
        resume: bool = False,
        region: Rectangles = (),
        workers: int = 0,
        scheduler: str = "",
        **settings: Any,
    ) -> Enhancement:
        """Enhance and map the uncertainty; parameters and errors are those of `enhance`.

        With `samples=8`, the result has 8 posterior samples too, their map of trust, and the uncertainty of their mean
        (see `Enhancement`).
        """
        from ..recipes.enhance import EnhanceJob
        from ..recipes.job import run_job

        config = EnhanceConfig(**{"uncertainty": True, **settings})
        source = as_image(image, "widefield")
        job = EnhanceJob(
            self,
            source,
            config,
            out=out,
            pixel_size=pixel_size,
            resume=resume,
            region=region,
            workers=workers,
            scheduler=scheduler,
        )
        return run_job(job).images[0].enhancement

    def calibrate(
        self,
        pairs: Sequence[tuple[Image | npt.ArrayLike, Image | npt.ArrayLike]],
        *,
        out: str | os.PathLike[str] | None = None,
    ) -> Enhancer:
        """Return this enhancer with intervals that are calibrated on real pairs, and show a progress bar.

        Parameters
        ----------
        pairs
            (widefield, super-resolution) images of one field each, with the pixel sizes of the enhancer.
        out
            New folder for the calibrated enhancer; None keeps it in memory.

        Raises
        ------
        InputError, OSError, Stopped
            As `CalibrateJob.steps`.
        """
        from ..recipes.calibrate import CalibrateJob
        from ..recipes.job import run_job

        images = [(as_image(coarse, "widefield"), as_image(fine, "super-resolution")) for coarse, fine in pairs]
        return run_job(CalibrateJob(self, images, out))

    def save(self, folder: str | os.PathLike[str], *, bits: Bits = 32) -> None:
        """Save as a model folder, atomically, with weights of `bits` each; see `stored_weights`.

        Raises
        ------
        OSError
            If another file or folder has this path, or the folder cannot be written.
        """
        save_enhancer(self, user_path(folder), bits=bits)

    @classmethod
    def load(cls, model: str | os.PathLike[str]) -> Enhancer:
        """Load an enhancer by its folder or name; raises ModelFolderError if it is missing or damaged."""
        from ..store.catalogue import find_model

        folder = find_model(model, KIND)
        record = read_facts(folder, KIND, EnhancerRecord)
        with model_errors(folder):
            config = record.config
            # The device "meta" allocates nothing, so that damaged settings with huge channels cost no memory.
            with torch.device("meta"):
                network = EnhancerNetwork(config.upscale, config.channels, record.strides)
            network.load_state_dict(read_weights(folder / WEIGHTS / _WEIGHTS_FILE, shapes_of(network)), assign=True)
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
            calibrations = [
                None if stored is None else Calibration.of(stored)
                for stored in (record.calibration, record.samples_calibration)
            ]
            sampler = None if record.samples is None else read_sampler(folder / WEIGHTS, record.samples)
            return cls(
                network.eval(),
                record.levels,
                record.pixel_size_nm,
                config,
                record.microscope,
                record.facts,
                calibrations[0],
                record.widefield,
                sampler,
                calibrations[1],
                record.familiar,
            )


def _images_or_pairs(
    images: list[Image], pairs: list[tuple[Image | npt.ArrayLike, Image | npt.ArrayLike]]
) -> tuple[list[Image], list[Image]]:
    """Return the super-resolution images to train on, and the widefield images of real pairs."""
    if images and pairs:
        raise InputError("Give either images or pairs to train on, not both.")
    sharp = images or [as_image(fine, "super-resolution") for _, fine in pairs]
    return sharp, [as_image(coarse, "widefield") for coarse, _ in pairs]


def save_enhancer(
    enhancer: Enhancer,
    folder: Path,
    *,
    bits: Bits = 32,
    state: TrainingState | None = None,
    inputs: str = "",
    trained: Literal["estimate", "samples"] = "estimate",
) -> None:
    """Write the model folder; during a training also its state and its averaged weights.

    Parameters
    ----------
    enhancer, folder
        The enhancer and its folder.
    bits
        Bits of each weight; see `stored_weights`.
    state
        The state of the training. None: a state in the folder of a stopped training is kept as it is.
    inputs
        Digest of what the training draws from, stored with the state (see `checkpoints.digest_of_inputs`).
    trained
        The network that `state` belongs to: that of the best estimate, or that of the sampler.
    """
    from .card import write_enhancer_card

    weights = enhancer.network.state_dict()
    if state is not None and trained == "estimate":
        for (key, _), value in zip(enhancer.network.named_parameters(), state.average, strict=True):
            weights[key] = value

    def write_weights(path: Path) -> None:
        with write_errors(folder):
            # Python's own file names the reason of an error, and takes paths of any bytes.
            (path / _WEIGHTS_FILE).write_bytes(save(stored_weights(weights, bits)))
            if enhancer.sampler is not None:
                average = state.average if state is not None and trained == "samples" else None
                write_sampler(path, enhancer.sampler, average, bits)

    def write_state(path: Path, record: EnhancerRecord) -> None:
        if state is not None:
            write_training_state(path, {**state.state_dict(), "inputs": inputs})
        elif record.unfinished:
            keep_training_state(folder, path)

    save_folder(folder, KIND, enhancer.record, write_weights, write_state, write_enhancer_card)


def load_enhancer(model: str | os.PathLike[str]) -> Enhancer:
    """Load an enhancer; see `Enhancer.load`."""
    return Enhancer.load(model)

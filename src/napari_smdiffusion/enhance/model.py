"""The enhancer: training, saving and loading."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file

from ..base.devices import on_device, pick_device, seeded
from ..base.errors import InputError
from ..base.events import Steps, Stop, never, run
from ..images.image import Image, as_image, as_images, common_pixel_size
from ..microscope.settings import MicroscopeConfig
from ..store.facts import UNNAMED, training_facts
from ..store.folder import (
    WEIGHTS,
    Kind,
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
from .calibrating import _CALIBRATED, _ROUGHLY, calibration_steps
from .examples import pairs_task, simulation_task
from .facts import REGISTERED_PAIRS, SIMULATED_WIDEFIELD, EnhancerFacts, EnhancerRecord, fields_of
from .held_out import draw_weights, split_held_out
from .levels import Levels, widefield_levels
from .network import EnhancerNetwork
from .pairs import cut_to_shared_field, registered_pairs
from .settings import EnhanceConfig, EnhancerConfig
from .uncertainty import Calibration

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import numpy.typing as npt

    from .applying import Enhancement

KIND: Kind = "enhancer"
_WEIGHTS_FILE = "enhancer.safetensors"


@dataclass(frozen=True, eq=False)
class Enhancer:
    """A trained enhancer and all that is known of it.

    Parameters
    ----------
    network
        On the CPU, in float32.
    levels
        Of the super-resolution images it was trained on, and so of its results.
    pixel_size
        Of its results when the widefield image is like the simulated ones, in nm; None where it was not known.
    config, microscope
        How it was trained.
    facts
        Training data, loss curve, versions and date.
    calibration
        How large its errors are; None for one that was saved without.
    """

    network: EnhancerNetwork
    levels: Levels
    pixel_size: float | None
    config: EnhancerConfig
    microscope: MicroscopeConfig
    facts: EnhancerFacts = field(default_factory=EnhancerFacts)
    calibration: Calibration | None = None

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.facts.name

    @property
    def record(self) -> EnhancerRecord:
        """All that model.json holds of it."""
        return EnhancerRecord(
            **fields_of(self.facts),
            config=self.config,
            microscope=self.microscope,
            pixel_size_nm=self.pixel_size,
            levels=self.levels,
            calibration=None if self.calibration is None else self.calibration.record,
        )

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
        start: Enhancer | str | os.PathLike[str] | None = None,
        out: str | os.PathLike[str] | None = None,
        name: str | None = None,
        pixel_size: float | None = None,
        **settings: Any,
    ) -> Enhancer:
        """Train on super-resolution images with a progress bar; Ctrl-C stops and keeps the enhancer.

        Parameters
        ----------
        images
            One super-resolution image or several, (Y, X) or (N, Y, X), of one pixel size.
        pairs
            (widefield, super-resolution) images of the same fields, instead of `images` and a simulated microscope.
        weights, microscope, fit, simulated, start, out, name, pixel_size
            See `TrainEnhancerJob`.
        **settings
            The fields of `EnhancerConfig`: `Enhancer.train(fields, upscale=5, minutes=2)`.

        Raises
        ------
        InputError
            For images that cannot be trained on, or a setting that cannot be.
        OSError
            If no enhancer can be written at `out`.
        MemoryError, TrainingDivergedError
            If not even one patch can be computed, or the loss is no number any more.
        Stopped
            If it was stopped before the first step.
        """
        from ..recipes.job import run_job
        from ..recipes.train_enhancer import TrainEnhancerJob

        sources = as_images(images)
        if sources and pairs:
            raise InputError("Give images, or pairs of images, to learn from: not both.")
        return run_job(
            TrainEnhancerJob(
                sources or [as_image(fine, "super-resolution") for _, fine in pairs],
                EnhancerConfig(**settings),
                microscope or MicroscopeConfig(),
                weights=weights,
                widefield=[as_image(coarse, "widefield") for coarse, _ in pairs],
                fit=None if fit is None else as_image(fit, "widefield"),
                simulated=simulated,
                start=start,
                out=out,
                name=name,
                pixel_size=pixel_size,
            )
        )

    def enhance(self, image: Image | npt.ArrayLike, **settings: Any) -> Image:
        """Enhance a widefield image or stack with a progress bar.

        `settings` are the fields of `EnhanceConfig`, and `out` and `pixel_size` of `EnhanceJob`.

        Returns
        -------
        Image of (N, Y·upscale, X·upscale) float32 whose field is that of `image`.

        Raises
        ------
        InputError
            If all pixels of the image are alike, or a setting cannot be.
        OSError
            If `out` cannot be written.
        MemoryError
            If there is no room for the result, or not even the smallest tile can be computed.
        Stopped
            If it was stopped: half an image is none.
        """
        return self.enhance_with_uncertainty(image, **{**settings, "uncertainty": False}).image

    def enhance_with_uncertainty(
        self,
        image: Image | npt.ArrayLike,
        *,
        out: str | os.PathLike[str] | None = None,
        pixel_size: float | None = None,
        **settings: Any,
    ) -> Enhancement:
        """Enhance, and map the uncertainty (see `Enhancement`); parameters and errors are those of `enhance`."""
        from ..recipes.enhance import EnhanceJob
        from ..recipes.job import run_job

        config = EnhanceConfig(**{"uncertainty": True, **settings})
        job = EnhanceJob(self, as_image(image, "widefield"), config, out=out, pixel_size=pixel_size)
        return run_job(job).images[0].enhancement

    def save(self, folder: str | os.PathLike[str], *, half: bool = False) -> None:
        """Save as a model folder, whole or not at all; with `half`, the weights in 16 bits.

        Raises
        ------
        OSError
            If something that is no model folder is there already, or it cannot be written.
        """
        from .card import write_enhancer_card

        kind = torch.float16 if half else torch.float32
        weights = {k: v.detach().cpu().to(kind).contiguous() for k, v in self.network.state_dict().items()}
        folder = Path(folder)

        def write_weights(path: Path) -> None:
            with write_errors(folder):
                save_file(weights, path / _WEIGHTS_FILE)

        save_folder(folder, KIND, self.record, write_weights, write_enhancer_card)

    @classmethod
    def load(cls, model: str | os.PathLike[str]) -> Enhancer:
        """Load an enhancer by its folder or its name; raises ModelFolderError if there is none, or it is damaged."""
        from ..store.catalogue import find_model

        folder = find_model(model, KIND)
        record = read_facts(folder, KIND, EnhancerRecord)
        with model_errors(folder):
            config = record.config
            # On "meta" nothing is allocated: settings that the weights belie cost no memory.
            with torch.device("meta"):
                network = EnhancerNetwork(config.upscale, config.channels)
            weights = load_file(folder / WEIGHTS / _WEIGHTS_FILE)
            network.load_state_dict(
                {key: value.to(torch.float32, copy=True) for key, value in weights.items()}, assign=True
            )
            calibration = None if record.calibration is None else Calibration.of(record.calibration)
            return cls(
                network.eval(),
                record.levels,
                record.pixel_size_nm,
                config,
                record.microscope,
                record.facts,
                calibration,
            )


def train_enhancer_steps(
    images: Sequence[Image],
    config: EnhancerConfig,
    microscope: MicroscopeConfig,
    *,
    weights: Sequence[float] | None = None,
    pairs: Sequence[tuple[Image, Image]] = (),
    start: Enhancer | None = None,
    out: Path | None = None,
    name: str | None = None,
    stop: Stop = never,
) -> Steps[Enhancer]:
    """Train an enhancer.

    Parameters
    ----------
    images
        Super-resolution images of one pixel size: experimental, generated, simulated, or a mix of them.
    config, microscope
        Settings, and the microscope to simulate.
    weights
        How often each of `images` is drawn from, relative to the others; by default in proportion to its pixels.
    pairs
        (widefield, super-resolution) images to train on instead of simulated ones. The super-resolution image has
        `upscale` times the pixels of its widefield image, corner on corner: what they are off by, up to two widefield
        pixels, is found and mended. Or it shows a part of that field, which is looked for.
    start
        An enhancer of the same `upscale` to begin from, whose `channels` the new one gets, too; None: from nothing.
    out
        Folder to save the enhancer in when it is trained. None: only in memory.
    name
        What to call the enhancer; by default the name of the folder.
    stop
        Asked at every step.

    Yields
    ------
    Progress, Preview and Note events.

    Returns
    -------
    The enhancer as it is when the budget is used up or `stop` says so, calibrated: a tenth of many generated or
    simulated images, or an eighth of each other one that is large enough, is held out from training, and tells how
    large its errors are.

    Raises
    ------
    InputError
        For images that cannot be trained on, or a start that enlarges by another factor.
    OSError
        If no enhancer can be written at `out`; nothing was trained then.
    MemoryError, TrainingDivergedError
        If not even one patch can be computed, or the loss is no number any more.
    Stopped
        If it was stopped before the first step.
    """
    config = settings_from(start, config)
    given = [fine for _, fine in pairs] if pairs else list(images)
    whole = [widefield_levels(coarse) for coarse, _ in pairs]
    pairs = yield from cut_to_shared_field(pairs, config.upscale)
    pairs = yield from registered_pairs(pairs, config.upscale)
    sources = [fine for _, fine in pairs] if pairs else given
    pixel_size = common_pixel_size(sources)
    training, held = split_held_out(sources, draw_weights(sources, weights), config)
    if pairs:
        task = pairs_task(pairs, whole, training, config)
    else:
        task = simulation_task(sources, training, config, microscope, known_pixel_size(sources))
    if out is not None:
        out = out.absolute()
        check_place(out)
    device = pick_device(config.device)
    with seeded(config.seed):
        network = EnhancerNetwork(config.upscale, config.channels)
    if start is not None:
        network.load_state_dict(start.network.state_dict())
    # What is learned already is to be kept: half the rate changes it less.
    state = TrainingState(network.to(device), config.learning_rate * (1.0 if start is None else 0.5))
    with training_lock(out):
        with released_when_done(state, device):
            yield from optimize_steps(state, task, Budget(config.minutes, config.steps), stop=stop, device=device)
            facts = training_facts(
                EnhancerFacts,
                given,
                name or (out.name if out is not None else UNNAMED),
                started_from=None if start is None else start.name,
                weights=None if weights is None else tuple(float(weight) for weight in weights),
                trained_on=REGISTERED_PAIRS if pairs else SIMULATED_WIDEFIELD,
            ).after(state.curve, state.step, state.total)
            enhancer = Enhancer(network, task.sharp_levels, pixel_size, config, microscope, facts)
            # Whatever may go wrong while it is calibrated, the training is not lost.
            kept = None if out is None else save_or_save_beside(enhancer.save, out)
            # On the device and in the precision that it will predict with. Who stops does not want to wait: a rough
            # calibration is quick.
            calibration = yield from calibration_steps(network, task, held, _ROUGHLY if stop() else _CALIBRATED, stop)
        enhancer = replace(enhancer, calibration=calibration)
        if kept is not None:
            enhancer.save(kept.folder)
            kept.raise_if_elsewhere()
    return enhancer


def calibrated(enhancer: Enhancer, images: Sequence[Image], weights: Sequence[float] | None = None) -> Enhancer:
    """Return an enhancer that is calibrated anew, on what was held out of the images it was trained on.

    Parameters
    ----------
    enhancer
        One that was trained on simulated widefield images.
    images, weights
        Those that it was trained on: of others, what it never saw cannot be told apart.
    """
    config = enhancer.config
    training, held = split_held_out(images, draw_weights(images, weights), config)
    task = simulation_task(images, training, config, enhancer.microscope, known_pixel_size(images))
    with on_device(enhancer.network, pick_device(config.device)) as network:
        calibration = run(calibration_steps(network, task, held, _CALIBRATED, never))
    return replace(enhancer, calibration=calibration)


def settings_from(start: Enhancer | None, config: EnhancerConfig) -> EnhancerConfig:
    """Return the settings with the width of the network that is begun from.

    Raises
    ------
    InputError
        If another factor is asked for, or another width that is not the usual one.
    """
    if start is None:
        return config
    if start.config.upscale != config.upscale:
        raise InputError(
            f"{start.name} enlarges {start.config.upscale} times, and {config.upscale} times is asked for: begin from "
            "an enhancer of that factor, or from none."
        )
    if config.channels not in (EnhancerConfig().channels, start.config.channels):
        raise InputError(
            f"{start.name} has {start.config.channels} channels, and {config.channels} are asked for: leave out the "
            "channels, or begin from none."
        )
    return replace(config, channels=start.config.channels)


def known_pixel_size(images: Sequence[Image]) -> float:
    """Return the pixel size of images in nm, or raise an InputError if it is not known."""
    pixel_size = common_pixel_size(images)
    if pixel_size is None:
        raise InputError(f"{images[0].name} has no pixel size: give it in nm (--pixel-size on the command line).")
    return pixel_size


def load_enhancer(model: str | os.PathLike[str]) -> Enhancer:
    """Do what `Enhancer.load` does."""
    return Enhancer.load(model)

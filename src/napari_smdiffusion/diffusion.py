"""The diffusion model: what is known of it, saving and loading, and the generation of new images."""

from __future__ import annotations

import operator
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
import torch

from . import __version__
from .compute import is_out_of_memory, on_device, pick_device, release_memory
from .config import GenerateConfig, TrainConfig
from .denoiser import for_drawing, start_noise, to_numpy
from .images import SYNTHETIC, Image, Scaling, as_images, read_only, room_for
from .model_folder import (
    STATE,
    UNNAMED,
    WEIGHTS,
    Kind,
    ModelFolderError,
    damage_named,
    full_disk_named,
    read_facts,
    save_folder,
)
from .progress import (
    Countdown,
    Generated,
    Note,
    Preview,
    Progress,
    Reporter,
    Steps,
    Stop,
    never,
    run,
    stop_on_interrupt,
)
from .sampling import Sampler, pick_sampler
from .settings import from_dict, to_dict
from .specks import without_specks
from .unet import UNet, read_unet, write_unet
from .unet_config import UnknownNetworkError

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import numpy.typing as npt

    from .training import TrainingState

    Pixels = npt.NDArray[np.float32]

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
        Training data, loss curve, versions and date, as they stand in model.json.
    """

    unet: UNet
    scaling: Scaling
    pixel_size: float | None
    config: TrainConfig
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What a person calls it."""
        return str(self.facts.get("name", UNNAMED))

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
        pixel_size
            In nm; replaces that of the images.
        **settings
            The fields of `TrainConfig`: `DiffusionModel.train([storm], minutes=15, seed=1)`.

        Raises
        ------
        ValueError
            For images that cannot be trained on, or a setting that cannot be.
        MemoryError, TrainingDivergedError
            If not even one patch can be computed, or the loss is no number any more.
        InterruptedError
            If it was stopped before the first step.
        """
        from .diffusion_training import train_steps
        from .models import starting_model

        config = TrainConfig(**settings)
        begin, note = starting_model(start, config.channels)
        with stop_on_interrupt() as stop, closing(Reporter()) as report:
            if note is not None:
                report(note)
            return run(train_steps(as_images(images, pixel_size), config, start=begin, stop=stop), report)

    def generate(self, count: int = 16, *, size: SupportsIndex | tuple[int, int] = 128, **settings: Any) -> Image:
        """Generate `count` images of `size` pixels, a side or (height, width), with a progress bar.

        Other `settings` are the fields of `GenerateConfig`.

        Returns
        -------
        Image of (count, height, width) float32, in the units of the training images: those that were finished when it
        was stopped.

        Raises
        ------
        ValueError
            If a setting cannot be, or the size does not suit the network.
        MemoryError
            If there is no room for so many images, or not even one can be computed.
        InterruptedError
            If it was stopped before the first image was finished.
        """
        height, width = _sides(size)
        config = GenerateConfig(count=count, height=height, width=width, **settings)
        with stop_on_interrupt() as stop, closing(Reporter()) as report:
            return run(generate_steps(self, config, stop=stop), report)

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
        from .models import find_model

        folder = find_model(model, KIND)
        return read_model(folder, read_facts(folder, KIND))


def read_model(folder: Path, facts: dict[str, Any]) -> DiffusionModel:
    """Read the network of a model folder whose model.json holds `facts`; raises ModelFolderError if it is damaged."""
    with damage_named(folder):
        unet = for_drawing(_read_unet(folder))
        config = from_dict(TrainConfig, facts["config"])
        model = DiffusionModel(unet, Scaling(**facts["scaling"]), facts["pixel_size_nm"], config, facts)
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


def intensities(values: npt.NDArray[np.float32], scaling: Scaling) -> npt.NDArray[np.float32]:
    """Network units → intensities that training images may have.

    They are within their range, whole numbers where theirs are, and without specks where theirs have none.
    """
    pixels = np.clip(scaling.unscale(values), scaling.low, scaling.high)
    if not scaling.integer:
        return pixels
    whole = np.round(pixels)
    if scaling.dimmest is not None:
        # Between the background and the dimmest structure lies nothing.
        empty = pixels < (scaling.low + scaling.dimmest) / 2
        whole = np.where(empty, np.float32(scaling.low), np.maximum(whole, np.float32(scaling.dimmest)))
    return whole if scaling.smallest is None else without_specks(whole, scaling.low, scaling.smallest)


def save_model(model: DiffusionModel, folder: Path, *, half: bool = False, state: TrainingState | None = None) -> None:
    """Write the model folder, with the state of a running training when there is one."""
    from .cards import write_diffusion_card

    weights = model.unet.state_dict()
    if state is not None:
        for (key, _), value in zip(model.unet.named_parameters(), state.average, strict=True):
            weights[key] = value

    def write_weights(path: Path) -> None:
        with full_disk_named(folder):
            write_unet(path, model.unet.config, weights, torch.float16 if half else torch.float32)

    def write_state(path: Path, _: dict[str, Any]) -> None:
        if state is not None:
            with full_disk_named(folder):
                torch.save(state.state_dict(), path / STATE)

    facts = {
        **model.facts,
        "kind": KIND,
        "config": to_dict(model.config),
        "pixel_size_nm": model.pixel_size,
        "scaling": vars(model.scaling),
    }
    save_folder(folder, facts, write_weights, write_state, write_diffusion_card)


def generate_steps(
    model: DiffusionModel, config: GenerateConfig, *, pixels: Pixels | None = None, stop: Stop = never
) -> Steps[Image]:
    """Generate images, a few at a time, into `pixels`, (count, height, width), where they are given.

    Image k depends on (`config.seed`, k) and its size alone, not on how many are asked for or computed together.

    Yields
    ------
    Progress after every solver step, Preview of the denoising, and Generated as each image is ready.

    Returns
    -------
    All images that were finished, (N, height, width); `stop` is asked at every solver step.

    Raises
    ------
    ValueError
        If the size or the number of steps does not suit the network.
    MemoryError
        If there is no room for so many images, or not even one can be computed.
    InterruptedError
        If it was stopped before the first image was finished.
    """
    model.sampler.check(config)
    device = pick_device(config.device)
    pixels = room_for(config.count, config.height, config.width) if pixels is None else pixels
    done = 0
    together = min(config.batch, _fitting(config))
    with on_device(model.unet, device) as unet:
        countdown = Countdown(0, config.count * model.sampler.steps(config))
        while done < config.count and not stop():
            # The first one alone, so that there is soon something to see.
            indices = range(done, min(done + (together if done else 1), config.count))
            try:
                images = yield from _generate_batch(unet, model, config, indices, countdown, stop)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if len(indices) == 1:
                    raise MemoryError("Memory ran out with a single image: choose a smaller size.") from error
                images = None
            # Here the error is gone, and with it what it held of the memory.
            if images is None:
                together = max(1, together // 2)
                release_memory()
                yield Note(f"Memory ran out: going on with {together} images at a time.")
                continue
            for index, image in zip(indices, images, strict=False):
                pixels[index] = image
                done += 1
                yield Generated(image, index, config.seed)
    if not done:
        raise InterruptedError("Stopped before the first image was finished: nothing was generated.")
    return Image(
        read_only(pixels[:done]),
        model.pixel_size,
        name=f"{model.name} (synthetic)",
        provenance=provenance(model, config),
    )


def _fitting(config: GenerateConfig) -> int:
    """Return how many images of this size are computed together: about as many pixels as one field of 1024²."""
    return max(1, 1024**2 // (config.height * config.width))


def _generate_batch(
    unet: torch.nn.Module,
    model: DiffusionModel,
    config: GenerateConfig,
    indices: range,
    countdown: Countdown,
    stop: Stop,
) -> Steps[npt.NDArray[np.float32]]:
    """Return images `indices` of the run, or none of them if it was stopped."""
    sampler = model.sampler
    noise = start_noise(config.seed, indices, sampler.denoised_size(config.height, config.width), sampler.channels)
    steps = sampler.steps(config)
    total = config.count * steps
    for step, whole in enumerate(sampler.solve(unet, noise, steps), start=1):
        guess = whole[..., : config.height, : config.width]
        if stop():
            return np.empty((0, config.height, config.width), np.float32)
        done = indices.start * steps + step * len(indices)
        yield Progress("generating", done, total, countdown.left(done))
        if step % 4 == 0:
            yield Preview("generating", step, intensities(to_numpy(guess[:1]), model.scaling))
    return intensities(to_numpy(guess), model.scaling)


def provenance(model: DiffusionModel, config: GenerateConfig) -> dict[str, Any]:
    """Return what generated images say of themselves."""
    return {
        "kind": SYNTHETIC,
        "made_by": f"napari-smdiffusion {__version__}",
        "model": model.name,
        "training_data": model.facts.get("training_data", []),
        "settings": {**to_dict(config), "steps": model.sampler.steps(config)},
    }

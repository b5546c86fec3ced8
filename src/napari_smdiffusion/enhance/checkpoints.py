"""Checkpoints of the training of an enhancer, and the resumption of a training that was interrupted."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from ..base.errors import InputError
from ..base.settings import to_dict
from ..microscope.settings import MicroscopeConfig
from ..store.folder import STATE, model_errors, read_facts, read_training_state, save_or_save_beside
from ..store.whole_folders import exists, settle
from .facts import EnhancerRecord
from .model import KIND, save_enhancer
from .settings import EnhancerConfig

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..images.image import Image
    from ..store.folder import SavedModel
    from ..training.state import TrainingState
    from .facts import EnhancerFacts
    from .model import Enhancer

_LEFT_OUT = (
    "haze_unevenness_range",
    "smooth_light_range",
    "smooth_light_width_range",
    "unevenness_range",
    "unevenness_width_range",
    "correlated_noise_range",
    "correlated_noise_width_range",
)
_LENGTH = ("minutes", "steps", "device", "previews")  # settings that a resumed training may change


class Checkpoints:
    """Saves an enhancer while it is trained, for `optimize_steps`.

    Parameters
    ----------
    enhancer
        The enhancer with the facts that are known before the training.
    out
        Its folder; None to save nothing.
    inputs
        See `digest_of_inputs`.

    Attributes
    ----------
    saved
        Where the enhancer was saved the last time; None before.
    """

    def __init__(self, enhancer: Enhancer, out: Path | None, inputs: str) -> None:
        self._enhancer, self._out, self._inputs = enhancer, out, inputs
        self.saved: SavedModel | None = None

    def __call__(self, state: TrainingState, last: bool) -> None:
        """Save the enhancer and the state; the last time in another place if the folder cannot be written by then."""
        if self._out is None:
            return
        enhancer = replace(self._enhancer, facts=self._enhancer.facts.after(state.curve, state.step, state.total))

        def save(folder: Path) -> None:
            save_enhancer(enhancer, folder, state=state, inputs=self._inputs)

        if last:
            self.saved = save_or_save_beside(save, self._out, KIND)
        else:
            save(self._out)


def digest_of_inputs(pairs: Sequence[tuple[Image, Image]], weights: Sequence[float] | None) -> str:
    """Return a digest of the inputs of a training without the super-resolution images, which the facts list."""
    digest = hashlib.sha256(repr(None if weights is None else [float(weight) for weight in weights]).encode())
    for widefield, _ in pairs:
        digest.update(widefield.digest.encode())
    return digest.hexdigest()


def interrupted_enhancer(out: Path) -> EnhancerRecord:
    """Return the record of the interrupted training of an enhancer in `out`; raises InputError if there is none."""
    settle(out)
    if not exists(out / STATE):
        complete = exists(out / "model.json")
        end = "its training is complete" if complete else "leave out --resume to start one"
        raise InputError(f"There is no training to resume in {out}: {end}.")
    return read_facts(out, KIND, EnhancerRecord)


def resumed_settings(record: EnhancerRecord, config: EnhancerConfig) -> EnhancerConfig:
    """Return the settings of a resumed training: the width of the network may be left out."""
    if config.channels == EnhancerConfig().channels:
        return replace(config, channels=record.config.channels)
    return config


def resumed_microscope(former: MicroscopeConfig, microscope: MicroscopeConfig) -> MicroscopeConfig:
    """Return the microscope of a training that is resumed: smooth and uneven light and shared noise may be left out.

    They depend on the structure, and earlier versions had other defaults.
    """
    default = MicroscopeConfig()
    left_out = [name for name in _LEFT_OUT if getattr(microscope, name) == getattr(default, name)]
    return replace(microscope, **{name: getattr(former, name) for name in left_out})


def load_interrupted(
    state: TrainingState, out: Path, record: EnhancerRecord, enhancer: Enhancer, inputs: str
) -> EnhancerConfig:
    """Load the state of the interrupted training in `out`, after checking that images and settings are the same.

    Returns
    -------
    The settings, with the original length of the training.

    Raises
    ------
    InputError
        If images or settings differ, or the state is damaged.
    """
    _check_images(out, record, enhancer.facts)
    former = {**to_dict(record.config), **to_dict(record.microscope)}
    for key, value in {**to_dict(enhancer.config), **to_dict(enhancer.microscope)}.items():
        if key not in _LENGTH and former[key] != value:
            raise InputError(f"{out} was trained with {key} {former[key]}, not {value}: resume with the same settings.")
    saved = read_training_state(out)
    if saved.get("inputs") != inputs:
        raise InputError(
            f"{out} was trained on other widefield images or with other weights: resume with the same, or start a new "
            "enhancer."
        )
    with model_errors(out):
        state.load_state_dict(saved)
    if state.total is None:
        return enhancer.config
    return replace(enhancer.config, minutes=record.config.minutes, steps=record.config.steps)


def _check_images(out: Path, record: EnhancerRecord, facts: EnhancerFacts) -> None:
    """Raise an InputError if a training had other super-resolution images or another kind of widefield images."""
    same = [image.sha256 for image in record.training_data] == [image.sha256 for image in facts.training_data]
    if not same or record.trained_on != facts.trained_on:
        raise InputError(f"{out} was trained on other images: resume with the same images, or start a new enhancer.")

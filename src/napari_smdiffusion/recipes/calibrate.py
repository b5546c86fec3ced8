"""The job that calibrates an enhancer on the user's own pairs."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.errors import InputError
from ..base.events import Steps, Stop, never
from ..base.folders import user_path
from ..images.provenance import MADE_BY_MODELS
from ..store.catalogue import find_model, is_bundled
from ..store.folder import bytes_of_model, check_place, save_or_save_beside, training_lock
from .job import ImageSource, read_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..enhance.model import Enhancer
    from ..images.axes import Channel


@dataclass(frozen=True, eq=False)
class CalibrateJob:
    """Calibrate the intervals of an enhancer, and of its samples, on real pairs; its weights do not change.

    Parameters
    ----------
    model
        The enhancer, its name or its folder.
    pairs
        (widefield, super-resolution) images of one field each: images, files or other sources. Their pixel sizes are
        those of the enhancer. The widefield image may have a larger field of view.
    out
        New folder for the calibrated enhancer. None: it replaces the one in its folder; one that was given as an object
        stays in memory.
    channel
        Index (the first is 0) or name of the channel, for files with several.

    Raises
    ------
    InputError
        If there is no pair, or a pair is no two images.
    """

    model: Enhancer | str | os.PathLike[str]
    pairs: Sequence[tuple[ImageSource, ImageSource]]
    out: str | os.PathLike[str] | None = None
    channel: Channel = None

    def __post_init__(self) -> None:
        pairs = tuple(tuple(pair) if isinstance(pair, (list, tuple)) else (pair,) for pair in self.pairs)
        if not pairs or any(len(pair) != 2 for pair in pairs):
            raise InputError("pairs must have a widefield image and a super-resolution image each.", "pairs")
        object.__setattr__(self, "pairs", pairs)

    @property
    def title(self) -> str:
        """Short description of the job."""
        model = self.model
        return f"calibrating {Path(model).name if isinstance(model, (str, os.PathLike)) else model.name}"

    def steps(self, stop: Stop = never) -> Steps[Enhancer]:
        """Calibrate the enhancer and save it.

        Yields
        ------
        Progress and Note events.

        Returns
        -------
        The enhancer with the new intervals.

        Raises
        ------
        InputError
            If the enhancer is a bundled one and `out` is None, or a pair does not fit the enhancer (see
            `calibrated_on_pairs_steps`), or a super-resolution image is no measurement.
        OSError
            If a file cannot be read, or the folder cannot be written.
        Stopped
            If the job was stopped; the enhancer is as it was.
        """
        from ..enhance.model import Enhancer

        model = self.model
        folder = None if isinstance(model, Enhancer) else find_model(model, "enhancer")
        target = folder if self.out is None else user_path(self.out).absolute()
        if folder is not None and target == folder and is_bundled(folder, "enhancer"):
            raise InputError(
                f"out must name a new folder: {folder.name} is a bundled enhancer, which stays as it is.", "out"
            )
        enhancer = model if isinstance(model, Enhancer) else Enhancer.load(model if folder is None else folder)
        if target is not None:
            check_place(target, replace=target == folder, needed=_size_of(enhancer))
        with training_lock(target):
            return (yield from self._calibrated(enhancer, target, stop))

    def _calibrated(self, enhancer: Enhancer, target: Path | None, stop: Stop) -> Steps[Enhancer]:
        """Calibrate an enhancer and save it to `target`; None keeps it in memory."""
        from ..enhance.model import save_enhancer
        from ..samples.recalibrating import calibrated_on_pairs_steps

        pairs = []
        for sources in self.pairs:
            coarse, fine = (read_source(source, stop=stop, channel=self.channel) for source in sources)
            for image in (coarse, fine):
                if (kind := image.provenance.kind) in MADE_BY_MODELS:
                    raise InputError(
                        f"{Path(image.name).name} is no measurement ({kind}): intervals are calibrated on pairs of "
                        "measured images."
                    )
            pairs.append((coarse, fine))
        calibrated = yield from calibrated_on_pairs_steps(enhancer, pairs, stop)
        if target is None:
            return calibrated
        if self.out is not None:
            calibrated = replace(calibrated, facts=replace(calibrated.facts, name=target.name))
        saved = save_or_save_beside(lambda place: save_enhancer(calibrated, place), target, "enhancer")
        saved.raise_if_elsewhere()
        return calibrated


def _size_of(enhancer: Enhancer) -> int:
    """Return the space that saving an enhancer needs, in bytes."""
    networks = [enhancer.network, *([] if enhancer.sampler is None else [enhancer.sampler.network])]
    return bytes_of_model(sum(p.numel() for network in networks for p in network.parameters()), state=False)

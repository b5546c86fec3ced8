"""The images that the measures of a report compare, and the patches cut from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ..base.errors import InputError
from ..base.events import Stop, never
from ..images.image import Image, common_pixel_size
from ..images.patches import grid_patches, grid_places
from ..measure.chance import FieldLayout
from ..measure.realism import spread
from .pictures import contrast
from .training_data import known_training_images, partly_trained_on

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..base.arrays import Pixels
    from ..images.provenance import TrainingImage
    from ..measure.error_map import ErrorMap
    from .enhanced import EnhancedField

Value = TypeVar("Value")

SIZES = (128, 96, 64)  # side of the patches in pixels: the first size with enough patches is used
_ENOUGH = 8  # patches of each kind
_COMPARED = 1000  # largest number of patches of each kind, for which textures and skeletons take a minute


@dataclass(frozen=True)
class Patches:
    """Experimental and generated patches of one size: (N, Y, X) and (M, Y, X)."""

    experimental: Pixels
    generated: Pixels

    @property
    def size(self) -> int:
        """Side of the patches in pixels."""
        return int(self.experimental.shape[-1])

    @property
    def fewest(self) -> int:
        """The number of patches of the rarer kind."""
        return min(len(self.experimental), len(self.generated))

    def spread(self, count: int) -> Patches:
        """Return at most `count` patches of each kind, spread evenly over all patches."""
        return Patches(spread(self.experimental, count), spread(self.generated, count))


@dataclass(frozen=True)
class MeasureContext:
    """The images of a comparison, and values that several measures share, computed on first use.

    Parameters
    ----------
    experimental
        Experimental images.
    generated
        Generated images; None if only an enhanced image is compared, and then there are no patches.
    training
        Training images of the model, if they are known.
    enhanced
        An enhanced image with its widefield image; None if none is compared.
    error_maps
        Error maps of the enhanced image, one for each plane.
    stop
        Checked by slow measures.
    """

    experimental: tuple[Image, ...] = ()
    generated: Image | None = None
    training: tuple[Image, ...] = ()
    enhanced: EnhancedField | None = None
    error_maps: tuple[ErrorMap, ...] = ()
    stop: Stop = never
    _computed: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def pixel_size(self) -> float | None:
        """Pixel size in nm of the experimental, generated and training images; None if unknown.

        Raises
        ------
        InputError
            If they differ.
        """
        generated = () if self.generated is None else (self.generated,)
        return common_pixel_size([*self.experimental, *generated, *self.training])

    @cached_property
    def all_patches(self) -> Patches | None:
        """All patches of the largest size with enough patches; None without generated images.

        Raises
        ------
        InputError
            If there are too few patches of the smallest size.
        """
        if self.generated is None:
            return None
        patches = self.cut(SIZES, _ENOUGH)
        if patches.fewest >= _ENOUGH:
            return patches
        raise InputError(
            f"There are {len(patches.generated)} generated and {len(patches.experimental)} experimental patches of "
            f"{patches.size} pixels, and at least {_ENOUGH} of each are needed: generate more or larger images, or "
            "give more experimental ones."
        )

    @cached_property
    def patches(self) -> Patches | None:
        """At most 1000 patches of each kind, spread evenly over all patches; None without generated images."""
        return None if self.all_patches is None else self.all_patches.spread(_COMPARED)

    @cached_property
    def layout(self) -> FieldLayout | None:
        """The fields of view that the patches are cut from; None if each generated patch is a field."""
        if self.generated is None or self.all_patches is None:
            return None
        rows, columns = (side // self.all_patches.size for side in self.generated.size)
        places = grid_places([plane for image in self.experimental for plane in image.pixels], self.all_patches.size)
        layout = FieldLayout(spread(places, _COMPARED), rows, columns, len(self.generated))
        return layout if rows * columns > 1 else None

    @cached_property
    def contrast(self) -> tuple[float, float]:
        """The intensities that pictures of the patches show as black and white."""
        return (0.0, 1.0) if self.patches is None else contrast([self.patches.experimental, self.patches.generated])

    @property
    def training_planes(self) -> list[Pixels]:
        """All planes of the training images, (Y, X) each."""
        return [plane for image in self.training for plane in image.pixels]

    @property
    def searched_planes(self) -> list[Pixels]:
        """The planes that are searched for copies, from the training images among the given images."""
        if self.training:
            return self.training_planes
        return [
            plane for image in self.experimental if Path(image.name).name in self.trained_on for plane in image.pixels
        ]

    @cached_property
    def _stated_training(self) -> tuple[TrainingImage, ...]:
        """The training images that the generated image, or its model, states."""
        return () if self.generated is None else known_training_images(self.generated)

    @cached_property
    def trained_on(self) -> list[str]:
        """Names of the experimental images that are known training images of the model."""
        if self.generated is None:
            return []
        digests = {image.digest for image in self.training} | {image.sha256 for image in self._stated_training}
        return [Path(image.name).name for image in self.experimental if image.digest in digests]

    @cached_property
    def partly_trained_on(self) -> dict[str, str]:
        """Names of the experimental images that share a part with a training image, and the name of the latter."""
        return partly_trained_on(self.experimental, self._stated_training)

    def cut(self, sizes: Sequence[int], enough: int) -> Patches:
        """Cut both kinds into patches of the first size with `enough` patches, or of the last size.

        Raises
        ------
        InputError
            If there are no generated images.
        """
        if self.generated is None:
            raise InputError("There are no generated images to cut into patches: give some.")
        planes = [plane for image in self.experimental for plane in image.pixels]
        for size in sizes:
            patches = Patches(grid_patches(planes, size), grid_patches(list(self.generated.pixels), size))
            if patches.fewest >= enough:
                break
        return patches

    def once(self, compute: Callable[[MeasureContext], Value]) -> Value:
        """Return `compute(self)`, which is computed only once for all measures."""
        if compute not in self._computed:
            self._computed[compute] = compute(self)
        return cast("Value", self._computed[compute])

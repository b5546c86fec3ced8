"""The registry of simulated structures; each structure is a file of this package that registers itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ..base.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from ..base.arrays import Values

DrawSites: TypeAlias = "Callable[[float, float, np.random.Generator], Values]"


@dataclass(frozen=True)
class StructureModel:
    """A model of a labelled structure.

    Parameters
    ----------
    draw_sites
        Function of the side of a square field in nm, the labelling, and a random generator. It returns the positions
        (N, 2) of the labelled sites as (y, x) in nm. Sites outside the field do not appear in the image.
    description
        The appearance of the structure, in one line.
    source
        The reference for its sizes.
    labelling
        Default of the mean share of sites that carry a label.
    """

    draw_sites: DrawSites
    description: str
    source: str
    labelling: float = 0.5


# The realism score is relative to the model that is nearest to the experiment.
STRUCTURES: Registry[StructureModel] = Registry("structure", "STRUCTURES", __package__)


def structure_model(description: str, source: str, labelling: float = 0.5) -> Callable[[DrawSites], StructureModel]:
    """Return a decorator that turns a function which draws labelled sites into a `StructureModel`.

    The parameters are those of `StructureModel`.
    """
    return lambda draw_sites: StructureModel(draw_sites, description, source, labelling)

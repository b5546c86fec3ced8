"""The structures that can be simulated, by name: each is a file of this package that registers itself."""

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
        Function of the side of a square field in nm, the labelling, and a random generator. It returns the places
        (N, 2) of the labelled sites as (y, x) in nm. Sites outside the field are left out of the image.
    description
        What it looks like, in one line.
    source
        Where its sizes come from.
    labelling
        Share of the sites that carry a label, on average, where the caller gives none.
    """

    draw_sites: DrawSites
    description: str
    source: str
    labelling: float = 0.5


# The nearest of these models to the experiment is the unit of the realism score.
STRUCTURES: Registry[StructureModel] = Registry("structure", "STRUCTURES", __package__)


def structure_model(description: str, source: str, labelling: float = 0.5) -> Callable[[DrawSites], StructureModel]:
    """Return a decorator that makes a model of a structure from the function that draws its labelled sites.

    The parameters are those of `StructureModel`.
    """
    return lambda draw_sites: StructureModel(draw_sites, description, source, labelling)

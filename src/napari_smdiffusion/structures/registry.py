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
    linkage_error
        Default of the distance in nm from a site to the fluorophore of its label. 0 if the sites are the fluorophores,
        as those of a model that includes the antibodies.
    realism_unit
        Whether the realism score considers this model. Its unit is the distance of the experiment to the nearest of
        these models, so one more of them can make the unit smaller, and all scores larger. Of the models in the
        package, only microtubules and mitochondria are considered: scores stay comparable with earlier ones.
    """

    draw_sites: DrawSites
    description: str
    source: str
    labelling: float = 0.5
    linkage_error: float = 0.0
    realism_unit: bool = True


STRUCTURES: Registry[StructureModel] = Registry("structure", "STRUCTURES", __package__)


def structure_model(
    description: str,
    source: str,
    labelling: float = 0.5,
    linkage_error: float = 0.0,
    realism_unit: bool = True,
) -> Callable[[DrawSites], StructureModel]:
    """Return a decorator that turns a function which draws labelled sites into a `StructureModel`.

    The parameters are those of `StructureModel`.
    """
    return lambda draw_sites: StructureModel(draw_sites, description, source, labelling, linkage_error, realism_unit)

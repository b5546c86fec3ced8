"""The registry of simulated structures; each structure is a file of this package that registers itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from ..base.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..base.arrays import Values

DrawSites: TypeAlias = "Callable[..., Values]"


@dataclass(frozen=True)
class StructureModel:
    """A model of a labelled structure.

    Parameters
    ----------
    draw_sites
        Function of the side of a square field in nm, the labelling, and a random generator. It returns the positions
        (N, 2) of the labelled sites as (y, x) in nm. Sites outside the field do not appear in the image. With
        `settings`, its fourth argument is an object of that class.
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
    settings
        Dataclass with settings of this structure alone, which are keywords of `simulate`; None if there are none. Their
        names differ from those of `LabellingConfig`.
    unit_settings
        The settings with which the realism score draws this model, where they are not the defaults.
    """

    draw_sites: DrawSites
    description: str
    source: str
    labelling: float = 0.5
    linkage_error: float = 0.0
    realism_unit: bool = True
    settings: type[Any] | None = None
    unit_settings: Mapping[str, Any] = field(default_factory=dict)


STRUCTURES: Registry[StructureModel] = Registry("structure", "STRUCTURES", __package__)


def structure_model(
    description: str,
    source: str,
    labelling: float = 0.5,
    linkage_error: float = 0.0,
    realism_unit: bool = True,
    settings: type[Any] | None = None,
    unit_settings: Mapping[str, Any] | None = None,
) -> Callable[[DrawSites], StructureModel]:
    """Return a decorator that turns a function which draws labelled sites into a `StructureModel`.

    The parameters are those of `StructureModel`.
    """
    facts = (description, source, labelling, linkage_error, realism_unit, settings, unit_settings or {})
    return lambda draw_sites: StructureModel(draw_sites, *facts)

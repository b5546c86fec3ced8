"""Sample images as layers, for the File menu."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from ...images.provenance import SIMULATED, Provenance, layer_metadata
from ...images.samples import sfsrm_pair, simulated_pair, simulated_reference
from ...structures.simulate import simulate
from .sample_axis import SAMPLE, is_stack_of_samples

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...images.image import Image

LayerData: TypeAlias = tuple[Any, dict[str, Any], str]


def simulated_pair_layers() -> list[LayerData]:
    """Return one simulated field at two resolutions, with the same molecules, as napari layers."""
    pair = [_marked(image) for image in (simulated_reference(), simulated_pair()[1])]
    return _layers(pair, ("super-resolution (simulated)", "widefield (simulated)"))


def simulated_training_layers() -> list[LayerData]:
    """Return a simulated image of another field than the pair's, to train on, as a napari layer."""
    return _layers([_marked(simulated_pair()[0])], ("training image (simulated)",))


def _marked(image: Image) -> Image:
    """Return a simulated sample with the record that it is simulated, which its file lacks."""
    return replace(image, provenance=Provenance(SIMULATED, structure="microtubules"))


def _simulated_sample(structure: str, pixel_size: float = 20.0) -> Callable[[], list[LayerData]]:
    """Return a function that simulates 1024 × 1024 pixels of a structure and returns them as a napari layer."""

    def layers() -> list[LayerData]:
        image = simulate(structure, size=1024, pixel_size=pixel_size)
        return _layers([image], (f"{structure} (simulated)",))

    return layers


# One sample for each structure of `napari.yaml`. The smallest details need pixels of 10 nm.
simulated_mitochondria = _simulated_sample("mitochondria")
simulated_actin_cortex = _simulated_sample("actin-cortex", 10.0)
simulated_actin_stress_fibres = _simulated_sample("actin-stress-fibres")
simulated_clathrin_pits = _simulated_sample("clathrin-pits", 10.0)
simulated_endoplasmic_reticulum = _simulated_sample("endoplasmic-reticulum")
simulated_nuclear_pores = _simulated_sample("nuclear-pores", 10.0)
simulated_synaptic_vesicles = _simulated_sample("synaptic-vesicles", 10.0)
simulated_vesicles = _simulated_sample("vesicles")


def microtubule_layers() -> list[LayerData]:
    """Return the SFSRM microtubules as napari layers."""
    pair = sfsrm_pair("microtubule")
    return _layers(pair, [image.name for image in pair])


def mitochondria_layers() -> list[LayerData]:
    """Return the SFSRM mitochondria as napari layers."""
    pair = sfsrm_pair("mitochondria")
    return _layers(pair, [image.name for image in pair])


def _layers(pair: Sequence[Image], names: Sequence[str]) -> list[LayerData]:
    """Return images as layers, the largest field first: napari fits its view to the first layer."""
    layers = [(image, name) for image, name in zip(pair, names, strict=True)]
    layers.sort(key=lambda layer: -max(layer[0].size) * (layer[0].pixel_size or 1.0))
    return [layer_data(image, name) for image, name in layers]


def layer_data(image: Image, name: str) -> LayerData:
    """Return an image as a layer for napari: (pixels, options, "image").

    Lengths in the viewer are nanometres if the pixel size is known, else pixels. A single plane becomes 2-D.
    """
    step, unit = (image.pixel_size, "nm") if image.pixel_size else (1.0, "pixel")
    stacked = len(image) > 1
    # napari's origin is the centre of the first pixel, that of an image its corner.
    corner = image.origin if image.pixel_size else (-0.5, -0.5)
    options = {
        "name": name,
        "scale": (1.0,) * stacked + (step, step),
        "translate": (0.0,) * stacked + tuple(coordinate + step / 2 for coordinate in corner),
        "units": ("pixel",) * stacked + (unit, unit),
        "colormap": "inferno",
        "metadata": layer_metadata(image.provenance),
    }
    if stacked and is_stack_of_samples(image.provenance, image.axes, 3):
        options["axis_labels"] = (SAMPLE, "y", "x")
    return image.pixels if stacked else image.pixels[0], options, "image"

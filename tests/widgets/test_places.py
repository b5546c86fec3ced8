"""Layers whose pixels are compared: their rows and columns must run the same way."""

import numpy as np
import pytest
from napari.layers import Image as ImageLayer

from napari_smdiffusion import InputError
from napari_smdiffusion.images.provenance import layer_metadata
from napari_smdiffusion.widgets.viewer.places import check_not_turned

_STEPS = {"scale": (97, 97), "units": ("nm", "nm")}
_TURN = {"rotate": 30.0, "translate": (5.0, 7.0)}


def _layer(side, **place):
    return ImageLayer(np.zeros((side, side)), name=f"side {side}", **place)


@pytest.mark.parametrize(
    "place", [{"rotate": 0.5}, {"rotate": 180}, {"scale": (-19.4, 19.4)}, {"affine": np.diag((1, -1, 1))}]
)
def test_a_layer_that_is_turned_against_the_other_is_refused(place):
    wide, sharp = _layer(200, **_STEPS), _layer(1000, **{"scale": (19.4, 19.4), "units": ("nm", "nm"), **place})
    with pytest.raises(InputError, match="side 1000 is rotated or mirrored against side 200"):
        check_not_turned(wide, sharp)


def test_layers_that_are_turned_together_or_by_less_than_a_pixel_correspond():
    check_not_turned(
        _layer(200, **_STEPS, **_TURN), _layer(1000, scale=(0.0194, 0.0194), units=("um", "um"), rotate=30)
    )
    check_not_turned(_layer(200, **_STEPS), _layer(1000, scale=(19.4, 19.4), units=("nm", "nm"), rotate=0.2))


def test_the_dock_compares_no_reference_that_is_turned_against_its_widefield_layer(viewer, open_dock):
    wide = viewer.add_image(np.random.default_rng(0).random((32, 32)), name="wide", **_STEPS)
    options = {"scale": (19.4, 19.4), "units": ("nm", "nm")}
    sharp = viewer.add_image(np.zeros((160, 160)), name="sharp", rotate=20, **options)
    made = viewer.add_image(np.zeros((160, 160)), metadata=layer_metadata({"kind": "enhanced"}), **options)
    dock = open_dock("Compare images")
    dock.enhanced.choose(made)
    dock.widefield.choose(wide)
    dock.reference.choose(sharp)
    dock.run()
    assert "sharp is rotated or mirrored against wide" in dock.status.text()
    sharp.rotate = wide.rotate
    assert dock.job().reference.name == "sharp"

"""The sample images of simulated structures in napari."""

from importlib import import_module
from pathlib import Path

import pytest
import yaml

import napari_smdiffusion
from napari_smdiffusion import STRUCTURES

_MANIFEST = yaml.safe_load((Path(napari_smdiffusion.__file__).parent / "napari.yaml").read_text())["contributions"]
_COMMANDS = {command["id"]: command["python_name"] for command in _MANIFEST["commands"]}
_SAMPLES = {sample["key"]: _COMMANDS[sample["command"]] for sample in _MANIFEST["sample_data"]}


def test_napari_offers_a_sample_of_every_structure():
    simulated = {key.removeprefix("simulated_").replace("_", "-") for key in _SAMPLES}
    assert {*STRUCTURES} - simulated == {"microtubules"}  # the simulated pair shows them


@pytest.mark.parametrize("structure", ["nuclear-pores", "mitochondria"])
def test_a_sample_is_a_layer_with_its_pixel_size_and_provenance(structure):
    module, function = _SAMPLES[f"simulated_{structure.replace('-', '_')}"].split(":")
    ((pixels, options, kind),) = getattr(import_module(module), function)()
    assert kind == "image"
    assert pixels.shape == (1024, 1024)
    assert options["scale"] == ((10.0, 10.0) if structure == "nuclear-pores" else (20.0, 20.0))
    assert options["metadata"]["napari_smdiffusion"]["provenance"]["structure"] == structure

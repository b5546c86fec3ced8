"""The facts in model.json: their types, keys of other versions, and damaged files."""

import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_smdiffusion import DiffusionModel, Enhancer, MicroscopeConfig, ModelFolderError
from napari_smdiffusion.diffusion.facts import DiffusionFacts, DiffusionRecord
from napari_smdiffusion.enhance.facts import EnhancerRecord
from napari_smdiffusion.images.provenance import TrainingImage
from napari_smdiffusion.recipes.train_diffusion import starting_model
from napari_smdiffusion.store import catalogue
from napari_smdiffusion.store.catalogue import list_models
from napari_smdiffusion.store.facts import TrainingFacts
from napari_smdiffusion.store.folder import read_facts

OLD = Path(__file__).parents[1] / "data" / "old"
_RECORDS = {"diffusion": DiffusionRecord, "enhancer": EnhancerRecord}


def _model_json(folder):
    return json.loads((folder / "model.json").read_text(encoding="utf-8"))


def _change(folder, path, value):
    """Set the value in model.json at a path of keys."""
    stated = _model_json(folder)
    *parents, last = path
    target = stated
    for key in parents:
        target = target[key]
    target[last] = value
    (folder / "model.json").write_text(json.dumps(stated), encoding="utf-8")


@pytest.fixture
def old_model(tmp_path):
    def copy(kind):
        shutil.copytree(OLD / kind, tmp_path / kind)
        return tmp_path / kind

    return copy


# The light that the stored enhancer was trained with was no setting then.
_NO_LIGHT = {
    "smooth_light_range": [0.0, 0.0],
    "smooth_light_width_range": [500.0, 2000.0],
    "unevenness_range": [0.0, 0.0],
    "unevenness_width_range": [600.0, 2000.0],
    "haze_unevenness_range": [0.0, 0.0],
    "correlated_noise_range": [0.0, 0.0],
    "correlated_noise_width_range": [0.5, 1.3],
}


def _as_written(stated):
    """Return the content of a model.json of an earlier version with the settings of this one."""
    microscope = {"microscope": {**_NO_LIGHT, **stated["microscope"]}} if "microscope" in stated else {}
    if stated["kind"] == "diffusion":
        stated = {**stated, "config": {**stated["config"], "widest_fraction": 0.0}}
    return {**stated, **microscope}


@pytest.mark.parametrize("kind", ["diffusion", "enhancer"])
def test_facts_of_an_earlier_version_are_written_unchanged(kind):
    record = read_facts(OLD / kind, kind, _RECORDS[kind])
    written = {"format_version": 1, "kind": kind, **json.loads(json.dumps(record.to_json()))}
    assert written == _as_written(_model_json(OLD / kind))


def test_an_enhancer_of_an_earlier_version_states_the_light_it_was_trained_with(old_model):
    folder = old_model("enhancer")
    _change(folder, ["widefield"], {"method": "local"})  # its pixels are 25 nm, and its factor 4
    record = read_facts(folder, "enhancer", EnhancerRecord)
    assert record.microscope == MicroscopeConfig(
        unevenness_range=(0.0, 0.0), correlated_noise_range=(0.0, 0.0), haze_unevenness_range=(0.0, 0.0)
    )
    _change(folder, ["pixel_size_nm"], 10.0)
    assert read_facts(folder, "enhancer", EnhancerRecord).microscope.smooth_light_width_range == (200.0, 800.0)
    # What a model of this version states counts.
    stated = {**_model_json(folder)["microscope"], "smooth_light_range": [1.0, 2.0], "unevenness_range": [0.1, 0.2]}
    _change(folder, ["microscope"], stated)
    microscope = read_facts(folder, "enhancer", EnhancerRecord).microscope
    assert (microscope.smooth_light_range, microscope.unevenness_range) == ((1.0, 2.0), (0.1, 0.2))


def test_facts_have_types():
    facts = DiffusionModel.load(OLD / "diffusion").facts
    assert isinstance(facts, DiffusionFacts)
    (image,) = facts.training_data
    assert isinstance(image, TrainingImage)
    assert (image.name, image.shape, image.kind) == ("simulated.tif", (1, 112, 112), "simulated")
    assert (facts.steps, facts.total_steps, facts.started_from, facts.imported) == (26, 44, None, None)
    enhancer = Enhancer.load(OLD / "enhancer")
    assert (enhancer.facts.weights, enhancer.facts.trained_on) == (None, "simulated widefield")
    assert not enhancer.calibration.facts.held_out


def test_keys_that_earlier_versions_left_out_have_defaults(old_model):
    folder = old_model("diffusion")
    stated = _model_json(folder)
    for key in ("name", "started_from", "curve", "steps", "total_steps", "date", "versions"):
        del stated[key]
    for key in ("dimmest", "smallest", "integer"):
        del stated["scaling"][key]
    del stated["config"]["wide_fraction"]
    stated |= {
        "parameterization": "reference-noise-prediction",
        "noise_schedule": {"name": "cosine"},
        "imported": {"file": "a.pt"},
    }
    (folder / "model.json").write_text(json.dumps(stated))
    record = read_facts(folder, "diffusion", DiffusionRecord)
    assert (record.name, record.started_from, record.curve, record.steps) == ("unnamed", None, (), 0)
    assert (record.scaling.dimmest, record.scaling.smallest, record.scaling.integer) == (None, None, False)
    assert record.noise_schedule.steps == 1000


@pytest.mark.parametrize(("kind", "model"), [("diffusion", DiffusionModel), ("enhancer", Enhancer)])
def test_keys_of_later_versions_are_saved_again(old_model, tmp_path, kind, model):
    folder = old_model(kind)
    _change(folder, ["condition"], {"classes": ["a", "b"]})
    loaded = model.load(folder)
    assert loaded.facts.more == {"condition": {"classes": ["a", "b"]}}
    replace(loaded, facts=replace(loaded.facts, attribution="by the author")).save(tmp_path / "again")
    assert _model_json(tmp_path / "again") == {**_as_written(_model_json(folder)), "attribution": "by the author"}


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("diffusion", ["pixel_size_nm"], "abc"),
        ("diffusion", ["pixel_size_nm"], 0),
        ("diffusion", ["pixel_size_nm"], 1e-300),
        ("diffusion", ["pixel_size_nm"], True),
        ("diffusion", ["name"], 5),
        ("diffusion", ["steps"], 1.5),
        ("diffusion", ["steps"], -1),
        ("diffusion", ["curve"], 0),
        ("diffusion", ["curve"], [["a"]]),
        ("diffusion", ["training_data"], [{"name": 1}]),
        ("diffusion", ["versions"], []),
        ("diffusion", ["scaling"], None),
        ("diffusion", ["scaling", "mean"], "x"),
        ("diffusion", ["scaling", "mean"], 10**400),
        ("diffusion", ["scaling", "mean"], 1e300),
        ("diffusion", ["scaling", "std"], 0),
        ("diffusion", ["scaling", "spread"], 0),
        ("diffusion", ["scaling", "low"], 1e30),
        ("diffusion", ["config"], []),
        ("diffusion", ["config", "channels"], "16"),
        ("diffusion", ["config", "batch"], 0),
        ("diffusion", ["parameterization"], "reference-noise-prediction"),
        ("diffusion", ["noise_schedule"], {"name": "cosine", "steps": 10**12}),
        ("diffusion", ["imported"], {"file": []}),
        ("diffusion", ["format_version"], None),
        ("diffusion", ["format_version"], 0),
        ("diffusion", ["format_version"], -1),
        ("diffusion", ["format_version"], "1"),
        ("diffusion", ["format_version"], True),
        ("diffusion", ["format_version"], 1.0),
        ("diffusion", ["kind"], None),
        ("diffusion", ["scaling", "spread"], 1e-3),
        ("diffusion", ["scaling", "mean"], 100.0),
        ("diffusion", ["scaling", "std"], 1e6),
        ("diffusion", ["scaling", "dimmest"], -1.0),
        ("diffusion", ["config", "channels"], [10**9]),
        ("diffusion", ["config", "channels"], [32]),
        ("diffusion", ["imported"], {"file": "a.pt", "heads": -1}),
        ("enhancer", ["pixel_size_nm"], 0),
        ("enhancer", ["levels", "dark"], "x"),
        ("enhancer", ["levels", "bright"], -1),
        ("enhancer", ["config", "channels"], 4096),
        ("enhancer", ["config", "upscale"], "4"),
        ("enhancer", ["microscope"], "confocal"),
        ("enhancer", ["microscope", "na"], None),
        ("enhancer", ["weights"], "1 2"),
        ("enhancer", ["config", "channels"], 10**9),
        ("enhancer", ["calibration", "intensities", 0], 2.0),
        ("enhancer", ["calibration", "spreads", 0, 0], -1.0),
        ("enhancer", ["calibration", "spreads"], []),
        ("enhancer", ["calibration", "intensities"], [[1]]),
        ("enhancer", ["calibration", "half_widths"], [[[0.1]]]),
        ("enhancer", ["calibration", "facts", "coverage"], [0.5]),
        ("enhancer", ["calibration", "facts", "levels"], 3),
    ],
)
def test_a_value_of_a_wrong_type_or_range_is_refused(old_model, kind, path, value):
    folder = old_model(kind)
    _change(folder, path, value)
    with pytest.raises(ModelFolderError, match="is damaged"):
        (DiffusionModel if kind == "diffusion" else Enhancer).load(folder)


@pytest.mark.parametrize("text", ["[]", "3", "[" * 100_000, '{"format_version": 1e400, "kind": "diffusion"}', "{", ""])
def test_a_model_json_without_facts_is_refused(old_model, text):
    folder = old_model("diffusion")
    (folder / "model.json").write_text(text)
    with pytest.raises(ModelFolderError, match="is damaged"):
        read_facts(folder, "diffusion", TrainingFacts)


def test_numbers_that_are_not_finite_are_refused(old_model):
    folder = old_model("diffusion")
    for number in ("NaN", "Infinity", "1e999"):
        text = json.dumps({**_model_json(OLD / "diffusion"), "other": "X"}).replace('"X"', number)
        (folder / "model.json").write_text(text)
        with pytest.raises(ModelFolderError, match="is damaged"):
            read_facts(folder, "diffusion", TrainingFacts)


def _without(tensors):
    tensors.pop(sorted(tensors)[-1])


def _cut(tensors):
    name = sorted(tensors)[0]
    tensors[name] = tensors[name][:1].clone()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_without, "its tensor .* is missing"),
        (lambda tensors: tensors.update(more=torch.ones(2)), "its tensor more does not belong to the network"),
        (_cut, "its tensor .* has the shape"),
        (lambda tensors: tensors[min(tensors)].flatten()[:1].fill_(float("nan")), "values that are not finite"),
        (lambda tensors: tensors[min(tensors)].flatten()[:1].fill_(1e20), "which no trained network has"),
        (lambda tensors: tensors.update({min(tensors): tensors[min(tensors)].to(torch.float8_e5m2)}), "F8_E5M2"),
    ],
)
@pytest.mark.parametrize(("kind", "model"), [("diffusion", DiffusionModel), ("enhancer", Enhancer)])
def test_a_model_with_other_weights_than_its_network_is_refused(old_model, kind, model, change, reason):
    folder = old_model(kind)
    (path,) = (folder / "weights").glob("*.safetensors")
    tensors = {name: value.float() for name, value in load_file(path).items()}
    change(tensors)
    save_file(tensors, path)
    with pytest.raises(ModelFolderError, match=rf"is damaged \(.*{reason}.*\): copy or train the model again"):
        model.load(folder)
    if kind == "diffusion":
        with pytest.raises(ModelFolderError, match="is damaged"):
            starting_model(folder, (16,))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such devices in folders")
@pytest.mark.parametrize("file", ["model.json", "weights/config.json", "weights/diffusion_pytorch_model.safetensors"])
def test_links_to_endless_devices_and_pipes_are_not_read(old_model, tmp_path, file):
    folder = old_model("diffusion")
    os.mkfifo(tmp_path / "pipe")
    for target in ("/dev/zero", tmp_path / "pipe"):
        (folder / file).unlink()
        (folder / file).symlink_to(target)
        with pytest.raises(ModelFolderError, match=r"is a (device|pipe)"):
            DiffusionModel.load(folder)


def test_damaged_models_do_not_hide_the_others(old_model, monkeypatch, tmp_path):
    monkeypatch.setenv("SMDIFFUSION_HOME", str(tmp_path))
    before = [entry.name for entry in list_models("diffusion")]
    for name, value in (("whole", 25.0), ("damaged", "abc"), ("huge", 10**400)):
        shutil.copytree(OLD / "diffusion", tmp_path / "diffusion" / name)
        _change(tmp_path / "diffusion" / name, ["pixel_size_nm"], value)
    for name, text in (("deep", "[" * 10**5), ("endless", '{"format_version": Infinity, "kind": "diffusion"}')):
        shutil.copytree(OLD / "diffusion", tmp_path / "diffusion" / name)
        (tmp_path / "diffusion" / name / "model.json").write_text(text)
    read = catalogue.read_facts

    def failing(folder, *arguments):
        if folder.name == "small memory":
            raise MemoryError
        return read(folder, *arguments)

    shutil.copytree(OLD / "diffusion", tmp_path / "diffusion" / "small memory")
    monkeypatch.setattr(catalogue, "read_facts", failing)
    assert [entry.name for entry in list_models("diffusion")] == ["whole", *before]

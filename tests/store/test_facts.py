"""What model.json states: read with types, kept when it is not known, and refused in a sentence when it is damaged."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from napari_smdiffusion import DiffusionModel, Enhancer, ModelFolderError
from napari_smdiffusion.diffusion.facts import DiffusionFacts, DiffusionRecord
from napari_smdiffusion.enhance.facts import EnhancerRecord
from napari_smdiffusion.images.provenance import TrainingImage
from napari_smdiffusion.store.catalogue import list_models
from napari_smdiffusion.store.facts import TrainingFacts
from napari_smdiffusion.store.folder import read_facts

OLD = Path(__file__).parents[1] / "data" / "old"
_RECORDS = {"diffusion": DiffusionRecord, "enhancer": EnhancerRecord}


def _stated(folder):
    return json.loads((folder / "model.json").read_text(encoding="utf-8"))


def _change(folder, path, value):
    """Set a value deep in model.json; a path of no keys is the whole of it."""
    stated = _stated(folder)
    *above, last = path
    inside = stated
    for key in above:
        inside = inside[key]
    inside[last] = value
    (folder / "model.json").write_text(json.dumps(stated), encoding="utf-8")


@pytest.fixture
def old(tmp_path):
    def copied(kind):
        shutil.copytree(OLD / kind, tmp_path / kind)
        return tmp_path / kind

    return copied


@pytest.mark.parametrize("kind", ["diffusion", "enhancer"])
def test_what_an_earlier_version_saved_is_written_as_it_was(kind):
    record = read_facts(OLD / kind, kind, _RECORDS[kind])
    written = {"format_version": 1, "kind": kind, **json.loads(json.dumps(record.to_json()))}
    assert written == _stated(OLD / kind)


def test_facts_have_types():
    facts = DiffusionModel.load(OLD / "diffusion").facts
    assert isinstance(facts, DiffusionFacts)
    (seen,) = facts.training_data
    assert isinstance(seen, TrainingImage)
    assert (seen.name, seen.shape, seen.kind) == ("simulated.tif", (1, 112, 112), "simulated")
    assert (facts.steps, facts.total_steps, facts.started_from, facts.imported) == (26, 44, None, None)
    enhancer = Enhancer.load(OLD / "enhancer")
    assert (enhancer.facts.weights, enhancer.facts.trained_on) == (None, "simulated widefield")
    assert not enhancer.calibration.facts.held_out


def test_what_earlier_versions_left_out_has_a_default(old):
    folder = old("diffusion")
    stated = _stated(folder)
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
def test_keys_of_later_versions_are_kept(old, tmp_path, kind, model):
    folder = old(kind)
    _change(folder, ["condition"], {"classes": ["a", "b"]})
    loaded = model.load(folder)
    assert loaded.facts.more == {"condition": {"classes": ["a", "b"]}}
    replace(loaded, facts=replace(loaded.facts, attribution="by me")).save(tmp_path / "again")
    assert _stated(tmp_path / "again") == {**_stated(folder), "attribution": "by me"}


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
        ("enhancer", ["pixel_size_nm"], 0),
        ("enhancer", ["levels", "dark"], "x"),
        ("enhancer", ["levels", "bright"], -1),
        ("enhancer", ["config", "channels"], 4096),
        ("enhancer", ["config", "upscale"], "4"),
        ("enhancer", ["microscope"], "confocal"),
        ("enhancer", ["microscope", "na"], None),
        ("enhancer", ["weights"], "1 2"),
        ("enhancer", ["calibration", "spreads"], []),
        ("enhancer", ["calibration", "intensities"], [[1]]),
        ("enhancer", ["calibration", "half_widths"], [[[0.1]]]),
        ("enhancer", ["calibration", "facts", "coverage"], [0.5]),
        ("enhancer", ["calibration", "facts", "levels"], 3),
    ],
)
def test_a_value_of_another_type_or_range_is_a_damaged_model(old, kind, path, value):
    folder = old(kind)
    _change(folder, path, value)
    with pytest.raises(ModelFolderError, match="is damaged"):
        (DiffusionModel if kind == "diffusion" else Enhancer).load(folder)


@pytest.mark.parametrize("text", ["[]", "3", "[" * 100_000, '{"format_version": 1e400, "kind": "diffusion"}', "{", ""])
def test_what_is_no_facts_at_all_is_a_damaged_model(old, text):
    folder = old("diffusion")
    (folder / "model.json").write_text(text)
    with pytest.raises(ModelFolderError, match="is damaged"):
        read_facts(folder, "diffusion", TrainingFacts)


def test_numbers_that_are_not_finite_are_refused(old):
    folder = old("diffusion")
    for number in ("NaN", "Infinity", "1e999"):
        text = json.dumps({**_stated(OLD / "diffusion"), "other": "X"}).replace('"X"', number)
        (folder / "model.json").write_text(text)
        with pytest.raises(ModelFolderError, match="is damaged"):
            read_facts(folder, "diffusion", TrainingFacts)


@pytest.mark.parametrize(("kind", "model"), [("diffusion", DiffusionModel), ("enhancer", Enhancer)])
def test_a_model_whose_weights_lack_a_tensor_is_damaged(old, kind, model):
    folder = old(kind)
    (path,) = (folder / "weights").glob("*.safetensors")
    tensors = load_file(path)
    tensors.pop(sorted(tensors)[-1])
    save_file(tensors, path)
    with pytest.raises(ModelFolderError, match="is damaged"):
        model.load(folder)


def test_one_damaged_model_leaves_the_others_in_the_list(old, monkeypatch, tmp_path):
    monkeypatch.setenv("SMDIFFUSION_HOME", str(tmp_path))
    before = [entry.name for entry in list_models("diffusion")]
    for name, value in (("whole", 25.0), ("damaged", "abc"), ("huge", 10**400)):
        shutil.copytree(OLD / "diffusion", tmp_path / "diffusion" / name)
        _change(tmp_path / "diffusion" / name, ["pixel_size_nm"], value)
    assert [entry.name for entry in list_models("diffusion")] == ["whole", *before]

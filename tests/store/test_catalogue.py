"""The catalogue of models, the bundled models, and the start of a training."""

import json
import os
import re
from pathlib import Path

import pytest

from napari_smdiffusion import (
    DiffusionModel,
    EnhancedField,
    Enhancer,
    TrainConfig,
    list_models,
    load_diffusion_model,
    load_enhancer,
    read_image,
    simulate,
)
from napari_smdiffusion.base.folders import bundled_folder, user_folder
from napari_smdiffusion.cli.entry import main
from napari_smdiffusion.diffusion.settings import DEFAULT_START, NOISE, GenerateConfig
from napari_smdiffusion.recipes.generate import facts_to_generate
from napari_smdiffusion.recipes.train_diffusion import default_start
from napari_smdiffusion.report.enhanced import compare_with_reference
from napari_smdiffusion.store import folder
from napari_smdiffusion.store.catalogue import damaged_models, find_model, free_name
from napari_smdiffusion.store.folder import ModelFolderError


def test_models_are_found_by_folder_and_by_name(tiny_model, tmp_path):
    tiny_model.save(user_folder() / "diffusion" / "mine")
    tiny_model.save(tmp_path / "elsewhere")
    assert find_model("mine", "diffusion") == user_folder() / "diffusion" / "mine"
    assert find_model(tmp_path / "elsewhere", "diffusion") == tmp_path / "elsewhere"
    assert {"mine", "microtubules"} <= {entry.name for entry in list_models("diffusion")}
    with pytest.raises(ModelFolderError, match="mine, microtubules"):
        find_model("nothing", "diffusion")
    with pytest.raises(ModelFolderError, match="There is no diffusion model"):
        find_model("../enhancer", "diffusion")


@pytest.mark.skipif(os.name != "posix", reason="this system has no such permissions")
def test_all_files_of_a_model_have_the_same_permissions(tiny_model, tiny_enhancer, tmp_path):
    mask = os.umask(0o027)
    try:
        tiny_model.save(tmp_path / "m")
        tiny_enhancer.save(tmp_path / "e")
    finally:
        os.umask(mask)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".safetensors", ".json", ".md"}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o640}


@pytest.mark.parametrize(
    ("used", "free"), [("cells", "cells 2"), ("cells 9", "cells 10"), ("STORM 512²", "STORM 512² 2")]
)
def test_a_free_name_has_the_next_number(used, free):
    assert free_name(used, "enhancer") == used
    (user_folder() / "enhancer" / used).mkdir(parents=True)
    assert free_name(used, "enhancer") == free


def test_the_limits_of_a_model_are_checked_without_its_network(tiny_model, tmp_path):
    def change_facts(**facts):
        text = json.dumps({**json.loads((tmp_path / "m" / "model.json").read_text()), **facts})
        (tmp_path / "m" / "model.json").write_text(text)

    tiny_model.save(tmp_path / "m")
    small = GenerateConfig(height=32, width=32)
    assert facts_to_generate(tmp_path / "m", GenerateConfig(height=64, width=64)).name == "m"
    with pytest.raises(ValueError, match="height must be at least 64 for this model, not 32"):
        facts_to_generate(tmp_path / "m", small)
    change_facts(parameterization=NOISE, noise_schedule={"name": "cosine", "steps": 200})
    facts_to_generate(tmp_path / "m", small)
    with pytest.raises(ValueError, match="steps must be at most 200 for this model, not 201"):
        facts_to_generate(tmp_path / "m", GenerateConfig(steps=201))
    change_facts(noise_schedule=None)
    with pytest.raises(ModelFolderError, match="is damaged"):
        facts_to_generate(tmp_path / "m", small)


def test_damaged_models_are_named_instead_of_listed(tiny_model, capsys):
    folder = user_folder() / "diffusion"
    (folder / "broken").mkdir(parents=True)
    tiny_model.save(folder / "short")
    (folder / "short" / "model.json").write_text("{")
    tiny_model.save(folder / "whole")
    assert {"broken", "short"}.isdisjoint(entry.name for entry in list_models())
    assert main(["models"]) == 0
    printed = capsys.readouterr().out
    assert f"{folder / 'broken'} is no model folder: it has no model.json." in printed
    assert f"{folder / 'short' / 'model.json'} is damaged" in printed
    assert "whole" in printed
    assert len(damaged_models()) == 2


@pytest.mark.parametrize("structure", ["microtubules", "mitochondria"])
def test_bundled_models_are_small_and_attributed_and_generate_images(structure):
    sizes = {
        "diffusion": {"diffusion_pytorch_model": 10e6},
        "enhancer": {"diffusion_pytorch_model": 10e6, "enhancer": 2e6},
    }
    for kind, most in sizes.items():
        folder = bundled_folder() / kind / structure
        weights = {file.stem: file.stat().st_size for file in folder.glob("weights/*.safetensors")}
        assert set(weights) == set(most)
        assert all(weights[name] <= most[name] for name in most)
        card = (folder / "README.md").read_text(encoding="utf-8")
        assert "SFSRM" in card
        assert "BSD-3-Clause" in card
    card = (bundled_folder() / "diffusion" / structure / "README.md").read_text(encoding="utf-8")
    assert "Realism score" in card
    assert (bundled_folder() / "diffusion" / structure / "samples.png").stat().st_size > 50_000
    fields = load_diffusion_model(structure).generate(2, size=128, seed=0)
    assert fields.pixel_size == pytest.approx(19.36 if structure == "microtubules" else 20, abs=0.01)
    assert 0 < fields.pixels.mean() < 60


def test_enhancers_of_both_structures_and_factors_are_bundled():
    factors = {name: load_enhancer(name).config.upscale for name in _ENHANCERS}
    assert factors == _ENHANCERS
    assert all(load_enhancer(name).calibration.facts.held_out for name in _ENHANCERS)


_ENHANCERS = {"microtubules": 5, "microtubules-x4": 4, "mitochondria": 4, "mitochondria-x5": 5}


def test_the_bundled_enhancer_reaches_the_correlation_of_its_card(sfsrm):
    enhancer = load_enhancer("microtubules")
    storm = read_image(sfsrm / "microtubule_STORM.tif")
    widefield = read_image(sfsrm / "microtubule_widefield.tif", 5 * storm.pixel_size)
    widefield = widefield.crop(slice(50, 306), slice(48, 304))
    field = EnhancedField(enhancer.enhance(widefield), widefield, storm)
    agreement = compare_with_reference(field, slice(960, None))["registered"]["enhanced"]
    card = (bundled_folder() / "enhancer" / "microtubules" / "README.md").read_text(encoding="utf-8")
    plain, blurred = re.search(r"STORM\s+image (0\.\d+) \((0\.\d+) blurred", card).groups()
    # Rounding depends on the processor.
    assert agreement["correlation"] == pytest.approx(float(plain), abs=0.02)
    assert agreement["correlation_blurred"] == pytest.approx(float(blurred), abs=0.02)


def test_the_sample_images_need_no_network_connection():
    from napari_smdiffusion.images.samples import simulated_pair, simulated_reference

    sharp, widefield = simulated_pair()
    assert widefield.pixel_size == pytest.approx(5 * sharp.pixel_size)
    assert simulated_reference().size == tuple(5 * n for n in widefield.size)
    assert all(Path(image.name).exists() for image in (sharp, widefield))


def test_trainings_start_from_the_simulated_filaments_by_default():
    start = default_start(TrainConfig().channels)
    assert start.name == DEFAULT_START
    assert default_start((16, 32)) is None
    field = simulate("mitochondria", 1, 64, 20.0, seed=1)
    settings = {"steps": 1, "patch": 64, "batch": 1, "previews": 0}
    assert DiffusionModel.train([field], **settings).facts.started_from == DEFAULT_START
    assert DiffusionModel.train([field], start=None, **settings).facts.started_from is None


def test_a_training_starts_from_a_model_by_its_name_or_folder(
    tiny_model, tiny_enhancer, storm, tmp_path, quick_calibration
):
    tiny_model.save(user_folder() / "diffusion" / "mine")
    tiny_enhancer.save(tmp_path / "sharp")
    assert DiffusionModel.load("mine").facts.name == "mine"
    assert Enhancer.load(tmp_path / "sharp").facts.name == "sharp"
    settings = {"steps": 1, "patch": 64, "batch": 1, "previews": 0}
    for start in ("mine", user_folder() / "diffusion" / "mine"):
        assert DiffusionModel.train([storm], start=start, **settings).facts.started_from == "mine"
    assert Enhancer.train(storm, start=str(tmp_path / "sharp"), upscale=4, **settings).facts.started_from == "sharp"
    with pytest.raises(ModelFolderError, match="There is no diffusion model 'another'"):
        DiffusionModel.train([storm], start="another", **settings)
    with pytest.raises(ModelFolderError, match="There is no enhancer model 'another'"):
        Enhancer.train(storm, start="another", upscale=4, **settings)


def test_a_note_states_that_the_default_start_has_other_channels(storm, capsys):
    settings = {"steps": 1, "patch": 64, "batch": 1, "previews": 0}
    model = DiffusionModel.train([storm], channels=(16, 32), **settings)
    assert model.facts.started_from is None
    assert f"from scratch: the default start, {DEFAULT_START}, has other channels than 16 32" in capsys.readouterr().err
    DiffusionModel.train([storm], channels=(16, 32), start=None, **settings)
    assert "from scratch" not in capsys.readouterr().err


def test_other_channels_than_those_of_the_start_are_refused(tiny_model, tiny_enhancer, storm):
    settings = {"steps": 1, "patch": 64, "batch": 1, "previews": 0}
    with pytest.raises(ValueError, match="has the channels 16 32, not 16 48"):
        DiffusionModel.train([storm], start=tiny_model, channels=(16, 48), **settings)
    with pytest.raises(ValueError, match="has 16 channels, and the setting is 24"):
        Enhancer.train(storm, start=tiny_enhancer, channels=24, upscale=4, **settings)


def test_the_facts_of_a_model_are_read_once(tiny_model, tmp_path, monkeypatch):
    tiny_model.save(tmp_path / "m")
    read, calls = folder.read_text, []

    def counted(path):
        calls.append(path.name)
        return read(path)

    monkeypatch.setattr(folder, "read_text", counted)
    model = DiffusionModel.load(tmp_path / "m")
    assert calls.count("model.json") == 1
    assert model.sampler is model.sampler
    default_start(TrainConfig().channels)
    assert calls.count("model.json") == 2

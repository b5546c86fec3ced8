"""The card of a model, which a user reads before using it, from the facts of the model."""

import json

import pytest

from napari_smdiffusion import Enhancer, list_models
from napari_smdiffusion.cli.entry import main
from napari_smdiffusion.store.facts import ModelSummary
from napari_smdiffusion.store.model_card import card_rows, read_model_card


@pytest.mark.parametrize("entry", list_models(), ids=lambda entry: f"{entry.kind} {entry.name}")
def test_the_bundled_models_state_what_they_are_for(entry):
    summary = entry.summary
    assert summary.shows
    assert summary.not_for
    assert summary.tested_on or entry.name == "start-any"
    assert (summary.license, bool(summary.citation)) == ("BSD-3-Clause", True)


def test_the_card_of_an_enhancer_has_structure_pixels_optics_tests_and_limits():
    rows = dict(read_model_card("microtubules", "enhancer").rows)
    assert rows["structure"] == "microtubules"
    assert rows["widefield pixels"] == "96.8 nm; 48 to 194 nm are resampled"
    assert rows["result"] == "×5, trained for 19.4 nm"
    assert rows["optics"] == "NA 1.4, 670 nm, simulated"
    assert "One real pair" in rows["tested on"]
    assert "drawn into any image" in rows["not for"]


def test_a_model_that_states_nothing_has_a_card_too():
    for kind in ("enhancer", "diffusion"):
        rows = dict(card_rows(ModelSummary(), kind))
        assert rows["structure"] == "not stated"
        assert all(rows.values())


def test_models_prints_the_cards_of_a_name(capsys):
    assert main(["models", "microtubules"]) == 0
    text = capsys.readouterr().out
    assert "microtubules (diffusion model)" in text
    assert "microtubules (enhancer)" in text
    assert "NA 1.4, 670 nm" in text
    assert main(["models", "nothing"]) == 2
    assert "There is no model 'nothing'" in capsys.readouterr().err


def test_the_card_of_an_own_model_states_what_its_author_writes(tiny_enhancer, tmp_path, capsys):
    folder = tmp_path / "tiny"
    tiny_enhancer.save(folder)
    weights = {path: path.read_bytes() for path in (folder / "weights").iterdir()}
    command = ["models", str(folder), "--tested-on", "two pairs", "--license", "CC-BY-4.0", "--citation", "Doe 2026"]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert all(value in text for value in ("two pairs", "CC-BY-4.0", "Doe 2026"))
    rows = dict(read_model_card(folder, "enhancer").rows)
    assert (rows["tested on"], rows["license"], rows["citation"]) == ("two pairs", "CC-BY-4.0", "Doe 2026")
    assert rows["structure"] == "microtubules"
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "- license: CC-BY-4.0" in card
    assert "## Microscope" in card
    assert {path: path.read_bytes() for path in (folder / "weights").iterdir()} == weights
    Enhancer.load(folder)


def test_the_cards_of_bundled_models_stay(capsys):
    assert main(["models", "mitochondria-x5", "--license", "none"]) == 2
    assert "only the cards of your own models" in capsys.readouterr().err
    assert main(["models", "microtubules", "--license", "none"]) == 2
    assert "add --kind" in capsys.readouterr().err
    assert main(["models", "--license", "none"]) == 2
    assert "Give the name of the model" in capsys.readouterr().err


def test_the_structure_of_the_training_images_is_that_of_the_model(tiny_enhancer, tmp_path):
    tiny_enhancer.save(tmp_path / "tiny")
    assert dict(read_model_card(tmp_path / "tiny", "enhancer").rows)["structure"] == "microtubules"
    assert "- structure: microtubules" in (tmp_path / "tiny" / "README.md").read_text(encoding="utf-8")
    facts = json.loads((tmp_path / "tiny" / "model.json").read_text(encoding="utf-8"))
    assert facts["structure"] == "microtubules"
    assert "tested_on" not in facts  # as in the models of earlier versions

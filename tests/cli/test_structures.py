"""Training one model of several structures, and generating one of them, on the command line."""

import pytest

from napari_smdiffusion import load_diffusion_model, read_image, write_image
from napari_smdiffusion.cli.entry import main

TINY = ["--steps", "2", "--patch", "64", "--batch", "2", "--channels", "16", "32"]


def _run(*arguments):
    return main([str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path, storm, tiny_conditional, tiny_model):
    """Return a folder with the images of two structures in three files, and two models."""
    parts = (
        storm.crop(slice(0, 64), slice(None)),
        storm.crop(slice(64, 128), slice(None)),
        storm.crop(slice(128, 192), slice(None)),
    )
    for name, part in zip(("a", "b", "c=d"), parts, strict=True):
        write_image(tmp_path / f"{name}.tif", part)
    tiny_conditional.save(tmp_path / "two")
    tiny_model.save(tmp_path / "one")
    return tmp_path


def test_groups_are_trained_on_and_a_structure_is_generated(folder, capsys):
    groups = ["--group", f"mt={folder / 'a.tif'}", "--group", f"mito={folder / 'c=d.tif'}", "--group"]
    assert _run("train", *groups, f"mt={folder / 'b.tif'}", "--out", folder / "m", *TINY) == 0
    assert "--structure mt --out generated.tif" in capsys.readouterr().err
    images = load_diffusion_model(folder / "m").facts.training_data
    assert [(image.group, image.name) for image in images] == [("mt", "a.tif"), ("mt", "b.tif"), ("mito", "c=d.tif")]
    arguments = ["--out", folder / "g.tif", "--count", 1, "--size", 64, "--steps", 2]
    assert _run("generate", folder / "m", "--structure", "mito", "--guidance", 1.5, *arguments) == 0
    provenance = read_image(folder / "g.tif").provenance
    assert (provenance.structure, provenance.settings["guidance"]) == ("mito", 1.5)
    assert _run("generate", folder / "m", "--structure", "mt", "--resume", *arguments) == 2
    assert "was begun with structure mito, not mt" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train --out m", "No image was given: name the images of one structure, or --group"),
        ("train --group b=b.tif a.tif --out m", "a.tif is given without the name of its structure"),
        ("train --group a.tif --out m", "--group must be NAME=IMAGES, such as microtubules=a.tif, not a.tif."),
        ("train --group =a.tif --group b=b.tif --out m", "--group must be NAME=IMAGES"),
        ("train --group a=a.tif --out m", "a is the only structure"),
        ("train --group a=a.tif --group b=none.tif --out m", "none.tif"),
        ("generate two --out g.tif", "--structure must be one of noise, microtubules for two."),
        ("generate two --out g.tif --structure actin", "noise, microtubules for two, not actin."),
        ("generate one --out g.tif --structure actin", "--structure must be left out for one"),
        ("generate one --out g.tif --guidance 2", "--guidance must be 1 for one"),
        ("generate two --out g.tif --structure noise --guidance 0.5", "--guidance must be at least 1, not 0.5."),
    ],
)
def test_unsuitable_groups_and_structures_are_refused(folder, arguments, message, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert _run(*arguments.split()) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "m").exists()
    assert not (folder / "g.tif").exists()


def test_the_card_names_the_structures(folder, capsys):
    assert _run("models", folder / "two") == 0
    assert "noise, microtubules" in capsys.readouterr().out

"""The commands for posterior samples: train-enhancer --method samples, enhance --samples, calibrate, and models."""

import numpy as np
import pytest

from napari_smdiffusion import Image, load_enhancer, read_image, write_image
from napari_smdiffusion.base.folders import user_folder
from napari_smdiffusion.cli.entry import main


def _run(*arguments):
    return main([str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path, storm, tiny_model, tiny_enhancer):
    """Return a folder with images and models in it."""
    light = storm.pixels.reshape(1, 48, 4, 48, 4).mean((2, 4)) * 50
    cell = Image(np.random.default_rng(0).poisson(light + 100).astype(np.float32), 80.0)
    write_image(tmp_path / "storm.tif", storm)
    write_image(tmp_path / "cell.tif", cell)
    tiny_model.save(tmp_path / "model")
    tiny_enhancer.save(tmp_path / "enhancer")
    return tmp_path


def test_samples_are_trained_drawn_and_calibrated(folder, capsys):
    mine = user_folder() / "enhancer" / "mine"
    training = ["train-enhancer", folder / "storm.tif", "--method", "samples", "--out", mine]
    settings = ["--prior", folder / "model", "--upscale", 4, "--steps", 2, "--batch", 2, "--patch", 64]
    assert _run(*training, *settings, "--start", folder / "enhancer") == 0
    printed = capsys.readouterr().err
    for words in (
        "training the samples: 2/2",
        "calibrating the samples: ",
        "The enhancer mine has the best estimate of enhancer. The sampler of mine is trained, but in only 2 steps",
        f"Next: smdiffusion enhance {mine} widefield.tif --out enhanced.tif --samples 8",
    ):
        assert words in printed
    assert _run(*training, *settings, "--resume") == 2
    assert f"There is no training to resume in {mine}: its training is complete." in capsys.readouterr().err

    drawing = ["enhance", "mine", folder / "cell.tif", "--out", folder / "x.tif", "--samples", 2, "--uncertainty"]
    assert _run(*drawing, "--seed", 1) == 0
    printed = capsys.readouterr().err
    for words in (
        "x_samples.tif has 2 sharp images",
        "x_trust.tif maps the trust",
        "% of the light of the best estimate",
    ):
        assert words in printed
    assert len(read_image(folder / "x_samples.tif")) == 2
    assert read_image(folder / "x.tif").provenance.settings["seed"] == 1
    assert _run(*drawing, "--seed", 1, "--resume") == 0
    assert "is finished already" in capsys.readouterr().err

    before = load_enhancer(mine)
    assert _run("calibrate", "mine", "--pair", folder / "cell.tif", folder / "storm.tif") == 0
    printed = capsys.readouterr().err
    assert "was trained on storm.tif" in printed
    assert "mine is calibrated on storm.tif: only its intervals changed." in printed
    assert load_enhancer(mine).digest() != before.digest()

    assert _run("models") == 0
    assert "×4 with samples, from 80 to 20 nm" in capsys.readouterr().out
    assert _run("models", "mine") == 0
    assert "drawn by a network of 2 training steps" in capsys.readouterr().out
    assert "## Samples" in (mine / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("enhance enhancer cell.tif --out x.tif --samples 2", "makes best estimates only: choose an enhancer with"),
        ("enhance enhancer cell.tif --out x.tif --samples 65", "--samples must be"),
        ("calibrate microtubules --pair cell.tif storm.tif", "--out must name a new folder: microtubules is a bundled"),
        ("calibrate enhancer --pair cell.tif nothing.tif", "There is no file nothing.tif"),
        ("train-enhancer storm.tif --method samples --prior nothing --out e", "There is no diffusion model 'nothing'"),
    ],
)
def test_bad_input_prints_one_line_and_writes_nothing(folder, capsys, monkeypatch, command, message):
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    assert _run(*command.split()) == 2
    printed = capsys.readouterr().err.strip().split("\n")
    assert message in printed[-1]
    assert sorted(folder.rglob("*")) == before

"""Tests that the examples of docs/extending.md appear in commands and in Python."""

import numpy as np
import pytest

from examples import EXAMPLES, added
from napari_smdiffusion import STRUCTURES, GenerateConfig, InputError, read_image, simulate
from napari_smdiffusion.cli import main
from napari_smdiffusion.images.patches import grid_patches
from napari_smdiffusion.measure.realism import realism


def _help(capsys, command):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    return capsys.readouterr().out


@pytest.mark.parametrize("section", EXAMPLES)
def test_an_example_is_short(section):
    assert len(EXAMPLES[section].splitlines()) < 30


def test_a_new_structure_is_simulated_and_changes_the_unit_of_the_realism_score(tmp_path, capsys):
    with added("A structure") as name:
        assert name in _help(capsys, "simulate")
        assert name in _help(capsys, "train-enhancer")
        assert main(["simulate", name, "--out", str(tmp_path / "s.tif"), "--size", "64", "--seed", "2"]) == 0
        image = simulate(name, 1, 64, seed=2)
        np.testing.assert_array_equal(read_image(tmp_path / "s.tif").pixels, image.pixels)
        # The structure is bright spots on a dark background.
        assert np.median(image.pixels) < 0.2 * image.pixels.std()
        patches = grid_patches(list(simulate(name, 8, 256).pixels), 64)
        registered = realism(patches[::2], patches[1::2])
    removed = realism(patches[::2], patches[1::2])
    assert registered.score is None  # the experiment is the nearest structure itself, so the unit would be 0
    assert registered.frechet_mathematical_model < removed.frechet_mathematical_model
    assert name not in _help(capsys, "simulate")
    assert main(["train-enhancer", str(tmp_path / "s.tif"), "--out", str(tmp_path / "m"), "--simulated", name]) == 2
    assert f"There is no structure '{name}': choose one of {', '.join(STRUCTURES)}." in capsys.readouterr().err


def test_commands_and_python_use_a_new_reader(tmp_path, tiny_enhancer, widefield):
    tiny_enhancer.save(tmp_path / "enhancer")
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "cell.npy"
    np.save(path, widefield.pixels[0])
    command = ["enhance", str(tmp_path / "enhancer"), str(path), "--out", str(tmp_path / "x.tif"), "--pixel-size", "80"]
    assert main(command) == 2
    with added("A reader of image files"):
        assert main(command) == 0
        assert read_image(tmp_path / "x.tif").size == (600, 524)
        np.testing.assert_array_equal(read_image(path).pixels, widefield.pixels)
        path.write_bytes(b"no array")
        with pytest.raises(InputError, match=r"cell\.npy is no NumPy array"):
            read_image(path)


def test_commands_and_python_use_a_new_solver(tmp_path, tiny_model, capsys):
    tiny_model.save(tmp_path / "model")
    with added("A solver") as name:
        assert name in _help(capsys, "generate")
        flags = ["--count", "1", "--size", "64", "--steps", "4", "--solver", name]
        assert main(["generate", str(tmp_path / "model"), "--out", str(tmp_path / "g.tif"), *flags]) == 0
        generated = read_image(tmp_path / "g.tif").pixels
        np.testing.assert_allclose(generated, tiny_model.generate(1, size=64, steps=4, solver=name).pixels, rtol=1e-3)
        # Heun's method is of second order, so with few steps it is nearer to the exact solution than Euler's.
        exact = tiny_model.generate(1, size=64, steps=60, batch=1).pixels
        euler = tiny_model.generate(1, size=64, steps=12, solver="euler").pixels
        heun = tiny_model.generate(1, size=64, steps=12, solver=name).pixels
        assert np.abs(heun - exact).mean() < np.abs(euler - exact).mean()
    with pytest.raises(InputError, match=f"solver must be one of dpmpp-2m, euler, not {name}"):
        GenerateConfig(solver=name)

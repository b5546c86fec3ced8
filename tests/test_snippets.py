"""Every command and every Python block of the documentation runs, with tiny images, few steps and few samples.

The examples of docs/extending.md have tests of their own, in test_extending.py.
"""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from images.microscope_makers import write_czi
from napari_smdiffusion import Image, read_image, simulate, write_image
from napari_smdiffusion.cli.entry import main

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
# What installs, needs a cluster or several devices, or takes hours: other tests or scripts run it.
NOT_RUN = (
    *("pip ", "tox ", "python ", "source ", "napari", "git ", "export ", "accelerate ", "torchrun ", "dask ", "#"),
    "smdiffusion demo",
)
TINY = {"train": "--steps 2 --batch 2 --patch 64", "train-enhancer": "--steps 2 --batch 2 --patch 80"}
LARGE = {
    "--minutes": None,
    "--count": "8",
    "--size": "96",
    "--samples": "2",
    "--height": "64",
    "--width": "64",
    "--workers": "1",
}
SMALLER = [
    (r"Enhancer.train\((.*)minutes=\d+", r"Enhancer.train(\1steps=2, batch=2, patch=80"),
    (r"minutes=\d+", "steps=2, batch=2, patch=64"),
    (r"generate\(\d+, size=\d+", "generate(8, size=96"),
    (r"samples=\d+", "samples=2"),
    # A cluster on this computer, with the same interface.
    (r"from dask_jobqueue import SLURMCluster", "from distributed import LocalCluster"),
    (r"SLURMCluster\([^)]*\)", "LocalCluster(n_workers=0, threads_per_worker=1, dashboard_address='127.0.0.1:0')"),
    (r"scale\(8\)", "scale(1)"),
]


def _pages():
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in pages if page.name not in ("extending.md", "commands.md")]


def _blocks(page, language):
    """Return the code blocks of a page in a language, without their indentation."""
    text = page.read_text(encoding="utf-8")
    found = [(m[1], m[2], m[3]) for m in BLOCK.finditer(text)]
    return [re.sub(f"^{indent}", "", code, flags=re.MULTILINE) for indent, name, code in found if name == language]


def _commands(page):
    """Return the commands of a page, without comments; a line that ends in a backslash goes on in the next."""
    lines = [line for block in _blocks(page, "") for line in block.replace("\\\n", " ").splitlines()]
    commands = [re.sub(r"\s{2,}#.*|\s&&.*", "", line).strip() for line in lines]
    # What needs the network has tests of its own.
    here = [command for command in commands if command and "://" not in command and " hf:" not in command]
    return [command for command in here if not command.startswith(NOT_RUN)]


def _tiny(command):
    """Return the arguments of a command, with few steps, images and samples of few pixels."""
    _, name, *words = shlex.split(command)
    arguments, words = [], iter(words)
    for word in words:
        if word in LARGE:
            next(words)
            arguments += [] if LARGE[word] is None else [word, LARGE[word]]
        else:
            arguments.append(word)
    return [name, *arguments, *TINY.get(name, "").split()]


@pytest.fixture(scope="module")
def files(tmp_path_factory, tiny_model, tiny_enhancer, tiny_sampler):
    """Return a folder with the images and models that the pages name."""
    folder = tmp_path_factory.mktemp("files")
    storm = simulate("microtubules", 1, 320, 19.356, seed=1, labelling=3.0)
    for name in ("storm.tif", "storm_of_the_field.tif", "held_out_storm.tif", "a.tif"):
        write_image(folder / name, Image(storm.pixels, storm.pixel_size, name=name))
    write_image(folder / "b.tif", Image(simulate("mitochondria", 1, 320, 19.356).pixels, storm.pixel_size))
    coarse = storm.pixels.reshape(1, 64, 5, 64, 5).mean((2, 4)) * 100 + 100
    widefield = Image(np.random.default_rng(0).poisson(coarse).astype(np.float32), 5 * 19.356)
    write_image(folder / "widefield.tif", widefield)
    (folder / "cells").mkdir()
    for k in (1, 2):
        write_image(folder / "cells" / f"cell{k}.tif", widefield.crop(slice(0, 24), slice(0, 24)))
    generated = Image(storm.pixels[:, :256, :256].reshape(1, 256, 256), 19.356, provenance={"kind": "synthetic"})
    for name in ("generated.tif", "fields.tif"):
        write_image(folder / name, generated)
    write_image(folder / "enhanced.tif", Image(storm.pixels, storm.pixel_size, provenance={"kind": "enhanced"}))
    tiny_model.save(folder / "my-model")
    tiny_enhancer.save(folder / "my-enhancer")
    tiny_sampler.save(folder / "my-sampler")
    return folder


def _stage(files, folder, monkeypatch):
    """Copy what the pages name into a new folder, and go there."""
    shutil.copytree(files, folder, dirs_exist_ok=True)
    monkeypatch.chdir(folder)


@pytest.mark.parametrize("page", [page for page in _pages() if _commands(page)], ids=lambda page: page.stem)
def test_every_command_of_a_page_runs(page, files, tmp_path, monkeypatch, quick_calibration, capsys):
    _stage(files, tmp_path, monkeypatch)
    for command in _commands(page):
        if "ema_0.9999" in command or "their-model" in command:
            continue  # tests/diffusion/test_imported.py imports such checkpoints
        if ".zarr" in command:
            pytest.importorskip("zarr", minversion="3")
            write_image("slide.zarr", read_image("cells/cell1.tif"))
        if ".czi" in command:
            pytest.importorskip("pylibCZIrw")
            write_czi(tmp_path / "cell.czi", channels=2, side=9.7e-8)
        if "export" in command:
            pytest.importorskip("bioimageio.spec")
        arguments = _tiny(command)
        if arguments[0] in TINY:  # the page trains what others only use
            shutil.rmtree(arguments[arguments.index("--out") + 1], ignore_errors=True)
        code = main(arguments)
        assert code == 0, f"{command}: {capsys.readouterr().err}"


@pytest.mark.parametrize("page", [page for page in _pages() if _blocks(page, "python")], ids=lambda page: page.stem)
def test_every_python_block_of_a_page_runs(page, files, tmp_path, monkeypatch, quick_calibration):
    _stage(files, tmp_path, monkeypatch)
    names = {"__name__": "__main__"}
    if page.stem == "cluster":
        pytest.importorskip("distributed")
        write_image("slide.zarr", read_image("cells/cell1.tif"))
    for block in _blocks(page, "python"):
        for large, small in SMALLER:
            block = re.sub(large, small, block)
        exec(compile(block, str(page), "exec"), names)

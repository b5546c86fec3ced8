"""Tests of the command line: what each command writes, and its message and exit code for bad input."""

import itertools
import json
import re
import subprocess
import sys
import tracemalloc
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter, zoom

from napari_smdiffusion import EnhanceConfig, Enhancement, Image, TrainConfig, read_image, simulate, write_image
from napari_smdiffusion.base.events import never, run
from napari_smdiffusion.base.folders import user_folder
from napari_smdiffusion.cli.entry import COMMANDS, main
from napari_smdiffusion.diffusion.training import train_steps
from napari_smdiffusion.images.reading import mapped_image
from napari_smdiffusion.recipes.enhance import _mapped_error
from napari_smdiffusion.structures.registry import STRUCTURES

TINY = ["--steps", "3", "--patch", "64", "--batch", "2"]


def _run(*arguments):
    return main([str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path, storm, widefield, tiny_model, tiny_enhancer):
    """Return a folder with images and models in it."""
    write_image(tmp_path / "storm.tif", storm)
    write_image(tmp_path / "cell.tif", widefield)
    tiny_model.save(tmp_path / "model")
    tiny_enhancer.save(tmp_path / "enhancer")
    return tmp_path


def test_simulate_train_generate_and_pixel_sizes_through_the_chain(tmp_path):
    assert _run("simulate", "microtubules", "--out", tmp_path / "s.tif", "--size", 128, "--pixel-size", 25) == 0
    assert _run("train", tmp_path / "s.tif", "--out", tmp_path / "m", "--channels", 16, 32, *TINY) == 0
    assert _run("generate", tmp_path / "m", "--out", tmp_path / "g.tif", "--count", 2, "--size", 128, "--steps", 2) == 0
    arguments = ["--out", tmp_path / "e", "--upscale", 4, "--steps", 2, "--batch", 2, "--channels", 8, "--patch", 64]
    assert _run("train-enhancer", tmp_path / "g.tif", *arguments) == 0
    write = {"imagej": True, "resolution": (10.0, 10.0), "metadata": {"unit": "um"}}
    tifffile.imwrite(tmp_path / "w.tif", np.random.default_rng(0).integers(0, 900, (40, 60), np.uint16), **write)
    assert _run("enhance", tmp_path / "e", tmp_path / "w.tif", "--out", tmp_path / "x.tif") == 0
    sizes = {name: read_image(tmp_path / f"{name}.tif").pixel_size for name in "sgwx"}
    assert sizes == {"s": 25, "g": 25, "w": pytest.approx(100), "x": pytest.approx(25)}
    generated = read_image(tmp_path / "g.tif")
    assert generated.pixels.shape == (2, 128, 128)
    assert generated.provenance["kind"] == "synthetic"


def test_the_training_of_an_enhancer_begins_from_the_enhancer_of_start(folder):
    arguments = ["--out", folder / "e", "--upscale", 4, "--steps", 2, "--batch", 1, "--patch", 64]
    arguments += ["--start", folder / "enhancer"]
    assert _run("train-enhancer", folder / "storm.tif", *arguments) == 0
    facts = json.loads((folder / "e" / "model.json").read_text())
    assert (facts["started_from"], facts["config"]["channels"]) == ("enhancer", 16)


def test_resume_completes_an_interrupted_training(folder, storm):
    config = TrainConfig(steps=5, patch=64, batch=2, channels=(16, 32), previews=0)
    calls = itertools.count()
    run(train_steps([read_image(folder / "storm.tif")], config, out=folder / "m", stop=lambda: next(calls) >= 2))
    steps = json.loads((folder / "m" / "model.json").read_text())["steps"]
    assert 0 < steps < 5
    # The channels of the network are read from the folder.
    arguments = ["--out", folder / "m", "--patch", 64, "--batch", 2, "--resume"]
    assert _run("train", folder / "storm.tif", *arguments) == 0
    assert json.loads((folder / "m" / "model.json").read_text())["steps"] == 5


def test_enhance_writes_all_maps_and_compare_reads_them(folder, widefield):
    write_image(folder / "cell.tif", widefield.crop(slice(0, 100), slice(0, 90)))
    arguments = ["--uncertainty", "--error-map", "--tile", 64, "--out", folder / "x.tif"]
    assert _run("enhance", folder / "enhancer", folder / "cell.tif", *arguments) == 0
    assert read_image(folder / "x.tif").size == (400, 360)
    assert read_image(folder / "x.tif").origin == (1000.0, 500.0)
    assert read_image(folder / "x_uncertainty.tif").provenance["kind"].startswith("uncertainty")
    error = read_image(folder / "x_error.tif")
    assert error.size == (100, 90)
    assert len(error.provenance["rsp"]) == 1
    # The comparison reads the confidence of the map from its file.
    reference = read_image(folder / "x.tif")
    noise = np.random.default_rng(0).normal(0, 0.1 * reference.pixels.std(), reference.pixels.shape)
    write_image(folder / "reference.tif", replace(reference, pixels=(reference.pixels + noise).astype(np.float32)))
    arguments = ["--enhanced", folder / "x.tif", "--widefield", folder / "cell.tif", "--out", folder / "judged"]
    arguments += ["--reference", folder / "reference.tif", "--uncertainty", folder / "x_uncertainty.tif"]
    assert _run("compare", *arguments) == 0
    report = json.loads((folder / "judged" / "report.json").read_text())
    assert report["enhanced"]["uncertainty"]["stated"] == EnhanceConfig().confidence
    assert report["enhancement"]["enhanced"]["correlation"] > 0.95
    assert (folder / "judged" / "comparison.png").stat().st_size > 10_000


def test_enhance_writes_several_images_into_a_folder(folder, widefield):
    write_image(folder / "many" / "a.tif", widefield)
    write_image(folder / "many" / "b.tif", widefield.crop(slice(0, 100), slice(0, 60)))
    assert _run("enhance", folder / "enhancer", folder / "many", "--out", folder / "results") == 0
    results = {path.name: read_image(path) for path in (folder / "results").glob("*.tif")}
    assert {name: image.size for name, image in results.items()} == {
        "a_enhanced.tif": (600, 524),
        "b_enhanced.tif": (400, 240),
    }
    assert results["b_enhanced.tif"].provenance["source"] == "b.tif"


def test_enhance_continues_after_an_image_that_fails(folder, widefield, capsys):
    for name, pixels in (("a", widefield.pixels), ("b", 0 * widefield.pixels), ("c", widefield.pixels)):
        write_image(folder / "many" / f"{name}.tif", Image(pixels, 80.0))
    assert _run("enhance", folder / "enhancer", folder / "many", "--out", folder / "results") == 2
    assert sorted(p.name for p in (folder / "results").iterdir()) == [
        "a_enhanced.tif",
        "c_enhanced.tif",
        "enhanced.csv",
    ]
    printed = capsys.readouterr()
    assert "b.tif could not be enhanced: All pixels of" in printed.out + printed.err
    assert "1 of 3 images failed" in printed.err


def test_an_enhanced_image_is_kept_when_its_error_map_fails(folder, widefield, capsys, monkeypatch):
    def raise_memory_error(*_):
        raise MemoryError("There is no memory for the error map.")

    for name in "ab":
        write_image(folder / "many" / f"{name}.tif", widefield)
    monkeypatch.setattr("napari_smdiffusion.report.enhanced.error_map", raise_memory_error)
    arguments = ["--out", folder / "results", "--error-map"]
    assert _run("enhance", folder / "enhancer", folder / "many", *arguments) == 2
    assert sorted(p.name for p in (folder / "results").iterdir()) == [
        "a_enhanced.tif",
        "b_enhanced.tif",
        "enhanced.csv",
    ]
    printed = capsys.readouterr()
    assert "b.tif enhanced ×4" in printed.out + printed.err
    assert re.search(r"The error map of \S*b\.tif failed: There is no memory", printed.out + printed.err)


def test_the_error_map_reads_a_result_plane_by_plane(tmp_path):
    widefield = Image(np.random.default_rng(0).random((24, 24, 24), np.float32), 80.0)
    write_image(tmp_path / "x.tif", Image(zoom(widefield.pixels, (1, 8, 8), order=1), 10.0))
    tracemalloc.start()
    run(_mapped_error(Enhancement(mapped_image(tmp_path / "x.tif")), widefield, tmp_path / "x.tif", never))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A few of the 24 planes fit, and the maps, which are 64 times smaller than the result.
    assert peak < (tmp_path / "x.tif").stat().st_size / 4
    assert len(read_image(tmp_path / "x_error.tif").provenance["rsp"]) == 24


def test_enhance_skips_results_of_an_earlier_run_in_the_same_folder(folder, widefield):
    many = folder / "many"
    write_image(many / "a.tif", widefield.crop(slice(0, 64), slice(0, 64)))
    maps = ["--uncertainty", "--error-map"]
    for _ in range(2):
        assert _run("enhance", folder / "enhancer", many, "--out", many, *maps) == 0
        names = ["a.tif", "a_enhanced.tif", "a_enhanced_error.tif", "a_enhanced_uncertainty.tif", "enhanced.csv"]
        assert sorted(path.name for path in many.iterdir()) == names
    # A result that the user names as a file is enhanced.
    assert _run("enhance", folder / "enhancer", many / "a_enhanced_error.tif", "--out", folder / "x.tif") == 0
    (many / "a.tif").unlink()
    assert _run("enhance", folder / "enhancer", many, "--out", folder / "y") == 2


def test_compare_reports_copies_and_training_images_as_experimental_images_and_replaces_no_report(folder, capsys):
    for name, seed in (("training", 1), ("held_out", 2)):
        arguments = ["--out", folder / f"{name}.tif", "--size", 256, "--seed", seed]
        assert _run("simulate", "mitochondria", *arguments) == 0
    copies = read_image(folder / "training.tif")
    write_image(folder / "g.tif", copies)
    arguments = ["--generated", folder / "g.tif", "--training", folder / "training.tif", "--out", folder / "c"]
    assert _run("compare", folder / "held_out.tif", *arguments) == 0
    report = json.loads((folder / "c" / "report.json").read_text())
    assert {f"realism.{key}" for key in report["realism"]} <= set(report["meanings"])
    assert {f"memorization.{key}" for key in report["memorization"]} <= set(report["meanings"])
    assert report["memorization"]["verdict"].startswith("Most are copies")
    assert report["memorization"]["generated_median"] == pytest.approx(1, abs=1e-3)
    assert report["memorization"]["fraction_above_held_out_99"] == 1
    # The experiment is one of the simulated structures, so the distance to the nearest one is no unit for the score.
    assert report["realism"]["score"] is None
    assert (folder / "c" / "comparison.png").stat().st_size > 10_000
    assert _run("compare", folder / "training.tif", *arguments) == 2
    assert "holds an earlier report: name another folder" in capsys.readouterr().err
    assert report == json.loads((folder / "c" / "report.json").read_text())
    assert _run("compare", folder / "training.tif", *arguments[:-1], folder / "d") == 0
    report = json.loads((folder / "d" / "report.json").read_text())
    assert report["memorization"]["copies"] > 0  # halves of the training image are held out from each other
    assert "trained on the experimental images" in report["realism_of_training_images"]


def test_models_lists_the_bundled_models_and_the_folder_of_the_user(folder, capsys):
    assert _run("models") == 0
    printed = capsys.readouterr().out
    assert "microtubules" in printed
    assert str(user_folder()) in printed.splitlines()[-1]


def test_a_training_begins_from_the_model_of_start(folder):
    for start, expected in ((folder / "model", "model"), ("none", None)):
        out = folder / f"from {expected}"
        arguments = ["--out", out, "--start", start, *TINY]
        assert _run("train", folder / "storm.tif", *arguments) == 0
        assert json.loads((out / "model.json").read_text())["started_from"] == expected
    images = ["--out", folder / "g.tif", "--size", 64, 96, "--count", 1, "--steps", 2]
    assert _run("generate", folder / "from model", *images) == 0
    assert read_image(folder / "g.tif").size == (64, 96)


def test_generated_images_in_a_folder_train_enhancers_but_no_diffusion_model(folder, storm):
    generated = replace(storm, pixels=storm.pixels[:, ::-1], provenance={"kind": "synthetic"})
    for name, image in (("a", storm), ("generated", generated)):
        write_image(folder / "images" / f"{name}.tif", image)
    assert _run("train", folder / "images", "--out", folder / "m", "--channels", 16, 32, *TINY) == 0
    arguments = ["--out", folder / "e", "--upscale", 4, "--steps", 2, "--batch", 1, "--channels", 8, "--patch", 64]
    assert _run("train-enhancer", folder / "images", *arguments, "--weights", 3, 1) == 0
    records = {name: json.loads((folder / name / "model.json").read_text()) for name in "me"}
    assert [[image["name"] for image in record["training_data"]] for record in records.values()] == [
        ["a.tif"],
        ["a.tif", "generated.tif"],
    ]
    assert records["e"]["weights"] == [3, 1]


def test_an_enhancer_is_trained_on_pairs_in_their_order(folder, capsys):
    """The two fields of view have different sizes, so pairs in another order cannot be registered."""
    fields = [simulate("microtubules", 1, size, 20.0, seed=size).pixels for size in (256, 320)]
    for k, field in enumerate(fields):
        write_image(folder / f"fine{k}.tif", Image(field, 20.0))
        write_image(folder / f"wide{k}.tif", Image(gaussian_filter(field, (0, 4, 4))[:, 2::4, 2::4], 80.0))
    names = [[folder / f"{kind}{k}.tif" for k in range(2)] for kind in ("fine", "wide")]
    settings = ["--upscale", 4, "--steps", 2, "--batch", 1, "--channels", 8, "--patch", 64]
    assert _run("train-enhancer", *names[0], "--widefield", *names[1], "--out", folder / "e", *settings) == 0
    facts = json.loads((folder / "e" / "model.json").read_text())
    assert facts["trained_on"] == "registered pairs"
    assert [image["shape"][1] for image in facts["training_data"]] == [256, 320]
    assert "was not found" not in capsys.readouterr().err
    assert _run("train-enhancer", *names[0], "--widefield", names[1][0], "--out", folder / "f", *settings) == 2
    assert "a widefield image for each super-resolution image: there are 1 for 2" in capsys.readouterr().err


def test_the_flag_pixel_size_sets_the_pixel_size(folder, widefield, storm):
    for name, image in (("wide", widefield), ("fine", storm)):
        write_image(folder / f"{name}.tif", Image(image.pixels))
    flag = ["--pixel-size", 40]
    assert _run("train", folder / "fine.tif", "--out", folder / "m", "--channels", 16, 32, *TINY, *flag) == 0
    settings = ["--upscale", 4, "--steps", 2, "--batch", 1, "--channels", 8, "--patch", 64]
    assert _run("train-enhancer", folder / "fine.tif", "--out", folder / "e", *settings, *flag) == 0
    assert [json.loads((folder / name / "model.json").read_text())["pixel_size_nm"] for name in "me"] == [40, 40]
    assert _run("enhance", folder / "e", folder / "wide.tif", "--out", folder / "x.tif", "--pixel-size", 160) == 0
    assert read_image(folder / "x.tif").pixel_size == 40


BAD = [
    ("train {none.tif} --out {m}", "There is no file"),
    ("train {storm.tif} --out {m} --minutes 0", "--minutes must be more than 0"),
    ("train {storm.tif} --out {m} --minutes -3", "--minutes must be more than 0"),
    ("train {storm.tif} --out {m} --patch 100", "--patch must be a multiple of 16"),
    ("train {storm.tif} --out {m} --patch 512", "smaller than a patch of 512"),
    ("train {storm.tif} --out {notes.txt}", "notes.txt is a file"),
    ("train {storm.tif} --out {others}", "holds other files"),
    ("train {storm.tif} --out {m} --resume --patch 64", "no training to resume"),
    ("train {storm.tif} --out {model} --patch 64", "There is a model in"),
    (
        "train {storm.tif} --out {model} --resume --start {model}",
        "--start must be left out where a training is resumed",
    ),
    ("train {storm.tif} --out {m} --patch 64 --start {model} --channels 16 48", "has the channels 16 32, not 16 48"),
    (
        "train-enhancer {storm.tif} --out {m} --upscale 4 --start {enhancer} --channels 24",
        "has 16 channels, and the setting is 24",
    ),
    ("train {storm.tif} --out {m} --seed -1", "--seed must be at least 0"),
    ("train-enhancer {storm.tif} --out {enhancer}", "There is a model in"),
    ("enhance {enhancer} {none.tif} --out {x.tif}", "There is no file"),
    ("enhance {enhancer} {others} --out {x}", "holds no file that ends in .tif"),
    ("train {empty.tif} --out {m}", "empty.tif cannot be read"),
    ("train {constant.tif} --out {m} --patch 32", "All pixels have the value 7"),
    ("train {nan.tif} --out {m} --patch 32", "nan.tif has NaN or infinite pixels"),
    ("train {rgb.tif} --out {m} --patch 32", "rgb.tif is a color (RGB) image"),
    ("train {flat.tif} --out {m} --patch 32", "flat.tif does not name its axes of 2 × 3 planes"),
    ("train {tiny.tif} --out {m} --patch 32", "tiny.tif is 8 × 9 pixels"),
    ("generate {nothing} --out {g.tif}", "There is no diffusion model"),
    ("generate {enhancer} --out {g.tif}", "a diffusion model is needed here"),
    ("generate {others} --out {g.tif}", "has no model.json"),
    ("generate {model} --out {g.png}", "must end in .tif"),
    ("generate {model} --out {g.tif} --count 0", "--count must be at least 1"),
    ("generate {model} --out {g.tif} --size 100", "--size must be a multiple of 16"),
    ("generate {model} --out {g.tif} --size 32", "--size must be at least 64 for this model"),
    ("generate {model} --out {g.tif} --size 64 64 64", "--size takes one number (side) or two"),
    ("generate {model} --out {notes.txt/g.tif}", "cannot be written"),
    ("simulate microtubules --out {bare.tif}", "bare.tif exists, and was not made by smdiffusion"),
    ("enhance {enhancer} {cell.tif} --out {bare.tif}", "bare.tif exists, and was not made by smdiffusion"),
    ("enhance {enhancer} {constant.tif} --out {x.tif}", "All pixels of"),
    ("enhance {enhancer} {cell.tif} --out {notes.txt}", "must be a folder"),
    ("enhance {enhancer} {cell.tif} {storm.tif} --out {x.tif}", "must be a folder for 2 images"),
    ("enhance {enhancer} {cell.tif} {cell.tif} --out {x}", "have the same file name"),
    ("train-enhancer {bare.tif} --out {m}", "has no pixel size"),
    ("train-enhancer {storm.tif} --out {m} --upscale 12", "--upscale must be at most 8"),
    (
        "train-enhancer {storm.tif} --out {m} --upscale 5 --start {enhancer}",
        "enlarges 4 times, and the setting is 5 times",
    ),
    ("train-enhancer {storm.tif} --out {m} --fit {tiny.tif} --upscale 2", "tiny.tif is 8 × 9 pixels: give"),
    ("train-enhancer {storm.tif} --out {m} --na 9", "--na must be at most 1.7"),
    ("compare {storm.tif} --generated {tiny.tif} --out {c}", "tiny.tif is 8 × 9 pixels"),
    ("compare {storm.tif} --out {c}", "Give experimental and generated images together"),
    ("compare --enhanced {storm.tif} --out {c}", "Give the enhanced and the widefield image together"),
    (
        "compare --enhanced {storm.tif} --widefield {cell.tif} --uncertainty {storm.tif} --out {c}",
        "An uncertainty map needs a reference",
    ),
    ("compare --out {c}", "Give experimental and generated images, or an enhanced"),
    ("simulate microtubules --out {s.tif} --count 0", "count (0) must be at least 1"),
    ("demo --images {bare.tif} --out {d}", "has no pixel size"),
    ("train {storm.tif} --out {m} --pixel-size 0", "must be a positive number of nm"),
    ("demo --images {cell.tif} --out {d}", "give one of at least 128 × 256"),
    ("demo --seed -1 --out {d}", "--seed must be at least 0"),
    ("demo --minutes 0 --out {d}", "--minutes must be more than 0"),
    ("demo --widefield {cell.tif} --out {d}", "--widefield needs images"),
    ("demo --out {mine}", "enhanced.tif exists, and was not made by smdiffusion"),
    ("train {slab.tif} --out {m} --patch 32", "slab.tif has pixels of 200 by 100 nm"),
    ("train-enhancer {storm.tif} --out {others} --fit {cell.tif} --upscale 4", "holds other files"),
    ("compare {storm.tif} --generated {storm.tif} --out {notes.txt/c}", "cannot be written"),
]


@pytest.mark.parametrize(("command", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_prints_one_line_and_writes_nothing(folder, capsys, command, message):
    (folder / "notes.txt").write_text("precious")
    (folder / "others").mkdir()
    (folder / "others" / "thesis.txt").write_text("precious")
    (folder / "empty.tif").write_bytes(b"")
    ramp = np.arange(200 * 300, dtype=np.float32).reshape(200, 300)
    planes = {
        "constant": np.full((40, 40), 7),
        "nan": np.where(ramp > 5, np.nan, ramp),
        "bare": ramp,
        "tiny": ramp[:8, :9],
    }
    for name, plane in planes.items():
        tifffile.imwrite(folder / f"{name}.tif", plane.astype(np.float32))
    (folder / "mine").mkdir()
    tifffile.imwrite(folder / "mine" / "enhanced.tif", ramp)
    tifffile.imwrite(folder / "slab.tif", ramp, resolution=(1e5, 5e4), resolutionunit="CENTIMETER")
    tifffile.imwrite(folder / "rgb.tif", np.zeros((64, 64, 3), np.uint8), photometric="rgb")
    tifffile.imwrite(folder / "flat.tif", np.zeros((2, 3, 40, 40), np.uint8), photometric="minisblack")
    before = sorted(folder.rglob("*"))
    arguments = [a.replace("{", f"{folder}/").replace("}", "") for a in command.split()]
    assert main(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert lines[0].startswith(f"smdiffusion {arguments[0]}: ")
    assert sorted(folder.rglob("*")) == before


def test_generate_refuses_a_size_before_it_loads_the_network(folder, capsys):
    (weights,) = (folder / "model" / "weights").glob("*.safetensors")
    weights.write_bytes(b"damaged")
    assert _run("generate", folder / "model", "--out", folder / "g.tif", "--size", 32, 64) == 2
    assert "--size must be at least 64 for this model, not 32." in capsys.readouterr().err


def test_a_defect_raises_its_exception(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_smdiffusion.structures.simulate.simulate", lambda *_, **__: np.zeros(2) + np.zeros(3))
    with pytest.raises(ValueError, match="broadcast"):
        _run("simulate", "microtubules", "--out", tmp_path / "s.tif")


def test_a_stopped_command_leaves_no_file(folder, monkeypatch, capsys):
    def stop_after(calls):
        """Return a substitute for `stop_on_interrupt`; its stop is False for `calls` calls, then True."""
        counts = itertools.count()

        @contextmanager
        def stop():
            yield lambda: next(counts) >= calls

        return stop

    monkeypatch.setattr("napari_smdiffusion.recipes.job.stop_on_interrupt", stop_after(2))
    before = sorted(folder.rglob("*"))
    arguments = ["--uncertainty", "--tile", 64, "--out", folder / "x.tif"]
    assert _run("enhance", folder / "enhancer", folder / "cell.tif", *arguments) == 130
    assert "the image is not enhanced" in capsys.readouterr().err
    write_image(folder / "g.tif", simulate("microtubules", size=256))
    # The stop comes after both images are read.
    monkeypatch.setattr("napari_smdiffusion.recipes.job.stop_on_interrupt", stop_after(2))
    assert _run("compare", folder / "g.tif", "--generated", folder / "g.tif", "--out", folder / "c") == 130
    assert "no report was written" in capsys.readouterr().err
    (folder / "g.tif").unlink()
    assert sorted(folder.rglob("*")) == before


def test_a_command_replaces_simulated_images_but_no_experimental_image(tmp_path):
    for seed in (1, 2):
        assert _run("simulate", "microtubules", "--out", tmp_path / "s.tif", "--size", 64, "--seed", seed) == 0
    simulated = read_image(tmp_path / "s.tif")
    assert simulated.provenance["seed"] == 2
    # An experimental image that this program saved is as precious as any other.
    write_image(tmp_path / "s.tif", replace(simulated, provenance={"kind": "experimental"}))
    assert _run("simulate", "microtubules", "--out", tmp_path / "s.tif", "--size", 64) == 2


def test_unknown_flags_exit_with_2(capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(["train", "--nonsense"])
    assert exit_info.value.code == 2


@pytest.mark.parametrize("command", list(COMMANDS))
def test_the_help_of_a_command_has_an_example(command, capsys):
    with pytest.raises(SystemExit) as exit_info:
        main([command, "--help"])
    assert exit_info.value.code == 0
    assert f"example:\n  smdiffusion {command}" in capsys.readouterr().out


def test_the_help_lists_the_structures_without_importing_numpy():
    code = (
        "import sys; from napari_smdiffusion.cli import main\n"
        "try: main(['simulate', '--help'])\n"
        "except SystemExit: print({'numpy', 'scipy', 'torch'} & set(sys.modules))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert f"{{{','.join(STRUCTURES)}}}" in printed
    assert {"microtubules", "mitochondria"} <= set(STRUCTURES)
    assert printed.endswith("set()\n")

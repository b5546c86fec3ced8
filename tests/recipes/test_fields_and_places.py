"""What jobs call themselves, the fields and places that they refuse, and the runs that they find to go on with."""

import errno
import json
import os
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from napari_smdiffusion import (
    CalibrateJob,
    CompareJob,
    DemoJob,
    EnhanceJob,
    EnhancerConfig,
    GenerateConfig,
    GenerateJob,
    Image,
    InputError,
    TrainEnhancerJob,
    TrainJob,
    run,
    write_image,
)
from napari_smdiffusion.base.events import Note
from napari_smdiffusion.images.image import AnisotropicPixelsError
from napari_smdiffusion.recipes import generate, outputs
from napari_smdiffusion.recipes.enhance_results import EnhanceFailure
from napari_smdiffusion.recipes.job import read_source
from napari_smdiffusion.recipes.nearest_patch import nearest_patch
from napari_smdiffusion.recipes.outputs import check_output_file, check_output_folder, check_writable
from napari_smdiffusion.recipes.train_diffusion import interrupted_training
from napari_smdiffusion.recipes.train_enhancer import interrupted_enhancer_training
from napari_smdiffusion.recipes.train_samples import estimate_is_complete
from napari_smdiffusion.recipes.widefield_images import contradictions
from napari_smdiffusion.report.enhanced import EnhancedField


def _training(**fields):
    return TrainEnhancerJob("a.tif", **fields)


@pytest.mark.parametrize(
    ("job", "title"),
    [
        (TrainJob("a.tif"), "training a model"),
        (TrainJob("a.tif", out="x/cells"), "training cells"),
        (TrainJob("a.tif", name="mine", out="x/cells"), "training mine"),
        (_training(), "training an enhancer"),
        (_training(out="x/cells"), "training cells"),
        (GenerateJob("m", GenerateConfig(count=1)), "generating 1 image"),
        (GenerateJob("m", GenerateConfig(count=3)), "generating 3 images"),
        (EnhanceJob("e", "w.tif"), "enhancing 1 image"),
        (EnhanceJob(_training(name="mine"), ["v.tif", "w.tif"]), "training mine, enhancing 2 images"),
        (CompareJob("a.tif", "g.tif"), "comparing"),
        (CalibrateJob("x/mine", [("w.tif", "a.tif")]), "calibrating mine"),
        (CalibrateJob(SimpleNamespace(name="mine"), [("w.tif", "a.tif")]), "calibrating mine"),
        (DemoJob(), "running the demo"),
    ],
)
def test_a_job_says_what_it_does(job, title):
    assert job.title == title


def test_a_failure_says_what_failed():
    assert EnhanceFailure(0, "a.tif", False, ValueError()).doing == "enhancing a.tif"
    assert EnhanceFailure(0, "a.tif", True, ValueError()).doing == "mapping the errors of a.tif"


def _field():
    return EnhancedField(Image(np.ones((64, 64)), 20.0), Image(np.ones((16, 16)), 80.0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DemoJob("a.tif", reference="r.tif"), "reference needs widefield: give the widefield image"),
        (lambda: CompareJob(enhanced=_field(), widefield="w.tif"), "`enhanced` holds all images of the field already"),
        (lambda: CompareJob("a.tif", "g.tif", reference="r.tif"), "A reference needs an enhanced image"),
        (lambda: CalibrateJob("m", []), "pairs must have a widefield image and a super-resolution image each"),
        (lambda: CalibrateJob("m", ["w.tif"]), "pairs must have a widefield image and a super-resolution image each"),
    ],
)
def test_fields_that_do_not_go_together_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_place_that_is_no_result_of_this_program_is_kept(tmp_path):
    (tmp_path / "notes.tif").write_text("mine")
    with pytest.raises(FileExistsError, match=r"notes\.tif exists, and was not made by smdiffusion"):
        check_output_file(tmp_path / "notes.tif")
    with pytest.raises(InputError, match=r"out must end in \.tif, not .*a\.png"):
        check_output_file(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"out must be a folder, and .*notes\.tif is a file"):
        check_output_folder(tmp_path / "notes.tif", "comparison.png")
    for text in ("{", "[" * 5000, "[]"):
        (tmp_path / "report.json").write_text(text)
        with pytest.raises(FileExistsError, match=r"report\.json exists, and was not made by smdiffusion"):
            check_output_folder(tmp_path, "comparison.png")


def test_a_file_that_is_open_in_a_program_of_windows_is_named(tmp_path, monkeypatch):
    write_image(tmp_path / "a.tif", Image(np.ones((16, 16)), provenance={"kind": "enhanced"}))
    monkeypatch.setattr(outputs, "os", SimpleNamespace(**{**vars(os), "name": "nt"}))
    check_writable(tmp_path / "a.tif")

    def refuse(*_):
        raise PermissionError(errno.EACCES, "used by another process")

    monkeypatch.setattr(type(tmp_path), "open", refuse)
    with pytest.raises(OSError, match=r"a\.tif cannot be replaced \(used by another process\): close it in other"):
        check_writable(tmp_path / "a.tif")


def test_a_source_whose_pixels_are_not_square_is_read_with_a_pixel_size():
    image = Image(np.ones((16, 16)), name="layer")

    class Layer:
        name = "layer"

        def read(self, stop):
            raise AnisotropicPixelsError("layer", (100.0, 80.0), image)

    assert read_source(Layer(), 90.0).pixel_size == 90.0
    with pytest.raises(AnisotropicPixelsError, match="layer has pixels of 100 by 80 nm"):
        read_source(Layer())


def test_images_that_cannot_be_searched_or_explained_are_left_out():
    class Broken:
        name = "broken.tif"

        def read(self, stop):
            raise InputError("broken.tif has NaN pixels.")

    with pytest.raises(InputError, match=r"broken\.tif cannot be searched: check for NaN pixels"):
        run(nearest_patch(np.ones((32, 32), np.float32), [Broken()], []))
    assert contradictions(Image(np.ones((32, 32))), Image(np.ones((16, 16)))) == ()


def test_an_interrupted_training_is_found_by_its_state(tiny_model, tmp_path):
    folder = tmp_path / "m"
    assert interrupted_training(folder) is None
    assert interrupted_enhancer_training(folder) is None
    assert not estimate_is_complete(folder)
    tiny_model.save(folder)
    assert interrupted_training(folder) is None
    (folder / "training_state.pt").touch()
    assert interrupted_training(folder) is None  # as many steps as were planned
    facts = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**facts, "steps": 2}))
    assert interrupted_training(folder) == tiny_model.config
    (folder / "model.json").write_text("{")
    assert interrupted_training(folder) is None


def test_an_estimate_alone_is_not_the_beginning_of_samples(tiny_enhancer, tmp_path):
    tiny_enhancer.save(tmp_path / "e")
    assert not estimate_is_complete(tmp_path / "e")


def test_images_are_generated_from_the_first_where_there_is_no_run_to_resume(tiny_model, tmp_path, monkeypatch):
    settings = GenerateConfig(count=2, height=64, width=64, steps=2, batch=1)
    job, notes = GenerateJob(tiny_model, settings, tmp_path / "g.tif", resume=True), []

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(generate, "copy_planes", full)
        seen = []
        with pytest.raises(OSError, match=r"the disk is full.* The 1 finished images are kept for --resume"):
            run(replace(job, resume=False).steps(lambda: "Generated" in seen), lambda e: seen.append(type(e).__name__))
    (tmp_path / ".g.tif.smdiffusion-part.json").unlink()
    run(job.steps(), notes.append)
    messages = [note.message for note in notes if isinstance(note, Note)]
    assert f"There is no run to resume for {tmp_path / 'g.tif'}: it begins with the first image." in messages


def test_an_enhancer_is_trained_and_used_by_one_job(storm, widefield):
    settings = EnhancerConfig(upscale=4, steps=1, batch=1, channels=8, patch=64, previews=0)
    part = widefield.crop(slice(0, 32), slice(0, 32))
    result = run(EnhanceJob(TrainEnhancerJob(storm, settings), part).steps())
    assert result.enhancer.facts.steps == 1
    assert result.images[0].enhancement.image.size == (128, 128)

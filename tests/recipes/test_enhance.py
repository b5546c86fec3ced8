"""Tests of TrainEnhancerJob and EnhanceJob: sources, simulated images, failures, files and stops."""

import dataclasses
import itertools

import numpy as np
import pytest
import tifffile

from napari_smdiffusion import (
    Axis,
    EnhanceConfig,
    EnhanceJob,
    Enhancer,
    EnhancerConfig,
    Image,
    InputError,
    Stopped,
    TrainEnhancerJob,
    read_image,
    run,
    write_image,
)
from napari_smdiffusion.base.events import Note, PartDone
from napari_smdiffusion.recipes.widefield_images import contradictions

TINY = EnhancerConfig(upscale=4, steps=1, batch=1, channels=8, patch=64, previews=0)


def test_enhancer_train_mixes_in_simulated_images_and_fits_the_microscope(storm, widefield):
    settings = {"upscale": 4, "steps": 1, "batch": 1, "channels": 8, "patch": 64, "previews": 0}
    enhancer = Enhancer.train(storm, fit=widefield, simulated=[("mitochondria", 0.5)], **settings)
    assert enhancer.facts.weights == (1.0, 0.5)
    assert enhancer.facts.training_data[1].kind == "simulated"
    low, high = enhancer.microscope.photons_range
    assert high == pytest.approx(4 * low)


def test_simulated_images_alone_have_the_pixel_size_of_the_job():
    job = TrainEnhancerJob(simulated=[("microtubules", 1)], settings=TINY, pixel_size=30)
    assert run(job.steps()).pixel_size == 30


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "Give at least one super-resolution image, or a simulated structure"),
        ({"simulated": [("ribosomes", 1)]}, "'ribosomes'.*microtubules"),
        ({"simulated": [("microtubules", -1)]}, "must be a number of at least 0, not -1"),
        ({"images": "a.tif", "widefield": "w.tif", "fit": "w.tif"}, "leave out the simulated images and the fit"),
    ],
)
def test_a_training_job_refuses_contradictory_fields_when_it_is_created(fields, message):
    with pytest.raises(InputError, match=message):
        TrainEnhancerJob(**fields)


def test_enhancing_continues_after_a_failure_and_returns_it(tiny_enhancer, widefield, tmp_path):
    empty = Image(0 * widefield.pixels, 80.0, name="empty")
    write_image(tmp_path / "cell.tif", widefield)
    events = []
    job = EnhanceJob(tiny_enhancer, [widefield, empty, tmp_path], error_map=True)
    result = run(job.steps(), events.append)
    assert [event.index for event in events if isinstance(event, PartDone)] == [0, 2]
    assert [image.index for image in result.images] == [0, 2]
    np.testing.assert_array_equal(*(image.enhancement.image.pixels for image in result.images))
    assert all(image.error.provenance.rsp for image in result.images)
    assert [failure.sentence[:25] for failure in result.failures] == ["empty could not be enhanc"]
    assert (result.count, result.stopped) == (3, False)
    with pytest.raises(InputError, match="All pixels of empty"):
        run(EnhanceJob(tiny_enhancer, empty).steps())
    with pytest.raises(InputError, match=r"first could not be enhanced: .* second could not be enhanced: "):
        run(EnhanceJob(tiny_enhancer, [dataclasses.replace(empty, name=name) for name in ("first", "second")]).steps())


def test_results_in_files_are_equal_to_results_in_memory(tiny_enhancer, widefield, tmp_path):
    settings, notes = EnhanceConfig(uncertainty=True), []
    job = EnhanceJob(tiny_enhancer, widefield, settings, error_map=True, out=tmp_path / "x.tif")
    (written,) = run(job.steps(), notes.append).images
    (expected,) = run(dataclasses.replace(job, out=None).steps()).images
    for in_file, in_memory in (
        (written.enhancement.image, expected.enhancement.image),
        (written.enhancement.uncertainty, expected.enhancement.uncertainty),
        (written.error, expected.error),
    ):
        np.testing.assert_array_equal(in_file.pixels, in_memory.pixels)
        stated = in_file.provenance.to_json()
        if in_file.provenance.kind != "error map":  # digests, with which a resumed run knows its files
            assert len(stated.pop("weights_sha256")) == len(stated.pop("widefield_image_sha256")) == 64
        assert stated == in_memory.provenance.to_json()
        assert (in_file.pixel_size, in_file.origin) == (in_memory.pixel_size, in_memory.origin)
    messages = (note.message for note in notes if isinstance(note, Note))
    names = [f"x{end}.tif" for end in ("", "_uncertainty", "_error")]
    assert all(any(name in message for message in messages) for name in names)  # in this order


def test_the_plane_that_is_explained_least_is_named(widefield):
    good = widefield.pixels[0]
    planes = np.stack([good, good, 0 * good, *[good] * 5, good[::-1]])  # a black frame, and a last plane that is turned
    stack, factor = dataclasses.replace(widefield, pixels=planes), 2
    result = Image(np.stack([good] * 9).repeat(factor, 1).repeat(factor, 2))
    (said,) = contradictions(result, stack)
    assert said.startswith(f"The result does not explain plane 8 of {widefield.name}: ")
    (said,) = contradictions(dataclasses.replace(result, pixels=result.pixels[:1, ::-1]), widefield)
    assert said.startswith(f"The result does not explain {widefield.name}: ")
    first = (dataclasses.replace(image, pixels=image.pixels[:8]) for image in (result, stack))
    assert not contradictions(*first)


def test_two_enhancers_of_one_name_are_told_apart(tiny_enhancer, widefield):
    stated = [tiny_enhancer.enhance(widefield).provenance.model_digest for _ in range(2)]
    other = dataclasses.replace(tiny_enhancer, widefield=dataclasses.replace(tiny_enhancer.widefield, light=0.7))
    assert stated[0] == stated[1] == tiny_enhancer.digest()[:12]
    assert other.enhance(widefield).provenance.model_digest != stated[0]


def test_a_stop_keeps_the_finished_images(tiny_enhancer, widefield):
    job = EnhanceJob(tiny_enhancer, [widefield, widefield])
    calls = itertools.count()
    run(EnhanceJob(tiny_enhancer, widefield).steps(lambda: next(calls) < 0))
    calls_of_one_image, calls = next(calls), itertools.count()
    result = run(job.steps(lambda: next(calls) >= calls_of_one_image))
    assert ([image.index for image in result.images], result.stopped) == ([0], True)
    with pytest.raises(Stopped):
        run(job.steps(lambda: True))


@pytest.fixture
def hyperstack(tmp_path, widefield):
    """Return a file with times, depths and two channels, of which the second is ten times as bright, and its pixels."""
    first = widefield.pixels[0, :36, :32]
    pixels = np.stack([[[first + k, 10 * first[::-1] + k] for k in (z, z + 5)] for z in range(3)]).astype(np.uint16)
    metadata = {"axes": "TZCYX", "unit": "um", "spacing": 0.2, "finterval": 2.5, "Labels": ["tubulin", "mito"] * 6}
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, pixels, imagej=True, resolution=(12.5, 12.5), metadata=metadata)
    return path, pixels


def test_the_result_has_the_axes_of_its_input_and_one_channel(tiny_enhancer, hyperstack, tmp_path):
    path, pixels = hyperstack
    with pytest.raises(InputError, match=r"has 2 channels: 0 \(tubulin\) and 1 \(mito\)"):
        run(EnhanceJob(tiny_enhancer, path, out=tmp_path / "e.tif").steps())
    settings, events = EnhanceConfig(uncertainty=True), []
    job = EnhanceJob(tiny_enhancer, path, settings, error_map=True, out=tmp_path / "e.tif", channel="mito")
    (result,) = run(job.steps(), events.append).images
    notes = [event.message for event in events if isinstance(event, Note)]
    assert notes[0].endswith("enhanced ×4, 3 times (every 2.5 s) × 2 depths (every 200 nm).")
    alone = Image(pixels[:, :, 1].reshape(-1, 36, 32), 80.0)
    (expected,) = run(EnhanceJob(tiny_enhancer, alone).steps()).images
    np.testing.assert_array_equal(result.enhancement.image.pixels, expected.enhancement.image.pixels)
    for name, size in (("e.tif", 20), ("e_uncertainty.tif", 20), ("e_error.tif", 80)):
        with tifffile.TiffFile(tmp_path / name) as tiff:
            assert tiff.series[0].axes == "TZYX"
            assert (tiff.imagej_metadata["spacing"], tiff.imagej_metadata["finterval"]) == (0.2, 2.5)
        written = read_image(tmp_path / name)
        assert [(axis.name, axis.length, axis.step) for axis in written.axes] == [("T", 3, 2.5), ("Z", 2, 200)]
        assert written.pixel_size == pytest.approx(size)
    assert read_image(tmp_path / "e.tif").provenance.channel == "1 (mito)"


def test_results_of_two_channels_have_names_of_their_own(tiny_enhancer, hyperstack, tmp_path):
    for channel in ("tubulin", "1"):
        run(EnhanceJob(tiny_enhancer, hyperstack[0], out=tmp_path / "out", channel=channel).steps())
    names = {path.name for path in (tmp_path / "out").glob("*.tif")}
    assert names == {"cells_channel_tubulin_enhanced.tif", "cells_channel_1_enhanced.tif"}


def test_a_layer_with_depths_before_times_is_written_in_the_order_of_files(tiny_enhancer, hyperstack, tmp_path):
    pixels = hyperstack[1][:, :, 0].swapaxes(0, 1).reshape(-1, 36, 32)
    image = Image(pixels, 80.0, axes=(Axis("Z", 2, 200.0), Axis("T", 3, 2.5)))
    for out in (None, tmp_path / "e.tif"):
        (result,) = run(EnhanceJob(tiny_enhancer, image, out=out).steps()).images
        assert [axis.name for axis in result.enhancement.image.axes] == (["Z", "T"] if out is None else ["T", "Z"])

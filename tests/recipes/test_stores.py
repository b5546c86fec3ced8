"""Widefield images in OME-Zarr stores are enhanced block by block into stores."""

import errno
import shutil
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from napari_smdiffusion import (
    Axis,
    EnhanceConfig,
    EnhanceJob,
    GenerateConfig,
    GenerateJob,
    Image,
    InputError,
    Stopped,
    read_image,
    run,
    write_image,
)
from napari_smdiffusion.base.events import Generated, Note, Progress, TileDone
from napari_smdiffusion.images import replaced_stores, unfinished, zarr_results

from .interrupted import run_until

zarr = pytest.importorskip("zarr", minversion="3")


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(zarr_results, "LARGEST_CHUNK", 64)
    monkeypatch.setattr(zarr_results, "_COARSEST", 128)


@pytest.fixture
def film(widefield):
    """Return a film of two times, 66 × 40 pixels of 80 nm, which have two tiles each."""
    pixels = widefield.crop(slice(0, 66), slice(0, 40)).pixels[0]
    return Image(np.stack([pixels, 2 * pixels]), 80.0, (400.0, 800.0), axes=(Axis("T", 2, 0.5),))


def _written(path, image, chunk, shard=None):
    """Write an image as a store with other chunks than ours."""
    store = zarr.create_group(str(path), zarr_format=3)
    axes = [{"name": "t", "type": "time", "unit": "second"}]
    axes += [{"name": name, "type": "space", "unit": "nanometer"} for name in "yx"]
    place = [0.0, *(corner + image.pixel_size / 2 for corner in image.origin)]
    steps = [{"type": "scale", "scale": [0.5, 80.0, 80.0]}, {"type": "translation", "translation": place}]
    pyramid = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}
    store.attrs["ome"] = {"version": "0.5", "multiscales": [pyramid]}
    store.create_array("0", data=np.array(image.pixels), chunks=chunk, shards=shard)
    return path


@pytest.mark.parametrize(("chunk", "shard"), [((1, 66, 40), None), ((2, 13, 17), None), ((1, 11, 20), (2, 22, 40))])
def test_a_store_is_enhanced_into_a_store_as_in_memory(tiny_enhancer, film, tmp_path, monkeypatch, chunk, shard):
    if shard:  # the result has shards too, and tiles that end within them
        monkeypatch.setattr(zarr_results, "_CHUNKS_APART", 1)
    source = _written(tmp_path / "film.zarr", film, chunk, shard)
    maps = shard is not None
    settings = EnhanceConfig(uncertainty=maps, tile=64)
    events = []
    (written,) = run(
        EnhanceJob(tiny_enhancer, source, settings, maps, tmp_path / "out.zarr").steps(), events.append
    ).images
    (expected,) = run(EnhanceJob(tiny_enhancer, film, EnhanceConfig(uncertainty=maps), maps).steps()).images
    results = [("", expected.enhancement.image), ("_uncertainty", expected.enhancement.uncertainty)]
    for kind, wanted in results[: 1 + maps]:
        stored = read_image(tmp_path / f"out{kind}.zarr")
        np.testing.assert_allclose(stored.pixels, wanted.pixels, atol=1e-3 * np.ptp(wanted.pixels))
        assert (stored.axes, stored.origin, stored.pixel_size) == (film.axes, film.origin, 20.0)
        assert stored.provenance.kind == wanted.provenance.kind
    part = written.enhancement.image.pixels[1][8:80, 5:9]
    assert np.array_equal(part, read_image(tmp_path / "out.zarr").pixels[1, 8:80, 5:9])
    if maps:
        np.testing.assert_allclose(written.error.pixels, expected.error.pixels, atol=1e-3)
    array = zarr.open_group(str(tmp_path / "out.zarr"), mode="r")["0"]
    assert (array.shape, array.chunks) == ((2, 264, 160), (1, 64, 64))
    assert any(isinstance(event, Progress) and event.stage == "making the pyramid" for event in events)
    names = {"film.zarr", "out.zarr", "out_uncertainty.zarr", "out_error.zarr", "home"}
    assert {path.name for path in tmp_path.iterdir()} <= names


@pytest.mark.parametrize("kill", [False, True])
def test_an_interrupted_store_goes_on_with_the_same_pixels(tiny_enhancer, film, tmp_path, monkeypatch, kill):
    monkeypatch.setattr(unfinished, "_SECONDS", 0.0)
    monkeypatch.setattr(zarr_results, "_CHUNKS_APART", 1)  # blocks of a shard are finished in different runs
    job = EnhanceJob(tiny_enhancer, film, EnhanceConfig(tile=64), out=tmp_path / "x.zarr", resume=True)
    expected = nullcontext() if kill else pytest.raises(Stopped, match=r"x\.zarr is not finished")
    with expected:
        run_until(job, TileDone, 2, kill=kill)
    assert not (tmp_path / "x.zarr").exists()
    part = unfinished.part_of(tmp_path / "x.zarr")
    (part / "0" / "1.left.partial").write_bytes(b"of a killed writer")
    events = []
    run(job.steps(), events.append)
    assert 0 < sum(isinstance(event, TileDone) for event in events) < 4
    (expected,) = run(EnhanceJob(tiny_enhancer, film, EnhanceConfig(tile=64)).steps()).images
    np.testing.assert_array_equal(read_image(tmp_path / "x.zarr").pixels, expected.enhancement.image.pixels)
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == ["x.zarr"]
    assert not list((tmp_path / "x.zarr").rglob("*.partial"))
    # What a stopped repetition has left is not needed, because the result is finished.
    tiles = []
    with pytest.raises(Stopped):
        run(
            replace(job, resume=False).steps(lambda: bool(tiles)),
            lambda e: tiles.append(e) if type(e) is TileDone else 0,
        )
    assert part.exists()
    # A kill between the two renames of a replacement leaves the former store.
    (tmp_path / "x.zarr").rename(replaced_stores._former_of(tmp_path / "x.zarr"))
    again = []
    run(job.steps(), again.append)
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == ["x.zarr"]
    assert any(isinstance(event, Note) and "finished already" in event.message for event in again)


def test_samples_and_their_maps_are_stores_beside_the_result(tiny_sampler, widefield, tmp_path):
    cell = widefield.crop(slice(0, 40), slice(0, 40))
    settings = EnhanceConfig(samples=2)
    run(EnhanceJob(tiny_sampler, cell, settings, out=tmp_path / "x.zarr").steps())
    (expected,) = run(EnhanceJob(tiny_sampler, cell, settings).steps()).images
    for kind, wanted in (("", "image"), ("_samples", "samples"), ("_trust", "trust")):
        image = getattr(expected.enhancement, wanted)
        np.testing.assert_allclose(read_image(tmp_path / f"x{kind}.zarr").pixels, image.pixels, rtol=1e-5)


def test_stores_in_a_folder_become_stores_and_other_folders_are_not_replaced(tiny_enhancer, film, tmp_path):
    write_image(tmp_path / "in" / "a.zarr", film)
    write_image(tmp_path / "in" / "b.tif", film)
    job = EnhanceJob(tiny_enhancer, tmp_path / "in", out=tmp_path / "out")
    for count in (2, 0):
        events = []
        run(job.steps(), events.append)
        assert {event.plane for event in events if isinstance(event, TileDone)} == set(range(count))
        names = sorted(path.name for path in (tmp_path / "out").iterdir())
        assert names == ["a_enhanced.zarr", "b_enhanced.tif", "enhanced.csv"]
    write_image(tmp_path / "zeros.zarr", Image(np.zeros((40, 40), np.float32), provenance={"kind": "enhanced"}))
    assert not read_image(tmp_path / "zeros.zarr").pixels.any()  # chunks of zeros have no file
    (tmp_path / "mine.zarr").mkdir()
    with pytest.raises(FileExistsError, match="was not made by smdiffusion"):
        run(EnhanceJob(tiny_enhancer, film, out=tmp_path / "mine.zarr").steps())
    with pytest.raises(FileExistsError, match="was not made by smdiffusion"):
        run(EnhanceJob(tiny_enhancer, tmp_path / "in" / "b.tif", out=tmp_path / "in" / "a.zarr").steps())
    with pytest.raises(InputError, match="must be a folder for 2 images"):
        run(EnhanceJob(tiny_enhancer, tmp_path / "in", out=tmp_path / "x.zarr").steps())


@pytest.mark.parametrize("resume", [False, True])
def test_a_store_whose_folder_is_removed_meanwhile_is_not_half(tiny_enhancer, film, tmp_path, monkeypatch, resume):
    monkeypatch.setattr(unfinished, "_SECONDS", 1e9 if resume else 0.0)  # found at the end, or at the next mark
    out = tmp_path / "out"
    job = EnhanceJob(tiny_enhancer, film, EnhanceConfig(tile=64, uncertainty=True), out=out / "x.zarr")

    def remove(event):
        if isinstance(event, TileDone):
            shutil.rmtree(out, ignore_errors=True)

    with pytest.raises(
        OSError, match=r"x\.zarr cannot be written .its folder was removed meanwhile.: run the job again"
    ):
        run(job.steps(), remove)
    assert not out.exists() or not list(out.iterdir())
    run(replace(job, resume=resume).steps())
    (expected,) = run(replace(job, out=None).steps()).images
    np.testing.assert_array_equal(read_image(out / "x.zarr").pixels, expected.enhancement.image.pixels)


def test_chunks_that_are_removed_meanwhile_are_noticed(tiny_enhancer, film, tmp_path, monkeypatch):
    monkeypatch.setattr(unfinished, "_SECONDS", 1e9)
    job = EnhanceJob(tiny_enhancer, film, EnhanceConfig(tile=64), out=tmp_path / "x.zarr")
    part = unfinished.part_of(tmp_path / "x.zarr")

    def remove(event):
        if isinstance(event, TileDone):
            shutil.rmtree(part / "0" / "c", ignore_errors=True)

    with pytest.raises(OSError, match="its folder was removed meanwhile"):
        run(job.steps(), remove)
    assert not (tmp_path / "x.zarr").exists()


def test_errors_of_the_disk_name_the_store(tiny_enhancer, film, tmp_path, monkeypatch):
    def full(self, key, values):
        raise OSError(errno.EFBIG, "File too large")

    monkeypatch.setattr(zarr_results.ZarrPlanes, "__setitem__", full)
    message = r"x\.zarr cannot be written \(the file is larger than this disk"
    with pytest.raises(OSError, match=message):
        run(EnhanceJob(tiny_enhancer, film, EnhanceConfig(tile=64), out=tmp_path / "x.zarr").steps())
    with pytest.raises(OSError, match=message):
        write_image(tmp_path / "x.zarr", film)
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == []


def _generating(model, out, count=3, **more):
    return GenerateJob(model, GenerateConfig(count=count, height=64, width=64, steps=3, batch=2), out, **more)


def test_images_are_generated_into_a_store_as_into_a_file(tiny_model, tmp_path):
    stored, filed = (run(_generating(tiny_model, tmp_path / name).steps()) for name in ("g.zarr", "g.tif"))
    np.testing.assert_array_equal(np.asarray(stored.pixels), filed.pixels)
    assert stored.provenance == filed.provenance
    assert stored.pixel_size == filed.pixel_size
    assert read_image(tmp_path / "g.zarr").provenance.kind == "synthetic"


def test_generating_into_a_store_goes_on_after_a_stop_and_after_an_interruption(tiny_model, tmp_path):
    whole = run(_generating(tiny_model, tmp_path / "whole.tif").steps()).pixels
    out = tmp_path / "g.zarr"
    stopped = run_until(_generating(tiny_model, out), Generated, 1)
    assert 1 <= len(stopped) < 3
    np.testing.assert_array_equal(np.asarray(read_image(out).pixels), whole[: len(stopped)])
    interrupted = _generating(tiny_model, out, resume=True).steps()
    next(event for event in interrupted if isinstance(event, Generated))
    interrupted.close()
    events = []
    went_on = run(_generating(tiny_model, out, resume=True).steps(), events.append)
    np.testing.assert_array_equal(np.asarray(went_on.pixels), whole)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert any("Going on after" in event.message for event in events if isinstance(event, Note))

"""Images are enhanced block by block by the workers of a cluster."""

import logging
import os
import signal
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from napari_smdiffusion import EnhanceConfig, EnhanceJob, Image, InputError, Stopped, read_image, run, write_image
from napari_smdiffusion.base.events import Note, Progress, TileDone
from napari_smdiffusion.enhance import blocks
from napari_smdiffusion.images import zarr_results
from napari_smdiffusion.recipes import enhanced_blocks, workers

from .interrupted import run_until

zarr = pytest.importorskip("zarr", minversion="3")
distributed = pytest.importorskip("distributed")


def _started(count):
    more = {"dashboard_address": "127.0.0.1:0", "memory_limit": 0, "silence_logs": 50}
    return distributed.LocalCluster(n_workers=count, threads_per_worker=1, processes=True, **more)


@pytest.fixture(scope="module")
def cluster():
    """Two workers, each a process of its own."""
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address="127.0.0.1:0",
        memory_limit=0,
        silence_logs=50,
    ) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(zarr_results, "LARGEST_CHUNK", 128)
    monkeypatch.setattr(enhanced_blocks, "_SIDE", 64)
    monkeypatch.setattr(enhanced_blocks, "_SMALLEST", 32)


@pytest.fixture
def field(widefield):
    """Return two planes of 140 × 100 pixels of 80 nm: some blocks are smaller than the others."""
    plane = widefield.pixels[0][:140, :100]
    return Image(np.stack([plane, 1.5 * plane]), 80.0)


def _job(enhancer, source, out, cluster=None, **more):
    address = {} if cluster is None else {"scheduler": cluster.scheduler_address}
    settings = EnhanceConfig(uncertainty=more.pop("uncertainty", False), tile=64)
    return EnhanceJob(enhancer, source, settings, out=out, **address, **more)


@pytest.mark.parametrize(("suffix", "pixel_size"), [(".zarr", 80.0), (".zarr", 95.0), (".tif", 80.0)])
def test_workers_compute_what_one_process_computes(tiny_enhancer, field, tmp_path, cluster, suffix, pixel_size):
    """Also of an image that is resampled, whose tiles are no whole chunks."""
    source = tmp_path / f"w{suffix}"
    maps = pixel_size == 95.0
    write_image(source, replace(field, pixels=field.pixels[: 1 if maps else 2], pixel_size=pixel_size))
    events, alone = [], []
    run(_job(tiny_enhancer, source, tmp_path / f"a/x{suffix}", cluster, uncertainty=maps).steps(), events.append)
    run(_job(tiny_enhancer, source, tmp_path / f"b/x{suffix}", uncertainty=maps).steps(), alone.append)
    for kind in ("", "_uncertainty")[: 1 + maps]:
        made, wanted = (read_image(tmp_path / f"{folder}/x{kind}{suffix}") for folder in "ab")
        one, other = np.asarray(made.pixels), np.asarray(wanted.pixels)
        np.testing.assert_allclose(one, other, atol=1e-3 * other.max())
        assert made.provenance == wanted.provenance
        assert made.pixel_size == wanted.pixel_size
    done = [event for event in events if isinstance(event, TileDone)]
    steps = [event for event in events if isinstance(event, Progress) and event.stage == "enhancing"]
    assert len(done) >= 4
    assert (steps[-1].step, steps[-1].total) == (len(done), len(done))
    notes, expected = ([event.message for event in seen if isinstance(event, Note)] for seen in (events, alone))
    assert notes == [message.replace(str(tmp_path / "b"), str(tmp_path / "a")) for message in expected]
    assert [path.name for path in (tmp_path / "a").iterdir() if path.name.startswith(".")] == []


def test_a_killed_worker_costs_its_blocks_only(tiny_enhancer, field, tmp_path, cluster):
    source = tmp_path / "w.zarr"
    write_image(source, field)
    killed = []

    def kill(event):
        if isinstance(event, TileDone) and not killed:
            with distributed.Client(cluster.scheduler_address) as client:
                killed.extend(client.run(os.getpid).values())
            os.kill(killed[0], signal.SIGKILL)

    run(_job(tiny_enhancer, source, tmp_path / "x.zarr", cluster).steps(), kill)
    assert killed
    run(_job(tiny_enhancer, source, tmp_path / "y.zarr").steps())
    made, wanted = (np.asarray(read_image(tmp_path / f"{name}.zarr").pixels) for name in "xy")
    np.testing.assert_allclose(made, wanted, atol=1e-3 * wanted.max())


@pytest.mark.parametrize("others", [(True, False), (False, True)])
def test_a_stopped_run_goes_on_with_and_without_workers(tiny_enhancer, field, tmp_path, cluster, others):
    source, out = tmp_path / "w.zarr", tmp_path / "x.zarr"
    write_image(source, field)
    first, second = (cluster if on_workers else None for on_workers in others)
    with pytest.raises(Stopped, match="--resume"):
        run_until(_job(tiny_enhancer, source, out, first), TileDone, 3)
    events = []
    run(_job(tiny_enhancer, source, out, second, resume=True).steps(), events.append)
    whole = run(_job(tiny_enhancer, field, None).steps()).images[0].enhancement.image.pixels
    np.testing.assert_allclose(np.asarray(read_image(out).pixels), whole, atol=1e-3 * whole.max())
    if second is not None:  # what was finished before is not computed again
        assert sum(isinstance(event, TileDone) for event in events) < 12


def test_a_folder_is_enhanced_with_workers_that_are_started_and_ended(tiny_enhancer, widefield, tmp_path):
    for name in ("a", "b"):
        write_image(tmp_path / "in" / f"{name}.tif", widefield)
    tiny_enhancer.save(tmp_path / "tiny")
    job = EnhanceJob(tmp_path / "tiny", tmp_path / "in", out=tmp_path / "out", workers=1)
    result = run(job.steps())
    assert [image.name.endswith(f"{name}.tif") for image, name in zip(result.images, "ab", strict=True)] == [True] * 2
    alone = tiny_enhancer.enhance(widefield).pixels
    for image in result.images:
        np.testing.assert_allclose(image.enhancement.image.pixels, alone, atol=1e-3 * alone.max())
    assert "enhanced" in (tmp_path / "out" / "enhanced.csv").read_text()


def test_a_worker_of_another_version_or_without_the_files_is_named(tiny_enhancer, field, tmp_path, monkeypatch):
    work = blocks.BlockWork(str(tmp_path / "gone"), str(tmp_path / "w.npy"), "w", 80.0, EnhanceConfig())
    block = blocks.Block(0, (0, 64), (0, 64))
    with pytest.raises(InputError, match=r"cannot read .*gone: write the result on a drive that all workers share\."):
        blocks.computed_block(work, block)
    with pytest.raises(InputError, match=r"has napari-smdiffusion .*, not 0\.0\.1: install the same version there\."):
        blocks.computed_block(replace(work, version="0.0.1"), block)


class _Failed:
    """The future of a block that failed."""

    def __init__(self, error):
        self._error = error

    def result(self):
        raise self._error


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            ModuleNotFoundError("No module named 'napari_smdiffusion'"),
            InputError,
            "install this version on all workers",
        ),
        (distributed.scheduler.KilledWorker("block", None, 3), OSError, "fewer workers"),
    ],
)
def test_workers_that_cannot_compute_a_block_have_a_sentence(error, kind, message):
    with pytest.raises(kind, match=message):
        enhanced_blocks._result(_Failed(error))


def test_a_block_of_a_run_that_has_ended_is_not_written(tiny_enhancer, field, tmp_path):
    """Its store may be that of a later run with other settings."""
    tiny_enhancer.save(tmp_path / "model")
    np.save(tmp_path / "w.npy", field.pixels)
    work = blocks.BlockWork(str(tmp_path / "model"), str(tmp_path / "w.npy"), "w", 80.0, EnhanceConfig(tile=64))
    block = blocks.Block(0, (0, 64), (0, 64))
    assert blocks.computed_block(work, block).values[0].shape == (64, 64)
    (tmp_path / "w.npy").unlink()
    with pytest.raises(InputError, match="has ended"):
        blocks.computed_block(work, block)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install 'napari-smdiffusion\[cluster\]'"):
        workers.imported_distributed()


def test_a_scheduler_that_does_not_answer_is_named(tiny_enhancer, field, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "ANSWER", 0.5)
    job = EnhanceJob(tiny_enhancer, field, out=tmp_path / "x.zarr", scheduler="tcp://127.0.0.1:9")
    level = logging.getLogger("distributed").level
    with pytest.raises(InputError, match=r"No scheduler answers at tcp://127\.0\.0\.1:9"):
        run(job.steps())
    assert logging.getLogger("distributed").level == level


def test_a_scheduler_that_ends_leaves_the_finished_blocks(tiny_enhancer, field, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "ANSWER", 1.0)
    monkeypatch.setattr(enhanced_blocks, "ANSWER", 1.0)
    source, out = tmp_path / "w.zarr", tmp_path / "x.zarr"
    write_image(source, field)
    cluster = distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=True,
        dashboard_address="127.0.0.1:0",
        memory_limit=0,
        silence_logs=50,
    )

    def end(event):
        if isinstance(event, TileDone):
            cluster.close()

    began = time.monotonic()
    with pytest.raises(OSError, match=r"scheduler does not answer any more\. The finished blocks of .* are kept"):
        run(_job(tiny_enhancer, source, out, cluster).steps(), end)
    assert time.monotonic() - began < 20
    run(_job(tiny_enhancer, source, out, resume=True).steps())
    assert read_image(out).pixels.shape[0] == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"workers": -1, "out": "x.zarr"}, "workers must be between 0 and"),
        ({"workers": 2, "scheduler": "tcp://a:1", "out": "x.zarr"}, "workers must be left out where a scheduler"),
        ({"workers": 2}, "out must name the result"),
    ],
)
def test_impossible_requests_are_refused(tiny_enhancer, field, settings, message):
    with pytest.raises(InputError, match=message):
        EnhanceJob(tiny_enhancer, field, **settings)


def test_workers_draw_no_samples(tiny_sampler, field, tmp_path):
    job = EnhanceJob(tiny_sampler, field, EnhanceConfig(samples=2), out=tmp_path / "x.zarr", workers=2)
    with pytest.raises(InputError, match="Workers cannot draw samples"):
        run(job.steps())

"""Enhancers as bioimage.io packages: a program that follows the description gets the result of `enhance`."""

import errno
import sys
import zipfile
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_smdiffusion import Enhancer, GetJob, Image, export_enhancer, run_job
from napari_smdiffusion.base.folders import user_folder
from napari_smdiffusion.cli.entry import main
from napari_smdiffusion.enhance import export
from napari_smdiffusion.enhance.export import _ScriptableEnhancer
from napari_smdiffusion.images.registration import translated
from napari_smdiffusion.store.weights import digest_of_weights


@pytest.fixture
def folder(tiny_enhancer, tmp_path):
    """Return the folder of an enhancer whose name is invalid for a package."""
    enhancer = replace(tiny_enhancer, facts=replace(tiny_enhancer.facts, name="für mich: ×4"))
    enhancer.save(tmp_path / "mine")
    return tmp_path / "mine"


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_package_gives_the_result_of_enhance(folder, tiny_enhancer, tmp_path, monkeypatch):
    from bioimageio.spec import load_description

    path = export_enhancer(folder, tmp_path / "a.zip", authors=["Ada Lovelace"], license_id="CC-BY-4.0")
    description = load_description(path)
    assert description.validation_summary.status != "failed"
    assert description.name == "f_r mich_ _4 (widefield enhanced x4)"
    assert (description.authors[0].name, str(description.license)) == ("Ada Lovelace", "CC-BY-4.0")
    (widefield,), (enhanced,) = description.inputs, description.outputs
    assert [step.id for step in widefield.preprocessing] == ["ensure_dtype"]  # the levels are in the network
    assert [axis.scale for axis in widefield.axes[2:]] == pytest.approx([80, 80])
    for length in range(100, 3000, 4):  # readers truncate the computed size
        assert enhanced.axes[2].size.get_size(enhanced.axes[2], widefield.axes[2], ref_size=length) == 4 * length
    with zipfile.ZipFile(path) as zipped:
        zipped.extractall(tmp_path / "package")
    assert "\n## Validation\n\nNot stated" in (tmp_path / "package" / "README.md").read_text()
    network = torch.jit.load(tmp_path / "package" / "enhancer.pt")
    counts, expected = (np.load(tmp_path / "package" / f"{name}.npy") for name in ("widefield", "enhanced"))
    assert expected.shape == (1, 1, *(4 * length for length in counts.shape[2:]))
    with torch.no_grad():
        result = network(torch.from_numpy(counts)).numpy()
    np.testing.assert_allclose(result, expected, atol=1e-4 * np.ptp(expected))
    uncompiled = _ScriptableEnhancer(tiny_enhancer.network, tiny_enhancer.widefield).eval()
    # In float32, as the package computes.
    monkeypatch.setattr("napari_smdiffusion.enhance.predicting.autocast", lambda device: nullcontext())
    for part in (counts[0, 0], counts[0, 0, :101, :110]):
        ours = tiny_enhancer.enhance(Image(part)).pixels
        with torch.no_grad():
            theirs = network(torch.from_numpy(part)[None, None]).numpy()[0]
            plain = uncompiled(torch.from_numpy(part)[None, None]).numpy()[0]
        np.testing.assert_allclose(plain, theirs, atol=1e-5 * np.ptp(ours))
        np.testing.assert_allclose(theirs, ours, atol=1e-5 * np.ptp(ours))  # float32 has 1e-6
        assert np.abs(translated(theirs[0], (0, 1)) - ours[0]).max() > 1e-2 * np.ptp(ours)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_package_is_taken_back_with_its_sampler(tiny_sampler, tmp_path):
    from bioimageio.spec import load_description

    tiny_sampler.save(tmp_path / "mine")
    package = export_enhancer(tmp_path / "mine", tmp_path / "a.zip", authors=["Ada"], license_id="CC0-1.0")
    attached = load_description(package).attachments
    assert [str(attachment.source.path) for attachment in attached] == ["napari-smdiffusion.zip"]
    received = run_job(GetJob(package))
    assert (received.name, received.kind) == ("mine", "enhancer")
    theirs = Enhancer.load("mine")
    assert (theirs.facts.authors, theirs.facts.license) == (("Ada",), "CC0-1.0")
    for ours, other in (
        (tiny_sampler.network, theirs.network),
        (tiny_sampler.sampler.network, theirs.sampler.network),
    ):
        assert digest_of_weights(ours) == digest_of_weights(other)
    # The package is taken for what it states, and the TorchScript network in it is not read.
    with zipfile.ZipFile(package) as old, zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as changed:
        for entry in old.infolist():
            changed.writestr(entry.filename, b"evil" if entry.filename == "enhancer.pt" else old.read(entry))
    assert run_job(GetJob(tmp_path / "b.zip")).folder == received.folder
    assert [path.name for path in user_folder().iterdir()] == ["enhancer"]


def test_the_command_exports_a_package_or_reports_the_error(folder, tmp_path, capsys, tiny_model):
    def run(*arguments):
        return main(["export", *map(str, arguments)]), capsys.readouterr().err

    code, message = run(folder, "--out", tmp_path / "a.zip", "--author", "A", "B")
    assert code == 0
    assert "a.zip is a bioimage.io package" in message
    assert (tmp_path / "a.zip").stat().st_size > 10_000
    tiny_model.save(tmp_path / "model")
    for arguments, expected in (
        ((folder, "--out", tmp_path / "a.zip"), "exists: name another file"),
        ((folder, "--out", tmp_path / "a.tar"), "must end in .zip"),
        ((tmp_path / "model", "--out", tmp_path / "b.zip"), "diffusion"),
        ((folder, "--out", tmp_path / "b.zip", "--license", "mine"), "cannot be described for bioimage.io"),
    ):
        code, message = run(*arguments)
        assert code == 2
        assert expected in message
    assert {path.name for path in tmp_path.glob("*.zip")} == {"a.zip"}


def test_a_missing_package_is_named(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bioimageio.spec", None)
    with pytest.raises(ValueError, match=r"pip install bioimageio\.spec"):
        export_enhancer(folder, tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/tmp/hidden"),
            r"a\.zip cannot be written \(the disk is full\)",
        ),
        (OSError("a.zip cannot be replaced. The result is saved elsewhere."), "saved elsewhere"),
    ],
)
def test_a_package_that_cannot_be_written_is_named(folder, tmp_path, monkeypatch, error, message):
    @contextmanager
    def fail(path):
        raise error
        yield

    monkeypatch.setattr(export, "temporary_folder", fail)
    with pytest.raises(OSError, match=message):
        export_enhancer(folder, tmp_path / "a.zip")

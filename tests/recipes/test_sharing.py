"""Sharing a model, and getting one: from files, links and a hub, with nothing kept that fails a check."""

import hashlib
import json
import zipfile

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from hub import TOKEN, running_hub
from napari_smdiffusion import DiffusionModel, Enhancer, GetJob, InputError, ShareJob, Stopped, list_models, run_job
from napari_smdiffusion.base import download
from napari_smdiffusion.base.events import Progress, run
from napari_smdiffusion.base.folders import user_folder
from napari_smdiffusion.cli.entry import main


@pytest.fixture(scope="module")
def hub():
    """Run a small hub on this computer."""
    with running_hub() as hub:
        yield hub


@pytest.fixture
def on_hub(hub, monkeypatch):
    """Use the small hub in place of huggingface.co, logged in."""
    pytest.importorskip("huggingface_hub")
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.repositories.clear()
    return hub


@pytest.fixture
def mine(tiny_enhancer):
    """Put an enhancer "mine" into the user's folder, and return its folder."""
    tiny_enhancer.save(user_folder() / "enhancer" / "mine")
    return user_folder() / "enhancer" / "mine"


@pytest.fixture
def shared(mine, tmp_path):
    """Return the file of the enhancer "mine", which is no longer in the user's folder."""
    path = run_job(ShareJob("mine", out=tmp_path / "mine.zip")).path
    mine.rename(tmp_path / "original")
    return path


def _kept():
    """Return everything in the user's folder, except for empty folders."""
    return {path for path in user_folder().rglob("*") if path.is_file()}


def _changed(shared, path, change):
    """Write a shared file anew with changed files of its model and right hashes, as an attacker can; return `path`."""
    folder = path.with_suffix("")
    with zipfile.ZipFile(shared) as archive:
        archive.extractall(folder)
    contents = json.loads((folder / "share.json").read_text())
    change(folder)
    with zipfile.ZipFile(path, "w") as archive:
        for name in contents["parts"]:
            content = (folder / name).read_bytes()
            contents["parts"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            archive.writestr(name, content)
        archive.writestr("share.json", json.dumps(contents))
    return path


def _with_facts(**values):
    def change(folder):
        facts = json.loads((folder / "model.json").read_text())
        (folder / "model.json").write_text(json.dumps({**facts, **values}))

    return change


def _with_weights(change):
    def changed(folder):
        path = folder / "weights" / "enhancer.safetensors"
        weights = load_file(path)
        change(weights)
        save_file(weights, path)

    return changed


def test_a_colleague_gets_the_same_model(tiny_sampler, widefield, tmp_path):
    tiny_sampler.save(tmp_path / "mine")
    shared = run_job(ShareJob(tmp_path / "mine", out=tmp_path / "a.zip", authors="Ada  L.", license="CC0-1.0"))
    assert shared.sha256 == hashlib.sha256(shared.path.read_bytes()).hexdigest()
    assert (shared.name, shared.kind, shared.size) == ("mine", "enhancer", shared.path.stat().st_size)
    received = run_job(GetJob(shared.path, sha256=f"SHA256:{shared.sha256.upper()}"))
    assert (received.name, received.is_new) == ("mine", True)
    assert received.folder == user_folder() / "enhancer" / "mine"
    theirs, ours = Enhancer.load("mine"), tiny_sampler
    assert (theirs.facts.authors, theirs.facts.license) == (("Ada L.",), "CC0-1.0")
    part = widefield.crop(slice(0, 40), slice(0, 40))
    np.testing.assert_array_equal(theirs.enhance(part).pixels, ours.enhance(part).pixels)
    assert theirs.sampler is not None
    assert theirs.sampler.facts == ours.sampler.facts


def test_a_diffusion_model_of_several_structures_is_shared(tiny_conditional, tmp_path, monkeypatch):
    tiny_conditional.save(tmp_path / "two")
    monkeypatch.chdir(tmp_path)
    assert run_job(ShareJob("./two")).path == tmp_path / "two.diffusion.zip"
    with pytest.raises(FileExistsError, match="choose another name"):
        run_job(ShareJob("./two"))
    received = run_job(GetJob("two.diffusion.zip", name=" theirs "))
    assert received.folder == user_folder() / "diffusion" / "theirs"
    model = DiffusionModel.load("theirs")
    assert (model.name, model.structures) == ("theirs", tiny_conditional.structures)


def test_a_model_that_is_there_already_is_not_added(shared, capsys):
    first, again = (run_job(GetJob(shared)) for _ in range(2))
    assert (first.is_new, again.is_new, again.folder) == (True, False, first.folder)
    assert "nothing was added" in capsys.readouterr().err
    named = run_job(GetJob(shared, name="other"))
    with pytest.raises(FileExistsError, match="choose another name"):
        run_job(GetJob(shared, name="other"))
    assert [entry.name for entry in list_models("enhancer") if not entry.bundled] == ["mine", "other"]
    assert (named.folder / "README.md").read_text().startswith("# other: ")
    assert json.loads((named.folder / "model.json").read_text())["name"] == "other"


def test_another_model_of_this_name_stays(shared, tmp_path, tiny_sampler, capsys):
    tiny_sampler.save(user_folder() / "enhancer" / "mine")
    received = run_job(GetJob(shared))
    assert received.name == "mine 2"
    assert "this one is called mine 2" in capsys.readouterr().err
    assert Enhancer.load("mine").sampler is not None
    assert Enhancer.load("mine 2").sampler is None
    bundled = run_job(ShareJob("microtubules-x4", out=tmp_path / "b.zip")).path
    assert not run_job(GetJob(bundled)).is_new
    assert {path.name for path in (user_folder() / "enhancer").iterdir()} == {"mine", "mine 2"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_with_facts(kind="diffusion"), "an enhancer is needed"),
        (_with_facts(format_version=9), "newer napari-smdiffusion"),
        (_with_facts(steps="many"), "steps: "),
        (_with_facts(pixel_size_nm=-1), "pixel_size_nm: "),
        (_with_facts(config={"upscale": 4, "channels": 10**9}), "is damaged"),
        (_with_facts(authors=3), "authors: "),
        (_with_weights(lambda weights: weights.pop("leave.bias")), "leave.bias is missing"),
        (_with_weights(lambda weights: weights.update(more=weights["leave.bias"].clone())), "does not belong"),
        (_with_weights(lambda weights: weights["leave.bias"].fill_(float("nan"))), "not finite"),
        (lambda folder: (folder / "weights" / "enhancer.safetensors").write_bytes(b"\x80\x04pickle"), "is damaged"),
        (lambda folder: (folder / "model.json").write_text("{" * 10**5 + "}" * 10**5), "nested|damaged"),
    ],
)
def test_a_model_that_cannot_be_used_is_not_kept(shared, tmp_path, change, message):
    path = _changed(shared, tmp_path / "changed.zip", change)
    with pytest.raises(InputError, match=message) as error:
        run_job(GetJob(path))
    assert str(path) in str(error.value)
    assert "smdiffusion-new" not in str(error.value)
    assert not _kept()


@pytest.mark.parametrize("name", ["../../evil", "a/b", ".hidden", "", "a\x1b[31mb"])
def test_a_model_with_an_impossible_name_is_not_kept(shared, tmp_path, name):
    with zipfile.ZipFile(shared) as old, zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename == "share.json":
                content = json.dumps({**json.loads(content), "name": name}).encode()
            archive.writestr(entry.filename, content)
    with pytest.raises(InputError, match="cannot be the name of a model"):
        run_job(GetJob(tmp_path / "b.zip"))
    assert not _kept()
    assert run_job(GetJob(tmp_path / "b.zip", name="good")).name == "good"


def test_another_file_than_its_author_wrote_is_not_used(shared, tmp_path):
    for wrong in ("0" * 64, hashlib.sha256(b"").hexdigest()):
        with pytest.raises(InputError, match="another file than its author wrote"):
            run_job(GetJob(shared, sha256=wrong))
    for bad in ("0" * 63, "g" * 64, ""):
        with pytest.raises(InputError, match="must have 64 digits"):
            GetJob(shared, sha256=bad)
    for source, message in ((tmp_path, "is a folder"), (tmp_path / "none.zip", "none.zip")):
        with pytest.raises((InputError, OSError), match=message):
            run_job(GetJob(source))
    assert not _kept()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "other"}, "kind must be"),
        ({"out": "a.tar"}, "must end in .zip"),
        ({"license": "my own"}, "SPDX identifier"),
        ({"to": "ada/model"}, "no place on the hub"),
        ({"to": "hf:ada/../model"}, "no place on the hub"),
        ({"public": True}, "on a hub"),
        ({"authors": ["Ada", " "]}, "authors must be names"),
    ],
)
def test_unsuitable_fields_are_refused(fields, message):
    with pytest.raises(InputError, match=message):
        ShareJob("mine", **fields)


def test_a_damaged_or_ambiguous_model_is_not_shared(mine, tmp_path):
    with pytest.raises(InputError, match="two models called microtubules"):
        run_job(ShareJob("microtubules", out=tmp_path / "a.zip"))
    with pytest.raises(InputError, match=r"one of these names: .*mine"):
        run_job(ShareJob("none", out=tmp_path / "a.zip"))
    with pytest.raises(InputError, match="a diffusion model is needed"):
        run_job(ShareJob(mine, "diffusion", out=tmp_path / "a.zip"))
    (mine / "weights" / "enhancer.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="is damaged"):
        run_job(ShareJob(mine, out=tmp_path / "a.zip"))
    assert not list(tmp_path.glob("*.zip"))


# Links.


def test_a_link_is_downloaded_with_its_progress(hub, shared, monkeypatch):
    monkeypatch.setattr(download, "_CHUNK", 2**14)
    monkeypatch.setattr(download.time, "monotonic", iter(range(10**6)).__next__)
    hub.files["/files/a.zip"], events = shared.read_bytes(), []
    hub.redirects["/files/moved"] = f"{hub.url}/files/a.zip"
    received = run(GetJob(f"{hub.url}/files/moved").steps(), events.append)
    assert received.name == "mine"
    steps = [event.step for event in events if isinstance(event, Progress)]
    assert len(steps) > 5
    assert steps == sorted(steps)
    assert steps[-1] == len(shared.read_bytes()) // 1024
    assert {path.name for path in user_folder().iterdir()} == {"enhancer"}


def test_a_bad_answer_is_one_sentence_and_leaves_nothing(hub, shared, monkeypatch):
    content = shared.read_bytes()
    hub.files |= {"/files/a.zip": content, "/files/page": b"<html>Not here</html>"}
    hub.redirects |= {"/files/circle": f"{hub.url}/files/circle", "/files/plain": "http://example.invalid/a.zip"}

    def refused(path, message, **headers):
        monkeypatch.setattr(hub, "headers", headers)
        with pytest.raises(InputError, match=message):
            run_job(GetJob(path if "://" in path else f"{hub.url}/files/{path}"))
        assert not _kept()

    refused("none.zip", "the server answers 404 Not Found")
    refused("page", "like a page of the web")
    refused("circle", "leads in a circle")
    refused("plain", "not encrypted")
    refused("a.zip", "cut off", Content_Length=str(len(content) + 10))
    refused("a.zip", "which no file of a model has", Content_Length=str(2**40))
    refused("a.zip", "packed form", Content_Encoding="gzip")
    refused("http://127.0.0.1:9/a.zip", "there is no connection")
    monkeypatch.setattr("napari_smdiffusion.recipes.get_model.LARGEST", 1000)
    refused("a.zip", "which no file of a model has")


def test_a_stopped_download_leaves_nothing(hub, shared, monkeypatch):
    monkeypatch.setattr(download, "_CHUNK", 2**14)
    hub.files["/files/a.zip"] = shared.read_bytes()
    count = iter(range(100))
    with pytest.raises(Stopped, match="nothing was kept"):
        run(GetJob(f"{hub.url}/files/a.zip").steps(lambda: next(count) > 3))
    with pytest.raises(Stopped, match="nothing was kept"):
        run(GetJob(shared).steps(lambda: True))
    assert not _kept()


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("http://example.org/a.zip", "not encrypted"),
        ("http://localhost.example.org/a.zip", "not encrypted"),
        ("ftp://example.org/a.zip", "begins with https://"),
        ("file:///etc/passwd", "begins with https://"),
        ("https:///a.zip", "begins with https://"),
        ("https://[::1/a.zip", "no valid link"),
        ("hf:ada", "no place on the hub"),
        ("hf:ada/model:evil.sh", "no place on the hub"),
    ],
)
def test_unsuitable_links_are_refused_before_any_request(link, message):
    with pytest.raises(InputError, match=message):
        GetJob(link)
    if "not encrypted" in message:  # the hash makes up for it
        assert GetJob(link, sha256="0" * 64).source == link


# The hub.


def test_a_model_goes_to_a_hub_and_comes_back(on_hub, mine, tmp_path, capsys):
    (mine / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(8) + (4).to_bytes(4, "big") * 2)
    shared = run_job(ShareJob("mine", to="hf:ada/tubules", license="CC-BY-4.0"))
    assert (shared.path, shared.link) == (None, f"{on_hub.url}/ada/tubules")
    repository = on_hub.repositories["ada/tubules"]
    assert repository.private
    assert set(repository.files) == {"mine.enhancer.zip", "README.md", "picture.png"}
    assert hashlib.sha256(repository.files["mine.enhancer.zip"]).hexdigest() == shared.sha256
    card = repository.files["README.md"].decode()
    assert card.startswith("---\n")
    assert "license: cc-by-4.0" in card
    assert "library_name: napari-smdiffusion" in card
    assert "smdiffusion get hf:ada/tubules" in card
    mine.rename(tmp_path / "original")
    received = run_job(GetJob("hf:ada/tubules", sha256=shared.sha256))
    assert received.sha256 == shared.sha256
    assert Enhancer.load("mine").facts.license == "CC-BY-4.0"
    # A second model in the same repository; the card stays, and a place names one of the two.
    repository.files["README.md"] = b"my own card"
    first = repository.commit
    run_job(ShareJob("microtubules-x4", to="hf:ada/tubules", out=tmp_path / "kept.zip", public=True))
    assert (tmp_path / "kept.zip").read_bytes() == repository.files["microtubules-x4.enhancer.zip"]
    assert repository.files["README.md"] == b"my own card"
    assert repository.private  # it stays as it was
    with pytest.raises(InputError, match=r"2 models: choose one, such as hf:ada/tubules:mine\.enhancer\.zip"):
        run_job(GetJob("hf:ada/tubules"))
    assert run_job(GetJob("hf:ada/tubules:mine.enhancer.zip")).name == "mine"
    assert run_job(GetJob(f"hf:ada/tubules@{repository.commit}:mine.enhancer.zip")).name == "mine"
    with pytest.raises(InputError, match="no such revision"):
        run_job(GetJob(f"hf:ada/tubules@{first}"))


def test_errors_of_a_hub_are_one_sentence(on_hub, mine, monkeypatch, capsys):
    def refused(job, message):
        with pytest.raises(InputError, match=message):
            run_job(job)
        assert {path.parent.name for path in _kept()} <= {"mine", "weights"}

    refused(GetJob("hf:ada/none"), "does not exist, or is private")
    refused(ShareJob("mine", to="hf:taken/mine"), "does not allow this")
    run_job(ShareJob("mine", to="hf:ada/mine", public=True))
    assert not on_hub.repositories["ada/mine"].private
    refused(GetJob("hf:ada/mine:other.enhancer.zip"), "the repository has mine.enhancer.zip")
    on_hub.repositories["ada/mine"].files.pop("mine.enhancer.zip")
    refused(GetJob("hf:ada/mine"), "no model of this package")
    on_hub.repositories["ada/mine"].files["evil.enhancer.zip"] = b"PK\x03\x04"
    refused(GetJob("hf:ada/mine"), "damaged")
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setenv("HF_TOKEN_PATH", "/nonexistent")
    on_hub.repositories["ada/mine"].private = True
    refused(GetJob("hf:ada/mine"), "log in with `hf auth login`")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    refused(GetJob("hf:ada/mine"), "cannot be reached")
    assert main(["share", "mine", "--to", "hf:ada/mine"]) == 2
    assert "cannot be reached" in capsys.readouterr().err


def test_a_missing_library_is_named(mine, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    for job in (GetJob("hf:ada/mine"), ShareJob("mine", to="hf:ada/mine")):
        with pytest.raises(InputError, match=r"pip install 'napari-smdiffusion\[hub\]'"):
            run_job(job)


# The commands.


def test_the_commands_share_and_get(mine, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def command(*words):
        code = main(list(map(str, words)))
        return code, capsys.readouterr().err

    code, message = command("share", "mine", "--author", "Ada", "--license", "CC0-1.0")
    assert code == 0
    digest = hashlib.sha256((tmp_path / "mine.enhancer.zip").read_bytes()).hexdigest()
    assert f"smdiffusion get mine.enhancer.zip --sha256 {digest}" in message
    code, message = command("share", "mine", "--out", "mine.enhancer.zip")
    assert (code, "name another file" in message) == (2, True)
    assert command("share", "microtubules")[1].startswith("smdiffusion share: --kind must be")
    code, message = command("get", "mine.enhancer.zip", "--sha256", digest, "--name", "from Ada")
    assert code == 0
    assert 'smdiffusion models "from Ada"' in message
    assert 'smdiffusion enhance "from Ada" widefield.tif --out enhanced.tif' in message
    assert main(["models", "from Ada"]) == 0
    card = capsys.readouterr().out
    assert "authors           Ada\n" in card
    assert "license           CC0-1.0\n" in card
    code, message = command("get", "mine.enhancer.zip", "--sha256", "12")
    assert (code, message.startswith("smdiffusion get: --sha256 must have 64 digits")) == (2, True)

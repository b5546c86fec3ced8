"""What a release states about itself agrees, and the programs of a release do their work."""

import importlib.util
import re
import shutil
from pathlib import Path

import pytest
import yaml

from napari_smdiffusion import __version__

ROOT = Path(__file__).parents[1]


def _tool(name):
    """Return a program of `tools/` as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def clone(tmp_path):
    """Copy what the preparation of a release reads."""
    for name in ("README.md", "pyproject.toml", "src/napari_smdiffusion/base/version.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest[1] == __version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_on_pypi_every_link_of_the_readme_is_full_and_leads_to_a_file(clone):
    tool, repository = _tool("for_publishing"), "https://github.com/ada/smd"
    tool.prepare(clone, repository, f"v{__version__}")
    text = (clone / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)\s]+)\)", text)
    assert len(links) > 15
    assert all(link.startswith("https://") for _, link in links)
    ours = [(mark, link) for mark, link in links if "ada/smd" in link]
    raw = f"https://raw.githubusercontent.com/ada/smd/v{__version__}/"
    for mark, link in ours:
        page = re.match(rf"{raw}|{repository}/(blob|tree)/v{__version__}/", link)
        assert page is not None, link
        assert (page[0] == raw) == bool(mark)
        path = ROOT / link.removeprefix(page[0]).partition("#")[0]
        assert path.is_dir() if page[1] == "tree" else path.is_file(), link
    project = (clone / "pyproject.toml").read_text(encoding="utf-8")
    assert f'Issues = "{repository}/issues"\n' in project
    assert project.count("[project.urls]") == 1


@pytest.mark.parametrize(
    ("repository", "tag", "message"),
    [
        ("https://github.com/ada/smd", "v9.9.9", "the tag must be v"),
        ("https://github.com/ada/smd", __version__, "the tag must be v"),
        ("https://example.org/ada", f"v{__version__}", "no address of a repository"),
    ],
)
def test_a_wrong_tag_or_address_ends_a_release(clone, repository, tag, message):
    before = (clone / "README.md").read_text(encoding="utf-8")
    with pytest.raises(SystemExit, match=message):
        _tool("for_publishing").prepare(clone, repository, tag)
    assert (clone / "README.md").read_text(encoding="utf-8") == before


def test_only_the_job_that_publishes_may_speak_for_the_project():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    allowed = {name: job.get("permissions", {}) for name, job in workflow["jobs"].items()}
    assert allowed == {"build": {}, "publish": {"id-token": "write"}, "announce": {"contents": "write"}}
    # No code of the project or of its dependencies runs with these permissions.
    assert all("run" not in step for step in workflow["jobs"]["publish"]["steps"])
    assert "secrets." not in (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")


def test_links_between_pages_lead_to_files():
    for page in (*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"):
        for link in re.findall(r"\]\((?!https?://|#|mailto:)([^)\s#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"

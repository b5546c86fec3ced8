"""Prepares a copy of the source for PyPI: links of the README lead to the repository, and the metadata name it.

    python tools/for_publishing.py https://github.com/OWNER/NAME v0.1.0

PyPI shows the README without the other files, so that links such as `docs/faq.md` would lead nowhere. The workflow of a
release runs this before the build. It checks first that the tag is that of the version.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
_LINK = re.compile(r"(!?\[[^\]]*\])\((?!https?://|#|mailto:)([^)\s]+)\)")


def with_full_links(text: str, repository: str, tag: str) -> str:
    """Return Markdown with full links to the pages of a repository, and to the files of its pictures."""
    owner_and_name = repository.removeprefix("https://github.com/")
    pictures = f"https://raw.githubusercontent.com/{owner_and_name}/{tag}/"

    def full(match: re.Match[str]) -> str:
        # The pages of folders have addresses of their own.
        page = "blob" if PurePosixPath(match[2].partition("#")[0]).suffix else "tree"
        base = pictures if match[1].startswith("!") else f"{repository}/{page}/{tag}/"
        return f"{match[1]}({base}{match[2]})"

    return _LINK.sub(full, text)


def with_addresses(text: str, repository: str, tag: str) -> str:
    """Return pyproject.toml with the addresses of the repository, which PyPI and the napari hub show."""
    addresses = {
        "Source": repository,
        "Documentation": f"{repository}/tree/{tag}/docs",
        "Changelog": f"{repository}/blob/{tag}/CHANGELOG.md",
        "Issues": f"{repository}/issues",
    }
    lines = "".join(f'{name} = "{address}"\n' for name, address in addresses.items())
    return text.replace("[project.urls]\n", f"[project.urls]\n{lines}", 1)


def version_of(root: Path) -> str:
    """Return the version that the source states."""
    text = (root / "src" / "napari_smdiffusion" / "base" / "version.py").read_text(encoding="utf-8")
    match = re.search(r'__version__ = "([^"]+)"', text)
    assert match is not None
    return match[1]


def prepare(root: Path, repository: str, tag: str) -> None:
    """Change README.md and pyproject.toml in `root`; end the program if the tag is not that of the version."""
    version = version_of(root)
    if tag != f"v{version}":
        raise SystemExit(f"The tag is {tag}, and the version is {version}: the tag must be v{version}.")
    if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", repository):
        raise SystemExit(f"{repository} is no address of a repository, such as https://github.com/OWNER/NAME.")
    for name, change in (("README.md", with_full_links), ("pyproject.toml", with_addresses)):
        path = root / name
        path.write_text(change(path.read_text(encoding="utf-8"), repository, tag), encoding="utf-8")


def main() -> None:
    """Prepare the clone that this program is in."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", help="address of the repository")
    parser.add_argument("tag", help="tag of the release, such as v0.1.0")
    options = parser.parse_args()
    prepare(ROOT, options.repository.rstrip("/").removesuffix(".git"), options.tag)


if __name__ == "__main__":
    main()

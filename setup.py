"""The rest of the build: pyproject.toml has all else. The help of the docks is a page of the documentation."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HELP = "napari_smdiffusion/bundled/docks.md"


class WithHelp(build_py):
    """Copies the page on the docks into the package. In a clone it is read from docs/."""

    def run(self) -> None:
        """Build, and copy the page."""
        super().run()
        if not getattr(self, "editable_mode", False):
            target = Path(self.build_lib) / HELP
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(__file__).parent / "docs" / "docks.md", target)


setup(cmdclass={"build_py": WithHelp})

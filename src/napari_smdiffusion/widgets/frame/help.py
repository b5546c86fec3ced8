"""The page about a dock, which is part of the package and needs no network, and the reference to cite."""

from __future__ import annotations

import re
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QTextBrowser, QVBoxLayout, QWidget

from ...base.folders import bundled_folder

REFERENCE = (
    "Saguy A, Nahimov T, Lehrman M, Gómez-de-Mariscal E, Hidalgo-Cenalmor I, Alalouf O, Balakrishnan A, Heilemann M, "
    "Henriques R, Shechtman Y. This Microtubule Does Not Exist: Super-Resolution Microscopy Image Generation by a "
    "Diffusion Model. Small Methods (2024). https://doi.org/10.1002/smtd.202400672"
)
_TITLES = {
    "train": "Train diffusion model",
    "generate": "Generate images",
    "compare": "Compare images",
    "enhance": "Enhance widefield",
}


def show_help(dock: QWidget, key: str) -> QDialog:
    """Open a window with the page about a dock, or show the open one in front; return it."""
    window = dock.findChild(QDialog, "help")
    if window is None:
        window = QDialog(dock, Qt.WindowType.Window)
        window.setObjectName("help")
        window.setWindowTitle(f"Help: {_TITLES[key]}")
        text = QTextBrowser()
        text.setOpenExternalLinks(True)
        text.setMarkdown(help_page(key))
        layout = QVBoxLayout(window)
        layout.addWidget(text)
        window.resize(640, 560)
    window.show()
    window.raise_()
    return window


def help_page(key: str) -> str:
    """Return the page about a dock as Markdown: its own section, and then what all docks have in common."""
    page = _page().read_text(encoding="utf-8")
    # The pictures are not part of the package: no pictures and captions.
    page = re.sub(r"^!\[.*\]\(.*\)\n+(\*[^\n]+\*\n)?", "", page, flags=re.MULTILINE)
    common, *sections = re.split(r"^## ", page, flags=re.MULTILINE)
    own = next(section for section in sections if section.startswith(_TITLES[key]))
    _, _, common = common.partition("\n")  # without its title
    return f"# {own}\n\n## All docks\n{common}"


def _page() -> Path:
    """Return the page on the docks: a part of an installed package, or of the clone that the program runs from."""
    installed = bundled_folder() / "docks.md"
    return installed if installed.exists() else Path(__file__).parents[4] / "docs" / "docks.md"

"""`smdiffusion models`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .flags import add_command

if TYPE_CHECKING:
    from argparse import Namespace


def add_models(commands: Any) -> None:
    """Add the command `smdiffusion models`."""
    add_command(commands, "models", "list the bundled models and your own", "smdiffusion models")


def models(options: Namespace) -> None:
    """Run `smdiffusion models`."""
    from ..base.folders import user_folder
    from ..base.lines import show
    from ..store.catalogue import KINDS, list_models

    lines = []
    for entry in list_models():
        place = "bundled" if entry.bundled else str(entry.folder)
        lines.append(f"{entry.name:20} {entry.kind:10} {entry.description:32} {place}")
    folders = " and ".join(str(user_folder() / kind) for kind in KINDS)
    show(*lines, "", f"Your own models are in {folders}. The docks list these folders too.")

"""Writes `models.md` from the cards of the bundled models, and `reference/commands.md` from the flags of the commands.

python docs/draw_reference.py
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

HERE = Path(__file__).parent
MODELS, COMMANDS = HERE / "models.md", HERE / "reference" / "commands.md"
MODELS_HEAD = """# Models

The bundled models, as their cards state them. `smdiffusion models NAME` prints a card, and the docks show it
beside the choice.

!!! warning
    Each model has seen one cell, or simulated images alone. Use one for its own structure only.

"""
COMMANDS_HEAD = """# Commands and flags

What `smdiffusion COMMAND --help` prints.

"""
WIDTH = "100"  # columns of the help


def models_page() -> str:
    """Return the page of the bundled models."""
    from napari_smdiffusion.store.catalogue import list_models
    from napari_smdiffusion.store.model_card import card_rows

    parts = [MODELS_HEAD]
    for kind, title in (("diffusion", "Diffusion models"), ("enhancer", "Enhancers")):
        parts.append(f"## {title}\n\n")
        for entry in list_models(kind):
            if entry.bundled:
                rows = "".join(f"| {label} | {text} |\n" for label, text in card_rows(entry.summary, kind))
                parts.append(f"### {entry.name}\n\n| | |\n|---|---|\n{rows}\n")
    return "".join(parts).rstrip("\n") + "\n"


def commands_page() -> str:
    """Return the page of all commands."""
    from napari_smdiffusion.cli.entry import command_parsers

    former, os.environ["COLUMNS"] = os.environ.get("COLUMNS"), WIDTH
    try:
        parts = [f"## {name}\n\n```text\n{_help(parser)}```\n\n" for name, parser in command_parsers().items()]
    finally:
        if former is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = former
    return COMMANDS_HEAD + "".join(parts).rstrip("\n") + "\n"


def _help(parser: argparse.ArgumentParser) -> str:
    return "\n".join(line.rstrip() for line in parser.format_help().splitlines()) + "\n"


if __name__ == "__main__":
    MODELS.write_text(models_page(), encoding="utf-8")
    COMMANDS.write_text(commands_page(), encoding="utf-8")

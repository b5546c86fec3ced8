"""`smdiffusion models`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .flags import add_command

if TYPE_CHECKING:
    from argparse import Namespace


def add_models(commands: Any) -> None:
    """Add the command `smdiffusion models`."""
    parser = add_command(
        commands, "models", "list the bundled models and your own, or print a card", "smdiffusion models microtubules"
    )
    parser.add_argument(
        "model",
        nargs="?",
        metavar="NAME",
        help="a model, by its name or folder: print its card (structure, pixel sizes, optics, tested on, not for)",
    )


def models(options: Namespace) -> None:
    """Run `smdiffusion models`."""
    if options.model is not None:
        _print_cards(options.model)
        return
    from ..base.folders import user_folder
    from ..base.lines import show
    from ..store.catalogue import KINDS, damaged_models, list_models
    from ..store.whole_folders import unreadable

    lines = []
    for entry in list_models():
        place = "bundled" if entry.bundled else str(entry.folder)
        lines.append(f"{entry.name:20} {entry.kind:10} {entry.description:32} {place}")
    folders = " and ".join(str(user_folder() / kind) for kind in KINDS)
    problem = unreadable(user_folder())
    notes = [f"{problem} The bundled models can be used."] if problem else []
    notes += damaged_models()
    show(*lines, "", f"Your own models are in {folders}. The docks list these folders too.", *notes)


def _print_cards(model: str) -> None:
    """Print the cards of all kinds of models with this name or folder, or raise a ModelFolderError."""
    from ..base.folders import user_path
    from ..base.lines import show
    from ..store.catalogue import KINDS, list_models
    from ..store.folder import ModelFolderError
    from ..store.model_card import read_model_card

    cards, errors = [], []
    for kind in KINDS:
        try:
            cards.append(read_model_card(model, kind))
        except ModelFolderError as error:
            errors.append(error)
    if not cards and user_path(model).exists():
        raise errors[0]
    if not cards:
        names = ", ".join(sorted({entry.name for entry in list_models()}))
        raise ModelFolderError(f"There is no model {model!r}: give its folder, or one of these names: {names}.")
    show(*"\n\n".join(card.text for card in cards).split("\n"))

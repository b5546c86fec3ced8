"""`smdiffusion models`, `share` and `get`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .flags import MODEL, add_command, print_status

if TYPE_CHECKING:
    from argparse import Namespace

    from ..recipes.get_model import GetJob
    from ..recipes.share_model import ShareJob
    from ..store.folder import Kind


_STATED = {
    "structure": "what its images show",
    "tested_on": "what its results were compared with, and how near they were",
    "not_for": "what it must not be used for",
    "license": "terms of use, such as CC-BY-4.0",
    "citation": "what to cite",
}


def add_models(commands: Any) -> None:
    """Add the command `smdiffusion models`."""
    parser = add_command(
        commands, "models", "list the bundled models and your own, or print a card", "smdiffusion models microtubules"
    )
    parser.add_argument(
        "model",
        nargs="?",
        metavar="NAME",
        help="a model, by its name or folder: print its card (structure, pixel sizes, optics, tests, limits, license)",
    )
    stated = parser.add_argument_group("what the card of one of your models states")
    for name, help in _STATED.items():
        stated.add_argument(f"--{name.replace('_', '-')}", metavar="TEXT", help=help)
    stated.add_argument("--kind", choices=("diffusion", "enhancer"), help="kind of the model, if both have this name")


def models(options: Namespace) -> None:
    """Run `smdiffusion models`."""
    stated = {name: value.strip() for name in _STATED if (value := getattr(options, name)) is not None}
    if stated:
        _state(options.model, options.kind, stated)
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


def _state(model: str | None, kind: Kind | None, stated: dict[str, str]) -> None:
    """Write texts into the facts and the card of a model of the user."""
    from ..base.errors import InputError
    from ..base.folders import bundled_folder
    from ..diffusion.card import write_diffusion_card
    from ..diffusion.facts import DiffusionRecord
    from ..enhance.card import write_enhancer_card
    from ..enhance.facts import EnhancerRecord
    from ..store.catalogue import find_model
    from ..store.managing import state_facts

    if model is None:
        raise InputError(
            "Give the name of the model whose card is to state this: smdiffusion models NAME --license TEXT."
        )
    kinds = [kind] if kind else _kinds_of(model)
    if len(kinds) > 1:
        raise InputError(f"A diffusion model and an enhancer have the name {model}: add --kind diffusion or enhancer.")
    wanted = kinds[0]
    folder = find_model(model, wanted)
    if folder.is_relative_to(bundled_folder()):
        raise InputError(f"{folder.name} is a bundled model: only the cards of your own models can be changed.")
    if wanted == "diffusion":
        state_facts(folder, wanted, DiffusionRecord, write_diffusion_card, **stated)
    else:
        state_facts(folder, wanted, EnhancerRecord, write_enhancer_card, **stated)


def _print_cards(model: str) -> None:
    """Print the cards of all kinds of models with this name or folder, or raise a ModelFolderError."""
    from ..base.lines import show
    from ..store.model_card import read_model_card

    cards = [read_model_card(model, kind) for kind in _kinds_of(model)]
    show(*"\n\n".join(card.text for card in cards).split("\n"))


def _kinds_of(model: str) -> list[Kind]:
    """Return the kinds of the models with this name or folder; raises a ModelFolderError if there is none."""
    from ..base.folders import user_path
    from ..store.catalogue import KINDS, list_models
    from ..store.folder import ModelFolderError
    from ..store.model_card import read_model_card

    kinds, errors = [], []
    for kind in KINDS:
        try:
            read_model_card(model, kind)
            kinds.append(kind)
        except ModelFolderError as error:
            errors.append(error)
    if not kinds and user_path(model).exists():
        raise errors[0]
    if not kinds:
        names = ", ".join(sorted({entry.name for entry in list_models()}))
        raise ModelFolderError(f"There is no model {model!r}: give its folder, or one of these names: {names}.")
    return kinds


_KINDS = {"diffusion": "diffusion model", "enhancer": "enhancer"}


def add_share(commands: Any) -> None:
    """Add the command `smdiffusion share`."""
    parser = add_command(
        commands,
        "share",
        "write a model as one file without code, for `smdiffusion get`, or put it on a hub",
        "smdiffusion share my-enhancer --author 'Ada Lovelace' --license CC-BY-4.0",
    )
    parser.add_argument("model", metavar="MODEL", help=MODEL)
    parser.add_argument("--kind", choices=("diffusion", "enhancer"), help="which of two models with the same name")
    parser.add_argument("--out", metavar="FILE", help="the zip file (default MODEL.KIND.zip in the current folder)")
    parser.add_argument(
        "--to", metavar="hf:USER/NAME", help="upload it to this repository of a hub, which is created if it is new"
    )
    parser.add_argument("--author", nargs="+", default=(), metavar="NAME", help="authors of the model")
    parser.add_argument("--license", metavar="ID", help="SPDX identifier of the licence of the weights: CC-BY-4.0, …")
    parser.add_argument("--public", action="store_true", help="let everyone read a new repository (default: private)")


def share_job(options: Namespace) -> ShareJob:
    """Return the job that the flags describe."""
    from ..recipes.share_model import ShareJob

    return ShareJob(
        model=options.model,
        kind=options.kind,
        out=options.out,
        to=options.to,
        authors=options.author,
        license=options.license,
        public=options.public,
    )


def share(options: Namespace) -> None:
    """Run `smdiffusion share`."""
    from ..recipes.job import run_job
    from ..store.card import quoted

    if options.out is not None and os.path.exists(options.out):
        raise FileExistsError(f"{options.out} exists: name another file, or remove it.")
    shared = run_job(share_job(options))
    if shared.path is not None:
        print_status(f"{shared.path} is the {_KINDS[shared.kind]} {shared.name}, {shared.size / 1e6:.3g} MB.")
        get_it = f"smdiffusion get {quoted(shared.path.name)} --sha256 {shared.sha256}"
        print_status(f"Another person gets it with: {get_it}")
    if shared.link:
        visible = "" if options.public else " A new repository is private: its page on the hub has the setting."
        print_status(f"The model is at {shared.link}.{visible}")
        print_status(f"Another person gets it with: smdiffusion get {options.to} --sha256 {shared.sha256}")


def add_get(commands: Any) -> None:
    """Add the command `smdiffusion get`."""
    parser = add_command(
        commands,
        "get",
        "add a model that another person shared to your own, after a check of all that is in it",
        "smdiffusion get my-enhancer.enhancer.zip",
    )
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a file of `smdiffusion share` or `export`, a link to it (https://…), or hf:USER/NAME on a hub",
    )
    parser.add_argument("--name", metavar="NAME", help="name of the model here (default: its own name)")
    parser.add_argument("--sha256", metavar="HASH", help="SHA-256 of the file, as its author states it")


def get_job(options: Namespace) -> GetJob:
    """Return the job that the flags describe."""
    from ..recipes.get_model import GetJob

    return GetJob(source=options.source, name=options.name, sha256=options.sha256)


def get(options: Namespace) -> None:
    """Run `smdiffusion get`."""
    from ..recipes.job import run_job
    from ..store.card import quoted

    received = run_job(get_job(options))
    name, kind = quoted(received.name), _KINDS[received.kind]
    if received.is_new:
        print_status(f"The {kind} {received.name} is in {received.folder}. The docks list it too.")
    print_status(f"What it is for, and what not: smdiffusion models {name}")
    use = "generate" if received.kind == "diffusion" else "enhance"
    images = "" if received.kind == "diffusion" else " widefield.tif"
    print_status(f"Next: smdiffusion {use} {name}{images} --out {use}d.tif")

"""The catalogue: the user's models and the bundled models, by name."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..base.errors import InputError, is_user_error, sentence_of
from ..base.folders import bundled_folder, user_folder, user_path
from .facts import ModelSummary
from .folder import Kind, ModelFolderError, read_facts
from .whole_folders import exists, model_folders, settle

if TYPE_CHECKING:
    from pathlib import Path

KINDS: tuple[Kind, ...] = ("diffusion", "enhancer")


@dataclass(frozen=True)
class ModelEntry:
    """A model of the catalogue."""

    name: str
    kind: Kind
    folder: Path
    bundled: bool
    imported: bool  # from a checkpoint of the paper's code: it generates, but no training can start from it
    description: str
    summary: ModelSummary = field(default_factory=ModelSummary)  # what the card of the model states


def list_models(kind: Kind | None = None) -> list[ModelEntry]:
    """Return the user's models and the bundled models, without damaged ones."""
    entries = []
    for wanted in KINDS if kind is None else (kind,):
        for base, bundled in ((user_folder(), False), (bundled_folder(), True)):
            read = (_entry(folder, wanted, bundled) for folder in model_folders(base / wanted))
            entries += [entry for entry in read if entry is not None]
    return entries


def damaged_models() -> list[str]:
    """Return a sentence for each folder among the models that holds none: which it is, why, and what to do."""
    sentences = []
    for kind in KINDS:
        for base in (user_folder(), bundled_folder()):
            for folder in model_folders(base / kind):
                if folder.is_file():  # such as the files that Windows adds to folders
                    continue
                try:
                    read_facts(folder, kind, ModelSummary)
                except Exception as error:
                    sentences.append(sentence_of(error) if is_user_error(error) else f"{folder} cannot be read.")
    return sentences


def _entry(folder: Path, kind: Kind, bundled: bool) -> ModelEntry | None:
    try:
        facts = read_facts(folder, kind, ModelSummary)
    # It is damaged, of another program, or not readable. No fault of one folder may hide the others.
    except Exception:
        return None
    if kind == "enhancer" and facts.config.upscale is None:
        return None
    pixel = f"{facts.pixel_size_nm:.4g} nm" if facts.pixel_size_nm else "pixel size unknown"
    # Before the pixel sizes, which a narrow list cuts.
    factor = f"×{facts.config.upscale}{' with samples' * (facts.samples is not None)}"
    if kind == "diffusion":
        several = f", {len(facts.structures)} structures" if facts.structures else ""
        description = f"{pixel}{several}, {facts.steps} steps"
    elif coarse := facts.widefield_pixel_size:
        description = f"{factor}, from {coarse:.3g} to {pixel}"
    else:
        description = f"{factor}, {pixel}"
    return ModelEntry(folder.name, kind, folder, bundled, facts.imported is not None, description, facts)


def find_model(model: str | os.PathLike[str], kind: Kind) -> Path:
    """Return the folder of a model from its folder or its name; the user's models come before the bundled ones.

    Raises
    ------
    ModelFolderError
        If there is no such model; the message lists the names of the catalogue.
    """
    path = user_path(model)
    settle(path)
    # A name is a single path component, so that no folder outside the catalogue can be reached.
    is_name = path.name == str(model)
    if exists(path / "model.json") or (exists(path) and not is_name):
        return path
    for base in (user_folder(), bundled_folder()) if is_name else ():
        settle(base / kind / model)
        if exists(base / kind / model):
            return base / kind / model
    # Another thread may have been between the two renames of `atomic_folder`.
    settle(path)
    if exists(path):
        return path
    names = ", ".join(entry.name for entry in list_models(kind)) or "none yet"
    raise ModelFolderError(
        f"There is no {kind} model {os.fspath(model)!r}: give its folder, or one of these names: {names}."
    )


def is_bundled(folder: Path, kind: Kind) -> bool:
    """Return whether a model folder is a part of this package, which is never changed."""
    return folder.absolute().parent == (bundled_folder() / kind).absolute()


def checked_name(text: str) -> str:
    """Return `text` without outer blanks; raises InputError if it cannot be the name of a folder."""
    name = text.strip()
    if not name or name.startswith(".") or any(c in '<>:"/\\|?*' or ord(c) < 32 for c in name) or name.endswith("."):
        raise InputError(f"{text!r} cannot be the name of a model: use letters, digits, blanks, - and _.")
    return name


def free_name(wanted: str, kind: Kind) -> str:
    """Return `wanted`, followed by a number if a model of the user or a bundled model has that name."""
    stem, _, number = wanted.rpartition(" ")
    base, k = (stem, int(number)) if stem and number.isdecimal() else (wanted, 1)
    name = wanted
    while any(exists(folder / kind / name) for folder in (user_folder(), bundled_folder())):
        k += 1
        name = f"{base} {k}"
    return name

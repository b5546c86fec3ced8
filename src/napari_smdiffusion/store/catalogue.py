"""Models by name: those that ship with the package, and the user's own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..base.errors import InputError
from ..base.folders import bundled_folder, user_folder
from .facts import ModelSummary
from .folder import Kind, ModelFolderError, model_folders, read_facts, recover_interrupted_save

KINDS: tuple[Kind, ...] = ("diffusion", "enhancer")


@dataclass(frozen=True)
class ModelEntry:
    """A model that can be called by its name."""

    name: str
    kind: Kind
    folder: Path
    bundled: bool
    imported: bool  # from the paper's code: it generates, but no training begins from it
    description: str


def list_models(kind: Kind | None = None) -> list[ModelEntry]:
    """Return the user's and the bundled models, those that are damaged left out."""
    entries = []
    for one in KINDS if kind is None else (kind,):
        for base, bundled in ((user_folder(), False), (bundled_folder(), True)):
            found = (_entry(folder, one, bundled) for folder in model_folders(base / one))
            entries += [entry for entry in found if entry is not None]
    return entries


def _entry(folder: Path, kind: Kind, bundled: bool) -> ModelEntry | None:
    try:
        facts = read_facts(folder, kind, ModelSummary)
    except (ModelFolderError, OSError):  # damaged, not ours, or not to be read
        return None
    if kind == "enhancer" and facts.config.upscale is None:
        return None
    pixel = f"{facts.pixel_size_nm:.4g} nm" if facts.pixel_size_nm else "pixel size unknown"
    factor = f"×{facts.config.upscale}, " if kind == "enhancer" else ""
    description = f"{factor}{pixel}, {facts.steps} steps"
    return ModelEntry(folder.name, kind, folder, bundled, facts.imported is not None, description)


def find_model(model: str | os.PathLike[str], kind: Kind) -> Path:
    """Return the folder of a model given by its folder or its name; the user's come before the bundled.

    Raises
    ------
    ModelFolderError
        If there is none, with the names that there are.
    """
    path = Path(model)
    recover_interrupted_save(path)
    # A name is one folder: nothing outside the base can be reached by it.
    is_name = path.name == str(model)
    if (path / "model.json").exists() or (path.exists() and not is_name):
        return path
    for base in (user_folder(), bundled_folder()) if is_name else ():
        if (base / kind / model).is_dir():
            return base / kind / model
    # Another thread may have been between the two renames of a save.
    recover_interrupted_save(path)
    if path.exists():
        return path
    names = ", ".join(entry.name for entry in list_models(kind)) or "none yet"
    raise ModelFolderError(
        f"There is no {kind} model {os.fspath(model)!r}: give its folder, or one of these names: {names}."
    )


def checked_name(text: str) -> str:
    """Return a name that can be a folder's; raises ValueError otherwise."""
    name = text.strip()
    if not name or name.startswith(".") or any(c in '<>:"/\\|?*' or ord(c) < 32 for c in name) or name.endswith("."):
        raise InputError(f"{text!r} cannot be the name of a model: use letters, digits, blanks, - and _.")
    return name


def free_name(wanted: str, kind: Kind) -> str:
    """Return `wanted`, with a number behind it if a model of the user, or a bundled one, has that name already."""
    stem, _, number = wanted.rpartition(" ")
    base, k = (stem, int(number)) if stem and number.isdecimal() else (wanted, 1)
    name = wanted
    while any((place / kind / name).exists() for place in (user_folder(), bundled_folder())):
        k += 1
        name = f"{base} {k}"
    return name

"""Models by name: those that ship with the package, and the user's own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .config import DEFAULT_START, GenerateConfig, check_generation, generation_limits
from .model_folder import Kind, ModelFolderError, damage_named, mend, model_folders, read_facts
from .progress import Note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .diffusion import DiffusionModel
    from .enhancer import Enhancer

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


def user_folder() -> Path:
    """Return where the user's models lie: $SMDIFFUSION_HOME, or the usual place of the system."""
    if home := os.environ.get("SMDIFFUSION_HOME"):
        return Path(home)
    import platformdirs

    return Path(platformdirs.user_data_dir("napari-smdiffusion", appauthor=False)) / "models"


def bundled_folder() -> Path:
    """Return where the models of the package lie."""
    return Path(__file__).parent / "bundled"


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
        facts = read_facts(folder, kind)
        pixel = f"{facts['pixel_size_nm']:.4g} nm" if facts.get("pixel_size_nm") else "pixel size unknown"
        factor = f"×{facts['config']['upscale']}, " if kind == "enhancer" else ""
    except (ValueError, KeyError, TypeError, OSError):  # damaged, not ours, or not to be read
        return None
    description = f"{factor}{pixel}, {facts.get('steps', 0)} steps"
    return ModelEntry(folder.name, kind, folder, bundled, "imported" in facts, description)


def find_model(model: str | os.PathLike[str], kind: Kind) -> Path:
    """Return the folder of a model given by its folder or its name; the user's come before the bundled.

    Raises
    ------
    ModelFolderError
        If there is none, with the names that there are.
    """
    path = Path(model)
    mend(path)
    # A name is one folder: nothing outside the base can be reached by it.
    is_name = path.name == str(model)
    if (path / "model.json").exists() or (path.exists() and not is_name):
        return path
    for base in (user_folder(), bundled_folder()) if is_name else ():
        if (base / kind / model).is_dir():
            return base / kind / model
    # Another thread may have been between the two renames of a save.
    mend(path)
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
        raise ValueError(f"{text!r} cannot be the name of a model: use letters, digits, blanks, - and _.")
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


def load_diffusion_model(model: str | os.PathLike[str]) -> DiffusionModel:
    """Do what `DiffusionModel.load` does."""
    from .diffusion import DiffusionModel

    return DiffusionModel.load(model)


def facts_to_generate(model: str | os.PathLike[str], config: GenerateConfig) -> dict[str, Any]:
    """Return model.json of a diffusion model by its folder or name. Its network is not loaded.

    Raises
    ------
    ModelFolderError
        If there is no such model, or it is damaged.
    InputError
        If the model cannot generate images of the size, or by the number of steps, that `config` asks for.
    """
    folder = find_model(model, "diffusion")
    facts = read_facts(folder, "diffusion")
    with damage_named(folder):
        limits = generation_limits(facts)
    check_generation(config, *limits)
    return facts


def default_start(channels: Sequence[int]) -> DiffusionModel | None:
    """Return what trainings begin from unless something else is named; None for a network of other widths than its own.

    It saw simulated filaments alone. It brings a network that can denoise, and for filaments their course, which takes
    far longer to learn than their texture.
    """
    from .diffusion import read_model

    folder = bundled_folder() / "diffusion" / DEFAULT_START
    facts = read_facts(folder, "diffusion")
    return read_model(folder, facts) if list(channels) == facts["config"]["channels"] else None


def starting_model(
    start: DiffusionModel | str | os.PathLike[str] | None, channels: Sequence[int]
) -> tuple[DiffusionModel | None, Note | None]:
    """Return the model that a training begins from, None for none, and a note where the default cannot serve.

    Parameters
    ----------
    start
        A model, its name or its folder; "default" is what `default_start` returns; None is from nothing.
    channels
        Widths of the network that is to be trained.

    Raises
    ------
    ModelFolderError
        If there is no such model, or it is damaged.
    """
    if start == "default":
        model = default_start(channels)
        if model is not None:
            return model, None
        widths = " ".join(map(str, channels))
        return None, Note(
            f"The training begins from scratch: the default start, {DEFAULT_START}, has other channels than {widths}."
        )
    if isinstance(start, (str, os.PathLike)):
        return load_diffusion_model(start), None
    return start, None


def load_enhancer(model: str | os.PathLike[str]) -> Enhancer:
    """Do what `Enhancer.load` does."""
    from .enhancer import Enhancer

    return Enhancer.load(model)

"""The folder a model is saved as. It knows no network: only names, bytes and checks.

    model.json             format version, kind, config, pixel size, scaling, training data, seed, curve, versions
    weights/               safetensors; for a diffusion model a diffusers folder that diffusers loads too
    README.md, picture.png the model card
    training_state.pt      for resuming; read with weights_only=True

A folder is written beside its place and renamed into it, so that a killed run leaves the former folder or the new one,
never a mixture. No file of it is ever executed or unpickled.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT_VERSION = 1
WEIGHTS = "weights"
STATE = "training_state.pt"

Kind = Literal["diffusion", "enhancer"]
Writer = Callable[[Path], None]

_NAMES: dict[Kind, str] = {"diffusion": "diffusion model", "enhancer": "enhancer"}


class ModelFolderError(ValueError):
    """A folder is no model, a damaged one, or one of another kind or a later version."""


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """Give an empty folder that takes the place of `folder` when everything went well.

    Raises
    ------
    OSError
        If the place cannot be written, or is taken by something that is no model.
    """
    check_place(folder)
    fresh = folder.parent / f".{folder.name}.{uuid.uuid4().hex[:8]}.new"
    try:
        fresh.mkdir(parents=True)
    except OSError as error:
        raise OSError(f"{folder} cannot be written ({error.strerror}): choose another place.") from error
    try:
        yield fresh
        former = _former(folder)
        shutil.rmtree(former, ignore_errors=True)
        if folder.exists():
            folder.rename(former)
        fresh.rename(folder)
        shutil.rmtree(former, ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def check_place(folder: Path) -> None:
    """Raise an OSError unless a model may be written at `folder`: a free name, an empty folder or a former model."""
    if folder.is_file():
        raise FileExistsError(f"{folder} is a file: name a folder for the model.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "model.json").exists():
        raise FileExistsError(f"{folder} holds other files and no model: name a new or an empty folder.")
    above = next(parent for parent in folder.absolute().parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise PermissionError(f"{folder} cannot be written: choose another place.")


def _former(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.former"


def save_folder(folder: Path, facts: dict[str, Any], write_weights: Writer, *extras: Writer) -> None:
    """Write a model: `facts` as model.json, its weights, and whatever `extras` write into the same folder."""
    with replaced(folder) as fresh:
        (fresh / WEIGHTS).mkdir()
        write_weights(fresh / WEIGHTS)
        for write in extras:
            write(fresh)
        text = json.dumps({"format_version": FORMAT_VERSION, **facts}, indent=2, allow_nan=False)
        (fresh / "model.json").write_text(text, encoding="utf-8")


def read_facts(folder: Path, kind: Kind) -> dict[str, Any]:
    """Return model.json of `folder`, after checking that it is a whole model of this kind and not of a later version.

    Raises
    ------
    ModelFolderError
        With a sentence that names the folder and what is wrong with it.
    """
    if not folder.exists() and _former(folder).exists():
        # The program was killed between the two renames of `replaced`.
        _former(folder).rename(folder)
    if not folder.is_dir():
        raise ModelFolderError(f"There is no model folder {folder}.")
    path = folder / "model.json"
    if not path.exists():
        raise ModelFolderError(f"{folder} is no model folder: it has no model.json.")
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        version, found = int(facts["format_version"]), facts["kind"]
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise ModelFolderError(f"{path} is damaged: train the model again or copy the folder again.") from error
    if version > FORMAT_VERSION:
        raise ModelFolderError(
            f"{folder} was saved by a newer napari-smdiffusion (format {version}): update to open it."
        )
    if found != kind:
        raise ModelFolderError(f"{folder} holds a model of kind {found!r}, but {_a(kind)} is needed here.")
    if not any((folder / WEIGHTS).glob("*.safetensors")):
        raise ModelFolderError(f"{folder} has no weights: copy the whole folder again.")
    return dict(facts)


def _a(kind: Kind) -> str:
    return f"{'an' if kind == 'enhancer' else 'a'} {_NAMES[kind]}"


@contextmanager
def damage_named(folder: Path) -> Iterator[None]:
    """Turn whatever goes wrong while reading a model's files into one sentence that names the folder."""
    try:
        yield
    except ModelFolderError:
        raise
    # safetensors, torch and diffusers each raise errors of their own on damaged files.
    except Exception as error:
        raise ModelFolderError(
            f"{folder} is damaged ({type(error).__name__}): copy or train the model again."
        ) from error

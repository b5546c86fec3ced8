"""The folder a model is saved as. It knows no network: only names, bytes and checks.

    model.json             format version, kind, config, pixel size, scaling, training data, seed, curve, versions
    weights/               safetensors; for a diffusion model a diffusers folder that diffusers loads too
    README.md, picture.png the model card
    training_state.pt      for resuming; read with weights_only=True

A folder is written beside its place and renamed into it, so that a killed run leaves the former folder or the new one,
never a mixture. No file of it is ever executed or unpickled.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from filelock import BaseFileLock, FileLock, Timeout
from safetensors import SafetensorError

from ..base.errors import InputError
from ..base.json_values import read_json
from .facts import UNNAMED, TrainingFacts

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT_VERSION = 1
WEIGHTS = "weights"
STATE = "training_state.pt"
_PATIENCE = 5  # hundredths of a second that the two renames of a folder may take another program
# Between these renames there is no folder: in this program nobody looks then.
_SWAPPING = threading.RLock()
_PARTS = {"model.json", WEIGHTS, STATE, "README.md", "picture.png", "samples.png"}

# What Finder and Explorer leave in folders that they have shown.
_SYSTEM = {".DS_Store", "Thumbs.db", "desktop.ini"}

_Facts = TypeVar("_Facts", bound=TrainingFacts)
Kind = Literal["diffusion", "enhancer"]
Writer = Callable[[Path], None]
Extra = Callable[[Path, _Facts], None]

_NAMES: dict[Kind, str] = {"diffusion": "diffusion model", "enhancer": "enhancer"}


class ModelFolderError(InputError):
    """A folder is no model, a damaged one, or one of another kind or a later version."""


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder that takes the place of `folder` when everything went well.

    Raises
    ------
    OSError
        If the place cannot be written, or is taken by something that is not only a model.
    """
    folder = folder.resolve()
    recover_interrupted_save(folder)
    _check_content(folder)
    fresh = folder.parent / f".{folder.name}.{uuid.uuid4().hex[:8]}.new"
    try:
        fresh.mkdir(parents=True)
    except OSError as error:
        raise OSError(f"{folder} cannot be written ({error.strerror}): choose another place.") from error
    try:
        yield fresh
        _swap_in(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _swap_in(fresh: Path, folder: Path) -> None:
    former = _former_folder(folder)
    for once_more in (True, False):
        shutil.rmtree(former, ignore_errors=True)
        try:
            with _SWAPPING:
                if folder.exists():
                    folder.rename(former)
                fresh.rename(folder)
        # Another program looked at the folder just then, or mended it.
        except OSError:
            recover_interrupted_save(folder)
            if not once_more:
                raise
        else:
            break
    shutil.rmtree(former, ignore_errors=True)


def recover_interrupted_save(folder: Path) -> None:
    """Put the former model back if the program was killed between the two renames of `atomic_folder`."""
    for _ in range(_PATIENCE):
        with _SWAPPING:
            if folder.exists() or not _former_folder(folder).is_dir():
                return
        # Another program that is at it needs a moment.
        time.sleep(0.01)
    # Or it was ready just now, or somebody else puts it back.
    with _SWAPPING, suppress(OSError):
        _former_folder(folder).rename(folder)


def check_place(folder: Path, *, replace: bool = False) -> None:
    """Raise an OSError unless a model may be written at `folder`, before any work is done.

    It must be a free name or an empty folder, or with `replace` a model, in a place that can be written.
    """
    recover_interrupted_save(folder)
    _check_content(folder)
    if not replace and (folder / "model.json").exists():
        raise FileExistsError(f"There is a model in {folder} already: choose another name.")
    above = next((parent for parent in folder.absolute().parents if parent.exists()), None)
    if above is None or not above.is_dir() or not os.access(above, os.W_OK):
        raise PermissionError(f"{folder} cannot be written: choose another place.")
    if folder.exists() and folder.resolve() in (Path.cwd(), *Path.cwd().parents):
        raise FileExistsError(f"You are in {folder.resolve()}, which would be replaced: go to another folder first.")
    if os.path.ismount(folder):
        raise FileExistsError(f"{folder} is a folder in use: name a new folder in it.")
    with training_lock(folder):
        pass


@contextmanager
def training_lock(folder: Path | None) -> Iterator[None]:
    """Keep a place for a model while it is trained: no other training, of any program, can have it; None keeps none.

    It is kept by a lock of the system's, which is gone when the program is killed.

    Raises
    ------
    OSError
        If another training has it, or it cannot be written.
    """
    if folder is None:
        yield
        return
    folder = folder.absolute()
    made = [place for place in folder.parents if not place.exists()]
    path = folder.parent / f".{folder.name}.lock"
    lock: BaseFileLock = FileLock(path, thread_local=False)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise FileExistsError(f"Another training is saving its model in {folder}: choose another name.") from error
    except NotImplementedError:
        pass  # some drives know no locks
    except OSError as error:
        raise OSError(f"{folder} cannot be written ({error.strerror}): choose another place.") from error
    try:
        yield
    finally:
        lock.release()
        # Where a model was saved its parents stay.
        with suppress(OSError):
            path.unlink(missing_ok=True)
            for place in made:
                place.rmdir()


def _check_content(folder: Path) -> None:
    """Raise an OSError if `folder` holds anything that is not part of a model, which a new one would replace."""
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file: name a folder for the model.")
    found = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    others = {name for name in found - _PARTS - _SYSTEM if not name.startswith("._")}
    if others:
        raise FileExistsError(f"{folder} holds other files ({min(others)}): name a new folder, or move them away.")


def _former_folder(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.former"


def model_folders(base: Path) -> list[Path]:
    """Return the folders in `base` that may be models, by name; one that is being replaced just now is among them."""
    with _SWAPPING:
        found = [path.name for path in base.iterdir()] if base.is_dir() else []
    names = {name[1 : -len(".former")] if name.endswith(".former") else name for name in found}
    return [base / name for name in sorted(names) if name and not name.startswith(".")]


@dataclass(frozen=True)
class SavedModel:
    """Where a model was saved that took long to make, and what was wrong with the place it was meant for."""

    folder: Path
    problem: OSError | None = None

    def raise_if_elsewhere(self) -> None:
        """Raise an OSError that says where it is, unless it is where it was meant to be."""
        if self.problem is not None:
            raise OSError(f"{self.problem} What was trained is in {self.folder}.") from self.problem


def save_or_save_beside(save: Callable[[Path], None], folder: Path) -> SavedModel:
    """Save what took long to make: beside `folder` where that cannot be written."""
    try:
        save(folder)
    except OSError as error:
        beside = (folder.with_name(f"{folder.name} {k}") for k in itertools.count(2))
        place = next(one for one in beside if not one.exists())
        save(place)
        return SavedModel(place, error)
    return SavedModel(folder)


def save_folder(folder: Path, kind: Kind, facts: _Facts, write_weights: Writer, *extras: Extra[_Facts]) -> None:
    """Write a model: `facts` as model.json, its weights, and what `extras` make of the facts in the same folder."""
    if facts.name == UNNAMED:
        facts = replace(facts, name=folder.absolute().name)
    with atomic_folder(folder) as fresh:
        (fresh / WEIGHTS).mkdir()
        write_weights(fresh / WEIGHTS)
        for write in extras:
            write(fresh, facts)
        content = {"format_version": FORMAT_VERSION, "kind": kind, **facts.to_json()}
        text = json.dumps(content, indent=2, allow_nan=False)
        (fresh / "model.json").write_text(text, encoding="utf-8")
        # What safetensors writes, nobody else may read: a model on a shared drive is for all that read its other files.
        rights = (fresh / "model.json").stat().st_mode & 0o777
        for path in (fresh / WEIGHTS).iterdir():
            with suppress(OSError):  # not every shared drive has rights that can be set
                path.chmod(rights)


@contextmanager
def write_errors(folder: Path) -> Iterator[None]:
    """Turn what torch and safetensors raise when a file cannot be written into a sentence that names the folder."""
    try:
        yield
    except (RuntimeError, SafetensorError) as error:
        raise OSError(f"{folder} cannot be written ({error}): free some space or choose another place.") from error


def read_facts(folder: Path, kind: Kind, facts: type[_Facts]) -> _Facts:
    """Return model.json of `folder`, after checking that it is a whole model of this kind and not of a later version.

    Parameters
    ----------
    folder
        The model folder.
    kind
        What it must hold.
    facts
        The class of the facts; keys that are no fields of it are in `more`.

    Raises
    ------
    ModelFolderError
        With a sentence that names the folder and what is wrong with it.
    """
    recover_interrupted_save(folder)
    try:
        with _SWAPPING:
            return _checked_facts(folder, kind, facts)
    # Another program may have replaced it in the middle of this.
    except ModelFolderError:
        recover_interrupted_save(folder)
        return _checked_facts(folder, kind, facts)


def _checked_facts(folder: Path, kind: Kind, facts: type[_Facts]) -> _Facts:
    if not folder.is_dir():
        raise ModelFolderError(f"There is no model folder {folder}.")
    path = folder / "model.json"
    if not path.exists():
        raise ModelFolderError(f"{folder} is no model folder: it has no model.json.")
    try:
        values = dict(read_json(path.read_text(encoding="utf-8")))
        version, found = int(values["format_version"]), values["kind"]
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
    try:
        return facts.from_json(values)
    except InputError as error:
        raise ModelFolderError(
            f"{path} is damaged ({str(error).removesuffix('.')}): train the model again or copy the folder again."
        ) from error


def _a(kind: Kind) -> str:
    return f"{'an' if kind == 'enhancer' else 'a'} {_NAMES[kind]}"


@contextmanager
def model_errors(folder: Path) -> Iterator[None]:
    """Turn whatever goes wrong while reading a model's files into one sentence that names the folder."""
    try:
        yield
    except ModelFolderError:
        raise
    # safetensors and torch raise errors of their own on damaged files.
    except Exception as error:
        raise ModelFolderError(
            f"{folder} is damaged ({type(error).__name__}): copy or train the model again."
        ) from error

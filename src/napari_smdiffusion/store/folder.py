"""The model folder: writing, reading and checking the files of any model.

    model.json             format version, kind, config, pixel size, scaling, training data, seed, curve, versions
    weights/               safetensors; for a diffusion model a folder that diffusers can load
    README.md, picture.png the model card
    training_state.pt      for resuming; read with weights_only=True

A new folder is written under a temporary name and then renamed. A program that is killed leaves either the previous
folder or the new one, never a mixture. No file of the folder is executed or unpickled.
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
_SAVE_WAITS = 5  # number of 10 ms waits for another process that is in the middle of saving
# Between the two renames of a save the folder is missing. This lock stops other threads from reading it then.
_SWAPPING = threading.RLock()
_PARTS = {"model.json", WEIGHTS, STATE, "README.md", "picture.png", "samples.png"}

# Files that Finder and Explorer create in folders that they have shown.
_SYSTEM = {".DS_Store", "Thumbs.db", "desktop.ini"}

_Facts = TypeVar("_Facts", bound=TrainingFacts)
Kind = Literal["diffusion", "enhancer"]
Writer = Callable[[Path], None]
Extra = Callable[[Path, _Facts], None]

_NAMES: dict[Kind, str] = {"diffusion": "diffusion model", "enhancer": "enhancer"}


class ModelFolderError(InputError):
    """A folder is no model, or its model is damaged, of another kind or of a later version."""


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces `folder` when the block ends without an error.

    Raises
    ------
    OSError
        If `folder` cannot be written, or holds other files than those of a model.
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
    for retry in (True, False):
        shutil.rmtree(former, ignore_errors=True)
        try:
            with _SWAPPING:
                if folder.exists():
                    folder.rename(former)
                fresh.rename(folder)
        # Another process had the folder open at that moment, or restored the previous model.
        except OSError:
            recover_interrupted_save(folder)
            if not retry:
                raise
        else:
            break
    shutil.rmtree(former, ignore_errors=True)


def recover_interrupted_save(folder: Path) -> None:
    """Restore the previous model if the program was killed between the two renames of `atomic_folder`."""
    for _ in range(_SAVE_WAITS):
        with _SWAPPING:
            if folder.exists() or not _former_folder(folder).is_dir():
                return
        # Another process may be between the two renames, which takes a moment.
        time.sleep(0.01)
    # The rename fails if another process has just saved or restored the model.
    with _SWAPPING, suppress(OSError):
        _former_folder(folder).rename(folder)


def check_place(folder: Path, *, replace: bool = False) -> None:
    """Raise an OSError if no model can be written to `folder`, before any work is done.

    It must be a new name or an empty folder, in a folder that can be written. With `replace` it may also be a model.
    """
    recover_interrupted_save(folder)
    _check_content(folder)
    if not replace and (folder / "model.json").exists():
        raise FileExistsError(f"There is a model in {folder}: choose another name.")
    above = next((parent for parent in folder.absolute().parents if parent.exists()), None)
    if above is None or not above.is_dir() or not os.access(above, os.W_OK):
        raise PermissionError(f"{folder} cannot be written: choose another place.")
    if folder.exists() and folder.resolve() in (Path.cwd(), *Path.cwd().parents):
        raise FileExistsError(f"The current folder {folder.resolve()} would be replaced: go to another folder first.")
    if os.path.ismount(folder):
        raise FileExistsError(f"{folder} is a mount point: choose a new folder in it.")
    with training_lock(folder):
        pass


@contextmanager
def training_lock(folder: Path | None) -> Iterator[None]:
    """Lock a folder for one training, so that no other training in any process can write to it; None locks nothing.

    The lock is one of the operating system, which releases it when the program is killed.

    Raises
    ------
    OSError
        If another training has the lock, or the folder cannot be written.
    """
    if folder is None:
        yield
        return
    folder = folder.absolute()
    new_parents = [parent for parent in folder.parents if not parent.exists()]
    path = folder.parent / f".{folder.name}.lock"
    lock: BaseFileLock = FileLock(path, thread_local=False)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise FileExistsError(f"Another training is saving its model in {folder}: choose another name.") from error
    except NotImplementedError:
        pass  # some drives do not support locks
    except OSError as error:
        raise OSError(f"{folder} cannot be written ({error.strerror}): choose another place.") from error
    try:
        yield
    finally:
        lock.release()
        # New parents stay if they hold a saved model.
        with suppress(OSError):
            path.unlink(missing_ok=True)
            for parent in new_parents:
                parent.rmdir()


def _check_content(folder: Path) -> None:
    """Raise an OSError if `folder` holds other files than those of a model, which a new model would delete."""
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file: choose a folder for the model.")
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    others = {name for name in present - _PARTS - _SYSTEM if not name.startswith("._")}
    if others:
        raise FileExistsError(f"{folder} holds other files ({min(others)}): choose a new folder, or move them away.")


def _former_folder(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.former"


def model_folders(base: Path) -> list[Path]:
    """Return the folders in `base` that may be models, sorted by name, including one that is being replaced."""
    with _SWAPPING:
        present = [path.name for path in base.iterdir()] if base.is_dir() else []
    names = {name[1 : -len(".former")] if name.endswith(".former") else name for name in present}
    return [base / name for name in sorted(names) if name and not name.startswith(".")]


@dataclass(frozen=True)
class SavedModel:
    """The folder of a saved model, and the error if it is another one than the user chose."""

    folder: Path
    problem: OSError | None = None

    def raise_if_elsewhere(self) -> None:
        """Raise an OSError that names the folder if the model was saved to another one than the user chose."""
        if self.problem is not None:
            raise OSError(f"{self.problem} The trained model is in {self.folder}.") from self.problem


def save_or_save_beside(save: Callable[[Path], None], folder: Path) -> SavedModel:
    """Save a trained model to `folder`, or under a similar name beside it if `folder` cannot be written."""
    try:
        save(folder)
    except OSError as error:
        beside = (folder.with_name(f"{folder.name} {k}") for k in itertools.count(2))
        alternative = next(path for path in beside if not path.exists())
        save(alternative)
        return SavedModel(alternative, error)
    return SavedModel(folder)


def save_folder(folder: Path, kind: Kind, facts: _Facts, write_weights: Writer, *extras: Extra[_Facts]) -> None:
    """Write a model folder: `facts` as model.json, the weights, and the files that `extras` write from the facts."""
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
        # safetensors writes files that only the user may read. On a shared drive others need to read the weights too.
        rights = (fresh / "model.json").stat().st_mode & 0o777
        for path in (fresh / WEIGHTS).iterdir():
            with suppress(OSError):  # some shared drives do not support permissions
                path.chmod(rights)


@contextmanager
def write_errors(folder: Path) -> Iterator[None]:
    """Turn errors of torch and safetensors in writing a file into an OSError that names the folder."""
    try:
        yield
    except (RuntimeError, SafetensorError) as error:
        raise OSError(f"{folder} cannot be written ({error}): free some space or choose another place.") from error


def read_facts(folder: Path, kind: Kind, facts: type[_Facts]) -> _Facts:
    """Return the facts in model.json, after checking that the model is complete, of this kind and of a known version.

    Parameters
    ----------
    folder
        The model folder.
    kind
        Required kind of model.
    facts
        The class of the facts; keys of model.json that are not among its fields are in `more`.

    Raises
    ------
    ModelFolderError
        If the check fails; the message names the folder and the problem.
    """
    recover_interrupted_save(folder)
    try:
        with _SWAPPING:
            return _checked_facts(folder, kind, facts)
    # Another process may have replaced the folder during the reading.
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
        version, stored_kind = int(values["format_version"]), values["kind"]
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise ModelFolderError(f"{path} is damaged: train the model again or copy the folder again.") from error
    if version > FORMAT_VERSION:
        raise ModelFolderError(
            f"{folder} was saved by a newer napari-smdiffusion (format {version}): update to open it."
        )
    if stored_kind != kind:
        raise ModelFolderError(
            f"{folder} holds a model of kind {stored_kind!r}, but {_with_article(kind)} is needed here."
        )
    if not any((folder / WEIGHTS).glob("*.safetensors")):
        raise ModelFolderError(f"{folder} has no weights: copy the whole folder again.")
    try:
        return facts.from_json(values)
    except InputError as error:
        raise ModelFolderError(
            f"{path} is damaged ({str(error).removesuffix('.')}): train the model again or copy the folder again."
        ) from error


def _with_article(kind: Kind) -> str:
    return f"{'an' if kind == 'enhancer' else 'a'} {_NAMES[kind]}"


@contextmanager
def model_errors(folder: Path) -> Iterator[None]:
    """Turn any error in reading the files of a model into a ModelFolderError that names the folder."""
    try:
        yield
    except ModelFolderError:
        raise
    # safetensors and torch raise errors of their own on damaged files.
    except Exception as error:
        raise ModelFolderError(
            f"{folder} is damaged ({type(error).__name__}): copy or train the model again."
        ) from error

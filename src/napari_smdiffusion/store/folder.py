"""The model folder: writing, reading and checking the files of any model.

    model.json             format version, kind, config, pixel size, scaling, training data, seed, curve, versions
    weights/               safetensors, with 8 to 32 bits; with 16 or 32, diffusers can load U-Nets
    README.md, picture.png the model card
    training_state.pt      for resuming; read with weights_only=True

A new folder is written under a temporary name and then renamed (`whole_folders`). A program that is killed leaves
either the previous folder or the new one, never a mixture. No file of the folder is executed or unpickled.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from safetensors import SafetensorError

from ..base.errors import InputError, is_out_of_memory, sentence_of
from ..base.folders import user_folder
from ..base.json_values import read_json
from ..base.locks import lock_file
from ..base.printable import printable
from ..base.regular_files import check_regular, read_text
from ..base.temporary import MARK, short_name
from ..base.whole_files import cannot_be_written, check_allocation, existing_folder
from .facts import UNNAMED, TrainingFacts
from .whole_folders import SWAPPING, atomic_folder, exists, settle

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT_VERSION = 1
WEIGHTS = "weights"
STATE = "training_state.pt"
_LONGEST_NAME = 200  # bytes of the name of a folder; file systems allow 255, and temporary names are longer
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


def check_place(folder: Path, *, replace: bool = False, needed: int = 0) -> None:
    """Raise an OSError if no model can be written to `folder`, before any work is done.

    Parameters
    ----------
    folder
        A new name or an empty folder, in a folder that can be written.
    replace
        Whether it may also be a model.
    needed
        Bytes that the model needs; see `bytes_of_model`.
    """
    _check_length(folder)
    settle(folder)
    _check_content(folder)
    if not replace and exists(folder / "model.json"):
        raise FileExistsError(f"There is a model in {folder}: choose another name.")
    above = existing_folder(folder)
    if not above.is_dir() or not os.access(above, os.W_OK):
        reason = "you have no permission" if above.is_dir() else f"{above} is a file"
        raise PermissionError(f"{folder} cannot be written ({reason}): choose another place.")
    if folder.exists() and folder.resolve() in (Path.cwd(), *Path.cwd().parents):
        raise FileExistsError(f"The current folder {folder.resolve()} would be replaced: go to another folder first.")
    if os.path.ismount(folder):
        raise FileExistsError(f"{folder} is a mount point: choose a new folder in it.")
    with training_lock(folder):
        if needed:
            check_allocation(folder, needed)


def _check_length(folder: Path) -> None:
    """Raise an OSError if the name of a folder is too long for the temporary names of a save."""
    if len(os.fsencode(folder.name)) > _LONGEST_NAME:
        raise OSError(f"{folder} cannot be written (the name is too long): choose a shorter name.")


def bytes_of_model(parameters: int, *, state: bool = True) -> int:
    """Return the space that saving a model needs, in bytes: the new folder is complete before the former one goes.

    Parameters
    ----------
    parameters
        Number of parameters of the network.
    state
        Whether the state of the training is saved too: the weights, their averages and two moments of each.
    """
    return 2 * (4 * parameters * (5 if state else 1) + 2**18)


@contextmanager
def training_lock(folder: Path | None, doing: str = "is saving its model in") -> Iterator[None]:
    """Lock a folder for one training, so that no other training in any process can write to it; None locks nothing.

    Imports and exports hold the same lock. The lock is one of the operating system, which releases it when the program
    is killed.

    Raises
    ------
    OSError
        If another training has the lock, or the folder cannot be written.
    """
    if folder is None:
        yield
        return
    folder = folder.absolute()
    new_parents = [parent for parent in folder.parents if not exists(parent)]
    lock = lock_file(folder.with_name(f".{short_name(folder.name)}.{MARK}.lock"))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock.__enter__()
    except BlockingIOError as error:
        run = "training" if "model" in doing else "run"
        raise FileExistsError(f"Another {run} {doing} {folder}: choose another name.") from error
    except OSError as error:
        raise cannot_be_written(folder, error) from error
    try:
        yield
    finally:
        lock.__exit__(None, None, None)
        # New parents stay if they hold a saved model.
        with suppress(OSError):
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


@dataclass(frozen=True)
class SavedModel:
    """The folder of a saved model, and the error if it is another one than the user chose."""

    folder: Path
    problem: OSError | None = None

    def raise_if_elsewhere(self) -> None:
        """Raise an OSError that names the folder if the model was saved to another one than the user chose."""
        if self.problem is not None:
            raise OSError(f"{sentence_of(self.problem)} The trained model is in {self.folder}.") from self.problem


def save_or_save_beside(save: Callable[[Path], None], folder: Path, kind: Kind = "diffusion") -> SavedModel:
    """Save a trained model to `folder`, or where that fails to another place.

    The other places are a similar name beside it, the folder of the user's models, and the folder of temporary files.

    Raises
    ------
    OSError
        If none of them can be written.
    """
    try:
        save(folder)
    except OSError as error:
        for place in _other_folders(folder, kind):
            with suppress(OSError):
                save(place)
                return SavedModel(place, error)
        raise OSError(
            f"{sentence_of(error)} The trained model is lost, because neither the user's folder nor the folder of "
            "temporary files can be written: free some space before the next training."
        ) from error
    return SavedModel(folder)


def _other_folders(folder: Path, kind: Kind) -> Iterator[Path]:
    """Yield new folders for a model that cannot be written to `folder`, the nearest first."""
    yield _free_folder(folder.parent, folder)
    with suppress(OSError, RuntimeError):  # no home folder
        yield _free_folder(user_folder() / kind, folder)
    with suppress(OSError):  # no folder for temporary files
        yield _free_folder(Path(tempfile.gettempdir()), folder)


def _free_folder(base: Path, folder: Path) -> Path:
    """Return a path in `base` that does not exist, with the name of `folder` or a similar one."""
    names = itertools.chain((folder.name,), (f"{folder.name} {k}" for k in itertools.count(2)))
    return next(base / name for name in names if base / name != folder and not exists(base / name))


def save_folder(folder: Path, kind: Kind, facts: _Facts, write_weights: Writer, *extras: Extra[_Facts]) -> None:
    """Write a model folder: `facts` as model.json, the weights, and the files that `extras` write from the facts."""
    if facts.name == UNNAMED:
        facts = replace(facts, name=folder.absolute().name)
    _check_length(folder)
    settle(folder)
    _check_content(folder.resolve())
    with atomic_folder(folder) as fresh, _explained(folder):
        (fresh / WEIGHTS).mkdir()
        write_weights(fresh / WEIGHTS)
        for write in extras:
            write(fresh, facts)
        content = {"format_version": FORMAT_VERSION, "kind": kind, **facts.to_json()}
        text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)
        # Names of folders and images may hold bytes that are not valid UTF-8.
        (fresh / "model.json").write_text(text, encoding="utf-8", errors="replace")
        # safetensors writes files that only the user may read. On a shared drive others need to read the weights too.
        rights = (fresh / "model.json").stat().st_mode & 0o777
        for path in (fresh / WEIGHTS).iterdir():
            with suppress(OSError):  # some shared drives do not support permissions
                path.chmod(rights)


def write_training_state(folder: Path, values: dict[str, Any]) -> None:
    """Write the state of a training, of tensors and plain values, into a model folder."""
    import torch

    with write_errors(folder), (folder / STATE).open("wb") as file:
        torch.save(values, file)


def keep_training_state(former: Path, folder: Path) -> None:
    """Copy the state of a stopped training, if there is one, into the folder that replaces `former`."""
    if exists(former / STATE):
        check_regular(former / STATE)
        shutil.copyfile(former / STATE, folder / STATE)


def read_training_state(folder: Path) -> dict[str, Any]:
    """Return the state of a training; raises ModelFolderError if it is damaged."""
    from ..base.tensors import load_torch_file

    with model_errors(folder):
        values = load_torch_file(folder / STATE)
        if not isinstance(values, dict):
            raise InputError("Its training state is no list of values.")
    return values


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Raise errors of the operating system in writing a model with the name of the folder, the reason and the remedy.

    The system's own message names a file under a temporary name.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise cannot_be_written(folder, error) from error


@contextmanager
def write_errors(folder: Path) -> Iterator[None]:
    """Turn errors of torch and safetensors in writing a file into an OSError that names the folder."""
    try:
        yield
    except (RuntimeError, SafetensorError) as error:
        if is_out_of_memory(error):
            raise
        number = re.search(r"code: (\d+)", str(error))  # in messages of safetensors
        if number:
            raise cannot_be_written(folder, OSError(int(number.group(1)), "")) from error
        # torch names positions in the file only.
        full = shutil.disk_usage(existing_folder(folder)).free < 2**20
        reason = "the disk is full" if full else "a file could not be written completely"
        raise OSError(f"{folder} cannot be written ({reason}): free some space or choose another place.") from error


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
    settle(folder)
    try:
        with SWAPPING:
            return _checked_facts(folder, kind, facts)
    # Another process may have replaced the folder during the reading.
    except ModelFolderError:
        settle(folder)
        return _checked_facts(folder, kind, facts)


def _checked_facts(folder: Path, kind: Kind, facts: type[_Facts]) -> _Facts:
    _check_readable(folder)
    if not folder.is_dir():
        raise ModelFolderError(f"There is no model folder {folder}.")
    path = folder / "model.json"
    if not path.exists():
        raise ModelFolderError(f"{folder} is no model folder: it has no model.json.")
    try:
        text = read_text(path)
        values = _values_of(text)
        version, stored_kind = values["format_version"], values["kind"]
        # True is an int too.
        if type(version) is not int or version < 1 or not isinstance(stored_kind, str):
            raise ValueError("The format version or the kind is missing.")
    except (ValueError, TypeError, KeyError, IndexError, OSError) as error:
        # `read_text` explains the kind and the size of the file in a sentence.
        reason = f" ({str(error).partition(':')[0]})" if isinstance(error, InputError) else ""
        raise ModelFolderError(f"{path} is damaged{reason}: train the model again or copy the folder again.") from error
    if version > FORMAT_VERSION:
        raise ModelFolderError(
            f"{folder} was saved by a newer napari-smdiffusion (format {version}): update to open it."
        )
    if stored_kind != kind:
        raise ModelFolderError(
            f"{folder} holds a model of kind {printable(stored_kind, 40)!r}, but {_with_article(kind)} is needed here."
        )
    if not any((folder / WEIGHTS).glob("*.safetensors")):
        raise ModelFolderError(f"{folder} has no weights: copy the whole folder again.")
    try:
        return facts.from_json(values)
    except InputError as error:
        raise ModelFolderError(
            f"{path} is damaged ({str(error).removesuffix('.')}): train the model again or copy the folder again."
        ) from error


@lru_cache(maxsize=64)
def _values_of(text: str) -> Any:
    """Return the values of a model.json. Every dock lists all models anew, and decoding takes most of that time."""
    return read_json(text)


def _check_readable(folder: Path) -> None:
    """Raise a PermissionError if the user may not read a model folder or a file in it."""
    paths = [folder, folder / WEIGHTS]
    with suppress(OSError):
        paths += [*folder.iterdir(), *(folder / WEIGHTS).iterdir()]
    for path in paths:
        with suppress(FileNotFoundError, NotADirectoryError):
            try:
                path.stat()
                denied = not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0))
            except PermissionError:
                denied = True
            if denied:
                raise PermissionError(f"{path} cannot be read (you have no permission): ask its owner for it.")


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
        if is_out_of_memory(error):
            raise
        _check_readable(folder)
        reason = str(error).removesuffix(".") if isinstance(error, InputError) else type(error).__name__
        raise ModelFolderError(f"{folder} is damaged ({reason}): copy or train the model again.") from error

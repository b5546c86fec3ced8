"""Renaming and deleting of the user's models, and what their cards state."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..base.errors import InputError
from ..base.folders import user_folder
from ..base.json_values import read_json
from ..base.temporary import MARK, new_token, short_name
from ..base.whole_files import atomic_file, cannot_be_written
from .card import quoted
from .catalogue import checked_name
from .facts import TrainingFacts
from .folder import read_facts, training_lock
from .whole_folders import SWAPPING, exists

if TYPE_CHECKING:
    from collections.abc import Callable

    from .folder import Kind

_Facts = TypeVar("_Facts", bound=TrainingFacts)


def is_own(folder: Path, kind: Kind) -> bool:
    """Return whether a model folder is in the user's folder, where it may be renamed and deleted."""
    return folder.absolute().parent == (user_folder() / kind).absolute()


def delete_model(folder: Path, kind: Kind) -> None:
    """Delete a model of the user, with the state of its training.

    The folder first gets a hidden name. A delete that is interrupted leaves no half model, and the next save removes
    the rest.

    Raises
    ------
    InputError
        If the model is not in the user's folder.
    OSError
        If it is trained just now, or cannot be deleted.
    """
    _check_own(folder, kind)
    with training_lock(folder), SWAPPING:
        hidden = folder.with_name(f".{short_name(folder.name)}.{new_token()}.{MARK}-old")
        try:
            folder.rename(hidden)
        except OSError as error:
            raise cannot_be_written(folder, error) from error
        shutil.rmtree(hidden, ignore_errors=True)


def rename_model(folder: Path, name: str, kind: Kind) -> Path:
    """Rename a model of the user, in its folder and in its facts; return the new folder.

    Raises
    ------
    InputError
        If the model is not in the user's folder, or the name cannot be that of a folder.
    OSError
        If there is such a model already, or this one is trained just now or cannot be renamed.
    """
    _check_own(folder, kind)
    renamed = folder.with_name(checked_name(name))
    if renamed == folder:
        return folder
    # On a file system that ignores case, a new spelling of the same name is the same folder.
    if exists(renamed) and not renamed.samefile(folder):
        raise FileExistsError(f"There is a model in {renamed} already: choose another name.")
    read_facts(folder, kind, TrainingFacts)  # a damaged model is not changed
    with training_lock(folder), training_lock(renamed), SWAPPING:
        try:
            folder.rename(renamed)
        except OSError as error:
            raise cannot_be_written(renamed, error) from error
        with suppress(OSError):  # the name of the folder is what counts
            write_name(renamed, folder.name, renamed.name)
    return renamed


def state_facts(
    folder: Path, kind: Kind, record: type[_Facts], write_card: Callable[[Path, _Facts], None], **stated: str
) -> None:
    """Replace texts in the facts of a model, and write its card anew; the weights stay as they are.

    Parameters
    ----------
    folder, kind
        The model.
    record
        The class of its facts.
    write_card
        Writes the card of such facts into a folder.
    **stated
        New values of text fields of the facts, such as `tested_on`.

    Raises
    ------
    ModelFolderError
        If it is damaged.
    OSError
        If it is trained just now, or cannot be written.
    """
    with training_lock(folder):
        texts: dict[str, Any] = {**stated}
        facts = replace(read_facts(folder, kind, record), **texts)
        path = folder / "model.json"
        values = {**read_json(path.read_text(encoding="utf-8")), **stated}
        with tempfile.TemporaryDirectory() as made:
            write_card(Path(made), facts)
            card = (Path(made) / "README.md").read_bytes()
        # The card first: after a power cut between the two, the facts of the model are those of before.
        for target, content in ((folder / "README.md", card), (path, json.dumps(values, indent=2).encode())):
            with atomic_file(target) as temporary:
                temporary.write_bytes(content)


def _check_own(folder: Path, kind: Kind) -> None:
    if not is_own(folder, kind):
        raise InputError(f"{folder} is not in your folder of models: change it in your file manager.")


def write_name(folder: Path, former: str, name: str) -> None:
    """Write the name of a model into model.json, and into the heading and the command of the card."""
    path, card = folder / "model.json", folder / "README.md"
    values = {**read_json(path.read_text(encoding="utf-8")), "name": name}
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2, allow_nan=False), encoding="utf-8")
    text = card.read_text(encoding="utf-8", errors="replace").replace(f"# {former}:", f"# {name}:", 1)
    command = re.compile(rf"^( {{4}}smdiffusion \w+ ){re.escape(quoted(former))}(?=\s)", re.MULTILINE)
    with atomic_file(card) as temporary:
        renamed = command.sub(lambda match: match[1] + quoted(name), text, count=1)
        temporary.write_text(renamed, encoding="utf-8")

"""The job that takes a model from a file, a link or a hub into the user's folder of models."""

from __future__ import annotations

import os
import re
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.download import check_link, download_steps, is_link
from ..base.errors import InputError, Stopped
from ..base.events import Note, Steps, Stop, never
from ..base.folders import user_folder, user_path
from ..base.json_values import read_json
from ..base.printable import printable
from ..base.temporary import temporary_file
from ..base.whole_files import created_beside
from ..store.archives import LARGEST, copy_part, digest_of_file, opened
from ..store.catalogue import checked_name, free_name, list_models
from ..store.folder import Kind, ModelFolderError, check_place, training_lock
from ..store.hub import PREFIX, find_on_hub, hub_place
from ..store.managing import write_name
from ..store.shared_file import Contents, extract, nested_in, read_contents, weights_of
from ..store.whole_folders import atomic_folder, exists
from .loading import load_model

if TYPE_CHECKING:
    import zipfile

    from ..store.catalogue import ModelEntry

_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ReceivedModel:
    """A model that was taken.

    Parameters
    ----------
    name, kind, folder
        Its name, kind and folder.
    sha256
        SHA-256 of the file that it came in.
    is_new
        Whether it was added; False if the same model was there already.
    """

    name: str
    kind: Kind
    folder: Path
    sha256: str
    is_new: bool = True


@dataclass(frozen=True)
class GetJob:
    """Take a model that `ShareJob` wrote, and check it before anything is kept.

    The hash of each part, and the sizes, names and types of everything in the file are checked. Nothing in it is
    executed or unpickled. The model is loaded once, so that its weights fit its network. A bioimage.io package that
    `export_enhancer` wrote is taken too.

    Parameters
    ----------
    source
        A file, a link, or `hf:USER/NAME` on a hub.
    name
        Name of the model. None: its own name, followed by a number if another model has it.
    sha256
        SHA-256 of the file, as its author states it; None if it is not known.

    Raises
    ------
    InputError
        If a field is unsuitable.
    """

    source: str | os.PathLike[str]
    name: str | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        if self.name is not None:
            object.__setattr__(self, "name", checked_name(self.name))
        if self.sha256 is not None:
            digest = self.sha256.strip().lower().removeprefix("sha256:")
            if not _HASH.fullmatch(digest):
                raise InputError(
                    f"sha256 must have 64 digits from 0 to f, not {printable(self.sha256, 80)!r}: copy it again.",
                    "sha256",
                )
            object.__setattr__(self, "sha256", digest)
        text = os.fspath(self.source)
        if text.startswith(PREFIX):
            hub_place(text)
        elif is_link(text):
            check_link(text, known_hash=self.sha256 is not None)

    @property
    def title(self) -> str:
        """Short description of the job."""
        text = os.fspath(self.source)
        return f"getting {text if text.startswith(PREFIX) or is_link(text) else Path(text).name}"

    def steps(self, stop: Stop = never) -> Steps[ReceivedModel]:
        """Get the file, check it, and add the model to those of the user.

        Yields
        ------
        Progress and Note events.

        Returns
        -------
        The model that was added, or the same model that was there already.

        Raises
        ------
        InputError
            If the file cannot be found or downloaded, or fails a check. Nothing is kept then.
        OSError
            If it cannot be read, or the model cannot be written.
        Stopped
            If the job was stopped; nothing is kept.
        """
        shown = printable(os.fspath(self.source), 200)
        with ExitStack() as stack:
            path = yield from self._fetched(stack, stop)
            digest = digest_of_file(path)
            if self.sha256 not in (None, digest):
                raise InputError(
                    f"{shown} has the hash {digest}, not {self.sha256}: it is another file than its author wrote. "
                    "Get it again, or ask the author."
                )
            archive = stack.enter_context(opened(path, shown))
            nested = nested_in(archive, shown)
            if nested is not None:
                inner = stack.enter_context(created_beside(_download(), temporary_file(_download())))
                copy_part(archive, nested, inner, shown)
                archive = stack.enter_context(opened(inner, shown))
            contents = read_contents(archive, shown)
            if stop():
                raise Stopped("Stopped before the model was checked: nothing was kept.")
            received, note = self._added(archive, contents, shown, digest)
            if note:
                yield Note(note)
            return received

    def _fetched(self, stack: ExitStack, stop: Stop) -> Steps[Path]:
        """Return the path of the file: that of the user, or a temporary one that is downloaded."""
        text = os.fspath(self.source)
        headers, known_hash = {}, self.sha256 is not None
        if text.startswith(PREFIX):
            file = find_on_hub(hub_place(text))
            text, headers = file.url, dict(file.headers)
        elif not is_link(text):
            path = user_path(self.source)
            if path.is_dir():
                raise InputError(
                    f"{path} is a folder: name the file that `smdiffusion share` wrote. The folder of a model can be "
                    "used as it is, by its path."
                )
            return path
        target = stack.enter_context(created_beside(_download(), temporary_file(_download())))
        yield from download_steps(text, target, LARGEST, headers=headers, known_hash=known_hash, stop=stop)
        return target

    def _added(
        self, archive: zipfile.ZipFile, contents: Contents, shown: str, digest: str
    ) -> tuple[ReceivedModel, str]:
        """Add the model to those of the user, unless the same one is there; return it, and a note or ""."""
        kind, own = contents.model_kind, self.name or checked_name(contents.name)
        name = own if self.name is not None else free_name(own, kind)
        folder = user_folder() / kind / name
        if self.name is not None and exists(folder):
            raise FileExistsError(f"There is a model in {folder} already: choose another name.")
        check_place(folder, needed=contents.total + 2**20)
        try:
            with training_lock(folder, "is writing"), atomic_folder(folder) as fresh:
                extract(archive, contents, fresh, shown)
                _check_model(fresh, kind, shown)
                if self.name is None and (same := _same_model(fresh, contents, kind)):
                    raise _AlreadyThere(same)
                if name != contents.name:
                    write_name(fresh, contents.name, name)
        except _AlreadyThere as there:
            entry = there.entry
            place = "the bundled model" if entry.bundled else "your model"
            note = f"This is {place} {entry.name}, which is there already: nothing was added."
            return ReceivedModel(entry.name, kind, entry.folder, digest, is_new=False), note
        note = f"Another model is called {own}: this one is called {name}." if name != own else ""
        return ReceivedModel(name, kind, folder, digest), note


class _AlreadyThere(Exception):
    """The model is one of the user's or a bundled one already. The new folder is given up."""

    def __init__(self, entry: ModelEntry) -> None:
        super().__init__(entry.name)
        self.entry = entry


def _download() -> Path:
    """Return the path beside which files are downloaded: where the model will be, so that it has the space."""
    return user_folder() / "download.zip"


def _check_model(folder: Path, kind: Kind, shown: str) -> None:
    """Load the model; an error names the file that it came in, in place of the temporary folder."""
    try:
        load_model(folder, kind)
    except ModelFolderError as error:
        raise InputError(str(error).replace(str(folder), shown)) from error


def _same_model(fresh: Path, contents: Contents, kind: Kind) -> ModelEntry | None:
    """Return the model at hand with the same weights and facts, whatever its name; None if there is none."""
    facts = _facts(fresh)
    for entry in list_models(kind):
        files = {entry.folder / name: part for name, part in weights_of(contents).items()}
        same_size = all(exists(file) and file.stat().st_size == part.bytes for file, part in files.items())
        if not same_size or _facts(entry.folder) != facts:
            continue
        if all(digest_of_file(file) == part.sha256 for file, part in files.items()):
            return entry
    return None


def _facts(folder: Path) -> dict[str, object]:
    """Return model.json without the name."""
    values = read_json((folder / "model.json").read_text(encoding="utf-8"))
    return {key: value for key, value in values.items() if key != "name"}

"""The job that writes a model as one file for others, and puts it on a hub."""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.errors import InputError, Stopped
from ..base.events import Note, Steps, Stop, never
from ..base.folders import user_path
from ..base.printable import printable
from ..store.archives import digest_of_file
from ..store.catalogue import KINDS, find_model, list_models
from ..store.folder import STATE, Kind, ModelFolderError, training_lock
from ..store.hub import hub_place, upload
from ..store.shared_file import Terms, file_name, write_shared
from ..store.whole_folders import exists
from .loading import load_model

if TYPE_CHECKING:
    from collections.abc import Sequence

_LICENSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")  # as SPDX identifiers are


@dataclass(frozen=True)
class SharedModel:
    """A model that was shared.

    Parameters
    ----------
    name, kind
        Name and kind of the model.
    path
        The file; None if it is on the hub only.
    sha256, size
        SHA-256 and bytes of the file.
    link
        Link of the repository on the hub; "" if there is none.
    """

    name: str
    kind: Kind
    path: Path | None
    sha256: str
    size: int
    link: str = ""


@dataclass(frozen=True)
class ShareJob:
    """Write a model as one file without code, from which `GetJob` takes it, or put it on a hub.

    Parameters
    ----------
    model
        Name or folder of the model.
    kind
        "diffusion" or "enhancer"; None if only one model has this name.
    out
        The zip file; an existing file is replaced. None: a new file NAME.KIND.zip in the current folder, unless `to` is
        given.
    to
        Repository on a hub, `hf:USER/NAME`, which is created if it does not exist; None for no hub.
    authors
        Names of the authors of the model.
    license
        SPDX identifier of the licence of the weights, such as CC-BY-4.0.
    public
        Whether everyone can read a new repository.

    Raises
    ------
    InputError
        If a field is unsuitable.
    """

    model: str | os.PathLike[str]
    kind: Kind | None = None
    out: str | os.PathLike[str] | None = None
    to: str | None = None
    authors: Sequence[str] = ()
    license: str | None = None
    public: bool = False

    def __post_init__(self) -> None:
        names = (self.authors,) if isinstance(self.authors, str) else tuple(self.authors)
        object.__setattr__(self, "authors", tuple(" ".join(printable(name).split()) for name in names))
        if not all(self.authors):
            raise InputError("authors must be names: leave out empty ones.", "authors")
        if self.kind is not None and self.kind not in KINDS:
            raise InputError(f"kind must be diffusion or enhancer, not {self.kind!r}.", "kind")
        if self.out is not None and user_path(self.out).suffix.lower() != ".zip":
            raise InputError(f"out {os.fspath(self.out)} must end in .zip.", "out")
        if self.license is not None and not _LICENSE.fullmatch(self.license):
            raise InputError(
                f"license must be an SPDX identifier, such as CC-BY-4.0 or BSD-3-Clause, not {self.license!r}.",
                "license",
            )
        if self.to is not None:
            hub_place(self.to)
        elif self.public:
            raise InputError("public is for a model on a hub: give to=hf:USER/NAME too.", "public")

    @property
    def title(self) -> str:
        """Short description of the job."""
        return f"sharing {Path(self.model).name}"

    def steps(self, stop: Stop = never) -> Steps[SharedModel]:
        """Check the model, write it as one file, and upload that.

        Yields
        ------
        Note events.

        Returns
        -------
        The shared model.

        Raises
        ------
        InputError
            If there is no such model, or one of each kind, or it is damaged, or the hub refuses it.
        OSError
            If the file cannot be written, or exists and `out` is None.
        Stopped
            If the job was stopped before the file was written.
        """
        folder, kind = _model_to_share(self.model, self.kind)
        model = load_model(folder, kind)  # a damaged model is not shared
        license_id = self.license or model.facts.license
        if stop():
            raise Stopped("Stopped before the file was written.")
        if exists(folder / STATE):
            yield Note(f"The state of the unfinished training of {folder.name} stays here: others cannot resume it.")
        with ExitStack() as stack:
            path = self._path(folder, kind, stack)
            stack.enter_context(training_lock(path, "is writing"))
            write_shared(folder, kind, path, Terms(tuple(self.authors), self.license or ""))
            link = ""
            if self.to is not None:
                link = self._upload(path, folder, kind, license_id)
            kept = None if self.to is not None and self.out is None else path
            return SharedModel(folder.name, kind, kept, digest_of_file(path), path.stat().st_size, link)

    def _path(self, folder: Path, kind: Kind, stack: ExitStack) -> Path:
        """Return the path of the file: as stated, in the current folder, or a temporary one for the hub."""
        name = file_name(folder.name, kind)
        if self.out is not None:
            return user_path(self.out).absolute()
        if self.to is None:
            if Path(name).exists():
                raise FileExistsError(f"{Path(name).absolute()} exists: choose another name, or remove it.")
            return Path(name).absolute()
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="smdiffusion-"))) / name

    def _upload(self, path: Path, folder: Path, kind: Kind, license_id: str) -> str:
        assert self.to is not None
        pictures = [folder / name for name in ("picture.png", "samples.png")]
        files = [folder / "README.md", *pictures]
        card = {file.name: file.read_bytes() for file in files if file.exists()}
        return upload(hub_place(self.to), path, file_name(folder.name, kind), card, license_id, public=self.public)


def _model_to_share(model: str | os.PathLike[str], kind: Kind | None) -> tuple[Path, Kind]:
    """Return the folder and the kind of a model; raises InputError if there is none, or one of each kind."""
    from ..store.facts import ModelSummary
    from ..store.folder import read_facts

    found: list[tuple[Path, Kind]] = []
    errors = []
    for wanted in KINDS if kind is None else (kind,):
        try:
            folder = find_model(model, wanted)
            read_facts(folder, wanted, ModelSummary)
            found.append((folder, wanted))
        except ModelFolderError as error:
            errors.append(error)
    if len(found) > 1:
        raise InputError(f"kind must be diffusion or enhancer: there are two models called {os.fspath(model)}.", "kind")
    if not found and kind is None and not user_path(model).exists():
        names = ", ".join(sorted({entry.name for entry in list_models()}))
        raise ModelFolderError(
            f"There is no model {os.fspath(model)!r}: give its folder, or one of these names: {names}."
        )
    if not found:
        # Of a folder, the error of its own kind: the other one states only that the kind is another.
        raise next((error for error in errors if "holds a model of kind" not in str(error)), errors[0])
    return found[0]

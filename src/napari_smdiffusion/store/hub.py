"""Models on a hub for models, by the library huggingface_hub: `hf:USER/NAME`.

A repository holds the file that `share` writes, and a card for people. The file is checked as any other, so that the
hub need not be trusted. The variable `HF_ENDPOINT` names another hub than huggingface.co, such as one of an institute.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError
from ..base.printable import printable
from .catalogue import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PREFIX = "hf:"
_PLACE = re.compile(
    r"hf:(?P<repository>[\w.-]{1,96}/[\w.-]{1,96})(?:@(?P<revision>[\w./-]{1,96}))?(?::(?P<file>[\w.+-]{1,200}\.zip))?",
    re.ASCII,
)
_SHARED = tuple(f".{kind}.zip" for kind in KINDS)
_TAGS = ("super-resolution", "microscopy", "napari", "napari-smdiffusion")


@dataclass(frozen=True)
class HubPlace:
    """A place on a hub.

    Parameters
    ----------
    repository
        `USER/NAME`.
    revision
        Branch, tag or commit; "" for the newest.
    file
        Name of the file; "" if the repository has one model only.
    """

    repository: str
    revision: str = ""
    file: str = ""

    @property
    def text(self) -> str:
        """The place as a user writes it."""
        return f"{PREFIX}{self.repository}{self.revision and '@' + self.revision}{self.file and ':' + self.file}"


@dataclass(frozen=True)
class HubFile:
    """A file on a hub: its link, the headers of the request, and the SHA-256 that the hub states ("" if none)."""

    url: str
    headers: Mapping[str, str]
    sha256: str = ""


def hub_place(text: str) -> HubPlace:
    """Return the place that a text names; raises InputError if it names none."""
    match = _PLACE.fullmatch(text)
    if match is None:
        raise InputError(
            f"{printable(text, 200)} names no place on the hub: write hf:USER/NAME, hf:USER/NAME@REVISION or "
            "hf:USER/NAME:FILE.zip."
        )
    return HubPlace(match["repository"], match["revision"] or "", match["file"] or "")


def find_on_hub(place: HubPlace) -> HubFile:
    """Return the file of a model on the hub, at the commit that its revision is now.

    Raises
    ------
    InputError
        If huggingface_hub is not installed, the hub cannot be reached, or the repository has no such file, or several.
    """
    hub = _library()
    with _explained(place):
        info = _api(hub).model_info(place.repository, revision=place.revision or None, files_metadata=True)
        names = {entry.rfilename: entry for entry in info.siblings or []}
        name = place.file or _only_model(place, names)
        if name not in names:
            raise InputError(f"{place.text} does not exist: the repository has {_listed(names)}.")
        url = hub.hf_hub_url(place.repository, name, revision=info.sha, endpoint=_endpoint())
        stored = getattr(names[name], "lfs", None)
        return HubFile(url, hub.utils.build_hf_headers(), str(getattr(stored, "sha256", "") or ""))


def _only_model(place: HubPlace, names: Mapping[str, Any]) -> str:
    models = [name for name in names if name.endswith(_SHARED)]
    if not models:
        raise InputError(f"{place.text} has no model of this package: ask for one that `smdiffusion share` uploaded.")
    if len(models) > 1:
        raise InputError(
            f"{place.text} has {len(models)} models: choose one, such as {place.text}:{printable(models[0], 100)}."
        )
    return models[0]


def _listed(names: Mapping[str, Any]) -> str:
    models = [printable(name, 100) for name in names if name.endswith(_SHARED)]
    return ", ".join(models[:5]) or "no model of this package"


def upload(place: HubPlace, file: Path, name: str, card: Mapping[str, bytes], license_id: str, *, public: bool) -> str:
    """Upload the file of a model, and a card if the repository has none; return the link of the repository.

    Parameters
    ----------
    place
        The repository, which is created if it does not exist.
    file, name
        The file, and its name on the hub.
    card
        README.md and its pictures, by name.
    license_id
        SPDX identifier for the card; "" if it is not stated.
    public
        Whether a new repository can be read by everyone. One that exists stays as it is.

    Raises
    ------
    InputError
        If huggingface_hub is not installed, the hub cannot be reached, or refuses.
    """
    hub = _library()
    with _explained(place):
        api = _api(hub)
        link = api.create_repo(place.repository, private=not public, exist_ok=True)
        files: dict[str, str | bytes] = {name: str(file)}
        # A card that its authors have edited on the hub stays.
        if not api.file_exists(place.repository, "README.md"):
            header = {"license": license_id.lower()} if license_id else {}
            front = hub.ModelCardData(library_name="napari-smdiffusion", tags=list(_TAGS), **header).to_yaml()
            text = f"---\n{front}\n---\n\n".encode() + _with_use(card.get("README.md", b""), place)
            files = {**card, "README.md": text, **files}
        api.create_commit(
            place.repository,
            [hub.CommitOperationAdd(path_in_repo=path, path_or_fileobj=content) for path, content in files.items()],
            commit_message=f"Share {name}",
            revision=place.revision or None,
        )
        return str(link)


def _with_use(card: bytes, place: HubPlace) -> bytes:
    """Return a card with the command that gets the model, after its heading."""
    heading, line, rest = card.partition(b"\n")
    return heading + line + f"\nGet it with `smdiffusion get {place.text}`.\n".encode() + rest


def _endpoint() -> str | None:
    # The library reads the variable when it is imported, which may be earlier.
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def _api(hub: Any) -> Any:
    return hub.HfApi(endpoint=_endpoint(), library_name="napari-smdiffusion")


def _library() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise InputError("Models on a hub need huggingface_hub: pip install 'napari-smdiffusion[hub]'.") from error
    return huggingface_hub


@contextmanager
def _explained(place: HubPlace) -> Iterator[None]:
    """Raise the errors of huggingface_hub, and of the library that it connects with, as one sentence."""
    from huggingface_hub import errors

    try:
        yield
    except InputError:
        raise
    except errors.RevisionNotFoundError as error:
        raise InputError(f"{place.text} has no such revision: check the part after @.") from error
    except errors.GatedRepoError as error:
        raise InputError(f"{place.text} needs a permission: ask for it on its page on the hub.") from error
    except (errors.RepositoryNotFoundError, errors.LocalTokenNotFoundError) as error:
        raise InputError(
            f"{place.text} does not exist, or is private: check the name, and log in with `hf auth login`."
        ) from error
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", 0)
        if status in (401, 403):
            raise InputError(
                f"The hub does not allow this for {place.text}: log in with `hf auth login` as a user who may do it."
            ) from error
        raise InputError(f"The hub answers {status} for {place.text}: try again later.") from error
    except errors.OfflineModeIsEnabled as error:
        raise InputError("The hub is switched off by HF_HUB_OFFLINE: unset this variable.") from error
    except errors.HFValidationError as error:
        raise InputError(f"{place.text} cannot be a name on the hub: use letters, digits, - and _.") from error
    except Exception as error:
        # Which of these libraries connects depends on the version of huggingface_hub.
        if type(error).__module__.partition(".")[0] not in ("httpx", "httpx2", "requests"):
            raise
        raise InputError(
            f"The hub cannot be reached ({_endpoint() or 'huggingface.co'}): check the network, or use a file instead."
        ) from error

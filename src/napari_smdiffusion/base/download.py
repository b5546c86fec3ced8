"""Download of one file, within limits of size and time, that can be stopped."""

from __future__ import annotations

import ipaddress
import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from .errors import InputError, Stopped
from .events import Countdown, Progress, Steps, Stop, never
from .printable import printable
from .whole_files import check_room

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_CHUNK = 2**18
_CONNECT, _READ = 15.0, 60.0  # s without an answer
_UNIT = 2**10  # bytes of a step of the progress


def is_link(text: str) -> bool:
    """Return whether a text begins as the address of something in a network: `https://`, `ftp://`, …"""  # noqa: D400
    scheme, mark, _ = text.partition("://")
    return bool(mark) and scheme.isalnum()


def check_link(url: str, *, known_hash: bool) -> None:
    """Raise an InputError unless a link can be downloaded, and nobody on the way can exchange the file unnoticed.

    Parameters
    ----------
    url
        The link.
    known_hash
        Whether the hash of the file is known from elsewhere. Then the way does not matter.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise InputError(f"{printable(url, 200)} is no valid link: copy it again.") from None
    if parts.scheme not in ("http", "https") or not host:
        raise InputError(f"{printable(url, 200)} cannot be downloaded: give a link that begins with https://.")
    if parts.scheme == "http" and not known_hash and not _is_here(host):
        raise InputError(
            f"{printable(url, 200)} is not encrypted, so that the file could be exchanged on its way: give a link that "
            "begins with https://, or the hash of the file (--sha256)."
        )


def _is_here(host: str) -> bool:
    """Return whether a host is this computer."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def download_steps(
    url: str,
    target: Path,
    most: int,
    *,
    headers: Mapping[str, str] | None = None,
    known_hash: bool = False,
    stop: Stop = never,
) -> Steps[None]:
    """Download a file into `target`, which exists.

    Parameters
    ----------
    url
        The link.
    target
        The file to fill.
    most
        Largest size in bytes.
    headers
        Further headers of the request.
    known_hash
        See `check_link`; it is checked for every link that the server leads to.
    stop
        Called after each part.

    Yields
    ------
    Progress in kilobytes.

    Raises
    ------
    InputError
        If the link is invalid, the server does not answer or has no such file, or the file is larger than `most`.
    OSError
        If the file cannot be written, or the disk has too little space.
    Stopped
        If `stop` returns True.
    """
    import requests

    check_link(url, known_hash=known_hash)
    shown = printable(url, 200)
    # The size that the server states is then that of the file, and no small answer unpacks to a large one.
    wanted = {"Accept-Encoding": "identity", **(headers or {})}
    try:
        hooks = {"response": partial(_check_next, known_hash)}
        with closing(requests.get(url, stream=True, timeout=(_CONNECT, _READ), headers=wanted, hooks=hooks)) as answer:
            answer.raise_for_status()
            yield from _received(answer, target, most, shown, stop)
    except requests.RequestException as error:
        raise InputError(f"{shown} cannot be downloaded ({_reason(error)}): {_remedy(error)}.") from error


def _check_next(known_hash: bool, answer: Any, *_: Any, **__: Any) -> None:
    """Raise an InputError if an answer leads to a link that may not be followed, before it is followed."""
    if answer.is_redirect:
        check_link(urljoin(answer.url, answer.headers["location"]), known_hash=known_hash)


def _received(answer: Any, target: Path, most: int, shown: str, stop: Stop) -> Steps[None]:
    stated = answer.headers.get("Content-Length", "")
    total = int(stated) if stated.isdecimal() and len(stated) < 20 else 0
    if answer.headers.get("Content-Encoding", "identity") not in ("", "identity"):
        raise InputError(f"{shown} is sent in a packed form, whose size is unknown: download it with a browser.")
    too_large = InputError(f"{shown} has more than {most / 1e9:.3g} GB, which no file of a model has: check the link.")
    if total > most:
        raise too_large
    check_room(target, total)
    done, countdown, shown_at = 0, Countdown(0, max(total / _UNIT, 1)), 0.0
    with target.open("r+b") as file:
        for chunk in answer.iter_content(_CHUNK):
            if stop():
                raise Stopped("Stopped before the file was complete: nothing was kept.")
            done += len(chunk)
            if done > most:
                raise too_large
            file.write(chunk)
            if time.monotonic() - shown_at > 0.1:
                shown_at = time.monotonic()
                left = countdown.left(done / _UNIT) if total else float("inf")
                detail = f"{done / 1e6:.1f} of {total / 1e6:.1f} MB" if total else f"{done / 1e6:.1f} MB"
                yield Progress("downloading", done // _UNIT, total // _UNIT, left, detail=detail)
    if total and done < total:
        raise InputError(f"{shown} was cut off after {done / 1e6:.3g} of {total / 1e6:.3g} MB: try again.")


def _reason(error: Exception) -> str:
    """Return the reason of a failed request in words."""
    import requests

    answer = getattr(error, "response", None)
    if isinstance(error, requests.HTTPError) and answer is not None:
        return f"the server answers {answer.status_code} {printable(answer.reason or '', 80)}".rstrip()
    kinds = (
        (requests.TooManyRedirects, "the server leads in a circle"),
        (requests.exceptions.SSLError, "its certificate is not valid"),
        (requests.Timeout, "the server does not answer"),
        (requests.exceptions.ChunkedEncodingError, "it was cut off"),
        (requests.ConnectionError, "there is no connection to it"),
        (ValueError, "the link or the answer is not valid"),
    )
    return next((words for kind, words in kinds if isinstance(error, kind)), type(error).__name__)


def _remedy(error: Exception) -> str:
    return "check the link" if getattr(error, "response", None) is not None else "check the link and the network"

"""The replacement of a store by a new one: a killed program leaves the former store or the new one, never a mixture."""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from ..base.temporary import MARK, short_name, sync, sync_tree
from ..base.whole_files import cannot_be_written

if TYPE_CHECKING:
    from pathlib import Path


def put_store(part: Path, path: Path) -> None:
    """Rename a complete store to `path`, and remove the store that was there.

    Raises
    ------
    OSError
        If that fails; the former store is there then, and the new one stays in `part`.
    """
    for litter in part.rglob("*.partial"):  # of a run that was killed while it wrote
        with suppress(OSError):
            litter.unlink()
    sync_tree(part)
    settle_store(path)
    former = _former_of(path)
    try:
        if path.exists():
            path.rename(former)
        part.rename(path)
    except OSError as error:
        settle_store(path)
        raise cannot_be_written(path, error) from error
    sync(path.parent)
    settle_store(path)


def settle_store(path: Path) -> None:
    """Complete a replacement of a store that was interrupted: a killed run leaves the former store or the new one."""
    former = _former_of(path)
    with suppress(OSError):
        if former.exists() and path.exists():
            shutil.rmtree(former)
        elif former.exists():
            former.rename(path)


def _former_of(path: Path) -> Path:
    """Return the hidden place of a store while it is replaced. Only the run that writes `path` uses it."""
    return path.with_name(f".{short_name(path.name)}.{MARK}-former")

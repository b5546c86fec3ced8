"""Remembers the docks' settings from one start of napari to the next."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from ...base.folders import user_folder
from ...base.whole_files import atomic_file


def recall(dock: str) -> dict[str, Any]:
    """Return the remembered settings of a dock; {} if there are none."""
    values = _read().get(dock, {})
    return values if isinstance(values, dict) else {}


def remember(dock: str, values: dict[str, Any]) -> None:
    """Remember the settings of a dock, if the user's folder can be written."""
    with suppress(OSError), atomic_file(user_folder() / "docks.json", durable=False) as path:
        path.write_text(json.dumps({**_read(), dock: values}, indent=2), encoding="utf-8")


def _read() -> dict[str, Any]:
    with suppress(OSError, ValueError):
        values = json.loads((user_folder() / "docks.json").read_text(encoding="utf-8"))
        return values if isinstance(values, dict) else {}
    return {}

"""The examples of docs/extending.md, run as they stand there."""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari_smdiffusion

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"
_BLOCK = re.compile(r"^## (.+?)$(?:(?!^## ).)*?^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLES: dict[str, str] = dict(_BLOCK.findall(PAGE.read_text(encoding="utf-8")))


@contextmanager
def added(section: str) -> Iterator[str]:
    """Run the example of a section, and remove at the end what it registers under the name that this gives."""
    code = EXAMPLES[section]
    found = re.search(r'^@?([A-Z]+)\.register\("(.+?)"\)', code, re.MULTILINE)
    assert found is not None
    registry, name = found.groups()
    scope: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, f"{PAGE}, {section}", "exec", dont_inherit=True), scope)  # annotations are those of the example
    try:
        yield name
    finally:
        getattr(napari_smdiffusion, registry, scope[registry]).remove(name)

"""The code examples of docs/extending.md, by the title of their section."""

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
    """Run the example of a section, yield the name that it registers, and remove that name at the end."""
    code = EXAMPLES[section]
    match = re.search(r'^@?([A-Z]+)\.register\("(.+?)"\)', code, re.MULTILINE)
    assert match is not None
    registry, name = match.groups()
    scope: dict[str, Any] = {"__name__": "example"}
    # Without dont_inherit, the example would inherit this file's `from __future__ import annotations`.
    exec(compile(code, f"{PAGE}, {section}", "exec", dont_inherit=True), scope)
    try:
        yield name
    finally:
        getattr(napari_smdiffusion, registry, scope[registry]).remove(name)

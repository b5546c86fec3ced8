"""The card of a diffusion model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..store.card import write_card
from .learning import copying

if TYPE_CHECKING:
    from pathlib import Path


def write_diffusion_card(folder: Path, facts: dict[str, Any]) -> None:
    """Write the card of a diffusion model into `folder`; `judged` among the facts is Markdown of how good it was."""
    title = f"{facts['name']}: a diffusion model of super-resolution images"
    size = facts["imported"]["image_size"] if "imported" in facts else 512
    use = f"smdiffusion generate {facts['name']} --out generated.tif --count 16 --size {size}"
    warning = "" if "imported" in facts else copying(facts, facts.get("steps", 0))
    more = f"\n## Copies\n\n{warning}\n" if warning else ""
    write_card(folder, facts, title, use, more + facts.get("judged", ""))

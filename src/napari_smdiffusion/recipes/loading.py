"""Loading of a model of any kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from ..diffusion.model import DiffusionModel
    from ..enhance.model import Enhancer
    from ..store.folder import Kind


def load_model(folder: Path, kind: Kind) -> DiffusionModel | Enhancer:
    """Load the model in a folder, with all checks; raises ModelFolderError if it is damaged or of another kind."""
    # Models are loaded with torch, which takes seconds.
    if kind == "diffusion":
        from ..diffusion.model import DiffusionModel

        return DiffusionModel.load(folder)
    from ..enhance.model import Enhancer

    return Enhancer.load(folder)

"""The folders of models: the user's folder, and the folder of the bundled models."""

from __future__ import annotations

import os
from pathlib import Path


def user_folder() -> Path:
    """Return the folder of the user's models: $SMDIFFUSION_HOME, or the default of the operating system."""
    if home := os.environ.get("SMDIFFUSION_HOME"):
        return Path(home)
    import platformdirs

    return Path(platformdirs.user_data_dir("napari-smdiffusion", appauthor=False)) / "models"


def bundled_folder() -> Path:
    """Return the folder of the bundled models."""
    return Path(__file__).parents[1] / "bundled"

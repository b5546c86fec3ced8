"""Where models lie: the user's folder and the folder that ships with the package."""

from __future__ import annotations

import os
from pathlib import Path


def user_folder() -> Path:
    """Return where the user's models lie: $SMDIFFUSION_HOME, or the usual place of the system."""
    if home := os.environ.get("SMDIFFUSION_HOME"):
        return Path(home)
    import platformdirs

    return Path(platformdirs.user_data_dir("napari-smdiffusion", appauthor=False)) / "models"


def bundled_folder() -> Path:
    """Return where the models of the package lie."""
    return Path(__file__).parents[1] / "bundled"

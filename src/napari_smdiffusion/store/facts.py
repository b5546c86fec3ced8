"""What a model folder states about its training."""

from __future__ import annotations

import datetime
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..base.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..images.image import Image


def training_facts(images: Sequence[Image], name: str) -> dict[str, Any]:
    """Return what a model folder says of its training: names and hashes of the images, date and versions."""
    data = [
        {
            "name": Path(image.name).name,
            "shape": list(image.pixels.shape),
            "sha256": image.digest,
            "kind": image.provenance.get("kind", "experimental"),
        }
        for image in images
    ]
    versions = {"napari-smdiffusion": __version__, "torch": torch.__version__, "python": platform.python_version()}
    return {"name": name, "training_data": data, "date": datetime.date.today().isoformat(), "versions": versions}

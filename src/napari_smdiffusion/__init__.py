"""Diffusion models for super-resolution microscopy: train, generate, enhance.

The public names are loaded when they are first used: importing the package loads neither torch nor Qt.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str

    from .comparison import compare_images
    from .config import EnhanceConfig, EnhancerConfig, GenerateConfig, ImportConfig, MicroscopeConfig, TrainConfig
    from .diffusion import DiffusionModel
    from .enhanced_field import EnhancedField
    from .enhancer import Enhancer
    from .files import read_image, read_images, write_image
    from .images import Image
    from .models import list_models, load_diffusion_model, load_enhancer
    from .reference_checkpoint import import_checkpoint
    from .resolution import decorrelation_analysis, fourier_ring_correlation, single_image_frc
    from .structures import simulate

_ROOMS = {
    "compare_images": "comparison",
    "decorrelation_analysis": "resolution",
    "DiffusionModel": "diffusion",
    "EnhanceConfig": "config",
    "EnhancedField": "enhanced_field",
    "Enhancer": "enhancer",
    "EnhancerConfig": "config",
    "fourier_ring_correlation": "resolution",
    "GenerateConfig": "config",
    "Image": "images",
    "import_checkpoint": "reference_checkpoint",
    "ImportConfig": "config",
    "list_models": "models",
    "load_diffusion_model": "models",
    "load_enhancer": "models",
    "MicroscopeConfig": "config",
    "read_image": "files",
    "read_images": "files",
    "simulate": "structures",
    "single_image_frc": "resolution",
    "TrainConfig": "config",
    "write_image": "files",
}

__all__ = [
    "DiffusionModel",
    "EnhanceConfig",
    "EnhancedField",
    "Enhancer",
    "EnhancerConfig",
    "GenerateConfig",
    "Image",
    "ImportConfig",
    "MicroscopeConfig",
    "TrainConfig",
    "__version__",
    "compare_images",
    "decorrelation_analysis",
    "fourier_ring_correlation",
    "import_checkpoint",
    "list_models",
    "load_diffusion_model",
    "load_enhancer",
    "read_image",
    "read_images",
    "simulate",
    "single_image_frc",
    "write_image",
]


def __getattr__(name: str) -> object:
    """Load a public name from its room, and read the version only when it is asked for (PEP 562)."""
    if name == "__version__":
        return _version()
    if name in _ROOMS:
        return getattr(import_module(f".{_ROOMS[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("napari-smdiffusion")
    except PackageNotFoundError:  # a source tree that was never installed
        return "0+unknown"


def __dir__() -> list[str]:
    return __all__

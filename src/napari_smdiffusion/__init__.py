"""Diffusion models for super-resolution microscopy: train, generate, enhance.

The public names are loaded when they are first used: importing the package loads neither torch nor Qt.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str

    from .bioimage_io import export_enhancer as export_enhancer
    from .comparison import compare_images as compare_images
    from .comparison import compare_steps as compare_steps
    from .config import EnhanceConfig as EnhanceConfig
    from .config import EnhancerConfig as EnhancerConfig
    from .config import GenerateConfig as GenerateConfig
    from .config import ImportConfig as ImportConfig
    from .config import MicroscopeConfig as MicroscopeConfig
    from .config import TrainConfig as TrainConfig
    from .demo import demo_steps as demo_steps
    from .diffusion import DiffusionModel as DiffusionModel
    from .diffusion import generate_steps as generate_steps
    from .diffusion_training import train_steps as train_steps
    from .enhanced_field import EnhancedField as EnhancedField
    from .enhancer import Enhancement as Enhancement
    from .enhancer import Enhancer as Enhancer
    from .enhancer import enhance_steps as enhance_steps
    from .enhancer_training import train_enhancer_steps as train_enhancer_steps
    from .files import read_image as read_image
    from .files import read_images as read_images
    from .files import write_image as write_image
    from .images import Image as Image
    from .model_folder import ModelFolderError as ModelFolderError
    from .models import list_models as list_models
    from .models import load_diffusion_model as load_diffusion_model
    from .models import load_enhancer as load_enhancer
    from .progress import Generated as Generated
    from .progress import Note as Note
    from .progress import Preview as Preview
    from .progress import Progress as Progress
    from .progress import TileDone as TileDone
    from .progress import run as run
    from .reference_checkpoint import CheckpointError as CheckpointError
    from .reference_checkpoint import import_checkpoint as import_checkpoint
    from .resolution import decorrelation_analysis as decorrelation_analysis
    from .resolution import fourier_ring_correlation as fourier_ring_correlation
    from .resolution import single_image_frc as single_image_frc
    from .structures import simulate as simulate
    from .training import TrainingDivergedError as TrainingDivergedError

# The same for Python itself: where each name comes from.
_NAMES = {
    "bioimage_io": ("export_enhancer",),
    "comparison": ("compare_images", "compare_steps"),
    "config": ("EnhanceConfig", "EnhancerConfig", "GenerateConfig", "ImportConfig", "MicroscopeConfig", "TrainConfig"),
    "demo": ("demo_steps",),
    "diffusion": ("DiffusionModel", "generate_steps"),
    "diffusion_training": ("train_steps",),
    "enhanced_field": ("EnhancedField",),
    "enhancer": ("Enhancement", "Enhancer", "enhance_steps"),
    "enhancer_training": ("train_enhancer_steps",),
    "files": ("read_image", "read_images", "write_image"),
    "images": ("Image",),
    "model_folder": ("ModelFolderError",),
    "models": ("list_models", "load_diffusion_model", "load_enhancer"),
    "progress": ("Generated", "Note", "Preview", "Progress", "TileDone", "run"),
    "reference_checkpoint": ("CheckpointError", "import_checkpoint"),
    "resolution": ("decorrelation_analysis", "fourier_ring_correlation", "single_image_frc"),
    "structures": ("simulate",),
    "training": ("TrainingDivergedError",),
}
_ROOMS = {name: room for room, names in _NAMES.items() for name in names}

__all__ = ["__version__", *_ROOMS]


def __getattr__(name: str) -> object:
    """Load a public name from its room, and read the version, when it is first asked for (PEP 562)."""
    if name == "__version__":
        value: object = _version()
    elif name in _ROOMS:
        value = getattr(import_module(f".{_ROOMS[name]}", __name__), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("napari-smdiffusion")
    except PackageNotFoundError:  # a source tree that was never installed
        return "0+unknown"


def __dir__() -> list[str]:
    return __all__

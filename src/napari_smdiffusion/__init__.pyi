"""The public names, and where they come from."""

from .base.errors import InputError as InputError
from .base.errors import Stopped as Stopped
from .base.errors import UserError as UserError
from .base.events import Generated as Generated
from .base.events import Note as Note
from .base.events import Preview as Preview
from .base.events import Progress as Progress
from .base.events import TileDone as TileDone
from .base.events import run as run
from .base.folders import user_folder as user_folder
from .base.version import __version__ as __version__
from .diffusion.generating import generate_steps as generate_steps
from .diffusion.imported import CheckpointError as CheckpointError
from .diffusion.imported import import_checkpoint as import_checkpoint
from .diffusion.model import DiffusionModel as DiffusionModel
from .diffusion.model import load_diffusion_model as load_diffusion_model
from .diffusion.settings import GenerateConfig as GenerateConfig
from .diffusion.settings import ImportConfig as ImportConfig
from .diffusion.settings import TrainConfig as TrainConfig
from .diffusion.solvers import SOLVERS as SOLVERS
from .diffusion.training import train_steps as train_steps
from .enhance.applying import Enhancement as Enhancement
from .enhance.applying import enhance_steps as enhance_steps
from .enhance.export import export_enhancer as export_enhancer
from .enhance.model import Enhancer as Enhancer
from .enhance.model import load_enhancer as load_enhancer
from .enhance.settings import EnhanceConfig as EnhanceConfig
from .enhance.settings import EnhancerConfig as EnhancerConfig
from .enhance.training import train_enhancer_steps as train_enhancer_steps
from .images.axes import Axis as Axis
from .images.image import Image as Image
from .images.localizations import TableSlab as TableSlab
from .images.readers import READERS as READERS
from .images.readers import FileMetadata as FileMetadata
from .images.readers import image_reader as image_reader
from .images.reading import read_image as read_image
from .images.reading import read_images as read_images
from .images.writing import write_image as write_image
from .measure.resolution import decorrelation_analysis as decorrelation_analysis
from .measure.resolution import fourier_ring_correlation as fourier_ring_correlation
from .measure.resolution import single_image_frc as single_image_frc
from .microscope.fit import fit_microscope as fit_microscope
from .microscope.settings import MicroscopeConfig as MicroscopeConfig
from .recipes.calibrate import CalibrateJob as CalibrateJob
from .recipes.compare import CompareJob as CompareJob
from .recipes.compare import compare_images as compare_images
from .recipes.demo import DemoJob as DemoJob
from .recipes.demo import demo_steps as demo_steps
from .recipes.enhance import EnhanceJob as EnhanceJob
from .recipes.generate import GenerateJob as GenerateJob
from .recipes.get_model import GetJob as GetJob
from .recipes.get_model import ReceivedModel as ReceivedModel
from .recipes.job import run_job as run_job
from .recipes.share_model import SharedModel as SharedModel
from .recipes.share_model import ShareJob as ShareJob
from .recipes.train_diffusion import TrainJob as TrainJob
from .recipes.train_enhancer import TrainEnhancerJob as TrainEnhancerJob
from .report.compare import compare_steps as compare_steps
from .report.enhanced import EnhancedField as EnhancedField
from .report.enhanced import mapped_error as mapped_error
from .report.measure import Measure as Measure
from .report.measures import MEASURES as MEASURES
from .report.report import Report as Report
from .store.catalogue import list_models as list_models
from .store.folder import ModelFolderError as ModelFolderError
from .structures.registry import STRUCTURES as STRUCTURES
from .structures.registry import structure_model as structure_model
from .structures.settings import LabellingConfig as LabellingConfig
from .structures.settings import MicrotubuleConfig as MicrotubuleConfig
from .structures.simulate import simulate as simulate
from .structures.simulate import simulated_like as simulated_like
from .training.loop import TrainingDivergedError as TrainingDivergedError

__all__ = [
    "MEASURES",
    "READERS",
    "SOLVERS",
    "STRUCTURES",
    "CalibrateJob",
    "CheckpointError",
    "CompareJob",
    "DemoJob",
    "DiffusionModel",
    "EnhanceConfig",
    "EnhanceJob",
    "EnhancedField",
    "Enhancement",
    "Enhancer",
    "EnhancerConfig",
    "FileMetadata",
    "GenerateConfig",
    "GenerateJob",
    "Generated",
    "GetJob",
    "Image",
    "ImportConfig",
    "InputError",
    "LabellingConfig",
    "Measure",
    "MicroscopeConfig",
    "MicrotubuleConfig",
    "ModelFolderError",
    "Note",
    "Preview",
    "Progress",
    "ReceivedModel",
    "Report",
    "ShareJob",
    "SharedModel",
    "Stopped",
    "TableSlab",
    "TileDone",
    "TrainConfig",
    "TrainEnhancerJob",
    "TrainJob",
    "TrainingDivergedError",
    "UserError",
    "__version__",
    "compare_images",
    "compare_steps",
    "decorrelation_analysis",
    "demo_steps",
    "enhance_steps",
    "export_enhancer",
    "fit_microscope",
    "fourier_ring_correlation",
    "generate_steps",
    "image_reader",
    "import_checkpoint",
    "list_models",
    "load_diffusion_model",
    "load_enhancer",
    "mapped_error",
    "read_image",
    "read_images",
    "run",
    "run_job",
    "simulate",
    "simulated_like",
    "single_image_frc",
    "structure_model",
    "train_enhancer_steps",
    "train_steps",
    "user_folder",
    "write_image",
]

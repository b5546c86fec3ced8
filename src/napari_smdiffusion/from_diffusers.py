"""What this package takes from diffusers: the only room that imports it.

diffusers puts another module into its own place while it is imported. A second thread that imports it at that moment
is left with the first one, in which nothing can be found. Docks load their rooms in threads, in any order; through one
module of ours Python lets one of them at a time.
"""

from diffusers import UNet2DModel
from diffusers.training_utils import EMAModel

__all__ = ["EMAModel", "UNet2DModel"]

"""Functions for scripts with a napari viewer: layers as images, and images as layers. Without Qt.

The code of *Copy as Python* uses these functions, in napari's console or in a script with a viewer.
"""

from .widgets.viewer.enhanced_layers import show_enhanced, show_error_map, widefield_source
from .widgets.viewer.layers import free_place, layer_image

__all__ = ["free_place", "layer_image", "show_enhanced", "show_error_map", "widefield_source"]

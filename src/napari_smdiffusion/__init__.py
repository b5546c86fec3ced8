"""Diffusion models for super-resolution microscopy: train, generate, compare, enhance.

The public names are listed in `__init__.pyi`. Each is loaded when it is first used: importing the package loads
neither torch nor Qt.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)

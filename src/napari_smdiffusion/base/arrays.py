"""Array types for the signatures of all rooms."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Number = TypeVar("Number", np.float32, np.float64, np.int_)

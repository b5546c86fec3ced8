"""`python -m napari_smdiffusion.cli`."""

import sys

from .entry import main

sys.exit(main())

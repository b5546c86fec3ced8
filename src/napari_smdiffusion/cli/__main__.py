"""`python -m napari_smdiffusion.cli`."""

import sys

from . import main

sys.exit(main())

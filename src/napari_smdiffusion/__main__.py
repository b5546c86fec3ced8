"""`python -m napari_smdiffusion`: the command `smdiffusion`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())

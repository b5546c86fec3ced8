"""Runs the notebook of the tutorial, with short trainings; fails with the first cell that fails.

    python tests/run_notebook.py [--minutes 0.1]

Without `--minutes`, it runs as it is, in less than ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "docs" / "tutorial.ipynb"


def main() -> None:
    """Run all cells in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, help="of each training, in place of those in the notebook")
    parser.add_argument("--out", type=Path, help="where to write the notebook with its output")
    options = parser.parse_args()
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    if options.minutes is not None:
        for cell in notebook.cells:
            cell.source = re.sub(r"^(\w*minutes) = [\d.]+", rf"\1 = {options.minutes}", cell.source, flags=re.MULTILINE)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": folder}}).execute()
    if options.out:
        nbformat.write(notebook, options.out)
    print(f"{len(notebook.cells)} cells in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()

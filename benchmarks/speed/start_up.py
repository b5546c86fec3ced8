"""How soon a person who opens napari has the first generated image.

    python -m benchmarks.speed.start_up                      # needs a screen: on a server, xvfb-run -a before it

In a fresh process each time, a viewer is opened, then the Generate dock, and Run is clicked: at once, and after five
seconds, in which a person would choose a model (the dock loads torch meanwhile). Told are the seconds from the click
until an image that is still being denoised is shown, and until the first one is finished; its size is that which the
dock proposes. Nothing else should run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
WAITS = (0.0, 5.0)  # seconds between opening the dock and Run
TIMES = 3


def main() -> None:
    """Measure, and write the result beside the script."""
    from benchmarks.common import save

    result = {f"run_after_{wait:g}_s": _several(wait) for wait in WAITS}
    save("start_up", result)


def _several(wait: float) -> dict[str, Any]:
    """Return the medians, and all of them."""
    found = []
    for _ in range(TIMES):
        with tempfile.TemporaryDirectory() as home:
            command = [sys.executable, "-W", "ignore", "-m", "benchmarks.speed.start_up", "--wait", str(wait)]
            environment = {**os.environ, "SMDIFFUSION_HOME": home}
            said = subprocess.run(
                command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
            ).stdout
        found.append(json.loads(said.splitlines()[-1]))
    return {key: {"median": float(np.median([one[key] for one in found])), "all": [one[key] for one in found]}
            for key in found[0]}  # fmt: skip


def once(wait: float) -> dict[str, float]:
    """Open napari and the dock, click Run after `wait` seconds, and return how long it takes [s]."""
    import napari
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QApplication

    def spend(until: Any) -> float:
        began = time.perf_counter()
        while not until():
            QApplication.processEvents()
            time.sleep(0.001)
        return time.perf_counter() - began

    viewer = napari.Viewer(show=True)
    settled = time.perf_counter() + 2
    spend(lambda: time.perf_counter() > settled)
    began = time.perf_counter()
    _, dock = viewer.window.add_plugin_dock_widget("napari-smdiffusion", "Generate images")
    opened = time.perf_counter() - began
    end = time.perf_counter() + wait
    spend(lambda: time.perf_counter() > end)
    QTest.mouseClick(dock.run_button, Qt.MouseButton.LeftButton)
    shown = spend(lambda: len(viewer.layers) > 0)
    finished = shown + spend(lambda: dock._done > 0)
    QTest.mouseClick(dock.stop_button, Qt.MouseButton.LeftButton)
    spend(lambda: not dock.running)
    viewer.close()
    return {"opening": round(opened, 2), "first_preview": round(shown, 2), "first_image": round(finished, 2)}


if __name__ == "__main__":
    # Not those of `common`: that loads torch, which is part of what is measured.
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wait", type=float, metavar="SECONDS", help="measure once in this process, and print it")
    options = parser.parse_args()
    if options.wait is None:
        main()
    else:
        print(json.dumps(once(options.wait)))

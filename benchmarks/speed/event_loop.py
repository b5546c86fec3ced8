"""How free napari's event loop stays while a model is trained on the CPU, and how soon Stop takes effect.

    python -m benchmarks.speed.event_loop                    # needs a screen: on a server, xvfb-run -a before it

A timer of 5 ms runs in a shown viewer, first idle and then during a minute of training that was started by clicking
Run; printed are the median, the 99th percentile and the longest of the gaps between two of its ticks. The first second
of the training, in which torch is loaded, is told apart.

Python stops all threads while it collects garbage. A full collection takes long with napari and torch loaded, and this
program leaves the collector of its host alone. How long each took is printed too: the longest gaps are theirs.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import time
from typing import Any

import numpy as np

SECONDS = 60.0


def main() -> None:
    """Measure, and write the result beside the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long to train [s]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["SMDIFFUSION_HOME"] = home
        result = measure(options.seconds)
    from benchmarks.common import save

    save("event_loop", result)


def measure(seconds: float) -> dict[str, Any]:
    """Return the gaps in ms, idle and while training, and the seconds from clicking Stop to its effect."""
    import napari
    from qtpy.QtCore import Qt, QTimer
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QApplication

    viewer = napari.Viewer(show=True)
    viewer.open_sample("napari-smdiffusion", "simulated_pair")
    _, dock = viewer.window.add_plugin_dock_widget("napari-smdiffusion", "Train diffusion model")
    ticks: list[float] = []
    collections = _Collections()
    timer = QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.setInterval(5)
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))

    def spend(until: Any) -> list[float]:
        ticks.clear()
        while not until():
            QApplication.processEvents()
            time.sleep(0.0005)
        return list(ticks)

    def after(wait: float) -> Any:
        end = time.perf_counter() + wait
        return lambda: time.perf_counter() > end

    spend(after(3))
    timer.start()
    idle = spend(after(5))
    dock.time.set_minutes(seconds / 60 * 10)
    QTest.mouseClick(dock.run_button, Qt.MouseButton.LeftButton)
    began = time.perf_counter()
    starting = spend(lambda: "training" in dock.progress.format())
    first = time.perf_counter() - began
    settling = spend(after(1))
    collections.begin()
    training = spend(after(seconds))
    collected = collections.end()
    asked = time.perf_counter()
    QTest.mouseClick(dock.stop_button, Qt.MouseButton.LeftButton)
    stopping = spend(lambda: not dock.running)
    stopped = time.perf_counter() - asked
    viewer.close()
    return {
        "idle_ms": _gaps(idle),
        "loading_torch_ms": _gaps(starting),
        "first_second_ms": _gaps(settling),
        "training_ms": _gaps(training),
        "full_collections_ms": collected,
        "longest_after_seconds": round(float(training[int(np.argmax(np.diff(training)))] - training[0]), 1),
        "stopping_ms": _gaps(stopping),
        "seconds_to_first_progress": round(first, 2),
        "seconds_to_stop": round(stopped, 2),
        "trained_seconds": seconds,
    }


class _Collections:
    """Measures the full collections of garbage, in any thread."""

    def __init__(self) -> None:
        self._began = 0.0
        self._took: list[float] = []

    def begin(self) -> None:
        gc.callbacks.append(self._note)

    def end(self) -> list[float]:
        """Return how long each took, in ms."""
        gc.callbacks.remove(self._note)
        return self._took

    def _note(self, phase: str, info: dict[str, int]) -> None:
        if info["generation"] == 2 and phase == "start":
            self._began = time.perf_counter()
        elif info["generation"] == 2:
            self._took.append(round(1000 * (time.perf_counter() - self._began), 1))


def _gaps(ticks: list[float]) -> dict[str, float]:
    gaps = 1000 * np.diff(ticks) if len(ticks) > 1 else np.zeros(1)
    named = {"median": np.median(gaps), "99 %": np.percentile(gaps, 99), "longest": gaps.max()}
    return {name: round(float(value), 1) for name, value in named.items()}


if __name__ == "__main__":
    main()

"""A training of a given time while other programs use the cores: the choice of threads, and whether the time is kept.

    python -m benchmarks.speed.busy_machine                  # loads of 0, 1 and 2 programs for each core
    python -m benchmarks.speed.busy_machine --minutes 2

Each training runs in its own process, once with a thread for each core throughout and once with the number of threads
chosen while it runs, in turns. Printed are the steps that each made in the time, their ratio, and the time that the
training took in terms of what was asked for. The load are processes that multiply matrices with one thread each. Other
work on the machine while this runs adds to the load; the order in turns spreads it over both.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

LOADS = (0, 1, 2)  # programs for each core
_LOAD = """
import numpy
a = numpy.ones((300, 300))
while True:
    a @ a
"""
_TRAINING = """
import json, sys, time
chosen, minutes = sys.argv[1] == "chosen", float(sys.argv[2])
import torch
from napari_smdiffusion import TrainConfig
from napari_smdiffusion.base.events import Progress
from napari_smdiffusion.diffusion.training import train_steps
from napari_smdiffusion.structures.simulate import simulate
from napari_smdiffusion.training import loop
if not chosen:
    class Fixed(loop.ThreadChoice):
        def __init__(self, device):
            super().__init__(device)
            self.count = None
    loop.ThreadChoice = Fixed
image = simulate("microtubules", size=512, seed=0)
config = TrainConfig(minutes=minutes, patch=128, batch=8, previews=0, device="cpu")
began, off = time.monotonic(), []
for event in train_steps([image], config):
    elapsed = time.monotonic() - began
    if isinstance(event, Progress):
        steps = event.step
        off.append((elapsed, event.seconds_left))
took = time.monotonic() - began
late = [abs(left - (took - at)) / (took - at) for at, left in off if 0.1 * took < at < 0.9 * took]
print(json.dumps({"steps": steps, "took": took / (60 * minutes), "time_left_off": max(late, default=0.0),
                  "threads": torch.get_num_threads()}))
"""


@contextmanager
def loaded_with(programs: int) -> Iterator[None]:
    """Run programs that use one core each in the block."""
    environment = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")}
    processes = [subprocess.Popen([sys.executable, "-c", _LOAD], env=environment) for _ in range(programs)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def trained(kind: str, minutes: float) -> dict[str, Any]:
    """Return the steps and the time of a training in its own process, "chosen" or "fixed"."""
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2] / "src"), *sys.path[1:]])
    command = [sys.executable, "-c", _TRAINING, kind, str(minutes)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    values: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return values


def main() -> None:
    """Measure, and write the result beside the other results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0, help="length of each training [min]")
    parser.add_argument("--repeats", type=int, default=2, help="trainings of each kind and load")
    parser.add_argument("--loads", type=int, nargs="+", default=list(LOADS), help="programs for each core")
    options = parser.parse_args()
    from benchmarks.common import save_entry

    for load in options.loads:
        runs: dict[str, list[dict[str, Any]]] = {"fixed": [], "chosen": []}
        with loaded_with(load * (os.cpu_count() or 1)):
            for _ in range(options.repeats):
                for kind, results in runs.items():
                    results.append(trained(kind, options.minutes))
        steps = {kind: sum(run["steps"] for run in results) for kind, results in runs.items()}
        entry = {"minutes": options.minutes, "runs": runs, "ratio": steps["chosen"] / steps["fixed"]}
        average = os.getloadavg()[0]  # with the other work on this machine
        key = f"{load} programs for each core, load average {average:.0f}"
        save_entry("busy_machine", key, {**entry, "load_average": average})


if __name__ == "__main__":
    main()

"""Compare the time of a training in two processes of one thread each with that of one process of two threads.

    python -m benchmarks.scale.processes [--steps 60]

Both learn the same patches of a simulated image in the same batches. The time is that of the steps after the first ten,
from the times at which the progress of a step was printed. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.common import save
from napari_smdiffusion import simulate, write_image

NAME = "training_processes"
FIRST = 10  # steps that are not counted: they also allocate memory
# In each process: print the time of each step of the job that the command describes.
TIMED = """
import sys, time
from napari_smdiffusion import TrainConfig, TrainJob, run
from napari_smdiffusion.base.events import Progress
from napari_smdiffusion.base.launched import is_first_process
image, steps = sys.argv[1], int(sys.argv[2])
times = []
job = TrainJob(image, TrainConfig(steps=steps, previews=0, device="cpu"))
run(job.steps(), lambda event: times.append(time.monotonic()) if isinstance(event, Progress) else None)
if is_first_process():
    print((times[-1] - times[{first}]) / (len(times) - 1 - {first}))
"""


def seconds_per_step(image: Path, steps: int, processes: int, threads: int) -> float:
    """Return the mean time of a training step in s."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        script = Path(folder) / "timed.py"
        script.write_text(TIMED.format(first=FIRST), encoding="utf-8")
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
        launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--master-port", port, "--"]
        free.close()
        command = [sys.executable, *(launcher if processes > 1 else []), str(script), str(image), str(steps)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return float(result.stdout.strip().splitlines()[-1])


def main() -> None:
    """Measure both, in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "simulated.tif"
        write_image(image, simulate("microtubules", 1, 1024))
        together, alone = [], []
        for _ in range(options.repeats):
            together.append(seconds_per_step(image, options.steps, 2, 1))
            alone.append(seconds_per_step(image, options.steps, 1, 2))
    ratio = min(together) / min(alone)
    settings = {"steps": options.steps, "repeats": options.repeats}
    save(NAME, {**settings, "two_processes_s": together, "one_process_s": alone, "ratio": ratio})


if __name__ == "__main__":
    main()

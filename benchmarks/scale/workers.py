"""Compare the time of an enhancement on workers with that of one process.

    python -m benchmarks.scale.workers [--side 2048] [--repeats 2]

The real widefield image of SFSRM, repeated, is enhanced from store to store by the bundled enhancer of microtubules.
The runs are one process with one and with two threads, and one and two workers. Each run is a process of its own.
`blocks` is the time from the first block to the last one. `command` is that of all, with the start of the processes and
the pyramid. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.claims.draw_claims import table
from benchmarks.common import loaded, microtubules, save, where
from napari_smdiffusion import Image, write_image

NAME = "workers"
RUNS = {
    "one process, 1 thread": (0, 1),
    "one process, 2 threads": (0, 2),
    "1 worker, 1 thread": (1, 1),
    "2 workers, 1 thread each": (2, 1),
}
# The job of the command, with the times of the first and of the last part that is done.
TIMED = """
import json, sys, time
from napari_smdiffusion import EnhanceJob, run
from napari_smdiffusion.base.events import TileDone
import torch

if __name__ == "__main__":
    began, marks = time.monotonic(), []
    workers, threads = int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(threads)
    job = EnhanceJob("microtubules", sys.argv[1], out=sys.argv[2], workers=workers)
    run(job.steps(), lambda event: marks.append(time.monotonic()) if isinstance(event, TileDone) else None)
    parts = len(marks) - 1
    print(json.dumps({"blocks": (marks[-1] - marks[0]) * (parts + 1) / parts, "command": time.monotonic() - began}))
"""


def measured(image: Path, workers: int, threads: int) -> dict[str, float]:
    """Return the seconds of a run."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "timed.py"
        script.write_text(TIMED, encoding="utf-8")
        command = [sys.executable, str(script), str(image), str(Path(folder) / "out.zarr"), str(workers), str(threads)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if result.returncode:
            raise SystemExit(result.stderr)
        found: dict[str, float] = json.loads(result.stdout.strip().splitlines()[-1])
        return found


def drawn() -> str:
    """Return the part of docs/benchmarks.md about workers."""
    result = loaded(NAME)
    if result is None:
        return ""
    alone = result["runs"]["one process, 2 threads"]["blocks"]
    rows = [
        (name, f"{one['blocks']:.1f} s", f"{one['command']:.1f} s", f"{alone / one['blocks']:.2f}")
        for name, one in result["runs"].items()
    ]
    parts = [
        "## Workers",
        "    python -m benchmarks.scale.workers",
        f"{where(result)} {result['side']}² widefield pixels from store to store, the best of {result['repeats']}. "
        "*Blocks* is the time from the first block to the last; *command* has the start of the processes and the "
        "pyramid in it too.",
        table(("", "blocks", "command", "speed, relative to one process with 2 threads"), rows),
    ]
    return "\n\n".join(parts)


def main() -> None:
    """Measure all runs, in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    real = microtubules()[2]
    pixels = np.tile(real.pixels[0], (options.side // 256 + 1,) * 2)[: options.side, : options.side]
    runs: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "widefield.zarr"
        write_image(path, Image(pixels, real.pixel_size))
        for _ in range(options.repeats):
            for name, (workers, threads) in RUNS.items():
                found = measured(path, workers, threads)
                best = runs.setdefault(name, found)
                runs[name] = min(best, found, key=lambda one: one["blocks"])
                print(name, found, flush=True)
    save(NAME, {"side": options.side, "repeats": options.repeats, "runs": runs})


if __name__ == "__main__":
    main()

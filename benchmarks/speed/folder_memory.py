"""Whether the memory of `smdiffusion enhance FOLDER` grows with the number of files.

    python -m benchmarks.speed.folder_memory [--files 2000]

The files are tiny (32² pixels of noise and lines), the enhancer has few channels and untrained weights, and one file
in 50 is damaged. The memory that only the process has is read after each tenth of the files. A second run skips the
files that are done.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import save_entry
from napari_smdiffusion import EnhanceJob, Enhancer, Image, simulate, write_image
from napari_smdiffusion.base.events import PartBegun


def own_megabytes() -> float:
    """Return the memory that only this process has, in MB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("RssAnon"))) / 1e3


def write_files(folder: Path, count: int) -> None:
    """Write tiny widefield images; the first of each 50 is damaged."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for n in range(count):
        path = folder / f"{n:05}.tif"
        if n % 50 == 0:
            path.write_bytes(b"II*\0 damaged")
            continue
        pixels = rng.poisson(20, (32, 32)).astype(np.float32)
        pixels[:, n % 32] += 200
        write_image(path, Image(pixels, 100.0))


def measured(job: EnhanceJob, count: int) -> dict[str, Any]:
    """Run a job, and return its memory in MB after each tenth of the files."""
    began, megabytes = time.monotonic(), []
    for event in job.steps():
        if isinstance(event, PartBegun) and event.index % (count // 10) == 0 and event.index:
            megabytes.append(round(own_megabytes()))
    megabytes.append(round(own_megabytes()))
    return {"own_mb": megabytes, "seconds": round(time.monotonic() - began)}


def main() -> None:
    """Enhance a folder twice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000)
    count = parser.parse_args().files
    storm = simulate("microtubules", size=256, pixel_size=25, seed=0)
    enhancer = Enhancer.train(storm, upscale=4, steps=1, batch=1, channels=8, patch=64, previews=0)
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder) / "in", count)
        job = EnhanceJob(enhancer, Path(folder) / "in", out=Path(folder) / "out")
        for name in ("first run", "second run"):
            entry = {"files": count, **measured(job, count)}
            print(name, entry, flush=True)
            save_entry("folder_memory", name, entry)
        assert len(os.listdir(Path(folder) / "out")) == count - -(-count // 50) + 1


if __name__ == "__main__":
    main()

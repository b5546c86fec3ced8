"""How much memory `smdiffusion enhance` takes, against the size of the image.

    python -m benchmarks.speed.memory [--only "estimate 2048" ...]

Each entry is one command in a process of its own, with the bundled enhancer of microtubules, into files. The image is
the real widefield image of SFSRM, repeated. *Own* memory is the highest that the process had of its own; *resident* is
that with the parts of files that are mapped, which the system takes back when other programs need the room.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import FACTOR, microtubules, save_entry
from napari_smdiffusion import Image, write_image

STRIP = 1024  # rows of an image that would take too long as a whole
# Entries: what is made, the rows and columns of the widefield image in pixels, and flags. A "store" is enhanced into a
# store; a "strip" too, with as many columns as the whole image and fewer rows.
ENTRIES: dict[str, tuple[int, int, list[str]]] = {
    **{f"estimate {side}": (side, side, []) for side in (512, 1024, 2048, 4096)},
    **{f"samples {side}": (side, side, ["--samples", "4"]) for side in (256, 512, 1024)},
    **{f"store {side}": (side, side, []) for side in (512, 1024, 2048, 4096, 8192)},
    **{f"strip {side}": (STRIP, side, []) for side in (4096, 8192, 16384, 32768)},
}
CHILD = """
import json, sys, threading, time

def of(key):
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(key))) / 1e6

highest, ended = 0.0, threading.Event()

def watch():
    global highest
    while not ended.wait(0.02):
        highest = max(highest, of("RssAnon"))

from napari_smdiffusion.cli.entry import main
watching = threading.Thread(target=watch)
watching.start()
began = time.monotonic()
try:
    main(sys.argv[1:])
finally:
    ended.set()
    watching.join()
print(json.dumps({"own_gb": highest, "resident_gb": of("VmHWM"), "seconds": time.monotonic() - began}))
"""


def measured(rows: int, side: int, flags: list[str], suffix: str = ".tif") -> dict[str, Any]:
    """Enhance an image of `rows` × `side` pixels in a process of its own, and return its highest memory in GB."""
    real = microtubules()[2]
    pixels = np.tile(real.pixels[0], (rows // 256 + 1, side // 256 + 1))[:rows, :side]
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / f"widefield{suffix}", Path(folder) / f"enhanced{suffix}"
        write_image(path, Image(pixels, real.pixel_size))
        command = [sys.executable, "-c", CHILD, "enhance", "microtubules", str(path), "--out", str(out), *flags]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise SystemExit(result.stderr)
        found = json.loads(result.stdout.splitlines()[-1])
        written = [path for name in Path(folder).glob("enhanced*") for path in (name, *name.rglob("*"))]
        files = sum(path.stat().st_size for path in written if path.is_file())
    return {"side": side, "rows": rows, "side_of_result": FACTOR * side, **found, "files_gb": files / 1e9}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=ENTRIES, default=list(ENTRIES), metavar="ENTRY")
    for name in parser.parse_args().only:
        suffix = ".tif" if name.startswith(("estimate", "samples")) else ".zarr"
        save_entry("memory", name, measured(*ENTRIES[name], suffix))

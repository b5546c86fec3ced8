"""The part of docs/benchmarks.md about memory, for `benchmarks.draw_benchmarks`."""

from __future__ import annotations

from benchmarks.claims.draw_claims import table
from benchmarks.common import entries, where

_KINDS = {"estimate": "best estimate", "samples": "4 samples", "store": "best estimate, OME-Zarr"}


def memory() -> str:
    """Tabulate how much memory an enhancement takes, against the size of the image."""
    found = entries("memory")
    if not found:
        return ""
    rows = [
        (f"{_KINDS[name.split()[0]]}, {one['side']}² to "
         f"{one['side_of_result']}²", *(f"{one[key]:.2f} GB" for key in ("own_gb", "resident_gb", "files_gb")),
         f"{one['seconds']:.0f} s")
        for name, one in found.items()
    ]  # fmt: skip
    parts = [
        "## Memory of an enhancement",
        "    python -m benchmarks.speed.memory",
        f"{where(*found.values())} `smdiffusion enhance microtubules widefield.tif --out enhanced.tif` in a process of "
        "its own. *Own* is the highest memory that only this process has. *Resident* "
        "is that with the parts of files that are mapped, which the system takes back when other programs need the "
        "room. The input is in memory, as are Python and torch; results are written tile by tile. "
        "With OME-Zarr the input is in a temporary file.",
        table(("pixels", "own", "resident", "files written", "time"), rows),
    ]
    return "\n\n".join(parts)

"""The part of docs/benchmarks.md about memory, for `benchmarks.draw_benchmarks`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.claims.draw_claims import table
from benchmarks.common import entries, where

if TYPE_CHECKING:
    from typing import Any

_KINDS = {
    "estimate": "best estimate",
    "samples": "4 samples",
    "store": "best estimate, OME-Zarr",
    "strip": "a strip, OME-Zarr",
}


def _sides(one: dict[str, Any]) -> str:
    """Return the pixels of an image before and after."""
    rows, side, after = one.get("rows", one["side"]), one["side"], one["side_of_result"]
    if rows == side:
        return f"{side}² to {after}²"
    return f"{rows} × {side} to {rows * after // side} × {after}"


def memory() -> str:
    """Tabulate how much memory an enhancement takes, against the size of the image."""
    found = entries("memory")
    if not found:
        return ""
    rows = []
    for name, one in found.items():
        gigabytes = (f"{one[key]:.2f} GB" for key in ("own_gb", "resident_gb", "files_gb"))
        pixels = one["side"] * one.get("rows", one["side"])
        kind = f"{_KINDS[name.split()[0]]}, {_sides(one)}"
        rows.append((kind, *gigabytes, f"{one['seconds']:.0f} s", f"{1e6 * one['seconds'] / pixels:.1f} µs"))
    parts = [
        "## Memory of an enhancement",
        "    python -m benchmarks.speed.memory",
        f"{where(*found.values())} `smdiffusion enhance microtubules widefield.tif --out enhanced.tif` in a process of "
        "its own. *Own* is the highest memory that only this process has. *Resident* "
        "is that with the parts of files that are mapped, which the system takes back when other programs need the "
        "room. The input is in memory, as are Python and torch; results are written tile by tile. "
        "With OME-Zarr the input is in a temporary file. Starting "
        "takes some seconds, which small images have a large share of.",
        table(("pixels", "own", "resident", "files written", "time", "time per widefield pixel"), rows),
    ]
    return "\n\n".join(parts)

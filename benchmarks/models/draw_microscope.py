"""The part of docs/benchmarks.md on what `models/microscope_ablation.py` measured; drawn by `draw_benchmarks.py`."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from benchmarks.claims.draw_claims import interval, table
from benchmarks.common import entries, where
from benchmarks.models.microscope_ablation import CHANNELS, HIGH_PASS, NAME, PATCH, STEPS

_FIGURES = ("blurred", "enhanced, high-passed", "interpolated, high-passed")


def microscope() -> str:
    """Tabulate what smooth and uneven light add to an enhancer."""
    found = list(entries(NAME).values())
    if not found:
        return ""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for one in found:
        groups[one["structure"], one["arm"]].append(one)
    rows = [
        (structure, arm, len(seeds), *(interval((one["test"][key] for one in seeds), 3) for key in _FIGURES))
        for (structure, arm), seeds in sorted(groups.items())
    ]
    trained = [
        (structure, arm, interval((one["training"]["blurred"] for one in seeds), 3))
        for (structure, arm), seeds in sorted(groups.items())
        if "training" in seeds[0]
    ]
    parts = [
        "## Smooth and uneven light in the simulated microscope",
        "    python -m benchmarks.models.microscope_ablation",
        f"{where(*found)} Enhancers of {CHANNELS} channels, {STEPS} steps of patches of {PATCH}² pixels, from fields "
        "of the bundled diffusion models; real widefield images, registered. *Blurred* is the correlation with the "
        "STORM image blurred by 2 pixels. *High-passed* is the correlation of images without what is smoother than "
        f"{HIGH_PASS:.0f} nm, for the enhanced image and for the interpolated widefield image. The dense network is "
        "simulated, and no microscope was chosen by it. These are small, short trainings: the arms can be compared "
        "with each other, not with the bundled enhancers. Means over seeds, from three on with intervals of 95 %.",
        table(("structure", "light", "seeds", "blurred", "enhanced, high-passed", "interpolated, high-passed"), rows),
        "In the part of the field that the diffusion model was trained on:",
        table(("structure", "light", "blurred"), trained),
    ]
    return "\n\n".join(parts)

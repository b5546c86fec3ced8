"""How often two sets of patches of one STORM image pass the limits of the verdict on variety, coverage and repetition.

    python -m benchmarks.realism.verdict_limits

Each set is drawn at random from patches of 128 pixels that do not overlap, so that each alarm is a false one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.common import no_options, save, sfsrm
from napari_smdiffusion.images.patches import grid_patches
from napari_smdiffusion.measure.realism import covered_share, diversity_of, repeated_share
from napari_smdiffusion.measure.texture import texture_features
from napari_smdiffusion.report.limits import LIMITS

if TYPE_CHECKING:
    from napari_smdiffusion.base.arrays import Values

SIDE, DRAWS, MOST = 128, 300, 240
COUNTS = (8, 20, 30, 48, 100)  # patches of each set


def features(structure: str) -> Values:
    """Return the features of at most 240 patches of a STORM image, in random order."""
    patches = grid_patches(list(sfsrm(structure)[0].pixels), SIDE)
    patches = patches[np.random.default_rng(0).permutation(len(patches))[:MOST]]
    return texture_features((patches - np.percentile(patches, 1)) / patches.std())


def alarms(features: Values, count: int) -> dict[str, float]:
    """Return the share of the draws of two sets of `count` patches in which each limit was passed."""
    random, passed = np.random.default_rng(count), np.zeros(3)
    for _ in range(DRAWS):
        order = random.permutation(len(features))
        experimental, generated = features[order[:count]], features[order[count : 2 * count]]
        half = count // 2
        first, second = experimental[:half], experimental[half:]
        covered = covered_share(generated[:half], first) / max(covered_share(second, first), 1 / half)
        passed += (
            (diversity_of(generated, experimental) or 1.0) < LIMITS.variety,
            covered < LIMITS.covered,
            repeated_share(generated, experimental) > LIMITS.repeated_limit(count),
        )
    return dict(zip(("variety", "coverage", "repeated"), (passed / DRAWS).round(3).tolist(), strict=True))


def main() -> None:
    """Count the alarms for both structures, and save their shares."""
    no_options(__doc__)
    shares = {}
    for structure in ("microtubule", "mitochondria"):
        known = features(structure)
        shares[structure] = {count: alarms(known, count) for count in COUNTS if 2 * count <= len(known)}
    save("verdict_limits", {"draws": DRAWS, "patch": SIDE, "false_alarms": shares})


if __name__ == "__main__":
    main()

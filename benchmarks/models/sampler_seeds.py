"""How far samplers of other trainings differ: the same training with other seeds, each judged on the real pair.

    python -m benchmarks.models.sampler_seeds {microtubules,mitochondria} [--seeds 5] [--steps 1500] [--wider-steps 250]

Each training begins as that of the bundled sampler: from the best estimate and the diffusion model of the structure. It
goes on where it stopped. The measures are those of `benchmarks.models.samples`, with one seed of drawing. A training
that was judged is not done again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
from pathlib import Path

from benchmarks.common import CELLS, entries, save_entry
from benchmarks.models.bundled_models import MICROSCOPES, train_sampler, wider_microscope
from benchmarks.models.samples import judged
from napari_smdiffusion import Enhancer, load_enhancer


def trained(structure: str, seed: int, steps: int, wider_steps: int, folder: Path) -> Enhancer:
    """Return an enhancer whose sampler was trained with a seed."""
    first, last = folder / "first", folder / "last"
    if not (last / "model.json").exists():
        start = dataclasses.replace(load_enhancer(structure), sampler=None, samples_calibration=None)
        train_sampler(structure, steps, MICROSCOPES[structure], start, first, seed)
    return train_sampler(structure, wider_steps, wider_microscope(structure), str(first), last, seed)


def main() -> None:
    """Train and judge every seed that is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("structure", choices=sorted(CELLS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--wider-steps", type=int, default=250)
    parser.add_argument("--samples", type=int, default=16)
    options = parser.parse_args()
    name = f"sampler_seeds_{options.structure}"
    for seed in range(2, 2 + options.seeds):
        key = f"{options.steps} + {options.wider_steps} steps, seed {seed}"
        if key in entries(name):
            continue
        folder = Path("build") / "sampler_seeds" / f"{options.structure}-{seed}"
        enhancer = trained(options.structure, seed, options.steps, options.wider_steps, folder)
        result = judged(enhancer, options.structure, options.samples, 0)
        print(key, json.dumps(result), flush=True)
        save_entry(name, key, {"samples": options.samples, **result})
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()

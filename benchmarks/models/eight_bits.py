"""What models lose when their weights are stored in eight bits, as those of the package are.

    python -m benchmarks.models.eight_bits [--models FOLDER] [--ship]

FOLDER holds models with more bits, as the package does: `diffusion/NAME` and `enhancer/NAME`. Without it, they are
those of the package in the commit that last had 16 bits. Each is stored in eight bits, and both are compared. Of
diffusion models: the loss on parts of the real images that nothing was trained on, and how far images from the same
noise differ. Of enhancers: the correlation with the STORM image of the real pair, and how far the results differ.
`--ship` stores all of them in the package in eight bits.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.common import CELLS, FACTORS, ROOT, TESTED, save_entry
from benchmarks.models.fine_tuning import held_out_loss
from napari_smdiffusion import DiffusionModel, EnhancedField, Enhancer
from napari_smdiffusion.base.folders import bundled_folder
from napari_smdiffusion.images.patches import grid_patches
from napari_smdiffusion.report.enhanced import compare_with_reference

if TYPE_CHECKING:
    import numpy.typing as npt

    Pixels = npt.NDArray[np.float32]

COMMIT = "933de36"  # the last one in which the models of the package had 16 bits
NAME = "eight_bits"
NOISE = (0.05, 0.5, 5.0)
SIZE = 128


def former_models(folder: Path) -> Path:
    """Write the models of the package in `COMMIT` into a folder, and return it."""
    inside = bundled_folder().relative_to(ROOT).as_posix()
    command = ["git", "archive", COMMIT, inside]
    content = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(folder, filter="data")
    return folder / inside


def apart(one: Pixels, other: Pixels) -> float:
    """Return the root mean square difference of two results, relative to the standard deviation of the first."""
    return float(np.sqrt(np.square(one - other).mean()) / one.std())


def size_of(folder: Path) -> float:
    """Return the size of a folder in MB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def diffusion(model: DiffusionModel, few: DiffusionModel, structure: str) -> dict[str, Any]:
    """Compare a diffusion model with the same one in eight bits."""
    one: dict[str, Any] = {"structure": structure} if model.structures else {}
    images = [m.generate(16, size=SIZE, seed=0, **one).pixels for m in (model, few)]
    found: dict[str, Any] = {"images_apart": apart(*images)}
    if structure in CELLS and not model.structures:
        held_out = CELLS[structure]()[0].crop(*TESTED[structure])
        patches = grid_patches(list(held_out.pixels), SIZE)[::2]
        found["loss"] = {bits: held_out_loss(m, patches, NOISE) for bits, m in (("before", model), ("eight", few))}
    return found


def enhancer(model: Enhancer, few: Enhancer, structure: str) -> dict[str, Any]:
    """Compare an enhancer with the same one in eight bits; one with a sampler by its samples too."""
    storm, _, coarse = CELLS[structure]()
    results = {bits: one.enhance(coarse) for bits, one in (("before", model), ("eight", few))}
    found: dict[str, Any] = {"results_apart": apart(*(image.pixels for image in results.values()))}
    if model.config.upscale == FACTORS[structure]:
        rows, columns = TESTED[structure]
        found["correlation_blurred"] = {
            bits: compare_with_reference(EnhancedField(image, coarse, storm), columns, rows)["registered"]["enhanced"][
                "correlation_blurred"
            ]
            for bits, image in results.items()
        }
    if model.sampler is not None:
        window = coarse.crop(slice(0, 128), slice(0, 128))
        samples = [one.enhance(window, samples=4) for one in (model, few)]
        found["best_estimates_apart"] = apart(*(image.pixels for image in samples))
    return found


def compared(kind: str, folder: Path, ship: bool) -> dict[str, Any]:
    """Store a model in eight bits, in a temporary folder or in the package, and compare both."""
    load: Any = DiffusionModel.load if kind == "diffusion" else Enhancer.load
    model = load(folder)
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary) / folder.name
        model.save(place, bits=8)
        structure = "microtubules" if folder.name == "start-any" else folder.name.partition("-")[0]
        found = (diffusion if kind == "diffusion" else enhancer)(model, load(place), structure)
        sizes = {"before": round(size_of(folder / "weights"), 2), "eight": round(size_of(place / "weights"), 2)}
        if ship:  # the weights alone: the card and its pictures stay
            for path in (place / "weights").glob("*.safetensors"):
                shutil.copyfile(path, bundled_folder() / kind / folder.name / "weights" / path.name)
    return {**found, "megabytes": sizes}


def main() -> None:
    """Compare all models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--ship", action="store_true", help="store them in the package in eight bits")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        models = options.models or former_models(Path(temporary))
        for kind in ("diffusion", "enhancer"):
            for folder in sorted(path for path in (models / kind).iterdir() if path.is_dir()):
                result = compared(kind, folder, options.ship)
                print(folder.name, result, flush=True)
                save_entry(NAME, f"{kind} {folder.name}", result)


if __name__ == "__main__":
    main()

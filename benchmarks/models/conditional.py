"""Compare one model of microtubules and mitochondria with a model of each, after equal steps for each structure.

    python -m benchmarks.models.conditional [--steps 1104] [--seeds 3]

Every model begins from `simulated-filaments` and learns the training columns or rows of the STORM images. A model of
one structure is trained for `--steps` steps. The model of both is trained for twice as many: half of its patches show
each structure, so that every structure is seen equally often. 400 generated patches of 128 pixels of each structure are
compared with the whole STORM image, without guidance and with several strengths. Whether the structures mix is shown by
the share of patches whose nearest experimental patch, by texture, is of the other structure.

About 30 minutes a seed with the default steps on two cores. Trainings are kept in `build/conditional`. Each entry is
written at once, and the same command goes on where it was cut.
"""

from __future__ import annotations

import argparse
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial.distance import cdist

from benchmarks.common import CELLS, FILAMENTS, ROOT, entries, save_entry
from napari_smdiffusion import Image, TrainConfig, load_diffusion_model, run, train_steps
from napari_smdiffusion.base.events import Progress
from napari_smdiffusion.diffusion.facts import DiffusionRecord
from napari_smdiffusion.images.patches import grid_patches
from napari_smdiffusion.measure.realism import realism
from napari_smdiffusion.measure.texture import texture_features
from napari_smdiffusion.store.folder import read_facts

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_smdiffusion import DiffusionModel

    Patches = npt.NDArray[np.float32]
    Values = npt.NDArray[np.float64]

NAME, FOLDER = "conditional", ROOT / "build" / "conditional"
COUNT, SIZE = 400, 128
GUIDANCES = (1.0, 1.25, 1.5, 2.0)
BOTH = "both"


def trained(who: str, steps: int, seed: int) -> DiffusionModel:
    """Return the model of one structure, or of `BOTH`; a training that was cut goes on."""
    images = {structure: [cell()[1]] for structure, cell in CELLS.items()}
    config = TrainConfig(steps=steps * (len(images) if who == BOTH else 1), seed=seed, previews=0)
    folder = FOLDER / f"{who}_{steps}_{seed}"
    cut = (folder / "training_state.pt").exists()
    if not cut:  # or before it had anything to save
        shutil.rmtree(folder, ignore_errors=True)
    elif read_facts(folder, "diffusion", DiffusionRecord).steps >= (config.steps or 0):
        return load_diffusion_model(folder)
    start = None if cut else load_diffusion_model(FILAMENTS)
    given = images if who == BOTH else images[who]
    return run(train_steps(given, config, start=start, out=folder, resume=cut), _shown(who))


def _shown(who: str) -> Any:
    """Return a function that prints the progress of a training now and then."""

    def show(event: object) -> None:
        if isinstance(event, Progress) and event.step % 50 == 0:
            print(f"{who}: step {event.step} of {event.total}, loss {event.loss:.3f}", flush=True)

    return show


def judged(patches: Patches, structure: str, seed: int) -> dict[str, Any]:
    """Return the realism of generated patches of a structure, and the share that looks like the other structure."""
    storm, _, _ = CELLS[structure]()
    other, _, _ = CELLS[next(name for name in CELLS if name != structure)]()
    known = grid_patches(list(storm.pixels), SIZE)
    result = realism(patches, known, storm.pixel_size, seed)
    textures = [textures_of(grid_patches(list(image.pixels), SIZE), image) for image in (storm, other)]
    return {
        "realism": result.score,
        "realism_low": result.score_low,
        "realism_high": result.score_high,
        "coverage": result.coverage,
        "diversity": result.diversity,
        "like_the_other": like_other(textures_of(patches, storm), *textures),
        "experimental_like_the_other": like_other(textures[0], *textures),
    }


def textures_of(patches: Patches, image: Image) -> Values:
    """Return the features of the realism score of patches, (N, F), with the background and contrast of an image."""
    dark, deviation = float(np.percentile(image.pixels, 1)), float(image.pixels.std())
    return texture_features((patches - dark) / deviation)


def like_other(features: Values, own: Values, other: Values) -> float:
    """Return the share of patches whose nearest experimental patch, by texture, is of the other structure.

    An experimental patch is not compared with itself.
    """
    spread = np.concatenate([own, other]).std(0) + 1e-9
    distances = cdist(features / spread, own / spread)
    if features is own:
        np.fill_diagonal(distances, np.inf)
    return float((cdist(features / spread, other / spread).min(1) < distances.min(1)).mean())


def measure(who: str, structure: str, guidance: float, steps: int, seed: int) -> None:
    """Train a model, generate patches of a structure and judge them, unless that was done."""
    key = f"{structure}, model of {'both, guidance ' + format(guidance, 'g') if who == BOTH else 'it alone'}"
    key = f"{key}, {steps} steps, seed {seed}"
    if key in entries(NAME):
        return
    model = trained(who, steps, seed)
    settings: dict[str, Any] = {"structure": structure, "guidance": guidance} if model.structures else {}
    patches = model.generate(COUNT, size=SIZE, seed=seed, **settings).pixels
    setting = {"structure": structure, "model": who, "guidance": guidance, "steps": steps, "seed": seed}
    save_entry(NAME, key, {**setting, "patches": COUNT, **judged(patches, structure, seed)})


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1104, help="training steps for each structure (default 1104)")
    parser.add_argument("--seeds", type=int, default=1, help="number of trainings of each model (default 1)")
    options = parser.parse_args()
    for seed in range(options.seeds):
        for structure in CELLS:
            measure(structure, structure, 1.0, options.steps, seed)
        for guidance in GUIDANCES:
            for structure in CELLS:
                measure(BOTH, structure, guidance, options.steps, seed)


if __name__ == "__main__":
    main()

"""Train and judge the models that ship with the package, on the microtubule STORM image alone.

    python benchmarks/bundled_microtubules.py [--only STAGE]

15 minutes for the diffusion model and 2 for the enhancer, which learns from generated fields, on two cores; then the
classifier test, the enhancer on the real widefield image, and the pictures of docs/results.md. Each stage is saved and
can be run again by itself.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np

from classifier import experimental, judge
from common import FACTOR, PICTURES, TRAIN_COLUMNS, microtubules, save
from napari_smdiffusion import (
    DiffusionModel,
    Enhancer,
    EnhancerConfig,
    GenerateConfig,
    Image,
    MicroscopeConfig,
    TrainConfig,
    load_diffusion_model,
    read_image,
    write_image,
)
from napari_smdiffusion.assess import grid_patches
from napari_smdiffusion.comparison import EnhancedField, restored
from napari_smdiffusion.denoiser import BLOCK
from napari_smdiffusion.diffusion import generate_steps
from napari_smdiffusion.diffusion_training import train_steps
from napari_smdiffusion.enhancer_training import train_enhancer_steps
from napari_smdiffusion.filaments import compare_filaments
from napari_smdiffusion.microscope_fit import fit_microscope
from napari_smdiffusion.models import bundled_folder
from napari_smdiffusion.pictures import contact_sheet, contrast, new_figure, save_figure, show
from napari_smdiffusion.progress import Reporter, run
from napari_smdiffusion.registration import translated
from napari_smdiffusion.resolution import fourier_ring_correlation

ATTRIBUTION = """
The microtubule STORM image of SFSRM (github.com/crrayna/SFSRM, BSD-3-Clause, the licence is in LICENSE-SFSRM of the
package), columns 0 to 959. Please cite Chen et al., Nature Communications 14, 2854 (2023). It is one cell: nothing is
claimed about others. The diffusion model began from `simulated-filaments`, which saw simulated microtubules alone.
"""
WORK = Path("build") / "bundled"
FIELDS = 48


def diffusion(minutes: float) -> None:
    """Train the diffusion model from that of simulated filaments, generate 400 patches, and save both."""
    train = dataclasses.replace(microtubules()[1], name="microtubule_STORM.tif, columns 0 to 959")
    start = load_diffusion_model("simulated-filaments")
    began = time.monotonic()
    steps = train_steps([train], TrainConfig(minutes=minutes, previews=0), start=start, name="microtubules")
    model = run(steps, Reporter())
    seconds = time.monotonic() - began
    model = dataclasses.replace(model, facts={**model.facts, "attribution": ATTRIBUTION})
    model.save(WORK / "diffusion")
    model.save(bundled_folder() / "diffusion" / "microtubules", half=True)
    (WORK / "fields.tif").unlink(missing_ok=True)  # of the model before
    patches = run(generate_steps(model, GenerateConfig(count=400, seed=2)), Reporter())
    write_image(WORK / "patches.tif", patches)
    curve = model.facts["curve"]
    taken, batch = model.facts["steps"], model.config.batch
    result = {
        "minutes": round(seconds / 60, 2),
        "steps": taken,
        "patches_per_second": round(taken * batch / seconds, 1),
    }
    save(
        "bundled_diffusion",
        {**result, "parameters": sum(p.numel() for p in model.unet.parameters()), "curve": curve[::10]},
    )


def classifier() -> None:
    """Have the classifier tell the model's patches from experimental ones."""
    save("bundled_classifier", judge(DiffusionModel.load(bundled_folder() / "diffusion" / "microtubules")))


def filaments() -> None:
    """Compare the skeletons of four generated fields of 512² with those of the training columns."""
    model = DiffusionModel.load(bundled_folder() / "diffusion" / "microtubules")
    train = microtubules()[1]
    made, real = (grid_patches(list(image.pixels), 256) for image in (model.generate(4, size=512, seed=4), train))
    found = compare_filaments(made, real, train.pixel_size)
    save("bundled_filaments", {name: dataclasses.asdict(one) for name, one in found.items()})


def background() -> None:
    """Compare how many pixels are exactly 0, for each position in the 4 × 4 blocks that the network works on."""
    made, real = read_image(WORK / "patches.tif").pixels, microtubules()[1].pixels
    result = {}
    for name, pixels in (("generated", made), ("experimental", real)):
        shares = [float((pixels[:, y::BLOCK, x::BLOCK] == 0).mean()) for y in range(BLOCK) for x in range(BLOCK)]
        result[name] = {"zeros": float(np.mean(shares)), "least": min(shares), "most": max(shares)}
    save("bundled_background", result)


def fields() -> Image:
    """Return the fields of 512² that the enhancers learn from: what is longer than a patch is in them as well."""
    path = WORK / "fields.tif"
    if not path.exists():
        made = DiffusionModel.load(bundled_folder() / "diffusion" / "microtubules").generate(FIELDS, size=512, seed=2)
        write_image(path, made)
    return dataclasses.replace(read_image(path), name=f"{FIELDS} fields generated by the model `microtubules`")


def enhancer(minutes: float) -> None:
    """Train the enhancer on generated fields and judge it on the real widefield image."""
    config = EnhancerConfig(upscale=FACTOR, minutes=minutes, previews=0)
    steps = train_enhancer_steps([fields()], config, MicroscopeConfig(), name="microtubules")
    trained = run(steps, Reporter())
    trained = dataclasses.replace(trained, facts={**trained.facts, "attribution": ATTRIBUTION})
    trained.save(WORK / "enhancer")
    shipped = bundled_folder() / "enhancer" / "microtubules"
    trained.save(shipped, half=True)
    save("bundled_enhancer", {"minutes": minutes, "steps": trained.facts["steps"], **measured(Enhancer.load(shipped))})


def fitted(minutes: float) -> None:
    """Train another enhancer, through a microscope fitted to the whole real widefield image, and judge it as well."""
    found = fit_microscope(microtubules()[2], [fields()], MicroscopeConfig(), FACTOR)
    config = EnhancerConfig(upscale=FACTOR, minutes=minutes, previews=0)
    trained = run(train_enhancer_steps([fields()], config, found.config(MicroscopeConfig())), Reporter())
    save(
        "fitted_enhancer",
        {"minutes": minutes, "steps": trained.facts["steps"], "fit": dataclasses.asdict(found), **measured(trained)},
    )


def measured(trained: Enhancer) -> dict[str, Any]:
    """Compare the enhanced real widefield image with the STORM image, in test and in training columns."""
    storm, _, widefield = microtubules()
    made = trained.enhance_with_uncertainty(widefield)
    result: dict[str, Any] = {"calibration": None if trained.calibration is None else trained.calibration.facts}
    for name, columns in (("test", slice(TRAIN_COLUMNS, None)), ("training", slice(0, TRAIN_COLUMNS))):
        said = restored(EnhancedField(made.image, widefield, storm), columns)
        by, truth = said["registered"]["offset"], storm.pixels[0][:, columns]
        maps = [image.pixels[0] for image in (made.image, made.uncertainty) if image is not None]
        sharp, width = (translated(plane, by)[:, columns] for plane in maps)
        said["registered"]["frc_nm"] = fourier_ring_correlation(sharp, truth, storm.pixel_size or 20.0).resolution
        said["registered"]["coverage_90"] = float((np.abs(sharp - truth) <= width).mean())
        result[f"{name}_columns"] = said
    result["grid"] = {
        "enhanced": grid_strength(made.image.pixels[0]),
        "experimental": grid_strength(storm.pixels[0]),
    }
    return result


def grid_strength(sharp: Any) -> float:
    """Return how strong a grid of the widefield pixels is in the darker half, relative to the 99th percentile.

    The root mean square, over places, of how far the 25 fine pixels under a widefield pixel differ, each averaged over
    8 × 8 widefield pixels. It is not 0 without a grid: what is left is structure.
    """
    rows, columns = (length // (8 * FACTOR) for length in sharp.shape)
    cut = sharp[: rows * 8 * FACTOR, : columns * 8 * FACTOR].reshape(rows, 8, FACTOR, columns, 8, FACTOR)
    phases = cut.mean((1, 4)).transpose(0, 2, 1, 3).reshape(rows * columns, FACTOR**2)
    dark = phases[phases.mean(1) <= np.median(phases.mean(1))]
    spread = dark - dark.mean(1, keepdims=True)
    return float(np.sqrt((spread**2).mean()) / np.percentile(sharp, 99))


def pictures() -> None:
    """Draw generated beside experimental patches and fields, and the enhanced beside the real image."""
    model = DiffusionModel.load(bundled_folder() / "diffusion" / "microtubules")
    trained = Enhancer.load(bundled_folder() / "enhancer" / "microtubules")
    storm, train, widefield = microtubules()
    step = storm.pixel_size
    real, made = experimental(slice(None), 128, 5)[:32], model.generate(32, seed=3).pixels
    fields = model.generate(2, size=512, seed=4).pixels
    windows = np.stack([train.pixels[0][100:612, 100:612], train.pixels[0][700:1212, 400:912]])
    PICTURES.mkdir(exist_ok=True)
    for name, pair, columns in (("patches", (real, made), 8), ("fields", (windows, fields), 2)):
        limits = contrast(pair)
        figure = new_figure(12, 6.6 * 2)
        for axes, planes, title in zip(figure.subplots(2, 1), pair, ("Experimental", "Generated"), strict=True):
            show(axes, contact_sheet(planes, columns, fill=limits[1]), limits, title, step)
        save_figure(figure, PICTURES / f"microtubules_{name}.png")
    _enhanced_picture(storm, widefield, trained)


def _enhanced_picture(storm: Image, widefield: Image, trained: Enhancer) -> None:
    sharp = trained.enhance(widefield).pixels[0]
    rows, coarse_rows = slice(300, 620), slice(60, 124)
    figure = new_figure(15, 5.6)
    parts = (
        (widefield.pixels[0][coarse_rows, 192:], "Real widefield", (storm.pixel_size or 0) * FACTOR),
        (sharp[rows, TRAIN_COLUMNS:], "Enhanced ×5", storm.pixel_size),
        (storm.pixels[0][rows, TRAIN_COLUMNS:], "STORM image of the same field, never seen", storm.pixel_size),
    )
    for axes, (plane, title, pixel) in zip(figure.subplots(1, 3), parts, strict=True):
        show(axes, plane, contrast([plane], 99.7), title, pixel)
    save_figure(figure, PICTURES / "microtubules_enhanced.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", choices=("diffusion", "enhancer", "fitted", "filaments", "background", "classifier", "pictures")
    )
    parser.add_argument("--minutes", type=float, default=15.0, help="for the diffusion model")
    parser.add_argument("--enhancer-minutes", type=float, default=2.0)
    options = parser.parse_args()
    stages = {
        "diffusion": lambda: diffusion(options.minutes),
        "enhancer": lambda: enhancer(options.enhancer_minutes),
        "fitted": lambda: fitted(options.enhancer_minutes),
        "filaments": filaments,
        "background": background,
        "classifier": classifier,
        "pictures": pictures,
    }
    for name, stage in stages.items():
        if options.only in (None, name):
            stage()

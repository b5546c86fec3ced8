"""The paper's three claims, measured on real data, piece by piece.

    python -m benchmarks.claims.paper_claims [--claims A B C] [--seeds 3] [--longer] [--hours 1] [--share 1/2]

A. Generated images resemble experimental ones. B. They are not copies. C. An enhancer trained on generated images is
better than one trained on the few experimental images, or on the mathematical model.

Each piece (the trainings of one seed at one size) is written to `results/paper_claims/` when it is done, with the
commit and the settings it was made with, and is not done again: the study goes on where it stopped, or where `--hours`
ended it. Trainings are counted in steps, as many as two cores alone do in the minutes that are named (`STEPS_A_MINUTE`,
measured by `models/bundled_models.py`), so that nothing beside them changes the result. All of it takes about eight
hours, the first three seeds five, on two cores, in two processes with one thread each (OMP_NUM_THREADS=1, `--share 1/2`
and `--share 2/2`), which are a sixth quicker than one with two. `--longer` takes two and a quarter more: it trains ten
minutes on few patches as well, which shows where copying begins, and enhancers through other microscopes, which shows
what keeps those of claim C from being better. Draw it with `claims/draw_claims.py`. Real data: see `common.py`;
microtubules are trained on columns 0 to 959 of 1280 and tested on the rest, mitochondria on rows 0 to 1919 of 2560.

All enhancers of claim C have the same network, number of updates, patches and symmetries. They learn from

- `experimental`: 1, 2, 4 or 8 fields of 256² from the training columns, or all of these columns;
- `generated`: fields that a diffusion model generates which was trained on the same fields alone;
- `both`: half of one and half of the other;
- `mathematical`: the mathematical model as it is, the baseline of the paper;
- `continuous`: the mathematical model as `models/simulated_filaments.py` uses it, without gaps; a better one for this
  cell;
- `experimental and continuous`: half and half, which tells whether a diffusion model does more than such a mixture;
- `pretrained`: what that script's model generates, from which all diffusion models here begin.

With `--longer` also, with what differs from these being the microscope alone, of all training columns

- `pairs`: these columns and the real widefield image of them, instead of a simulated one;
- `fitted experimental`, `fitted generated` and `fitted continuous`: through a microscope that is fitted to the whole
  real widefield image, which whoever enhances it has; the first of these of few fields too.

The outcome named beforehand is the correlation with the STORM image as it is, on the real widefield image, registered.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks.common import (
    FACTOR,
    FILAMENTS,
    RESULTS,
    ROOT,
    TRAIN_COLUMNS,
    apart,
    commit,
    drawn,
    machine,
    microtubules,
    sfsrm,
)
from benchmarks.models.simulated_filaments import continuous_fields
from napari_smdiffusion import (
    DiffusionModel,
    EnhancedField,
    Enhancer,
    EnhancerConfig,
    Image,
    MicroscopeConfig,
    TrainConfig,
    fourier_ring_correlation,
    load_diffusion_model,
    read_image,
    run,
    simulate,
    train_enhancer_steps,
    train_steps,
    write_image,
)
from napari_smdiffusion.base.whole_files import atomic_file
from napari_smdiffusion.diffusion.facts import DiffusionRecord
from napari_smdiffusion.diffusion.solver import karras_levels
from napari_smdiffusion.diffusion.solvers.dpmpp_2m import second_order_plan
from napari_smdiffusion.images.patches import draw_patches, grid_patches
from napari_smdiffusion.images.registration import translated
from napari_smdiffusion.measure.classifier import two_sample_test
from napari_smdiffusion.measure.copies import copy_report
from napari_smdiffusion.measure.filaments import compare_filaments
from napari_smdiffusion.measure.realism import realism
from napari_smdiffusion.measure.restoration import linear_fit
from napari_smdiffusion.microscope.camera import widefield as simulated_widefield
from napari_smdiffusion.microscope.fit import fit_microscope
from napari_smdiffusion.report.enhanced import compare_with_reference
from napari_smdiffusion.store.folder import read_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    Pixels = npt.NDArray[np.float32]

PLACE = RESULTS / "paper_claims"
KEPT = ROOT / "build" / "paper_claims"  # trained models, and what they generated
START = FILAMENTS  # saw simulated filaments alone: neither these cells nor any other
STEPS_A_MINUTE = 276
SEEDS = range(5)
MINUTES = (2, 10, 30)
PATCHES = {128: 256, 256: 128}  # generated and drawn for the classifier
LOOKED_UP = 64
FEW_PATCHES = (4, 16, 64)
FEW_PATCHES_MINUTES = (2,)
LONGER = (10,)  # minutes as well, where asked for
ALL = 0  # stands for the training columns as a whole
FIELDS = (1, 2, 4, 8, ALL)  # of 256 pixels
FIELD = 256
TEST_COLUMNS = slice(TRAIN_COLUMNS, None)
MADE, MADE_SIZE = 32, 512  # fields that are generated or simulated
# How images are drawn is the default of when each claim was begun: for B and C on EDM's noise levels.
SOLVER_STEPS = {"A": 10, "B": 18, "C": 18}
LEVELS = [0.002, 80.0, 7.0]  # from, to, and how they are spread
DISPLACED = 8  # pixels by which known copies lie off
FEW_MINUTES, UPDATES = 3, 1000
MIXED = (1, 4, ALL)  # fields that are tried in mixtures as well
FITTED = (1, 4)  # fields that are tried, besides all columns, through a microscope that was fitted by them
# Patches smaller than the fields, so that few fields too are seen at many places; not so small that a part of each
# field is held out for the calibration.
PATCH, BATCH = 180, 8

# What pieces of a claim must have in common to be drawn together.
SETTINGS = {
    "A": {
        "steps_a_minute": STEPS_A_MINUTE,
        "looked_up": LOOKED_UP,
        "classifier": "of windows that overlap, and apart",
        "solver": SOLVER_STEPS["A"],
    },
    "B": {
        "steps_a_minute": STEPS_A_MINUTE,
        "looked_up": LOOKED_UP,
        "copies": "by margin or correlation",
        "solver": SOLVER_STEPS["B"],
        "levels": LEVELS,
    },
    "C": {
        "steps_a_minute": STEPS_A_MINUTE,
        "few_minutes": FEW_MINUTES,
        "updates": UPDATES,
        "patches": [PATCH, BATCH],
        "generated": [MADE, MADE_SIZE],
        "solver": SOLVER_STEPS["C"],
        "levels": LEVELS,
    },
}


@dataclass(frozen=True)
class Piece:
    """What is trained and judged together; `minutes` is about what it takes on one core."""

    name: str
    minutes: float
    measure: Callable[[], dict[str, Any]]


def pieces(seeds: int = len(SEEDS), longer: bool = False) -> Iterator[Piece]:
    """Yield all pieces, those of the first seeds first."""
    for seed in SEEDS[:seeds]:
        yield Piece(f"C_without_seed{seed}", 5, partial(without_fields, seed))
        for count in FIELDS:
            minutes = 11 if count in MIXED else 8
            yield Piece(f"C_{count or 'all'}fields_seed{seed}", minutes, partial(enhancers, count, seed))
        if longer:
            yield Piece(f"C_microscopes_seed{seed}", 11, partial(other_microscopes, seed))
            for count in FITTED:
                yield Piece(f"C_microscopes{count}_seed{seed}", 1.5, partial(fitted_by_few, count, seed))
        for count in FEW_PATCHES:
            for minutes in FEW_PATCHES_MINUTES + (LONGER if longer else ()):
                name = f"B_{count}patches_{minutes}min_seed{seed}"
                yield Piece(name, 1.4 * minutes + 0.2, partial(copies, count, minutes, seed))
        for structure in ("microtubules", "mitochondria"):
            yield Piece(f"A_{structure}_halves_seed{seed}", 1, partial(halves, structure, seed))
            for minutes in MINUTES:
                name = f"A_{structure}_{minutes}min_seed{seed}"
                yield Piece(name, 1.4 * minutes + 2.3, partial(resemblance, structure, minutes, seed))


def cell(structure: str) -> tuple[Image, Image, Image]:
    """Return a whole STORM image, and its parts for training and for testing."""
    if structure == "microtubules":
        storm, train, _ = microtubules()
        return storm, train, storm.crop(slice(None), TEST_COLUMNS)
    storm, _ = sfsrm("mitochondria")
    return storm, storm.crop(slice(0, 1920), slice(None)), storm.crop(slice(1920, None), slice(None))


def trained(images: Sequence[Image], minutes: int, seed: int, folder: Path | None = None) -> DiffusionModel:
    """Train from the model of simulated filaments; in a folder, where a training that was cut goes on."""
    config = TrainConfig(steps=minutes * STEPS_A_MINUTE, seed=seed, previews=0)
    start = load_diffusion_model(START)
    if folder is None:
        return run(train_steps(images, config, start=start))
    cut = (folder / "model.json").exists()
    if not cut:  # or before it had anything to save
        shutil.rmtree(folder, ignore_errors=True)
    elif read_facts(folder, "diffusion", DiffusionRecord).steps >= (config.steps or 0):
        return load_diffusion_model(folder)
    return run(train_steps(images, config, start=start, out=folder, resume=cut))


def drawn_on_levels(model: DiffusionModel, count: int, size: int, seed: int, steps: int) -> Pixels:
    """Generate what `DiffusionModel.generate` would if it drew on `LEVELS`."""
    return drawn(model, second_order_plan(karras_levels(steps, *LEVELS)), count, size, seed)


def windows(image: Image, size: int, count: int, seed: int) -> Pixels:
    """Return random windows of an image, which overlap."""
    return draw_patches(list(image.pixels), size, count, np.random.default_rng(seed))


# A


def resemblance(structure: str, minutes: int, seed: int) -> dict[str, Any]:
    """Train, generate, and compare with what the model saw, and with the whole experimental image.

    The classifier is asked twice: about windows of the whole image, which overlap, so that it may know a place again;
    and about windows of the part that the model saw, where it never saw a part of what it is tested on.
    """
    storm, train, test = cell(structure)
    made, steps = patches_made(structure, minutes, seed)
    result: dict[str, Any] = {"steps": steps}
    for size, count in PATCHES.items():
        for name, real in (("", windows(storm, size, count, seed)), ("apart_", apart(train, size, count, seed))):
            result[f"auc_{name}{size}"] = two_sample_test(real, made[size], seed=seed).auc
    result["realism"] = {name: realism_against(part, made[128], seed) for name, part in parts(structure).items()}
    result["black"] = float((made[128].reshape(len(made[128]), -1).max(1) == 0).mean())
    if structure == "microtubules":
        fields = grid_patches(list(storm.pixels), 256)
        found = compare_filaments(made[256][:32], fields, storm.pixel_size)
        result["filaments"] = {name: dataclasses.asdict(one) for name, one in found.items()}
    held_out = grid_patches(list(test.pixels), 128)
    copies = copy_report(made[128][:LOOKED_UP], list(train.pixels), held_out[:LOOKED_UP])
    result["memorization"] = dataclasses.asdict(copies)
    return result


def patches_made(structure: str, minutes: int, seed: int) -> tuple[dict[int, Pixels], int]:
    """Return what a model generates that was trained for so long, by size, and its steps.

    The model and its images are kept, so that they can be drawn and judged again without another training; delete them
    from `build/paper_claims` after a change of the training or the sampler.
    """
    folder = KEPT / f"{structure}_{minutes}min_seed{seed}"
    paths = {size: KEPT / f"{structure}_{minutes}min_{size}px_seed{seed}.tif" for size in PATCHES}
    _, train, _ = cell(structure)
    if not all(path.exists() for path in paths.values()):
        model = trained([train], minutes, seed, folder)
        for size, path in paths.items():
            write_image(path, model.generate(PATCHES[size], size=size, seed=seed, steps=SOLVER_STEPS["A"]))
    return {size: read_image(path).pixels for size, path in paths.items()}, minutes * STEPS_A_MINUTE


def parts(structure: str) -> dict[str, Image]:
    """Return what generated patches are compared with: what the model saw, what it did not see, and both together."""
    return dict(zip(("whole", "training", "held_out"), cell(structure), strict=True))


def realism_against(part: Image, patches: Pixels, seed: int) -> dict[str, float | None]:
    """Return the realism of patches against a part of the experimental image."""
    experimental = grid_patches(list(part.pixels), patches.shape[-1])
    return dataclasses.asdict(realism(patches, experimental, part.pixel_size, seed))


def halves(structure: str, seed: int) -> dict[str, Any]:
    """Judge experimental patches like generated ones: what can be had.

    The classifier tells the upper half of the experimental image from the lower one; and patches of the part that the
    models saw are compared with the whole image and with the other part, of which no model can know more.
    """
    storm, train, _ = cell(structure)
    rows = storm.size[0] // 2
    two = [storm.crop(half, slice(None)) for half in (slice(0, rows), slice(rows, None))]
    found: dict[str, Any] = {}
    for size, count in PATCHES.items():
        for name, draw in (("", windows), ("apart_", apart)):
            top, bottom = (draw(part, size, count, seed + 100 * (k + 1)) for k, part in enumerate(two))
            found[f"auc_two_halves_{name}{size}"] = two_sample_test(top, bottom, seed=seed).auc
    seen = windows(train, 128, PATCHES[128], seed)
    found["realism"] = {
        name: realism_against(part, seen, seed) for name, part in parts(structure).items() if name != "training"
    }
    found["black"] = float((seen.reshape(len(seen), -1).max(1) == 0).mean())
    return found


# B


def copies(count: int, minutes: int, seed: int) -> dict[str, Any]:
    """Train on so many patches alone, and look for them in what is generated.

    Among patches of the same size it is the middle that is looked up (see `copy_report`), so that copies that lie a
    little off are found too. As a control, windows of the training image that lie `DISPLACED` pixels off the training
    patches, dimmed and with noise, are looked up as well: all of them are copies.
    """
    _, train, test = cell("microtubules")
    plane, size = train.pixels[0], 128
    grid = grid_patches([plane], size)
    columns = plane.shape[1] // size
    chosen = np.random.default_rng(seed).permutation(len(grid))[:count]
    few = Image(grid[chosen], train.pixel_size, name=f"{count} patches")
    model = trained([few], minutes, seed)
    made = drawn_on_levels(model, LOOKED_UP, size, seed, SOLVER_STEPS["B"])
    held_out = grid_patches(list(test.pixels), size)
    known = np.stack([_displaced(plane, int(which), columns, seed) for which in np.resize(chosen, LOOKED_UP)])
    looked_up = {"generated": made, "known": known}
    found = {kind: copy_report(patches, list(few.pixels), held_out) for kind, patches in looked_up.items()}
    return {
        "steps": model.facts.steps,
        "memorization": dataclasses.asdict(found["generated"]),
        "known_copies_found": found["known"].copies / LOOKED_UP,
    }


def _displaced(plane: Pixels, which: int, columns: int, seed: int) -> Pixels:
    """Return the window `DISPLACED` pixels off a patch of the grid, at most at the border, dimmed and with noise."""
    random = np.random.default_rng([seed, which])
    y, x = (128 * int(i) + int(random.choice((-1, 1))) * DISPLACED for i in divmod(which, columns))
    y, x = (min(max(corner, 0), length - 128) for corner, length in zip((y, x), plane.shape, strict=True))
    window = 0.7 * plane[y : y + 128, x : x + 128]
    return np.asarray(window + random.normal(0, 0.1 * plane.std(), window.shape), np.float32)


# C


def without_fields(seed: int) -> dict[str, Any]:
    """Train enhancers on what needs no experimental field."""
    pixel = cell("microtubules")[0].pixel_size or 20.0
    return {
        "mathematical": enhancer([simulate("microtubules", MADE, MADE_SIZE, pixel, seed, organisation="random")], seed),
        "continuous": enhancer([continuous(seed)], seed),
        "pretrained": enhancer([_fields(load_diffusion_model(START), seed)], seed),
    }


def continuous(seed: int) -> Image:
    """Return the mathematical model without gaps, at the pixel size of the STORM image."""
    fields = continuous_fields(MADE, MADE_SIZE, seed + 1)
    return dataclasses.replace(fields, pixel_size=cell("microtubules")[0].pixel_size)


def enhancers(count: int, seed: int) -> dict[str, Any]:
    """Train enhancers on so many experimental fields, on what a model generates that saw these alone, and mixtures."""
    fields, made = experimental(count, seed), generated(count, seed)
    found = {"experimental": enhancer([fields], seed), "generated": enhancer([made], seed)}
    if count in MIXED:
        found["both"] = enhancer([fields, made], seed)
        found["experimental and continuous"] = enhancer([fields, continuous(seed)], seed)
    return found


def other_microscopes(seed: int) -> dict[str, Any]:
    """Train enhancers on all columns through the real microscope, and through one that is fitted to its image."""
    _, train, widefield = microtubules()
    seen = widefield.crop(slice(None), slice(0, TRAIN_COLUMNS // FACTOR))
    sources = {"experimental": train, "generated": generated(ALL, seed), "continuous": continuous(seed)}
    return {
        "pairs": enhancer([], seed, pairs=[(seen, train)]),
        **{f"fitted {arm}": through_fitted(source, widefield, seed) for arm, source in sources.items()},
    }


def fitted_by_few(count: int, seed: int) -> dict[str, Any]:
    """Train an enhancer on so many experimental fields, through a microscope that is fitted by them."""
    return {"fitted experimental": through_fitted(experimental(count, seed), microtubules()[2], seed)}


def through_fitted(source: Image, widefield: Image, seed: int) -> dict[str, Any]:
    """Train an enhancer through a microscope that is fitted to the widefield image, and tell the fit too."""
    fit = fit_microscope(widefield, [source], MicroscopeConfig(), FACTOR)
    return {**enhancer([source], seed, fit.config(MicroscopeConfig())), "fit": dataclasses.asdict(fit)}


def experimental(count: int, seed: int) -> Image:
    """Return so many fields of the training columns, or all of these columns."""
    _, train, _ = cell("microtubules")
    if count == ALL:
        return train
    grid = grid_patches(list(train.pixels), FIELD)
    return Image(grid[np.random.default_rng(seed).permutation(len(grid))[:count]], train.pixel_size, name="fields")


def generated(count: int, seed: int) -> Image:
    """Return what a model generates that was trained on so many fields; kept, for it takes half of the time."""
    path = KEPT / f"{count or 'all'}fields_seed{seed}.tif"
    if not path.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        model = trained([experimental(count, seed)], FEW_MINUTES, seed)
        write_image(path, _fields(model, seed))
    return read_image(path)


def _fields(model: DiffusionModel, seed: int) -> Image:
    return Image(drawn_on_levels(model, MADE, MADE_SIZE, seed, SOLVER_STEPS["C"]), model.pixel_size)


def enhancer(
    sources: list[Image],
    seed: int,
    microscope: MicroscopeConfig | None = None,
    pairs: Sequence[tuple[Image, Image]] = (),
) -> dict[str, Any]:
    """Train an enhancer and test it on simulated and on the real widefield image.

    Parameters
    ----------
    sources
        Sharp images, which all are drawn from alike.
    seed
        Of the training, and of the noise of the simulated widefield images.
    microscope
        Which it learns through; by default the one that also makes the simulated widefield images of the test.
    pairs
        Widefield images and sharp ones of the same field, instead of `sources`.

    Returns
    -------
    `real` and `simulated` (means over three images), each with what `judged` returns, and whether the intervals were
    calibrated on images that were `held_out` from training.
    """
    config = EnhancerConfig(upscale=FACTOR, steps=UPDATES, patch=PATCH, batch=BATCH, seed=seed, previews=0)
    weights = [1.0] * len(sources) or None
    network = run(train_enhancer_steps(sources, config, microscope or MicroscopeConfig(), pairs=pairs, weights=weights))
    storm, _, test = cell("microtubules")
    pixel = storm.pixel_size or 20.0
    drawn = []
    for k in range(3):
        # The same three for every arm: what differs is the enhancer alone.
        random = torch.Generator().manual_seed(1000 * seed + k)
        counts = simulated_widefield(torch.from_numpy(test.pixels)[:, None], MicroscopeConfig(), pixel, FACTOR, random)
        image = Image(counts[:, 0].numpy(), pixel * FACTOR, name="simulated widefield")
        drawn.append(judged(network, image, test, slice(None)))
    simulated = {
        how: {key: mean([one[how][key] for one in drawn]) for key in values} for how, values in drawn[0].items()
    }
    held_out = network.calibration is not None and bool(network.calibration.facts.held_out)
    return {
        "real": judged(network, microtubules()[2], storm, TEST_COLUMNS),
        "simulated": simulated,
        "held_out": held_out,
    }


def judged(network: Enhancer, widefield: Image, reference: Image, columns: slice) -> dict[str, dict[str, float | None]]:
    """Compare what the network makes of a widefield image with the reference: as the two lie, and registered.

    Returns
    -------
    For "as it is" and "registered": what `restoration` says, and of the interpolated image its `correlation`;
    `frc_nm`, down to which period in nm the enhanced image agrees with the reference (1/7; None where it never does);
    `coverage_90`, the share of pixels in the interval that is to hold 90 %, after the linear fit of intensities, and
    `coverage_90_structure`, the same of the pixels that are not 0.
    """
    made = network.enhance_with_uncertainty(widefield)
    said = compare_with_reference(EnhancedField(made.image, widefield, reference), columns)
    truth = reference.pixels[0][:, columns]
    found = {}
    for kind, restoring, by in (
        ("as it is", said, (0.0, 0.0)),
        ("registered", said["registered"], said["registered"]["offset"]),
    ):
        planes = [image.pixels[0] for image in (made.image, made.uncertainty) if image is not None]
        sharp, width = (translated(plane, by)[:, columns] for plane in planes)
        # Enhancers that learned from simulated images are in other units than the reference.
        slope = float(np.polyfit(sharp.ravel(), truth.ravel(), 1)[0])
        inside = np.abs(linear_fit(sharp, truth) - truth) <= abs(slope) * width
        found[kind] = {
            **restoring["enhanced"],
            "interpolated_correlation": restoring["interpolated"]["correlation"],
            "frc_nm": fourier_ring_correlation(sharp, truth, reference.pixel_size or 20.0).resolution,
            "coverage_90": float(inside.mean()),
            "coverage_90_structure": float(inside[truth > 0].mean()),
        }
    return found


def mean(values: list[float | None]) -> float | None:
    """Return the mean, or None where one of the values is not known: failures must not be left out."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def main() -> None:
    """Do the pieces that are not done yet, as far as the time goes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claims", nargs="+", default=["A", "B", "C"], choices=["A", "B", "C"])
    parser.add_argument("--seeds", type=int, default=len(SEEDS), choices=range(1, len(SEEDS) + 1), help="the first n")
    parser.add_argument("--longer", action="store_true", help="also ten minutes on few patches, and other microscopes")
    parser.add_argument("--hours", type=float, default=24.0, help="begin no piece that would end later")
    parser.add_argument("--share", default="1/1", help="do the k-th of n equal shares: k/n")
    options = parser.parse_args()
    first, every = map(int, options.share.split("/"))
    PLACE.mkdir(parents=True, exist_ok=True)
    code = commit()
    end = time.monotonic() + 3600 * options.hours
    asked = [piece for piece in pieces(options.seeds, options.longer) if piece.name[0] in options.claims]
    todo = [piece for piece in shares(asked, every)[first - 1] if not _file(piece).exists()]
    print(f"{len(todo)} pieces to do, about {sum(piece.minutes for piece in todo) / 60:.1f} hours of one core")
    for piece in todo:
        if time.monotonic() + 60 * piece.minutes > end:
            continue
        began = time.monotonic()
        made_with = {"commit": code, "settings": SETTINGS[piece.name[0]]}
        result: dict[str, Any] = {"piece": piece.name, **piece.measure(), **made_with, "machine": machine()}
        result["minutes"] = round((time.monotonic() - began) / 60, 2)
        with atomic_file(_file(piece)) as temporary:
            temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        print(f"{piece.name}: {result['minutes']} min", flush=True)


def shares(pieces: list[Piece], count: int) -> list[list[Piece]]:
    """Divide pieces among processes: each goes to the one that has least to do so far."""
    found: list[list[Piece]] = [[] for _ in range(count)]
    for piece in pieces:
        min(found, key=lambda share: sum(one.minutes for one in share)).append(piece)
    return found


def _file(piece: Piece) -> Any:
    return PLACE / f"{piece.name}.json"


if __name__ == "__main__":
    main()

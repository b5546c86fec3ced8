"""The paper's three claims, measured on real data, piece by piece.

    python benchmarks/paper_claims.py [--claims A B C] [--hours 1]

A. Generated images resemble experimental ones. B. They are not copies. C. An enhancer trained on generated images is
better than one trained on the few experimental images, or on the mathematical model.

Each piece (one training, one seed) is written to `results/paper_claims/` when it is done, and is not done again: the
study goes on where it stopped, or where `--hours` ended it. All of it takes about eight hours on two cores. Draw it
with `draw_claims.py`. Real data: see `common.py`; microtubules are trained on columns 0 to 959 of 1280 and tested on
the rest, mitochondria on rows 0 to 1919 of 2560.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from common import DATA, FACTOR, RESULTS, TRAIN_COLUMNS, machine, microtubules
from napari_smdiffusion import (
    DiffusionModel,
    Enhancer,
    EnhancerConfig,
    Image,
    MicroscopeConfig,
    TrainConfig,
    load_diffusion_model,
    read_image,
    simulate,
)
from napari_smdiffusion.assess import grid_patches, realism
from napari_smdiffusion.diffusion_training import train_steps
from napari_smdiffusion.enhancer_training import train_enhancer_steps
from napari_smdiffusion.filaments import compare_filaments
from napari_smdiffusion.memorization import memorization
from napari_smdiffusion.microscope import widefield as simulated_widefield
from napari_smdiffusion.patches import draw_patches
from napari_smdiffusion.progress import run
from napari_smdiffusion.resolution import fourier_ring_correlation
from napari_smdiffusion.restoration import restoration
from napari_smdiffusion.two_sample import two_sample_test

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    Pixels = npt.NDArray[np.float32]

PLACE = RESULTS / "paper_claims"
START = "simulated-filaments"  # saw simulated filaments alone: neither these cells nor any other
SEEDS = range(5)
LONG_SEEDS = range(2)  # of the trainings of 30 minutes, and of those on few patches
MINUTES = (2.0, 10.0, 30.0)
PATCHES = {128: 256, 256: 128}  # generated and drawn for the classifier
LOOKED_UP = 64
FEW_PATCHES = (4, 16, 64)
FIELDS = (1, 2, 4, 8, 15)  # of 256 pixels; 15 is all there are
FIELD, MADE = 256, 48
FEW_MINUTES, UPDATES = 3.0, 800


@dataclass(frozen=True)
class Piece:
    """One training and what it is judged by; `minutes` is about what it takes on two cores."""

    name: str
    minutes: float
    measure: Callable[[], dict[str, Any]]


def pieces() -> Iterator[Piece]:
    """Yield all pieces, those of the first seeds first."""
    for seed in SEEDS:
        for minutes in MINUTES:
            if minutes <= 10 or seed in LONG_SEEDS:
                for structure in ("microtubules", "mitochondria"):
                    yield _resemblance(structure, minutes, seed)
        if seed in LONG_SEEDS:
            for count in FEW_PATCHES:
                for minutes in MINUTES[:2]:
                    yield _copies(count, minutes, seed)
        yield _enhancer("mathematical", 0, seed)
        for count in FIELDS:
            for arm in ("experimental", "generated", "both"):
                yield _enhancer(arm, count, seed)


def _resemblance(structure: str, minutes: float, seed: int) -> Piece:
    name = f"A_{structure}_{minutes:g}min_seed{seed}"
    return Piece(name, minutes + 4, lambda: resemblance(structure, minutes, seed))


def _copies(count: int, minutes: float, seed: int) -> Piece:
    return Piece(f"B_{count}patches_{minutes:g}min_seed{seed}", minutes + 1, lambda: copies(count, minutes, seed))


def _enhancer(arm: str, count: int, seed: int) -> Piece:
    name = f"C_{arm}_{count}fields_seed{seed}"
    return Piece(name, 1.5 + (FEW_MINUTES if arm == "generated" else 0), lambda: enhancer(arm, count, seed))


def cell(structure: str) -> tuple[Image, Image, Image]:
    """Return a whole STORM image, and its parts for training and for testing."""
    if structure == "microtubules":
        storm, train, _ = microtubules()
        return storm, train, storm.crop(slice(None), slice(TRAIN_COLUMNS, None))
    storm = read_image(DATA / "sfsrm" / "mitochondria_STORM.tif", 20.0)
    return storm, storm.crop(slice(0, 1920), slice(None)), storm.crop(slice(1920, None), slice(None))


def trained(images: Sequence[Image], minutes: float, seed: int) -> DiffusionModel:
    """Train from the model of simulated filaments."""
    config = TrainConfig(minutes=minutes, seed=seed, previews=0)
    return run(train_steps(images, config, start=load_diffusion_model(START)))


def windows(image: Image, size: int, count: int, seed: int) -> Pixels:
    """Return random windows of an image."""
    return draw_patches(list(image.pixels), size, count, np.random.default_rng(seed))


# A


def resemblance(structure: str, minutes: float, seed: int) -> dict[str, Any]:
    """Train, generate, and compare with the whole experimental image; the floors are of its two halves."""
    storm, train, test = cell(structure)
    model = trained([train], minutes, seed)
    result: dict[str, Any] = {"steps": model.facts["steps"]}
    top, bottom = (storm.crop(rows, slice(None)) for rows in _halves(storm.size[0]))
    made: dict[int, Pixels] = {}
    for size, count in PATCHES.items():
        made[size] = model.generate(count, size=size, seed=seed).pixels
        real = windows(storm, size, count, seed)
        floor = (windows(top, size, count, seed + 100), windows(bottom, size, count, seed + 200))
        result[f"auc_{size}"] = two_sample_test(real, made[size], seed=seed).auc
        result[f"auc_two_halves_{size}"] = two_sample_test(*floor, seed=seed).auc
    patches = grid_patches(list(storm.pixels), 128)
    result["realism"] = realism(made[128], patches, storm.pixel_size, seed)
    if structure == "microtubules":
        fields = grid_patches(list(storm.pixels), 256)
        found = compare_filaments(made[256][:32], fields, storm.pixel_size)
        result["filaments"] = {name: dataclasses.asdict(one) for name, one in found.items()}
    held_out = grid_patches(list(test.pixels), 128)
    result["memorization"] = memorization(made[128][:LOOKED_UP], list(train.pixels), held_out[:LOOKED_UP])
    return result


def _halves(rows: int) -> tuple[slice, slice]:
    return slice(0, rows // 2), slice(rows // 2, None)


# B


def copies(count: int, minutes: float, seed: int) -> dict[str, Any]:
    """Train on so many patches alone, and look for them in what is generated."""
    _, train, test = cell("microtubules")
    grid = grid_patches(list(train.pixels), 128)
    chosen = np.random.default_rng(seed).permutation(len(grid))[:count]
    few = Image(grid[chosen], train.pixel_size, name=f"{count} patches")
    model = trained([few], minutes, seed)
    made = model.generate(LOOKED_UP, size=128, seed=seed).pixels
    found = memorization(made, list(few.pixels), grid_patches(list(test.pixels), 128))
    return {"steps": model.facts["steps"], "memorization": found}


# C


def enhancer(arm: str, count: int, seed: int) -> dict[str, Any]:
    """Train an enhancer on one kind of images, and test it on simulated and on the real widefield image."""
    storm, train, test = cell("microtubules")
    grid = grid_patches(list(train.pixels), FIELD)
    fields = Image(grid[np.random.default_rng(seed).permutation(len(grid))[:count]], storm.pixel_size, name="fields")
    sources = {
        "experimental": lambda: [fields],
        "mathematical": lambda: [simulate("microtubules", MADE, FIELD, storm.pixel_size or 20.0, seed)],
        "generated": lambda: [_generated(fields, seed)],
        "both": lambda: [fields, _generated(fields, seed)],
    }[arm]()
    config = EnhancerConfig(upscale=FACTOR, steps=UPDATES, seed=seed, previews=0)
    weights = [1.0] * len(sources)
    began = time.monotonic()
    network = run(train_enhancer_steps(sources, config, MicroscopeConfig(), weights=weights))
    seconds = round(time.monotonic() - began, 1)
    return {"seconds": seconds, "updates": UPDATES, **tested(network, storm, test, seed)}


def _generated(fields: Image, seed: int) -> Image:
    """Return fields that a model generates which saw `fields` alone, and simulated ones; made once for both arms."""
    place = PLACE.parents[2] / "build" / "paper_claims" / f"{len(fields)}fields_seed{seed}"
    if place.exists():
        model = DiffusionModel.load(place)
    else:
        model = trained([fields], FEW_MINUTES, seed)
        model.save(place)
    return model.generate(MADE, size=FIELD, seed=seed)


def tested(network: Enhancer, storm: Image, test: Image, seed: int) -> dict[str, Any]:
    """Compare enhanced with STORM images in the test columns, from three simulated widefields and the real one."""
    widefield = microtubules()[2]
    sharp = network.enhance(widefield).pixels[0][:, TRAIN_COLUMNS:]
    truth = test.pixels[0]
    found = {"real": _judged(sharp, truth, storm.pixel_size or 0)}
    drawn = []
    for k in range(3):
        # The same three for every arm: what differs is the enhancer alone.
        random = torch.Generator().manual_seed(1000 * seed + k)
        images = torch.from_numpy(test.pixels)[:, None]
        counts = simulated_widefield(images, MicroscopeConfig(), storm.pixel_size or 20.0, FACTOR, random)
        image = Image(counts[:, 0].numpy(), (storm.pixel_size or 0) * FACTOR, name="simulated widefield")
        drawn.append(_judged(network.enhance(image).pixels[0], truth, storm.pixel_size or 0))
    means = {key: [one[key] for one in drawn if one[key] is not None] for key in drawn[0]}
    found["simulated"] = {key: float(np.mean(values)) if values else None for key, values in means.items()}
    return found


def _judged(sharp: Pixels, truth: Pixels, pixel_size: float) -> dict[str, float | None]:
    return {**restoration(sharp, truth), "frc_nm": fourier_ring_correlation(sharp, truth, pixel_size).resolution}


def main() -> None:
    """Do the pieces that are not done yet, as far as the time goes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claims", nargs="+", default=["A", "B", "C"], choices=["A", "B", "C"])
    parser.add_argument("--hours", type=float, default=24.0, help="begin no piece that would end later")
    options = parser.parse_args()
    PLACE.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 3600 * options.hours
    todo = [piece for piece in pieces() if piece.name[0] in options.claims and not _file(piece).exists()]
    print(f"{len(todo)} pieces to do, about {sum(piece.minutes for piece in todo) / 60:.1f} hours")
    for piece in todo:
        if time.monotonic() + 60 * piece.minutes > end:
            continue
        began = time.monotonic()
        result = {"piece": piece.name, **piece.measure(), "machine": machine()}
        result["minutes"] = round((time.monotonic() - began) / 60, 2)
        _file(piece).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        print(f"{piece.name}: {result['minutes']} min", flush=True)


def _file(piece: Piece) -> Any:
    return PLACE / f"{piece.name}.json"


if __name__ == "__main__":
    main()

"""The paper's three claims, measured on real data, piece by piece.

    python benchmarks/paper_claims.py [--claims A B C] [--hours 1] [--share 1/2]

A. Generated images resemble experimental ones. B. They are not copies. C. An enhancer trained on generated images is
better than one trained on the few experimental images, or on the mathematical model.

Each piece (the trainings of one seed at one size) is written to `results/paper_claims/` when it is done, and is not
done again: the study goes on where it stopped, or where `--hours` ended it. Trainings are counted in steps, as many as
two cores alone do in the minutes that are named (`STEPS_A_MINUTE`, measured by `bundled_microtubules.py`), so that
nothing beside them changes the result. All of it takes about eight hours on two cores: two processes with one thread
each (OMP_NUM_THREADS=1, `--share 1/2` and `--share 2/2`) are a sixth quicker than one with two. Draw it with
`draw_claims.py`. Real data: see `common.py`; microtubules are trained on columns 0 to 959 of 1280 and tested on the
rest, mitochondria on rows 0 to 1919 of 2560.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from dataclasses import dataclass
from functools import partial
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
from napari_smdiffusion.comparison import EnhancedField, restored
from napari_smdiffusion.diffusion_training import train_steps
from napari_smdiffusion.enhancer_training import train_enhancer_steps
from napari_smdiffusion.filaments import compare_filaments
from napari_smdiffusion.memorization import memorization
from napari_smdiffusion.microscope import widefield as simulated_widefield
from napari_smdiffusion.patches import draw_patches
from napari_smdiffusion.progress import run
from napari_smdiffusion.registration import moved
from napari_smdiffusion.resolution import fourier_ring_correlation
from napari_smdiffusion.two_sample import two_sample_test

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    Pixels = npt.NDArray[np.float32]

PLACE = RESULTS / "paper_claims"
START = "simulated-filaments"  # saw simulated filaments alone: neither these cells nor any other
STEPS_A_MINUTE = 276
SEEDS = range(5)
LONG_SEEDS = range(3)  # of mitochondria for 30 minutes, and of few patches for 10
MINUTES = (2, 10, 30)
PATCHES = {128: 256, 256: 128}  # generated and drawn for the classifier
LOOKED_UP = 64
FEW_PATCHES = (4, 16, 64)
FIELDS = (1, 2, 4, 8, 15)  # of 256 pixels; 15 is all there are
FIELD = 256
TEST_COLUMNS = slice(TRAIN_COLUMNS, None)
MADE, MADE_SIZE = 32, 512  # fields that are generated, and simulated by the mathematical model
FEW_MINUTES, UPDATES = 3, 1200


@dataclass(frozen=True)
class Piece:
    """What is trained and judged together; `minutes` is about what it takes on two cores."""

    name: str
    minutes: float
    measure: Callable[[], dict[str, Any]]


def pieces() -> Iterator[Piece]:
    """Yield all pieces, those of the first seeds first."""
    for seed in SEEDS:
        yield Piece(f"C_mathematical_seed{seed}", 1.5, partial(mathematical, seed))
        yield Piece(f"C_start_seed{seed}", 2, partial(start_alone, seed))
        for count in FIELDS:
            yield Piece(f"C_{count}fields_seed{seed}", 7, partial(enhancers, count, seed))
        for count in FEW_PATCHES:
            for minutes in MINUTES[: 2 if seed in LONG_SEEDS else 1]:
                name = f"B_{count}patches_{minutes}min_seed{seed}"
                yield Piece(name, minutes + 1, partial(copies, count, minutes, seed))
        for structure in ("microtubules", "mitochondria"):
            for minutes in MINUTES[: 3 if structure == "microtubules" or seed in LONG_SEEDS else 2]:
                name = f"A_{structure}_{minutes}min_seed{seed}"
                yield Piece(name, minutes + 4, partial(resemblance, structure, minutes, seed))


def cell(structure: str) -> tuple[Image, Image, Image]:
    """Return a whole STORM image, and its parts for training and for testing."""
    if structure == "microtubules":
        storm, train, _ = microtubules()
        return storm, train, storm.crop(slice(None), TEST_COLUMNS)
    storm = read_image(DATA / "sfsrm" / "mitochondria_STORM.tif", 20.0)
    return storm, storm.crop(slice(0, 1920), slice(None)), storm.crop(slice(1920, None), slice(None))


def trained(images: Sequence[Image], minutes: int, seed: int) -> DiffusionModel:
    """Train from the model of simulated filaments."""
    config = TrainConfig(steps=minutes * STEPS_A_MINUTE, seed=seed, previews=0)
    return run(train_steps(images, config, start=load_diffusion_model(START)))


def windows(image: Image, size: int, count: int, seed: int) -> Pixels:
    """Return random windows of an image."""
    return draw_patches(list(image.pixels), size, count, np.random.default_rng(seed))


# A


def resemblance(structure: str, minutes: int, seed: int) -> dict[str, Any]:
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


def copies(count: int, minutes: int, seed: int) -> dict[str, Any]:
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


def mathematical(seed: int) -> dict[str, Any]:
    """Train an enhancer on fields of the mathematical model."""
    made = simulate("microtubules", MADE, MADE_SIZE, cell("microtubules")[0].pixel_size or 20.0, seed)
    return {"updates": UPDATES, "mathematical": enhancer([made], seed)}


def start_alone(seed: int) -> dict[str, Any]:
    """Train an enhancer on what the model generates that all others begin from, before it sees any experimental image.

    What the others gain over it comes from the experimental fields.
    """
    made = load_diffusion_model(START).generate(MADE, size=MADE_SIZE, seed=seed)
    return {"updates": UPDATES, "start": enhancer([made], seed)}


def enhancers(count: int, seed: int) -> dict[str, Any]:
    """Train enhancers on so many experimental fields, on what a model generates that saw these alone, and on both."""
    _, train, _ = cell("microtubules")
    grid = grid_patches(list(train.pixels), FIELD)
    fields = Image(grid[np.random.default_rng(seed).permutation(len(grid))[:count]], train.pixel_size, name="fields")
    made = trained([fields], FEW_MINUTES, seed).generate(MADE, size=MADE_SIZE, seed=seed)
    return {
        "updates": UPDATES,
        "experimental": enhancer([fields], seed),
        "generated": enhancer([made], seed),
        "both": enhancer([fields, made], seed),
    }


def enhancer(sources: list[Image], seed: int) -> dict[str, Any]:
    """Train an enhancer, drawing from all sources alike, and test it on simulated and on the real widefield image."""
    config = EnhancerConfig(upscale=FACTOR, steps=UPDATES, seed=seed, previews=0)
    network = run(train_enhancer_steps(sources, config, MicroscopeConfig(), weights=[1.0] * len(sources)))
    storm, _, test = cell("microtubules")
    pixel = storm.pixel_size or 20.0
    drawn = []
    for k in range(3):
        # The same three for every arm: what differs is the enhancer alone.
        random = torch.Generator().manual_seed(1000 * seed + k)
        counts = simulated_widefield(torch.from_numpy(test.pixels)[:, None], MicroscopeConfig(), pixel, FACTOR, random)
        image = Image(counts[:, 0].numpy(), pixel * FACTOR, name="simulated widefield")
        drawn.append(judged(network, image, test, slice(None)))
    found: dict[str, Any] = {"real": judged(network, microtubules()[2], storm, TEST_COLUMNS)}
    found["simulated"] = {
        kind: {key: mean([one[kind][key] for one in drawn]) for key in drawn[0][kind]} for kind in drawn[0]
    }
    return found


def judged(network: Enhancer, widefield: Image, reference: Image, columns: slice) -> dict[str, dict[str, float | None]]:
    """Compare what the network makes of a widefield image with the reference: as they lie, and registered."""
    made = network.enhance_with_uncertainty(widefield)
    said = restored(EnhancedField(made.image, widefield, reference), columns)
    by = said["registered"]["offset"]
    truth = reference.pixels[0][:, columns]
    found = {}
    for kind, restoring, offset in (("as it is", said, (0.0, 0.0)), ("registered", said["registered"], by)):
        sharp, width = (moved(image.pixels[0], offset)[:, columns] for image in (made.image, made.uncertainty))
        found[kind] = {
            **restoring["enhanced"],
            "interpolated_correlation_blurred": restoring["interpolated"]["correlation_blurred"],
            "frc_nm": fourier_ring_correlation(sharp, truth, reference.pixel_size).resolution,
            # Of the pixels, the share in the interval that is to hold 90 %.
            "coverage_90": float((np.abs(sharp - truth) <= width).mean()),
        }
    return found


def mean(values: list[float | None]) -> float | None:
    """Return the mean of what is known."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def main() -> None:
    """Do the pieces that are not done yet, as far as the time goes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claims", nargs="+", default=["A", "B", "C"], choices=["A", "B", "C"])
    parser.add_argument("--hours", type=float, default=24.0, help="begin no piece that would end later")
    parser.add_argument("--share", default="1/1", help="do the k-th of n equal shares: k/n")
    options = parser.parse_args()
    first, every = map(int, options.share.split("/"))
    PLACE.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 3600 * options.hours
    todo = [
        piece for piece in shares(every)[first - 1] if piece.name[0] in options.claims and not _file(piece).exists()
    ]
    print(f"{len(todo)} pieces to do, about {sum(piece.minutes for piece in todo) / 60:.1f} hours")
    for piece in todo:
        if time.monotonic() + 60 * piece.minutes > end:
            continue
        began = time.monotonic()
        result = {"piece": piece.name, **piece.measure(), "machine": machine()}
        result["minutes"] = round((time.monotonic() - began) / 60, 2)
        _file(piece).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        print(f"{piece.name}: {result['minutes']} min", flush=True)


def shares(count: int) -> list[list[Piece]]:
    """Divide all pieces among processes: each goes to the one that has least to do so far."""
    found: list[list[Piece]] = [[] for _ in range(count)]
    for piece in pieces():
        min(found, key=lambda share: sum(one.minutes for one in share)).append(piece)
    return found


def _file(piece: Piece) -> Any:
    return PLACE / f"{piece.name}.json"


if __name__ == "__main__":
    main()

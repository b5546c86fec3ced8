"""Train and judge the models that ship with the package, on one STORM image of each structure alone.

    python -m benchmarks.models.bundled_models {microtubules,mitochondria} [--only STAGE]

A diffusion model from that of simulated filaments on, what it makes judged, for its card; enhancers x5 and x4 that
learn from what it generates, for 2 minutes each, and the one of the real pair's factor on that pair; then the
pictures. Each stage is saved and can be run again by itself, and how long each took is written down. 15 minutes for the
diffusion model are the default.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.stats import spearmanr

from benchmarks.common import CELLS, FACTORS, FILAMENTS, PICTURES, RESULTS, TESTED, save, save_entry
from benchmarks.realism.classifier import judge
from napari_smdiffusion import (
    DiffusionModel,
    EnhancedField,
    Enhancer,
    EnhancerConfig,
    GenerateConfig,
    Image,
    MicroscopeConfig,
    TrainConfig,
    fourier_ring_correlation,
    generate_steps,
    load_diffusion_model,
    read_image,
    run,
    train_enhancer_steps,
    train_steps,
    write_image,
)
from napari_smdiffusion.base.folders import bundled_folder
from napari_smdiffusion.base.terminal import Reporter
from napari_smdiffusion.diffusion.card import write_diffusion_card
from napari_smdiffusion.diffusion.facts import DiffusionRecord
from napari_smdiffusion.diffusion.network import BLOCK
from napari_smdiffusion.enhance.card import write_enhancer_card
from napari_smdiffusion.enhance.facts import EnhancerRecord
from napari_smdiffusion.enhance.network import EnhancerNetwork
from napari_smdiffusion.enhance.training import recalibrated, with_familiar
from napari_smdiffusion.images.patches import draw_patches, grid_patches
from napari_smdiffusion.images.registration import translated
from napari_smdiffusion.measure.classifier import two_sample_test
from napari_smdiffusion.measure.copies import copy_report
from napari_smdiffusion.measure.filaments import compare_filaments
from napari_smdiffusion.measure.realism import realism
from napari_smdiffusion.measure.resolution import HALF, ONE_SEVENTH
from napari_smdiffusion.microscope.camera import light_through_optics
from napari_smdiffusion.microscope.camera import widefield as widefield_of
from napari_smdiffusion.microscope.fit import fit_microscope
from napari_smdiffusion.posterior.sampling import EVALUATIONS
from napari_smdiffusion.recipes.train_enhancer import TrainEnhancerJob
from napari_smdiffusion.report.enhanced import compare_with_reference
from napari_smdiffusion.report.pictures import contact_sheet, contrast, new_figure, save_figure, show
from napari_smdiffusion.samples.applying import sampler_of
from napari_smdiffusion.samples.training import SamplerInputs, recalibrated_samples
from napari_smdiffusion.store.folder import STATE
from napari_smdiffusion.store.managing import state_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ATTRIBUTION = """
The STORM image of {structure} of SFSRM (github.com/crrayna/SFSRM, BSD-3-Clause, the licence is in LICENSE-SFSRM of the
package), {part}. Please cite Chen et al., Nature Communications 14, 2854 (2023). It is one cell: nothing is
claimed about others.{pixel_size}
The diffusion model began from `simulated-filaments`, which saw simulated microtubules alone.
"""
LICENSE = "BSD-3-Clause"  # of the data, and so of the weights
CITATION = "Chen et al., Nature Communications 14, 2854 (2023), for the training data"
TERMS = {"license": LICENSE, "citation": CITATION}
# What is to be said where the data do not tell it.
PIXEL_SIZE = {"mitochondria": " The pixel size is not stated with the data: about 20 nm is assumed."}
BEGAN = (
    "That had taken 29 000 steps, an hour and three quarters on two cores; settings and curve are of the "
    "{minutes:.0f} minutes since.\n"
)
PARTS = {"microtubules": "columns 0 to 959", "mitochondria": "rows 0 to 1919"}
JUDGED = """
## How good it is

![32 generated patches, 16 of 256 and 16 of 128 pixels](samples.png)

Realism score {score:.3f} ({score_low:.3f} to {score_high:.3f}; 0: as near to the experimental patches it saw as these
among themselves, 1: as far as the mathematical model); against the whole image, of which it saw a part, {whole:.3f},
where experimental patches of that part have {seen:.3f}. Generated patches differ from each other {diversity:.2f}
times as much as experimental ones, and cover {coverage:.2f} of what others of these do. A small classifier tells
generated patches of 128 pixels from experimental ones of the whole image with an AUC of {auc:.2f} (0.5: it cannot;
two halves of the experimental image: {auc_halves:.2f}). Of {looked_up} patches that were looked up in the training
image {copies} fit better than chance allows; they correlate with it by {generated_median:.2f} (median of the nearest
places), held-out experimental patches by {held_out_median:.2f}.
"""
TESTED_ON = """
## Tested on one real pair

On the part of the cell's real widefield image that nothing was trained on, registered: correlation with the STORM
image {correlation:.2f} ({blurred:.2f} blurred by 2 pixels), of the interpolated widefield image {plain:.2f}
({plain_blurred:.2f}). Their Fourier ring correlation falls below one half at {half}, and below 1/7 at {seventh}: what
looks finer is made up. In the interval that is to hold 90 % lay {coverage:.0f} % of the pixels, {bright:.0f} % of those
that are brighter than on the average, and {structure:.0f} % of those where the STORM image shows anything.
"""
SAMPLES_TESTED = """
## Samples, tested on one real pair

In the same part, registered: a sample correlates with the STORM image by {:.2f}, and with another sample by {:.2f};
blurred by 2 pixels by {:.2f} and {:.2f}. Honest samples have equal values. The 90 % intervals are about the image
blurred by 2 pixels. They hold for {:.0f} % of the pixels, and for {:.0f} % of those where the STORM image shows
anything. A classifier recognizes samples among STORM patches with an AUC of {:.2f} (0.5: not at all), best estimates
with {:.2f}, and the patches of one half of the STORM image among those of the other with {:.2f}.
"""
UNTESTED = """
## Not tested on a real pair

There is no real pair with this factor: all that is known is how it does on simulated widefield images.
"""
# What the cards say that the models must not be used for.
NOT_FOR = {
    "diffusion": (
        "Other structures. Fields of 512 pixels and more show forks and kinks that cells do not have. Generated images "
        "are no measurements."
    ),
    "enhancer": (
        "Other structures: {structure} are drawn into any image. Counts, distances and shapes below the resolution "
        "above must not be measured in the result."
    ),
}
# Stages for models that are trained already; trainings do their work too, or need another benchmark before.
REPEATED = (
    "further",
    "calibration",
    "sampler-further",
    "sampler-calibration",
    "sampler-tested",
    "familiarity",
    "tested",
    "terms",
)
# The steps of the enhancer of version 0.1.0, and those of the trainings between it and the last one.
STEPS_BEFORE = {
    "microtubules": (2249, 450, 300),
    "microtubules-x4": (1796, 200),
    "mitochondria-x5": (2251, 170),
}
WORK = Path("build") / "bundled"
SHARES = (0.5, 0.7, 0.9)  # of pixels, that intervals are to hold
FIELDS = 48
# The noise of the real image of mitochondria is shared by neighbouring pixels, that of microtubules hardly.
MICROSCOPES = {
    "microtubules": MicroscopeConfig(correlated_noise_range=(0.0, 0.0)),
    "mitochondria": MicroscopeConfig(correlated_noise_range=(0.0, 0.12)),
}
PATCHES = {"mitochondria": 160}  # sides of the patches of best estimates, if not the default
WIDER = MicroscopeConfig(unevenness_range=(0.0, 0.9), width_range=(0.85, 1.7), smooth_light_range=(0.0, 6.0))
SAMPLER_PATCH, SAMPLER_BATCH = 240, 3  # pixels of the patches that samplers learn from, and their number in a step
SIZE, LOOKED_UP = 128, 64  # of patches that are judged, and how many are looked up


def attribution(structure: str) -> str:
    """Return what a card must say of the data."""
    return ATTRIBUTION.format(structure=structure, part=PARTS[structure], pixel_size=PIXEL_SIZE.get(structure, ""))


def shipped(structure: str) -> Path:
    """Return the folder of the diffusion model in the package."""
    return bundled_folder() / "diffusion" / structure


def diffusion(structure: str, minutes: float) -> None:
    """Train the diffusion model from that of simulated filaments, and save it."""
    train = dataclasses.replace(CELLS[structure]()[1], name=f"{structure}, STORM, {PARTS[structure]}")
    start = load_diffusion_model(FILAMENTS)
    began = time.monotonic()
    steps = train_steps([train], TrainConfig(minutes=minutes, previews=0), start=start, name=structure)
    model = run(steps, Reporter())
    seconds = time.monotonic() - began
    said = attribution(structure) + BEGAN.format(minutes=seconds / 60)
    stated: dict[str, Any] = {"attribution": said, "structure": structure, "not_for": NOT_FOR["diffusion"], **TERMS}
    model = dataclasses.replace(model, facts=dataclasses.replace(model.facts, **stated))
    model.save(WORK / structure / "diffusion")
    model.save(shipped(structure), bits=8)
    for made in ("fields.tif", "patches.tif"):  # by the model before
        (WORK / structure / made).unlink(missing_ok=True)
    curve = model.facts.curve
    taken, batch = model.facts.steps, model.config.batch
    result = {
        "minutes": round(seconds / 60, 2),
        "steps": taken,
        "patches_per_second": round(taken * batch / seconds, 1),
    }
    save(
        f"bundled_{structure}_diffusion",
        {**result, "parameters": sum(p.numel() for p in model.unet.parameters()), "curve": curve[::10]},
    )


def judged(structure: str) -> None:
    """Judge what the model generates, and write it into the card of the model, with a contact sheet."""
    model = DiffusionModel.load(shipped(structure))
    storm, train, _ = CELLS[structure]()
    rows, columns = TESTED[structure]
    made = patches(structure)
    windows = draw_patches(list(storm.pixels), SIZE, len(made), np.random.default_rng(0))
    top, bottom = (storm.pixels[0][half] for half in (slice(0, storm.size[0] // 2), slice(storm.size[0] // 2, None)))
    halves = [
        draw_patches([half], SIZE, len(made), np.random.default_rng(seed)) for seed, half in ((1, top), (2, bottom))
    ]
    held_out = grid_patches(list(storm.crop(rows, columns).pixels), SIZE)
    looked_up = dataclasses.asdict(copy_report(made[:LOOKED_UP], list(train.pixels), held_out[:LOOKED_UP]))
    saw, all_of_it = (grid_patches(list(image.pixels), SIZE) for image in (train, storm))
    seen = draw_patches(list(train.pixels), SIZE, len(made), np.random.default_rng(0))
    result = {
        **dataclasses.asdict(realism(made, saw, storm.pixel_size)),
        "whole": realism(made, all_of_it, storm.pixel_size).score,
        "seen": realism(seen, all_of_it, storm.pixel_size).score,
        "auc": two_sample_test(windows, made).auc,
        "auc_halves": two_sample_test(*halves).auc,
        "memorization": looked_up,
    }
    text = JUDGED.format(**result, **looked_up, looked_up=LOOKED_UP)
    tested_on = (
        f"One cell. A small classifier tells generated patches of {SIZE} pixels from experimental ones with an AUC of "
        f"{result['auc']:.2f} (two halves of the experimental image: {result['auc_halves']:.2f}; 0.5 is by chance)."
    )
    facts = dataclasses.replace(model.facts, judged=text, tested_on=tested_on)
    dataclasses.replace(model, facts=facts).save(shipped(structure), bits=8)
    _samples(structure, model)  # of the former model they went with its folder
    save(f"bundled_{structure}_judged", result)


def _samples(structure: str, model: DiffusionModel) -> None:
    """Draw the contact sheet of the card: the first of the patches that were judged, and wider ones."""
    sheets = {size: model.generate(16, size=size, seed=seed).pixels for size, seed in ((256, 3), (SIZE, 2))}
    limits = contrast(list(sheets.values()))
    figure = new_figure(10, 5.8)
    for axes, (size, planes) in zip(figure.subplots(2, 1), sheets.items(), strict=True):
        sheet = contact_sheet(planes, 8, fill=limits[1])
        show(axes, sheet, limits, f"Generated, {size} pixels", model.pixel_size, size)
    save_figure(figure, shipped(structure) / "samples.png")


def classifier() -> None:
    """Have the classifier tell the microtubule model's patches from experimental ones of the training columns."""
    save("bundled_microtubules_classifier", judge(DiffusionModel.load(shipped("microtubules"))))


def filaments() -> None:
    """Compare the skeletons of four generated fields of 512² with those of the training columns."""
    model = DiffusionModel.load(shipped("microtubules"))
    train = CELLS["microtubules"]()[1]
    made, real = (grid_patches(list(image.pixels), 256) for image in (model.generate(4, size=512, seed=4), train))
    found = compare_filaments(made, real, train.pixel_size)
    save("bundled_microtubules_filaments", {name: dataclasses.asdict(one) for name, one in found.items()})


def background(structure: str) -> None:
    """Compare how many pixels are exactly 0, for each position in the 4 × 4 blocks that the network works on."""
    made, real = patches(structure), CELLS[structure]()[1].pixels
    result = {}
    for name, pixels in (("generated", made), ("experimental", real)):
        shares = [float((pixels[:, y::BLOCK, x::BLOCK] == 0).mean()) for y in range(BLOCK) for x in range(BLOCK)]
        result[name] = {"zeros": float(np.mean(shares)), "least": min(shares), "most": max(shares)}
    save(f"bundled_{structure}_background", result)


def patches(structure: str) -> Any:
    """Return the 400 patches that are judged, (400, SIZE, SIZE)."""
    path = WORK / structure / "patches.tif"
    if not path.exists():
        model = DiffusionModel.load(shipped(structure))
        write_image(path, run(generate_steps(model, GenerateConfig(count=400, seed=2)), Reporter()))
    return read_image(path).pixels


def fields(structure: str) -> Image:
    """Return the fields of 512² that the enhancers learn from: what is longer than a patch is in them as well."""
    path = WORK / structure / "fields.tif"
    if not path.exists():
        write_image(path, DiffusionModel.load(shipped(structure)).generate(FIELDS, size=512, seed=2))
    return dataclasses.replace(read_image(path), name=f"{FIELDS} fields generated by the model `{structure}`")


def enhancer_name(structure: str, factor: int) -> str:
    """Return what an enhancer is called: the one for the real pair's factor as the structure, others with theirs."""
    return structure if factor == FACTORS[structure] else f"{structure}-x{factor}"


def enhancer(
    structure: str, factor: int, minutes: float, steps: int | None = None, start: Enhancer | None = None
) -> None:
    """Train an enhancer on generated fields, from nothing or from `start`, and ship it; goes on where it stopped."""
    name = enhancer_name(structure, factor)
    patch = PATCHES.get(structure, EnhancerConfig().patch)
    config = EnhancerConfig(upscale=factor, minutes=minutes, steps=steps, patch=patch, previews=0)
    out = WORK / structure / f"training-x{factor}"
    begun = (out / STATE).exists()
    work = train_enhancer_steps(
        [fields(structure)],
        config,
        MICROSCOPES[structure],
        start=None if begun else start,
        name=name,
        out=out,
        resume=begun,
    )
    _ship(run(work, Reporter()), structure)
    shutil.rmtree(out)


def further(structure: str, minutes: float, steps: int | None, factors: Sequence[int] = (5, 4)) -> None:
    """Train the enhancers that ship on, as after a change of the simulation or of the levels, with smooth strides."""
    for factor in factors:
        start = Enhancer.load(bundled_folder() / "enhancer" / enhancer_name(structure, factor))
        if start.sampler is not None:
            start.save(WORK / structure / "former")
        enhancer(structure, factor, minutes, steps, smoothed(start))


def smoothed(trained: Enhancer) -> Enhancer:
    """Return an enhancer without samples, whose network has the same weights and smooth strides."""
    network = EnhancerNetwork(trained.config.upscale, trained.config.channels, "smooth")
    network.load_state_dict(trained.network.state_dict())
    return dataclasses.replace(trained, network=network.eval(), sampler=None, samples_calibration=None)


def calibration(structure: str) -> None:
    """Calibrate both enhancers that ship anew, on the fields that were held out when they were trained."""
    for factor in (5, 4):
        trained = Enhancer.load(bundled_folder() / "enhancer" / enhancer_name(structure, factor))
        _ship(recalibrated(trained, [fields(structure)]), structure)


def familiarity(structure: str) -> None:
    """Add to both enhancers that ship what the widefield images of their training look like, as trainings now do."""
    for factor in (5, 4):
        folder = bundled_folder() / "enhancer" / enhancer_name(structure, factor)
        with_familiar(Enhancer.load(folder), [fields(structure)]).save(folder, bits=8)


def sampler(structure: str, steps: int, wider_steps: int) -> None:
    """Train the samples of the enhancer of the real pair's factor, and ship them; goes on where it stopped.

    The last steps are through microscopes that vary more. Samples of the first steps resemble each other too much.
    """
    shipped = Enhancer.load(bundled_folder() / "enhancer" / structure)
    first, last = WORK / structure / "sampler_first", WORK / structure / "sampler"
    if not (last / "model.json").exists():
        start = dataclasses.replace(shipped, sampler=None, samples_calibration=None)
        train_sampler(structure, steps, MICROSCOPES[structure], start, first)
    trained = train_sampler(structure, wider_steps, wider_microscope(structure), str(first), last)
    known = dataclasses.replace(
        sampler_of(trained).facts, started_from=structure, steps=steps + wider_steps, total_steps=steps + wider_steps
    )
    trained = dataclasses.replace(trained, sampler=dataclasses.replace(sampler_of(trained), facts=known))
    _ship_samples(trained, structure)


def sampler_further(structure: str, steps: int) -> None:
    """Train the shipped samples on, for the best estimate of stage `further`, through microscopes that vary more.

    The shipped enhancer has the new estimate and no samples. Those of the former one are in the work folder.
    """
    shipped = Enhancer.load(bundled_folder() / "enhancer" / structure)
    former, last = Enhancer.load(WORK / structure / "former"), WORK / structure / "sampler"
    start = dataclasses.replace(shipped, sampler=sampler_of(former), samples_calibration=None)
    trained = train_sampler(structure, steps, wider_microscope(structure), start, last)
    before = sampler_of(former).facts
    known = dataclasses.replace(
        sampler_of(trained).facts,
        started_from=structure,
        steps=before.steps + steps,
        total_steps=(before.total_steps or before.steps) + steps,
    )
    trained = dataclasses.replace(trained, sampler=dataclasses.replace(sampler_of(trained), facts=known))
    _ship_samples(trained, structure)


def wider_microscope(structure: str) -> MicroscopeConfig:
    """Return the microscope of the last steps of a sampler, which varies more."""
    return dataclasses.replace(WIDER, correlated_noise_range=MICROSCOPES[structure].correlated_noise_range)


def train_sampler(
    structure: str, steps: int, microscope: MicroscopeConfig, start: Enhancer | str, out: Path, seed: int = 1
) -> Enhancer:
    """Train a sampler in the folder `out`, or go on with its training; a complete one is returned as it is."""
    begun = (out / STATE).exists()
    if (out / "model.json").exists() and not begun:
        return Enhancer.load(out)
    config = EnhancerConfig(
        upscale=FACTORS[structure],
        method="samples",
        steps=steps,
        patch=SAMPLER_PATCH,
        batch=SAMPLER_BATCH,
        previews=0,
        seed=seed,
    )
    job = TrainEnhancerJob(
        fields(structure),
        config,
        microscope,
        start=None if begun else start,
        prior=structure,
        out=out,
        name=structure,
        resume=begun,
    )
    return run(job.steps(), Reporter())


def _ship_samples(trained: Enhancer, structure: str) -> None:
    """Save an enhancer with new samples into the package, with the facts of the shipped one."""
    folder = bundled_folder() / "enhancer" / structure
    before = Enhancer.load(folder)
    facts = dataclasses.replace(before.facts, date=trained.facts.date)
    dataclasses.replace(trained, facts=facts, familiar=before.familiar).save(folder, bits=8)


def sampler_calibration(structure: str) -> None:
    """Calibrate the samples of the trained sampler anew, with as many evaluations as new samplers have, and ship it."""
    trained = Enhancer.load(WORK / structure / "sampler")
    facts = dataclasses.replace(sampler_of(trained).facts, evaluations=EVALUATIONS)
    trained = dataclasses.replace(trained, sampler=dataclasses.replace(sampler_of(trained), facts=facts))
    microscope = facts.microscope or trained.microscope
    trained = recalibrated_samples(trained, SamplerInputs([fields(structure)], microscope))
    _ship_samples(trained, structure)


def sampler_tested(structure: str) -> None:
    """Write into the card what `benchmarks.models.samples` measured on the real pair: the mean of its seeds."""
    folder = bundled_folder() / "enhancer" / structure
    trained = Enhancer.load(folder)
    measured = json.loads((RESULTS / f"samples_{structure}.json").read_text(encoding="utf-8"))
    seeds = [entry for key, entry in measured.items() if key.startswith(trained.digest()[:12])]

    def mean(*keys: str) -> float:
        values = []
        for seed in seeds:
            for key in keys:
                seed = seed[key]
            values.append(seed)
        return float(np.mean(values))

    text = SAMPLES_TESTED.format(
        *(mean("honesty", blur, key) for blur in ("0", "2") for key in ("with_truth", "with_sample")),
        100 * mean("intervals", "ninety_all"),
        100 * mean("intervals", "ninety_structure"),
        mean("realism", "sample", "auc"),
        mean("realism", "estimate", "auc"),
        mean("realism", "halves", "auc"),
    )
    before = trained.facts.attribution.partition("\n## Samples, tested")[0]
    facts = dataclasses.replace(trained.facts, attribution=before + text)
    dataclasses.replace(trained, facts=facts).save(folder, bits=8)


def _ship(trained: Enhancer, structure: str) -> None:
    """Save an enhancer, and judge it on the real widefield image where that has its factor."""
    factor = trained.config.upscale
    result: dict[str, Any] = {"minutes": trained.config.minutes, "steps": trained.facts.steps}
    registered = None
    if factor == FACTORS[structure]:
        result |= measured(trained, structure)
        registered = result["test_part"]["registered"]
    known = dataclasses.replace(trained.facts, **_stated(trained.facts.started_from, structure, factor, registered))
    trained = dataclasses.replace(trained, facts=known)
    trained.save(WORK / structure / f"enhancer-x{factor}")
    folder = bundled_folder() / "enhancer" / enhancer_name(structure, factor)
    trained.save(folder, bits=8)
    loaded = Enhancer.load(folder)
    result["calibration"] = None if loaded.calibration is None else dataclasses.asdict(loaded.calibration.facts)
    save(f"bundled_{structure}_enhancer_x{factor}", result)


def tested(structure: str) -> None:
    """Judge the enhancer that ships on the real pair again, and write it into its card."""
    folder = bundled_folder() / "enhancer" / structure
    trained, name = Enhancer.load(folder), f"bundled_{structure}_enhancer_x{FACTORS[structure]}"
    known = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    result = {key: known[key] for key in ("minutes", "steps", "calibration")} | measured(trained, structure)
    registered = result["test_part"]["registered"]
    stated = _stated(trained.facts.started_from, structure, FACTORS[structure], registered)
    dataclasses.replace(trained, facts=dataclasses.replace(trained.facts, **stated)).save(folder, bits=8)
    save(name, result)


def _stated(started_from: str | None, structure: str, factor: int, registered: dict[str, Any] | None) -> dict[str, Any]:
    """Return the fields of the facts that state what the enhancer is for, and how it was tested on a real pair."""
    if registered is None:
        tested, short = UNTESTED, "Simulated widefield images only: there is no real pair with this factor."
    else:
        enhanced, plain = (registered[key]["correlation_blurred"] for key in ("enhanced", "interpolated"))
        half = registered["frc_half_nm"]
        tested = _tested(registered)
        short = (
            f"One real pair, one cell: correlation with the STORM image {enhanced:.2f} (blurred by 2 pixels; "
            f"interpolation {plain:.2f})."
            + (f" What looks finer than {half:.0f} nm is made up." if half else "")
            + f" The 90 % intervals hold for {100 * registered['coverage_90_structure']:.0f} % of the pixels that show "
            "structure."
        )
    return {
        "attribution": attribution(structure) + ("" if started_from is None else _began(structure, factor)) + tested,
        "structure": structure,
        "tested_on": short,
        "not_for": NOT_FOR["enhancer"].format(structure=structure),
        **TERMS,
    }


def terms(structure: str) -> None:
    """Write license and citation into the cards of all models of a structure that ship."""
    state_facts(shipped(structure), "diffusion", DiffusionRecord, write_diffusion_card, **TERMS)
    for factor in (4, 5):
        folder = bundled_folder() / "enhancer" / enhancer_name(structure, factor)
        state_facts(folder, "enhancer", EnhancerRecord, write_enhancer_card, **TERMS)


def _began(structure: str, factor: int) -> str:
    """Return the sentence of a card on the trainings before the last one."""
    first, *more = STEPS_BEFORE[enhancer_name(structure, factor)]
    trainings = "A training" if len(more) == 1 else "Trainings"
    return f"""
The enhancer began from the one of version 0.1.0 ({first} steps), whose levels were percentiles.
{trainings} of {" and ".join(map(str, more))} steps followed, and the last one, with smooth strides.
"""


def _tested(said: dict[str, Any]) -> str:
    """Return what a card says of an enhancer's test on a real pair."""
    enhanced, plain = said["enhanced"], said["interpolated"]
    half, seventh = ("no period" if said[key] is None else f"{said[key]:.0f} nm" for key in ("frc_half_nm", "frc_nm"))
    return TESTED_ON.format(
        correlation=enhanced["correlation"],
        blurred=enhanced["correlation_blurred"],
        plain=plain["correlation"],
        plain_blurred=plain["correlation_blurred"],
        half=half,
        seventh=seventh,
        coverage=100 * said["coverage_90"],
        bright=100 * said["coverage_90_bright"],
        structure=100 * said["coverage_90_structure"],
    )


def fitted(minutes: float) -> None:
    """Train another enhancer, through a microscope fitted to the whole real widefield image, and judge it as well."""
    made = fields("microtubules")
    found = fit_microscope(CELLS["microtubules"]()[2], [made], MicroscopeConfig(), FACTORS["microtubules"])
    config = EnhancerConfig(upscale=FACTORS["microtubules"], minutes=minutes, previews=0)
    trained = run(train_enhancer_steps([made], config, found.config(MicroscopeConfig())), Reporter())
    save(
        "fitted_enhancer",
        {
            "minutes": minutes,
            "steps": trained.facts.steps,
            "fit": dataclasses.asdict(found),
            **measured(trained, "microtubules"),
        },
    )


def measured(trained: Enhancer, structure: str) -> dict[str, Any]:
    """Compare the enhanced real widefield image with the STORM image, where it was trained on and where not."""
    storm, train, widefield = CELLS[structure]()
    made = trained.enhance_with_uncertainty(widefield)
    result: dict[str, Any] = {}
    seen = (slice(0, train.size[0]), slice(0, train.size[1]))
    for name, (rows, columns) in (("test", TESTED[structure]), ("training", seen)):
        said = compare_with_reference(EnhancedField(made.image, widefield, storm), columns, rows)
        by, truth = said["registered"]["offset"], storm.pixels[0][rows, columns]
        maps = [image.pixels[0] for image in (made.image, made.uncertainty) if image is not None]
        sharp, width = (translated(plane, by)[rows, columns] for plane in maps)
        for key, threshold in (("frc_nm", ONE_SEVENTH), ("frc_half_nm", HALF)):
            found = fourier_ring_correlation(sharp, truth, storm.pixel_size or 20.0, threshold)
            said["registered"][key] = found.resolution
        # The result has the units of the widefield image: the light of both is brought to the same.
        factor = float((sharp * truth).sum() / (sharp**2).sum())
        error = np.abs(factor * sharp - truth)
        inside = error <= factor * width
        said["registered"]["rank_correlation"] = float(spearmanr(width[::2, ::2], error[::2, ::2], axis=None).statistic)
        said["registered"]["coverage_90"] = float(inside.mean())
        said["registered"]["coverage_90_bright"] = float(inside[sharp > sharp.mean()].mean())
        said["registered"]["coverage_90_structure"] = float(inside[truth > 0].mean())
        result[f"{name}_part"] = said
    rows, columns = TESTED[structure]
    result["simulated_test_part"] = simulated_coverage(trained, storm.crop(rows, columns))
    factor = trained.config.upscale
    result["grid"] = {
        "enhanced": grid_strength(made.image.pixels[0], factor),
        "experimental": grid_strength(storm.pixels[0], factor),
    }
    return result


def simulated_coverage(trained: Enhancer, part: Image) -> dict[str, dict[str, float]]:
    """Return how often the intervals hold on simulated widefield images of an experimental image that nothing saw.

    Returns
    -------
    For each stated share, of `all` pixels and of the `bright` ones; means over three draws of microscope and noise.
    """
    pixel, factor, found = part.pixel_size or 20.0, trained.config.upscale, defaultdict(list)
    for draw in range(3):
        random = torch.Generator().manual_seed(draw)
        planes = torch.from_numpy(part.pixels)[:, None]
        again = torch.Generator().manual_seed(draw)
        counts = widefield_of(planes, trained.microscope, pixel, factor, random)
        seen = Image(counts[:, 0].numpy(), pixel * factor, name="simulated widefield")
        # The same draw of the optics tells how many counts the light of a pixel became.
        light, optics = light_through_optics(planes, trained.microscope, pixel, factor, again)
        bright = float(np.percentile(light.numpy(), 99.5))
        truth = part.pixels * (float(optics.photons[0]) * trained.microscope.gain / bright)
        for share in SHARES:
            made = trained.enhance_with_uncertainty(seen, confidence=share)
            sharp, width = (image.pixels for image in (made.image, made.uncertainty) if image is not None)
            inside = np.abs(sharp - truth) <= width
            found[str(share)].append((inside.mean(), inside[sharp > sharp.mean()].mean()))
    return {
        share: dict(zip(("all", "bright"), np.mean(values, axis=0).tolist(), strict=True))
        for share, values in found.items()
    }


def grid_strength(sharp: Any, factor: int) -> float:
    """Return how strong a grid of the widefield pixels is in the darker half, relative to the 99th percentile.

    The root mean square, over places, of how far the fine pixels under a widefield pixel differ, each averaged over
    8 × 8 widefield pixels. It is not 0 without a grid: what is left is structure.
    """
    rows, columns = (length // (8 * factor) for length in sharp.shape)
    cut = sharp[: rows * 8 * factor, : columns * 8 * factor].reshape(rows, 8, factor, columns, 8, factor)
    phases = cut.mean((1, 4)).transpose(0, 2, 1, 3).reshape(rows * columns, factor**2)
    dark = phases[phases.mean(1) <= np.median(phases.mean(1))]
    spread = dark - dark.mean(1, keepdims=True)
    return float(np.sqrt((spread**2).mean()) / np.percentile(sharp, 99))


def pictures(structure: str) -> None:
    """Draw generated beside experimental patches and fields, and the enhanced beside the real image."""
    model = DiffusionModel.load(shipped(structure))
    storm, train, _ = CELLS[structure]()
    real, made = draw_patches(list(train.pixels), SIZE, 32, np.random.default_rng(5)), model.generate(32, seed=3).pixels
    fields = model.generate(2, size=512, seed=4).pixels
    windows = np.stack([train.pixels[0][100:612, 100:612], train.pixels[0][700:1212, 400:912]])
    PICTURES.mkdir(exist_ok=True)
    for name, pair, columns in (("patches", (real, made), 8), ("fields", (windows, fields), 2)):
        limits = contrast(pair)
        figure = new_figure(12, 6.6 * 2)
        for axes, planes, title in zip(figure.subplots(2, 1), pair, ("Experimental", "Generated"), strict=True):
            show(
                axes, contact_sheet(planes, columns, fill=limits[1]), limits, title, storm.pixel_size, planes.shape[-1]
            )
        save_figure(figure, PICTURES / f"{structure}_{name}.png")
    _enhanced_picture(structure)
    _samples(structure, model)


def _enhanced_picture(structure: str) -> None:
    storm, _, widefield = CELLS[structure]()
    factor = FACTORS[structure]
    sharp = Enhancer.load(bundled_folder() / "enhancer" / structure).enhance(widefield).pixels[0]
    # 64 widefield pixels of the tested part.
    y, x = (300, 960) if structure == "microtubules" else (2000, 1000)
    coarse, fine = (
        (slice(a // f, a // f + 64 * factor // f), slice(b // f, b // f + 64 * factor // f))
        for f, a, b in ((factor, y, x), (1, y, x))
    )
    figure = new_figure(15, 5.6)
    parts = (
        (widefield.pixels[0][coarse], "Real widefield", (storm.pixel_size or 0) * factor),
        (sharp[fine], f"Enhanced ×{factor}", storm.pixel_size),
        (storm.pixels[0][fine], "STORM image of the same field, never seen", storm.pixel_size),
    )
    for axes, (plane, title, pixel) in zip(figure.subplots(1, 3), parts, strict=True):
        show(axes, plane, contrast([plane], 99.7), title, pixel)
    save_figure(figure, PICTURES / f"{structure}_enhanced.png")


def main() -> None:
    """Do the stages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("structure", choices=tuple(CELLS))
    parser.add_argument("--minutes", type=float, default=15.0, help="for the diffusion model")
    parser.add_argument("--enhancer-minutes", type=float, default=2.0)
    parser.add_argument("--enhancer-steps", type=int, help="steps of an enhancer, instead of minutes")
    parser.add_argument("--factors", type=int, nargs="+", default=[5, 4], help="of the enhancers that are trained on")
    parser.add_argument("--sampler-steps", type=int, default=4000)
    parser.add_argument("--wider-steps", type=int, default=650, help="of samplers, through microscopes that vary more")
    parser.add_argument("--only", help="one stage: diffusion, judged, enhancer-x5, enhancer-x4, further, calibration, "
                        "sampler, sampler-further, sampler-calibration, sampler-tested, familiarity, tested, "
                        "background, pictures, terms; microtubules: + fitted, filaments, classifier")  # fmt: skip
    options = parser.parse_args()
    structure, minutes, steps = options.structure, options.enhancer_minutes, options.enhancer_steps
    stages: dict[str, Callable[[], None]] = {
        "diffusion": lambda: diffusion(structure, options.minutes),
        "judged": lambda: judged(structure),
        "enhancer-x5": lambda: enhancer(structure, 5, minutes, steps),
        "enhancer-x4": lambda: enhancer(structure, 4, minutes, steps),
        "further": lambda: further(structure, minutes, steps, options.factors),
        "sampler": lambda: sampler(structure, options.sampler_steps, options.wider_steps),
        "sampler-further": lambda: sampler_further(structure, options.wider_steps),
        "sampler-calibration": lambda: sampler_calibration(structure),
        "sampler-tested": lambda: sampler_tested(structure),
        "calibration": lambda: calibration(structure),
        "familiarity": lambda: familiarity(structure),
        "tested": lambda: tested(structure),
        "background": lambda: background(structure),
        "pictures": lambda: pictures(structure),
        "terms": lambda: terms(structure),
    }
    if structure == "microtubules":
        stages |= {"fitted": lambda: fitted(minutes), "filaments": filaments, "classifier": classifier}
    if options.only is not None and options.only not in stages:
        parser.error(f"There is no stage {options.only}: choose one of {', '.join(stages)}.")
    for name, stage in stages.items():
        # Training an enhancer calibrates, describes and tests it already.
        repeated = name in REPEATED
        if options.only == name or (options.only is None and not repeated):
            began = time.monotonic()
            stage()
            save_entry(f"bundled_{structure}_seconds", name, {"seconds": round(time.monotonic() - began, 1)})


if __name__ == "__main__":
    main()

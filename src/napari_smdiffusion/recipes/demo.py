"""The whole work in a few minutes: train, generate, train an enhancer, enhance, judge, and one picture of it all."""

from __future__ import annotations

import json
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import InputError, Stopped
from ..base.events import Note, Steps, Stop, never, run
from ..base.folders import bundled_folder
from ..base.terminal import Reporter, stop_on_interrupt
from ..base.version import __version__
from ..base.whole_files import atomic_file
from ..diffusion.generating import generate_steps
from ..diffusion.model import DiffusionModel, load_diffusion_model, train_steps
from ..diffusion.settings import GenerateConfig, TrainConfig
from ..enhance.applying import enhance_steps
from ..enhance.model import train_enhancer_steps
from ..enhance.settings import EnhanceConfig, EnhancerConfig
from ..images.image import Image, common_pixel_size
from ..images.patches import grid_patches
from ..images.registration import crop_pair, find_in
from ..images.tiff import write_image
from ..measure.copies import copy_report
from ..measure.realism import realism
from ..microscope.camera import widefield
from ..microscope.settings import MicroscopeConfig
from ..report.enhanced import EnhancedField, check_field, compare_with_reference
from ..report.meanings import meanings_of
from ..report.pictures import draw_overview
from ..store.folder import check_place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FIELDS, _FIELD = 8, 512  # generated
_PATCH = 128
_FEW_STEPS = 200
_NAME = "demo"  # of its models
_START = "microtubules"  # the bundled model that training starts from


@dataclass(frozen=True)
class DemoInput:
    """What the demo works on.

    Parameters
    ----------
    images
        Super-resolution images with a pixel size.
    widefield
        What is enhanced; None: a part of the images that is held out, through the simulated microscope.
    upscale
        Fine pixels per side of a widefield pixel.
    reference
        The super-resolution image of exactly the field of `widefield`; None: it is looked for in `images`.
    """

    images: Sequence[Image]
    widefield: Image | None
    upscale: int
    reference: Image | None = None


@dataclass
class _Timed:
    """Seconds of each stage, for the report."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - began, 2)


def run_demo(work: DemoInput, out: Path, minutes: float = 4.0, seed: int = 0) -> dict[str, Any]:
    """Run the demo with a progress bar and return its report; Ctrl-C ends it and keeps the results so far."""
    with stop_on_interrupt() as stop, closing(Reporter()) as report:
        return run(demo_steps(work, out, minutes, seed, stop=stop), report)


def demo_steps(
    work: DemoInput, out: Path, minutes: float = 4.0, seed: int = 0, *, stop: Stop = never
) -> Steps[dict[str, Any]]:
    """Do the whole work and write `generated.tif`, `enhanced.tif`, `overview.png`, `report.json` and both models.

    The last quarter of each image's columns is held out from training, for judging.

    Parameters
    ----------
    work
        What to work on.
    out
        Folder for the results; made if need be.
    minutes
        For all training together; everything else takes about a minute.
    seed
        Of everything.
    stop
        Asked by every stage.

    Returns
    -------
    What stands in `report.json`.

    Raises
    ------
    Stopped
        It was stopped; the message says where the results so far are.
    """
    timed = _Timed()
    try:
        return (yield from _demo_steps(work, out, minutes, seed, stop, timed))
    except Stopped as stopped:
        if not timed.seconds:
            raise
        raise Stopped(f"{stopped} The results so far are kept in {out}.") from stopped


def _demo_steps(
    work: DemoInput, out: Path, minutes: float, seed: int, stop: Stop, timed: _Timed
) -> Steps[dict[str, Any]]:
    pixel_size = common_pixel_size(work.images)
    if pixel_size is None:
        raise InputError(f"{work.images[0].name} has no pixel size: give it in nm with --pixel-size.")
    train, held_out = zip(*(_split(image) for image in work.images), strict=True)
    widefield, reference = _widefield(work, held_out[0], pixel_size, seed)
    check_field(widefield, reference, work.upscale)
    for name in ("diffusion_model", "enhancer"):
        _check_model(out / name)
    start = load_diffusion_model(bundled_folder() / "diffusion" / _START)
    settings = TrainConfig(minutes=0.55 * minutes, seed=seed, previews=0)
    # Only now, so that nothing is left behind by input that was refused above.
    out.mkdir(parents=True, exist_ok=True)
    with timed.stage("train"):
        model = yield from train_steps(train, settings, start=start, name=_NAME, stop=stop)
        model.save(out / "diffusion_model")
    _check(stop)
    if (steps := int(model.facts["steps"])) < _FEW_STEPS:
        yield Note(
            f"There was time for {steps} steps of training, which is too few to learn from these images: give more "
            "--minutes, or close other programs."
        )
    with timed.stage("generate"):
        generate = GenerateConfig(count=_FIELDS, height=_FIELD, width=_FIELD, seed=seed)
        generated = yield from generate_steps(model, generate, stop=stop)
        write_image(out / "generated.tif", generated)
    _check(stop)
    with timed.stage("train_enhancer"):
        enhancer = yield from train_enhancer_steps(
            [generated],
            EnhancerConfig(upscale=work.upscale, minutes=0.45 * minutes, seed=seed, previews=0),
            MicroscopeConfig(),
            name=_NAME,
            stop=stop,
        )
        enhancer.save(out / "enhancer")
    _check(stop)
    with timed.stage("enhance"):
        enhanced = (yield from enhance_steps(enhancer, widefield, EnhanceConfig(), stop=stop)).image
        write_image(out / "enhanced.tif", enhanced)
    yield Note("Judging the images and drawing the overview.")
    with timed.stage("judge"):
        report = _comparison(generated, [i.pixels for i in train], [i.pixels for i in held_out], pixel_size)
        place = EnhancedField(enhanced, widefield, reference)
        if reference is not None:
            columns = _held_out_columns(work, reference)
            try:
                found = compare_with_reference(place, columns)
            except ValueError as error:  # nothing in it
                report["enhancement_left_out"] = str(error)
            else:
                report["enhancement"] = {**found, "columns": [columns.start or 0, columns.stop or reference.size[1]]}
        _draw(out / "overview.png", train[0], generated, place, _held_out_columns(work, reference))
    report["meanings"] = meanings_of(report)
    report["seconds"] = timed.seconds
    report["provenance"] = _provenance(work, model, seed)
    with atomic_file(out / "report.json") as temporary:
        temporary.write_text(json.dumps(report, indent=2, allow_nan=False), encoding="utf-8")
    return report


def _check(stop: Stop) -> None:
    """End the demo when it was stopped: a later stage cannot go on from half a result."""
    if stop():
        raise Stopped("Stopped: the demo is not whole.")


def _check_model(folder: Path) -> None:
    """Raise an OSError unless a model may be written at `folder`, where one of an earlier demo may be."""
    check_place(folder, replace=True)
    path = folder / "model.json"
    if not path.exists():
        return
    try:
        name = json.loads(path.read_text(encoding="utf-8"))["name"]
    except (OSError, ValueError, TypeError, KeyError):  # a damaged one may be mended yet
        name = "without a name"
    if name != _NAME:
        raise FileExistsError(
            f"{folder} holds the model {name}, which no demo made: name another folder for the results."
        )


def _split(image: Image) -> tuple[Image, Image]:
    """Hold out the last quarter of an image's columns, at least a patch."""
    cut = min(image.size[1] * 3 // 4, image.size[1] - _PATCH)
    if cut < _PATCH or image.size[0] < _PATCH:
        raise InputError(
            f"{image.name} is {image.size[0]} × {image.size[1]} pixels: give one of at least {_PATCH} × {2 * _PATCH}, "
            "a part to train on and a part to judge with."
        )
    return image.crop(slice(None), slice(0, cut)), image.crop(slice(None), slice(cut, None))


def _widefield(work: DemoInput, held_out: Image, pixel_size: float, seed: int) -> tuple[Image, Image | None]:
    """Return the widefield image with the pixel size of its pixels, and its super-resolution image if it is known."""
    coarse = pixel_size * work.upscale
    if work.widefield is not None:
        widefield = replace(work.widefield, pixel_size=work.widefield.pixel_size or coarse)
        if work.reference is not None:
            return widefield, work.reference
        return _registered(widefield, work.images[0], work.upscale)
    return _simulated(held_out, work.upscale, pixel_size, seed)


def _simulated(held_out: Image, factor: int, pixel_size: float, seed: int) -> tuple[Image, Image]:
    import torch

    from ..base.devices import generator

    rows, columns = (length // factor * factor for length in held_out.size)
    first = replace(held_out, pixels=held_out.pixels[:1])
    reference = first.crop(slice(0, rows), slice(0, columns))
    plane = torch.from_numpy(reference.pixels.copy())[:, None]
    camera = widefield(plane, MicroscopeConfig(), pixel_size, factor, generator(seed, 6))
    image = Image(camera[:, 0].numpy(), pixel_size * factor, reference.origin, "simulated widefield")
    return image, reference


def _registered(widefield: Image, sharp: Image, factor: int) -> tuple[Image, Image | None]:
    """Look for a super-resolution image in a widefield image of the same size or larger, to whole widefield pixels.

    Returns
    -------
    The part of the widefield image that it covers, and the super-resolution image, each the first plane alone; the
    whole widefield image and None where it does not lie in it.
    """
    corner = find_in(sharp.pixels[0], widefield.pixels[0], factor)
    if corner is None:
        return widefield, None
    sharp, widefield = (replace(image, pixels=image.pixels[:1]) for image in (sharp, widefield))
    reference, part = crop_pair(sharp, widefield, factor, corner)
    return part, reference


def _held_out_columns(work: DemoInput, reference: Image | None) -> slice:
    """Return the fine columns of the reference that no training saw."""
    seen = reference is not None and work.widefield is not None and work.reference is None
    return slice(_split(work.images[0])[0].size[1], None) if seen else slice(None)


def _most_to_show(place: EnhancedField, columns: slice) -> EnhancedField:
    """Return the part of 64 widefield pixels, within `columns`, that has most to show."""
    from scipy.ndimage import uniform_filter

    f, side = place.factor, min(64, *place.widefield.size)
    plane = np.asarray(place.widefield.pixels[0], np.float64)
    detail = np.abs(plane - uniform_filter(plane, 9))
    sums = uniform_filter(detail, side, mode="constant")
    half = side // 2
    first = -(-(columns.start or 0) // f)
    allowed = sums[half : plane.shape[0] - side + half + 1, first + half : plane.shape[1] - side + half + 1]
    if not allowed.size:
        allowed, first = sums[half : plane.shape[0] - side + half + 1, half : plane.shape[1] - side + half + 1], 0
    y, x = (int(i) for i in np.unravel_index(int(allowed.argmax()), allowed.shape))
    coarse = slice(y, y + side), slice(x + first, x + first + side)
    fine = slice(y * f, (y + side) * f), slice((x + first) * f, (x + first + side) * f)
    reference = None if place.reference is None else place.reference.crop(*fine)
    return EnhancedField(place.enhanced.crop(*fine), place.widefield.crop(*coarse), reference)


def _draw(path: Path, experimental: Image, generated: Image, place: EnhancedField, columns: slice) -> None:
    part = _most_to_show(place, columns)
    draw_overview(path, experimental, generated, part.widefield, part.enhanced, part.reference)


def _comparison(
    generated: Image, training: Sequence[Any], held_out: Sequence[Any], pixel_size: float
) -> dict[str, Any]:
    made = grid_patches(list(generated.pixels), _PATCH)
    train_planes = [plane for stack in training for plane in stack]
    held_patches = grid_patches([plane for stack in held_out for plane in stack], _PATCH)
    train_patches = grid_patches(train_planes, _PATCH)
    report: dict[str, Any] = {}
    if len(train_patches) >= 8:
        report["realism"] = realism(made, train_patches, pixel_size)
    # A score of copying needs no more than a few patches of each kind, spread over all fields.
    try:
        report["memorization"] = copy_report(made[:: max(1, len(made) // 20)][:20], train_planes, held_patches[:20])
    except ValueError as error:  # too little was held out that shows anything
        report["memorization_left_out"] = str(error)
    return report


def _provenance(work: DemoInput, model: DiffusionModel, seed: int) -> dict[str, Any]:
    return {
        "made_by": f"napari-smdiffusion {__version__}",
        "images": [Path(image.name).name for image in work.images],
        "widefield": None if work.widefield is None else Path(work.widefield.name).name,
        "started_from": model.facts.get("started_from"),
        "steps": model.facts.get("steps"),
        "seed": seed,
        "versions": model.facts.get("versions"),
        "note": "Generated and enhanced images are synthetic, not measured.",
    }

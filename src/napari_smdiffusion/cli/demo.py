"""`smdiffusion demo`."""

from __future__ import annotations

import dataclasses
import importlib.util
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError
from ..enhance.settings import EnhancerConfig
from ..recipes.outputs import check_output_file, check_output_folder
from .flags import RESULTS_LEFT_OUT, add_command, say

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path

    from ..images.image import Image


def add_demo(commands: Any) -> None:
    """Add the flags of `smdiffusion demo`."""
    parser = add_command(
        commands,
        "demo",
        "do the whole work in a few minutes and write one picture of it",
        "smdiffusion demo --images storm.tif --widefield widefield.tif --upscale 5 --minutes 4",
    )
    parser.add_argument("--out", default="smdiffusion_demo", metavar="DIR", help="folder for the results")
    parser.add_argument("--images", nargs="+", metavar="TIFF", help="super-resolution images (default: a sample)")
    parser.add_argument("--widefield", metavar="TIFF", help="widefield image to enhance")
    parser.add_argument("--upscale", type=int, metavar="K", help="fine pixels per side of a widefield pixel")
    parser.add_argument("--pixel-size", type=float, metavar="NM", help="pixel size of --images in nm")
    parser.add_argument("--minutes", type=float, default=3.5, metavar="M", help="training time (default 3.5)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="seed (default 0)")
    parser.add_argument("--napari", action="store_true", help="open the results in napari")


def demo(options: Namespace) -> None:
    """Do the whole work in a few minutes."""
    from ..report.summary import summary

    if not options.minutes > 0:
        raise InputError(f"--minutes must be more than 0, not {options.minutes}.")
    if options.napari and importlib.util.find_spec("napari") is None:
        raise InputError("--napari needs napari: pip install 'napari-smdiffusion[all]'.")
    from ..recipes.demo import run_demo

    out = check_output_folder(options.out)
    for name in ("generated.tif", "enhanced.tif"):
        check_output_file(out / name)
    report = run_demo(_demo_input(options), out, options.minutes, options.seed)
    for line in summary(report):
        say(line)
    say(f"Look at {out / 'overview.png'}; the numbers are in {out / 'report.json'}.")
    if options.napari:
        _open_in_napari(out)


def _demo_input(options: Namespace) -> Any:
    from ..images.provenance import SIMULATED, Provenance
    from ..images.reading import read_image, read_images
    from ..images.samples import simulated_pair, simulated_reference
    from ..recipes.demo import DemoInput

    if options.images is None:
        if options.widefield is not None:
            raise InputError("--widefield needs --images: give super-resolution images to train on.")
        images, widefield = simulated_pair()
        factor = round((widefield.pixel_size or 0) / (images.pixel_size or 1))
        if options.upscale not in (None, factor):
            raise InputError(f"--upscale must be {factor} for the bundled sample: leave it out, or give --images.")
        simulated = dataclasses.replace(images, provenance=Provenance(SIMULATED))
        return DemoInput([simulated], widefield, factor, simulated_reference())
    images_read = read_images(options.images, options.pixel_size, RESULTS_LEFT_OUT)
    widefield_read = read_image(options.widefield) if options.widefield else None
    return DemoInput(images_read, widefield_read, _factor(options, images_read[0], widefield_read))


def _factor(options: Namespace, sharp: Image, widefield: Image | None) -> int:
    if options.upscale is not None:
        EnhancerConfig(upscale=options.upscale)
        return int(options.upscale)
    if widefield is None:
        return 4
    if sharp.pixel_size and widefield.pixel_size:
        factor = round(widefield.pixel_size / sharp.pixel_size)
        EnhancerConfig(upscale=factor)
        return factor
    raise InputError(f"{widefield.name} has no pixel size: give --upscale, the fine pixels per widefield pixel.")


def _open_in_napari(out: Path) -> None:
    # By name: nothing outside the widgets may import napari when it is loaded.
    from ..images.reading import read_image
    from ..widgets.viewer.samples import layer_data

    napari: Any = importlib.import_module("napari")
    viewer = napari.Viewer()
    for name in ("generated", "enhanced"):
        pixels, layer_options, _ = layer_data(read_image(out / f"{name}.tif"), f"{name} (synthetic)")
        viewer.add_image(pixels, **layer_options)
    napari.run()

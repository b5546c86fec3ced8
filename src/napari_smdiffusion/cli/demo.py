"""`smdiffusion demo`."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError
from .flags import add_channel, add_command, print_status

if TYPE_CHECKING:
    from argparse import Namespace

    from ..recipes.demo import DemoJob


def add_demo(commands: Any) -> None:
    """Add the flags of `smdiffusion demo`."""
    parser = add_command(
        commands,
        "demo",
        "run all steps in a few minutes and write one picture of the results",
        "smdiffusion demo --images storm.tif --widefield widefield.tif --upscale 5 --minutes 4",
    )
    parser.add_argument(
        "--out", default="smdiffusion_demo", metavar="DIR", help="folder for the results (default smdiffusion_demo)"
    )
    parser.add_argument(
        "--images", nargs="+", metavar="TIFF", help="super-resolution images (default: the bundled sample)"
    )
    parser.add_argument("--widefield", metavar="TIFF", help="widefield image to enhance")
    parser.add_argument(
        "--reference",
        metavar="TIFF",
        help="super-resolution image of exactly the field of view of --widefield",
    )
    parser.add_argument(
        "--upscale", type=int, metavar="K", help="super-resolution pixels per side of a widefield pixel"
    )
    parser.add_argument("--pixel-size", type=float, metavar="NM", help="pixel size of --images in nm")
    add_channel(parser)
    parser.add_argument(
        "--minutes", type=float, default=3.5, metavar="M", help="training time in minutes (default 3.5)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="seed (default 0)")
    parser.add_argument("--napari", action="store_true", help="open the results in napari")


def demo_job(options: Namespace) -> DemoJob:
    """Return the job that the flags describe."""
    from ..recipes.demo import DemoJob

    return DemoJob(
        images=options.images or (),
        widefield=options.widefield,
        reference=options.reference,
        upscale=options.upscale,
        pixel_size=options.pixel_size,
        channel=options.channel,
        minutes=options.minutes,
        seed=options.seed,
        out=options.out,
    )


def demo(options: Namespace) -> None:
    """Run `smdiffusion demo`."""
    from ..recipes.job import run_job
    from ..report.summary import summary

    if options.napari and importlib.util.find_spec("napari") is None:
        raise InputError("--napari needs napari: pip install 'napari-smdiffusion[all]'.")
    out = Path(options.out)
    for line in summary(run_job(demo_job(options))):
        print_status(line)
    print_status(f"The picture is {out / 'overview.png'}, and the numbers are in {out / 'report.json'}.")
    if options.napari:
        _open_in_napari(out)


def _open_in_napari(out: Path) -> None:
    # importlib, because only modules of the widgets may contain a statement that imports napari.
    from ..images.reading import read_image
    from ..widgets.viewer.samples import layer_data

    napari: Any = importlib.import_module("napari")
    viewer = napari.Viewer()
    for name in ("generated", "enhanced"):
        pixels, layer_options, _ = layer_data(read_image(out / f"{name}.tif"), f"{name} (synthetic)")
        viewer.add_image(pixels, **layer_options)
    napari.run()

"""`smdiffusion train`, `generate` and `import`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError
from ..base.events import run
from ..base.launched import is_first_process
from ..base.stopping import stop_on_interrupt
from ..diffusion.settings import DEFAULT_START, GenerateConfig, ImportConfig, TrainConfig
from ..images.provenance import MADE_BY_MODELS
from .flags import (
    IMAGES,
    MODEL,
    add_allow_computed,
    add_channel,
    add_command,
    add_pixel_size,
    add_region,
    add_settings,
    add_z_range,
    config_from_flags,
    in_slab,
    print_status,
)

if TYPE_CHECKING:
    from argparse import Namespace

    from ..recipes.generate import GenerateJob
    from ..recipes.train_diffusion import TrainJob


def add_train(commands: Any) -> None:
    """Add the flags of `smdiffusion train`."""
    parser = add_command(
        commands,
        "train",
        "train a diffusion model on super-resolution images",
        "smdiffusion train storm.tif --out my-model --minutes 15",
    )
    parser.add_argument("images", nargs="*", metavar="IMAGES", help=IMAGES)
    parser.add_argument(
        "--group",
        action="append",
        default=[],
        metavar="NAME=IMAGES",
        help="instead of IMAGES, for one model of several structures: the name of a structure, and a file or folder of "
        "its images; once for each structure, and again for more files of it",
    )
    parser.add_argument("--out", required=True, metavar="MODEL", help="model folder to write")
    parser.add_argument("--name", metavar="NAME", help="name of the model (default: the name of its folder)")
    parser.add_argument("--resume", action="store_true", help="continue the training that was interrupted in --out")
    parser.add_argument(
        "--start",
        metavar="MODEL",
        help=f"model that the training begins from: {MODEL}; or `none` (default {DEFAULT_START})",
    )
    add_pixel_size(parser)
    add_z_range(parser)
    add_channel(parser)
    add_allow_computed(parser, "generated and enhanced images")
    add_region(parser, "rectangles of each image that are trained on", several=True)
    add_region(parser, "rectangles of each image that are not trained on", "--held-out", several=True, default="none")
    add_settings(parser, TrainConfig, {"previews"})


def add_generate(commands: Any) -> None:
    """Add the flags of `smdiffusion generate`."""
    parser = add_command(
        commands,
        "generate",
        "generate super-resolution images",
        "smdiffusion generate microtubules --out generated.tif --count 16 --size 512",
    )
    parser.add_argument("model", metavar="MODEL", help=MODEL)
    parser.add_argument("--out", required=True, metavar="FILE", help="TIFF file or OME-Zarr store (.zarr) to write")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the images of an interrupted run in --out; --count may be larger",
    )
    parser.add_argument(
        "--size",
        nargs="+",
        type=int,
        default=[128],
        metavar="PX",
        help="side, or height and width, of an image: multiples of 16, at least 64 (default 128 px)",
    )
    add_settings(parser, GenerateConfig, {"height", "width"})


def add_import(commands: Any) -> None:
    """Add the flags of `smdiffusion import`."""
    parser = add_command(
        commands,
        "import",
        "import a model from a checkpoint of improved_diffusion_for_SMLM",
        "smdiffusion import ema_0.9999_030000.pt --out my-model --pixel-size 20",
    )
    parser.add_argument("checkpoint", metavar="CHECKPOINT.pt", help="a file ema_0.9999_NNNNNN.pt or modelNNNNNN.pt")
    parser.add_argument("--out", required=True, metavar="MODEL", help="model folder to write")
    add_settings(parser, ImportConfig)


def _training_images(options: Namespace) -> Any:
    """Return the files to train on: those of one structure, or of each structure by its name.

    Raises
    ------
    InputError
        If neither IMAGES nor --group is given, or both are, or a group has no name or no file.
    """
    left_out = () if options.allow_computed else MADE_BY_MODELS
    if not options.images and not options.group:
        raise InputError(
            "No image was given: name the images of one structure, or --group NAME=IMAGES for each of several."
        )
    if options.images and options.group:
        raise InputError(
            f"{options.images[0]} is given without the name of its structure, beside --group: write NAME= before each "
            "file, with a --group of its own."
        )
    if not options.group:
        return in_slab(options.images, options, left_out)
    groups: dict[str, list[str]] = {}
    for text in options.group:
        name, _, path = text.partition("=")
        if not name.strip() or not path:
            raise InputError(f"--group must be NAME=IMAGES, such as microtubules=a.tif, not {text}.")
        groups.setdefault(name.strip(), []).append(path)
    return {name: in_slab(paths, options, left_out) for name, paths in groups.items()}


def train_job(options: Namespace) -> TrainJob:
    """Return the job that the flags describe."""
    from ..recipes.train_diffusion import TrainJob

    return TrainJob(
        images=_training_images(options),
        settings=config_from_flags(TrainConfig, options, previews=0),
        start=None if options.start == "none" else options.start or "default",
        out=options.out,
        name=options.name,
        resume=options.resume,
        pixel_size=options.pixel_size,
        channel=options.channel,
        allow_computed=options.allow_computed,
        region=options.region,
        held_out=options.held_out,
    )


def train(options: Namespace) -> None:
    """Run `smdiffusion train`."""
    from ..recipes.job import run_job
    from ..recipes.outcome import outcome
    from ..store.card import quoted

    if not is_first_process():
        with stop_on_interrupt() as stop:
            run(train_job(options).steps(stop))
        return
    model = run_job(train_job(options))
    out = Path(options.out)
    print_status(outcome(f"the model {model.name}", model.facts, "The same command with --resume goes on with it."))
    chosen = f" --structure {quoted(model.structures[0])}" if model.structures else ""
    print_status(f"The model is in {out}. Next: smdiffusion generate {out}{chosen} --out generated.tif")


def generate_job(options: Namespace) -> GenerateJob:
    """Return the job that the flags describe."""
    from ..recipes.generate import GenerateJob

    if len(options.size) > 2:
        raise InputError(f"--size takes one number (side) or two (height and width), not {len(options.size)}.")
    height, width = options.size[0], options.size[-1]
    settings = config_from_flags(GenerateConfig, options, height=height, width=width)
    return GenerateJob(options.model, settings, options.out, options.resume)


def generate(options: Namespace) -> None:
    """Run `smdiffusion generate`."""
    from ..recipes.job import run_job

    images = run_job(generate_job(options))
    height, width = images.size
    these = "1 synthetic image" if len(images) == 1 else f"{len(images)} synthetic images"
    print_status(f"{these} of {height} × {width} pixels {'is' if len(images) == 1 else 'are'} in {options.out}.")


def import_(options: Namespace) -> None:
    """Run `smdiffusion import`."""
    from ..store.folder import check_place, training_lock

    config = config_from_flags(ImportConfig, options)
    out = Path(options.out)
    from ..base.folders import user_folder
    from ..diffusion.imported import import_checkpoint

    checkpoint = Path(options.checkpoint)
    check_place(out, needed=2 * checkpoint.stat().st_size if checkpoint.is_file() else 0)
    with training_lock(out):
        model = import_checkpoint(checkpoint, config, name=out.absolute().name)
        model.save(out)
    size = model.config.patch
    print_status(
        f"The model is in {out}. It was trained on images of {size} × {size} pixels. "
        f"Next: smdiffusion generate {out} --out generated.tif --size {size}"
    )
    listed_folder = user_folder() / "diffusion"
    if out.absolute().parent != listed_folder.absolute():
        print_status(f"To list the model in the docks of napari, move it to {listed_folder / out.name}.")

"""`smdiffusion train-enhancer`, `enhance`, `calibrate` and `export`."""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError, Stopped, is_user_error
from ..diffusion.settings import DEFAULT_START
from ..enhance.settings import EnhanceConfig, EnhancerConfig
from ..images.provenance import RESULT_KINDS, join_names
from ..microscope.settings import MicroscopeConfig
from ..recipes.outputs import check_writable
from ..structures.registry import STRUCTURES
from ..structures.settings import LabellingConfig
from .flags import (
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
    from argparse import ArgumentParser, Namespace

    from ..recipes.calibrate import CalibrateJob
    from ..recipes.enhance import EnhanceJob
    from ..recipes.train_enhancer import TrainEnhancerJob


def add_train_enhancer(commands: Any) -> None:
    """Add the flags of `smdiffusion train-enhancer`."""
    parser = add_command(
        commands,
        "train-enhancer",
        "train an enhancer of widefield images on super-resolution images",
        "smdiffusion train-enhancer generated.tif --out my-enhancer --upscale 5 --na 1.4 --wavelength 670",
    )
    parser.add_argument(
        "images",
        nargs="*",
        metavar="IMAGES",
        help="super-resolution images: TIFF files, folders of them (enhanced images and maps are skipped), or "
        "localization tables",
    )
    parser.add_argument("--out", required=True, metavar="MODEL", help="model folder to write")
    parser.add_argument("--name", metavar="NAME", help="name of the enhancer (default: the name of its folder)")
    parser.add_argument("--resume", action="store_true", help="continue the training that was interrupted in --out")
    parser.add_argument(
        "--weights",
        nargs="+",
        type=float,
        metavar="W",
        help="how often patches are drawn from each image, relative to the others (default: by its number of pixels)",
    )
    parser.add_argument(
        "--widefield",
        nargs="+",
        metavar="TIFF",
        help="train on real pairs: one widefield image for each super-resolution image, in the same order, of the same "
        "or a larger field of view",
    )
    parser.add_argument(
        "--fit",
        metavar="TIFF",
        help="widefield image to which blur, haze and noise of the simulated microscope are fitted; for experimental "
        "images",
    )
    parser.add_argument(
        "--simulated",
        nargs="+",
        default=[],
        type=_structure_and_weight,
        metavar="NAME[:WEIGHT]",
        help=f"structures ({', '.join(STRUCTURES)}) whose simulated images are mixed in, with weights relative to "
        "--weights (default 1)",
    )
    _add_starts(parser)
    _add_parts(parser)
    add_settings(parser, EnhancerConfig, {"previews"})
    add_settings(parser.add_argument_group("microscope"), MicroscopeConfig)  # type: ignore[arg-type]  # adds like a parser
    add_settings(parser.add_argument_group("labels of --simulated images"), LabellingConfig)  # type: ignore[arg-type]


def _add_starts(parser: ArgumentParser) -> None:
    """Add the flags for the models that a training begins from."""
    parser.add_argument(
        "--start",
        metavar="MODEL",
        help=f"enhancer of the same --upscale that the training begins from: {MODEL}; or `none` (default)",
    )
    parser.add_argument(
        "--prior",
        default=DEFAULT_START,
        metavar="MODEL",
        help=f"with --method samples: diffusion model whose weights the samples begin with: {MODEL} (default "
        f"{DEFAULT_START})",
    )


def _add_parts(parser: ArgumentParser) -> None:
    """Add the flags for the pixel size and the parts of the training images."""
    add_pixel_size(parser)
    add_allow_computed(parser, "enhanced images and maps")
    add_z_range(parser)
    add_channel(parser)
    add_region(parser, "rectangles of each super-resolution image that are trained on", several=True)
    add_region(
        parser,
        "rectangles of each super-resolution image that are not trained on",
        "--held-out",
        several=True,
        default="none",
    )


def add_enhance(commands: Any) -> None:
    """Add the flags of `smdiffusion enhance`."""
    parser = add_command(
        commands,
        "enhance",
        "enhance widefield images",
        "smdiffusion enhance microtubules widefield.tif --out enhanced.tif --uncertainty",
    )
    parser.add_argument("model", metavar="MODEL", help=MODEL)
    parser.add_argument(
        "widefield", nargs="+", metavar="WIDEFIELD", help="TIFF files, OME-Zarr stores, or folders of them"
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="PATH",
        help="TIFF file or OME-Zarr store (.zarr), or a folder for several images, which also gets the table "
        "enhanced.csv; images whose same result is in the folder are skipped",
    )
    parser.add_argument(
        "--glob",
        default="*",
        metavar="PATTERN",
        help="of a folder, enhance only the TIFF files whose names match, such as 'cell*.tif' (in quotes)",
    )
    parser.add_argument("--resume", action="store_true", help="go on where an interrupted run into --out stopped")
    parser.add_argument(
        "--workers",
        type=int,
        default=0,
        metavar="N",
        help="compute blocks of the results in N processes, one on each GPU where dask-cuda is installed",
    )
    parser.add_argument(
        "--scheduler",
        default="",
        metavar="ADDRESS",
        help="compute blocks of the results on the workers of a dask cluster, such as tcp://node:8786",
    )
    parser.add_argument(
        "--error-map",
        action="store_true",
        help="also write …_error.tif, a map of the disagreement between the result and the widefield image",
    )
    add_pixel_size(parser)
    add_channel(parser)
    add_region(parser, "rectangle of each image that is enhanced")
    add_settings(parser, EnhanceConfig)


def add_calibrate(commands: Any) -> None:
    """Add the flags of `smdiffusion calibrate`."""
    parser = add_command(
        commands,
        "calibrate",
        "calibrate the uncertainty of an enhancer on your own pairs of images",
        "smdiffusion calibrate my-enhancer --pair widefield.tif storm.tif",
    )
    parser.add_argument("model", metavar="ENHANCER", help=MODEL)
    parser.add_argument(
        "--pair",
        nargs=2,
        action="append",
        required=True,
        metavar=("WIDEFIELD", "STORM"),
        help="a widefield image, and the super-resolution image of its field of view or of a part of it. Both have the "
        "pixel sizes of the enhancer. Repeat it for several pairs",
    )
    parser.add_argument(
        "--out",
        metavar="MODEL",
        help="new model folder for the calibrated enhancer; a bundled one needs it (default: the enhancer is replaced)",
    )
    add_channel(parser)


def add_export(commands: Any) -> None:
    """Add the flags of `smdiffusion export`."""
    parser = add_command(
        commands,
        "export",
        "write an enhancer as a bioimage.io package, for other programs",
        "smdiffusion export my-enhancer --out my-enhancer.zip --author 'Ada Lovelace' --license CC-BY-4.0",
    )
    parser.add_argument("model", metavar="MODEL", help=MODEL)
    parser.add_argument("--out", required=True, metavar="FILE.zip", help="zip file to write")
    parser.add_argument("--author", nargs="+", default=[], metavar="NAME", help="authors of the enhancer")
    parser.add_argument("--license", metavar="SPDX", help="SPDX identifier of the licence, such as CC-BY-4.0")


def _structure_and_weight(text: str) -> tuple[str, float]:
    """Return the structure and the weight in `microtubules:0.5`; the default weight is 1."""
    name, colon, weight = text.partition(":")
    try:
        return name, float(weight) if colon else 1.0
    except ValueError:
        raise ArgumentTypeError(f"the weight in {text!r} is not a number: write {name}:0.5, for example.") from None


def train_enhancer_job(options: Namespace) -> TrainEnhancerJob:
    """Return the job that the flags describe."""
    from ..recipes.train_enhancer import TrainEnhancerJob

    return TrainEnhancerJob(
        images=in_slab(options.images, options, () if options.allow_computed else RESULT_KINDS),
        settings=config_from_flags(EnhancerConfig, options, previews=0),
        microscope=config_from_flags(MicroscopeConfig, options),
        weights=options.weights,
        widefield=options.widefield or (),
        fit=options.fit,
        simulated=options.simulated,
        labels=config_from_flags(LabellingConfig, options),
        start=None if options.start == "none" else options.start,
        prior=options.prior,
        out=options.out,
        name=options.name,
        resume=options.resume,
        pixel_size=options.pixel_size,
        channel=options.channel,
        allow_computed=options.allow_computed,
        region=options.region,
        held_out=options.held_out,
    )


def train_enhancer(options: Namespace) -> None:
    """Run `smdiffusion train-enhancer`."""
    from ..recipes.job import run_job
    from ..recipes.outcome import enhancer_outcome

    enhancer = run_job(train_enhancer_job(options))
    print_status(enhancer_outcome(enhancer, "The same command with --resume goes on with it."))
    samples = "" if enhancer.sampler is None else " --samples 8"
    print_status(
        f"The enhancer is in {options.out}. Next: smdiffusion enhance {options.out} widefield.tif --out enhanced.tif"
        f"{samples}"
    )


def enhance_job(options: Namespace) -> EnhanceJob:
    """Return the job that the flags describe."""
    from ..recipes.enhance import EnhanceJob

    return EnhanceJob(
        model=options.model,
        widefield=options.widefield,
        settings=config_from_flags(EnhanceConfig, options),
        error_map=options.error_map,
        out=options.out,
        pixel_size=options.pixel_size,
        channel=options.channel,
        resume=options.resume,
        region=options.region,
        glob=options.glob,
        workers=options.workers,
        scheduler=options.scheduler,
    )


def enhance(options: Namespace) -> None:
    """Run `smdiffusion enhance`."""
    from ..recipes.job import run_job

    result = run_job(enhance_job(options))
    for failure in result.failures:
        if not is_user_error(failure.error):
            raise failure.error
        print_status(failure.sentence)
    if result.stopped:
        raise Stopped(
            f"Stopped: {len(result.images)} of {result.count} images are enhanced. To go on, run the same command "
            "again with --resume."
        )
    if failed := len({failure.index for failure in result.failures}):
        raise InputError(f"{failed} of {result.count} images failed: correct the errors listed above, then try again.")


def calibrate_job(options: Namespace) -> CalibrateJob:
    """Return the job that the flags describe."""
    from ..recipes.calibrate import CalibrateJob

    return CalibrateJob(options.model, options.pair, options.out, options.channel)


def calibrate(options: Namespace) -> None:
    """Run `smdiffusion calibrate`."""
    from ..recipes.job import run_job

    enhancer = run_job(calibrate_job(options))
    print_status(
        f"{enhancer.name} is calibrated on {join_names(enhancer.facts.calibrated_on)}: only its intervals changed."
    )


def export(options: Namespace) -> None:
    """Run `smdiffusion export`."""
    out = Path(options.out)
    if out.suffix.lower() != ".zip":
        raise InputError(f"--out {out} must end in .zip.")
    if out.exists():
        raise FileExistsError(f"{out} exists: name another file, or remove it.")
    check_writable(out)
    from ..enhance.export import export_enhancer
    from ..store.catalogue import find_model
    from ..store.facts import ModelSummary
    from ..store.folder import read_facts

    folder = find_model(options.model, "enhancer")
    export_enhancer(folder, out, authors=options.author, license_id=options.license)
    print_status(f"{out} is a bioimage.io package. Its rdf.yaml describes how other programs run the enhancer.")
    if read_facts(folder, "enhancer", ModelSummary).samples is not None:
        print_status("The package makes best estimates only: it has no sampler.")

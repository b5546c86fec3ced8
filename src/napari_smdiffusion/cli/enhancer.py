"""`smdiffusion train-enhancer`, `enhance` and `export`."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError, is_for_people
from ..base.events import run
from ..base.terminal import Reporter, stop_on_interrupt
from ..enhance.settings import EnhanceConfig, EnhancerConfig
from ..microscope.settings import MicroscopeConfig
from ..recipes.outputs import check_output_file, check_writable
from .flags import MODEL, add_command, add_pixel_size, add_settings, config_from_flags, run_to_end, say

if TYPE_CHECKING:
    from argparse import Namespace

    from ..base.arrays import Pixels
    from ..base.events import Stop
    from ..enhance.applying import ResultPlan
    from ..enhance.model import Enhancer
    from ..images.image import Image


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
        nargs="+",
        metavar="IMAGES",
        help="super-resolution images: TIFF files, folders of them (enhanced images and maps in them are left out), or "
        "localization tables",
    )
    parser.add_argument("--out", required=True, metavar="MODEL", help="model folder to write")
    parser.add_argument("--weights", nargs="+", type=float, metavar="W", help="how often each image is drawn from")
    parser.add_argument(
        "--widefield",
        nargs="+",
        metavar="TIFF",
        help="to train on real pairs: for each super-resolution image, in the same order, the widefield image of the "
        "same field or a larger one",
    )
    parser.add_argument(
        "--fit",
        metavar="TIFF",
        help="a widefield image to fit the microscope to: its blur, haze and noise; for experimental images",
    )
    parser.add_argument(
        "--start",
        metavar="MODEL",
        help=f"begin from this enhancer, of the same --upscale, and not from scratch (`none`): {MODEL}",
    )
    add_pixel_size(parser)
    add_settings(parser, EnhancerConfig, {"previews"})
    add_settings(parser.add_argument_group("microscope"), MicroscopeConfig)  # type: ignore[arg-type]  # adds like a parser


def add_enhance(commands: Any) -> None:
    """Add the flags of `smdiffusion enhance`."""
    parser = add_command(
        commands,
        "enhance",
        "enhance widefield images",
        "smdiffusion enhance microtubules widefield.tif --out enhanced.tif --uncertainty",
    )
    parser.add_argument("model", metavar="MODEL", help=MODEL)
    parser.add_argument("widefield", nargs="+", metavar="WIDEFIELD", help="TIFF files or folders of them")
    parser.add_argument("--out", required=True, metavar="PATH", help="TIFF file; a folder for several images")
    parser.add_argument(
        "--error-map",
        action="store_true",
        help="also map where the result disagrees with its input, beside it as …_error.tif",
    )
    add_pixel_size(parser)
    add_settings(parser, EnhanceConfig)


def add_export(commands: Any) -> None:
    """Add the flags of `smdiffusion export`."""
    parser = add_command(
        commands,
        "export",
        "write an enhancer as a bioimage.io package, for the programs that run such models",
        "smdiffusion export my-enhancer --out my-enhancer.zip --author 'Ada Lovelace' --license CC-BY-4.0",
    )
    parser.add_argument("model", metavar="MODEL", help=MODEL)
    parser.add_argument("--out", required=True, metavar="FILE.zip", help="zip to write")
    parser.add_argument("--author", nargs="+", default=[], metavar="NAME", help="who made it")
    parser.add_argument("--license", metavar="SPDX", help="its licence by SPDX identifier, such as CC-BY-4.0")


def train_enhancer(options: Namespace) -> None:
    """Train an enhancer."""
    from ..images.provenance import RESULT_KINDS
    from ..images.reading import read_image, read_images
    from ..store.folder import check_place

    config = config_from_flags(EnhancerConfig, options, previews=0)
    microscope = config_from_flags(MicroscopeConfig, options)
    images = read_images(options.images, options.pixel_size, RESULT_KINDS)
    coarse = [] if options.widefield is None else [read_image(path) for path in options.widefield]
    if coarse and len(coarse) != len(images):
        raise InputError(f"--widefield names {len(coarse)} images for {len(images)} super-resolution images.")
    out = Path(options.out)
    check_place(out)
    from ..enhance.model import load_enhancer, settings_from, train_enhancer_steps

    start = None if options.start in (None, "none") else load_enhancer(options.start)
    config = settings_from(start, config)
    if options.fit is not None:
        from ..microscope.fit import fit_microscope

        found = fit_microscope(read_image(options.fit), images, microscope, config.upscale)
        say(found.sentence)
        microscope = found.config(microscope)
    run_to_end(
        lambda stop: train_enhancer_steps(
            images,
            config,
            microscope,
            weights=options.weights,
            pairs=list(zip(coarse, images, strict=True)) if coarse else [],
            start=start,
            out=out,
            stop=stop,
        )
    )
    say(f"The enhancer is in {out}. Next: smdiffusion enhance {out} widefield.tif --out enhanced.tif")


def enhance(options: Namespace) -> None:
    """Enhance widefield images."""
    from ..images.provenance import RESULT_KINDS
    from ..images.reading import image_files, mapped_image, read_image
    from ..images.tiff import TIFF_SUFFIXES

    config = config_from_flags(EnhanceConfig, options)
    # Results of an earlier run may lie in the same folder.
    sources = image_files(options.widefield, TIFF_SUFFIXES, left_out=RESULT_KINDS)
    targets = _targets(Path(options.out), sources)
    words = [word for word, wanted in (("uncertainty", config.uncertainty), ("error", options.error_map)) if wanted]
    for target in targets:
        for word in words:
            check_output_file(beside(target, word))
    from ..enhance.applying import planned_results
    from ..enhance.model import load_enhancer

    enhancer = load_enhancer(options.model)
    failed = 0
    with stop_on_interrupt() as stop:
        for source, target in zip(sources, targets, strict=True):
            what = "enhanced"
            try:
                image = read_image(source, options.pixel_size)
                _enhance_one(enhancer, image, config, target, stop)
                say(f"{target} is {source} enhanced ×{enhancer.config.upscale}.")
                if config.uncertainty:
                    meaning = planned_results(enhancer, image, config)[1].provenance.meaning
                    say(f"{beside(target, 'uncertainty')} maps its uncertainty: {meaning}.")
                # Now that the enhanced image is safe.
                if options.error_map:
                    what = "compared with what was made of it"
                    _write_error_map(beside(target, "error"), mapped_image(target), image, stop)
            # One image that cannot be worked with must not cost the others.
            except (ValueError, MemoryError) as error:
                if len(sources) == 1 or not is_for_people(error):
                    raise
                say(f"{source} could not be {what}: {error}")
                failed += 1
    if failed:
        raise InputError(f"{failed} of {len(sources)} images made trouble: what is wrong with each is told above.")


def _targets(out: Path, images: list[Path]) -> list[Path]:
    """Return the file that each image's result is written to."""
    from ..images.tiff import TIFF_SUFFIXES

    if len(images) == 1 and out.suffix.lower() in TIFF_SUFFIXES:
        return [check_output_file(out)]
    if out.suffix.lower() in TIFF_SUFFIXES or out.is_file():
        raise InputError(f"--out {out} must be a folder for {len(images)} images, or end in .tif for one.")
    names = [f"{path.stem}_enhanced.tif" for path in images]
    if len(set(names)) < len(names):
        raise InputError("Two of the widefield images have the same file name: enhance them one after the other.")
    return [check_output_file(out / name) for name in names]


def _enhance_one(enhancer: Enhancer, image: Image, config: EnhanceConfig, target: Path, stop: Stop) -> None:
    """Enhance straight into the files, so that the result may be larger than memory."""
    from ..base.whole_files import check_space
    from ..enhance.applying import enhance_steps
    from ..images.tiff import new_tiff

    factor = enhancer.config.upscale
    check_space(target, (len(image), image.size[0] * factor, image.size[1] * factor), 1 + config.uncertainty)
    with ExitStack() as files:

        def new_array(plan: ResultPlan) -> Pixels:
            path = target if plan.kind == "enhanced" else beside(target, plan.kind)
            return files.enter_context(new_tiff(path, plan.shape, plan.pixel_size, plan.origin, plan.provenance))

        with closing(Reporter()) as report:
            run(enhance_steps(enhancer, image, config, new_array=new_array, stop=stop), report)


def beside(path: Path, word: str) -> Path:
    """Return the path of a map beside a result: `x.tif` gives `x_uncertainty.tif`."""
    return path.with_name(f"{path.stem}_{word}{path.suffix}")


def _write_error_map(path: Path, enhanced: Image, widefield: Image, stop: Stop) -> None:
    from ..images.tiff import write_image
    from ..report.enhanced import EnhancedField, mapped_error_steps

    with closing(Reporter()) as report:
        error = run(mapped_error_steps(EnhancedField(enhanced, widefield), stop), report)
    write_image(path, error)
    rsp = error.provenance.rsp or ()
    agreement = f"{sum(rsp) / len(rsp):.3f}; haze lowers it"
    say(f"{path} maps the disagreement; correlation with the widefield image (RSP) {agreement}.")


def export(options: Namespace) -> None:
    """Write an enhancer as a bioimage.io package."""
    out = Path(options.out)
    if out.suffix.lower() != ".zip":
        raise InputError(f"--out {out} must end in .zip.")
    if out.exists():
        raise FileExistsError(f"{out} exists: name another file, or remove it.")
    check_writable(out)
    from ..enhance.export import export_enhancer
    from ..store.catalogue import find_model

    export_enhancer(find_model(options.model, "enhancer"), out, authors=options.author, license_id=options.license)
    say(f"{out} is a bioimage.io package; what a program must know that runs it stands in its rdf.yaml.")

"""`smdiffusion compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..base.errors import InputError
from ..recipes.outputs import check_output_folder
from .flags import IMAGES, RESULTS_LEFT_OUT, add_command, run_to_end, say

if TYPE_CHECKING:
    from argparse import Namespace


def add_compare(commands: Any) -> None:
    """Add the flags of `smdiffusion compare`."""
    parser = add_command(
        commands,
        "compare",
        "compare generated with experimental images, or judge an enhanced one by its widefield image, or both",
        "smdiffusion compare held_out.tif --generated generated.tif --training storm.tif --out comparison",
    )
    parser.add_argument("experimental", nargs="*", metavar="EXPERIMENTAL", help=IMAGES)
    parser.add_argument("--generated", metavar="FILE.tif", help="generated images, to compare with experimental ones")
    parser.add_argument("--training", nargs="+", metavar="TIFF", help="training images, to look for copies of them")
    parser.add_argument("--enhanced", metavar="FILE.tif", help="an enhanced image, to judge; needs --widefield")
    parser.add_argument(
        "--widefield", metavar="FILE.tif", help="the widefield image that it was made of: the same field"
    )
    parser.add_argument(
        "--reference",
        metavar="FILE.tif",
        help="the super-resolution image of that field, or of a part of it, if there is one",
    )
    parser.add_argument(
        "--uncertainty", metavar="FILE.tif", help="the uncertainty map of the enhanced image; needs --reference"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for comparison.png and report.json")


def compare(options: Namespace) -> None:
    """Compare generated with experimental images, and judge an enhanced one."""
    from ..images.reading import read_image, read_images
    from ..report.compare import compare_steps
    from ..report.enhanced import EnhancedField
    from ..report.summary import summary

    if bool(options.experimental) != (options.generated is not None):
        raise InputError("Name experimental images and --generated ones together: they are compared with each other.")
    if (options.enhanced is None) != (options.widefield is None) or (options.reference and options.enhanced is None):
        raise InputError("Name --enhanced and --widefield together: the two are compared with each other.")
    if options.uncertainty and not options.reference:
        raise InputError("--uncertainty is judged by the super-resolution image of the field: name --reference too.")
    if options.generated is None and options.enhanced is None:
        raise InputError("Name experimental images and --generated ones, or --enhanced and --widefield.")
    experimental = read_images(options.experimental, left_out=RESULTS_LEFT_OUT) if options.experimental else []
    generated = None if options.generated is None else read_image(options.generated)
    enhanced = None
    if options.enhanced is not None:
        others = (read_image(path) if path else None for path in (options.reference, options.uncertainty))
        enhanced = EnhancedField.cropped_to_reference(
            read_image(options.enhanced), read_image(options.widefield), *others
        )
    training = read_images(options.training, left_out=RESULTS_LEFT_OUT) if options.training else []
    out = check_output_folder(options.out)
    report = run_to_end(
        lambda stop: compare_steps(experimental, generated, training, out, enhanced=enhanced, stop=stop)
    )
    for line in summary(report):
        say(line)
    say(f"Look at {out / 'comparison.png'}; the numbers are in {out / 'report.json'}.")

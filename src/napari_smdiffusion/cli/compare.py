"""`smdiffusion compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..images.provenance import MADE_BY_MODELS
from .flags import IMAGES, add_channel, add_command, add_region, add_z_range, in_slab, print_status

if TYPE_CHECKING:
    from argparse import Namespace

    from ..recipes.compare import CompareJob


def add_compare(commands: Any) -> None:
    """Add the flags of `smdiffusion compare`."""
    parser = add_command(
        commands,
        "compare",
        "compare generated with experimental images, or an enhanced image with its widefield image, or both",
        "smdiffusion compare held_out.tif --generated generated.tif --training storm.tif --out comparison",
    )
    parser.add_argument("experimental", nargs="*", metavar="EXPERIMENTAL", help=IMAGES)
    parser.add_argument("--generated", metavar="FILE.tif", help="generated images; need EXPERIMENTAL")
    parser.add_argument("--training", nargs="+", metavar="TIFF", help="training images; copies of them are searched")
    parser.add_argument("--enhanced", metavar="FILE.tif", help="an enhanced image; needs --widefield")
    parser.add_argument("--widefield", metavar="FILE.tif", help="the widefield image that was enhanced")
    parser.add_argument(
        "--reference",
        metavar="FILE.tif",
        help="a super-resolution image of the same field of view, or of a part of it; needs --enhanced",
    )
    parser.add_argument(
        "--uncertainty", metavar="FILE.tif", help="the uncertainty map of the enhanced image; needs --reference"
    )
    add_z_range(parser)
    add_channel(parser)
    add_region(parser, "rectangles of each experimental image that are compared", several=True)
    add_region(
        parser, "rectangle of the widefield image in which the enhanced image is evaluated", "--widefield-region"
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="DIR",
        help="folder for comparison.png and report.json; an earlier report in it is not replaced",
    )


def compare_job(options: Namespace) -> CompareJob:
    """Return the job that the flags describe."""
    from ..recipes.compare import CompareJob

    return CompareJob(
        experimental=in_slab(options.experimental, options, MADE_BY_MODELS),
        generated=options.generated,
        training=in_slab(options.training, options, MADE_BY_MODELS) or (),
        enhanced=options.enhanced,
        widefield=options.widefield,
        reference=in_slab(options.reference, options),
        uncertainty=options.uncertainty,
        out=options.out,
        channel=options.channel,
        region=options.region,
        widefield_region=options.widefield_region,
    )


def compare(options: Namespace) -> None:
    """Run `smdiffusion compare`."""
    from ..recipes.job import run_job

    report = run_job(compare_job(options))
    for verdict in report.overall_verdicts:
        print_status(verdict.text)
        for row in verdict.rows:
            print_status(f"  {row.name}: {row.text}")
    for line in report.sentences:
        print_status(line)
    out = Path(options.out)
    print_status(f"The picture is {out / 'comparison.png'}, and the numbers are in {out / 'report.json'}.")

"""`smdiffusion compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .flags import IMAGES, add_command, say

if TYPE_CHECKING:
    from argparse import Namespace

    from ..recipes.compare import CompareJob


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


def compare_job(options: Namespace) -> CompareJob:
    """Return the comparison that the flags ask for."""
    from ..recipes.compare import CompareJob

    return CompareJob(
        experimental=options.experimental,
        generated=options.generated,
        training=options.training or (),
        enhanced=options.enhanced,
        widefield=options.widefield,
        reference=options.reference,
        uncertainty=options.uncertainty,
        out=options.out,
    )


def compare(options: Namespace) -> None:
    """Compare generated with experimental images, and judge an enhanced one."""
    from ..recipes.job import run_job
    from ..report.summary import summary

    for line in summary(run_job(compare_job(options))):
        say(line)
    out = Path(options.out)
    say(f"Look at {out / 'comparison.png'}; the numbers are in {out / 'report.json'}.")

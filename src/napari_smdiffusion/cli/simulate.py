"""`smdiffusion simulate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..base.errors import InputError
from ..base.settings import setting_fields, to_dict
from ..recipes.outputs import check_output_file
from ..structures.registry import STRUCTURES
from ..structures.settings import LabellingConfig, MicrotubuleConfig
from .flags import add_command, add_settings, config_from_flags, print_status

if TYPE_CHECKING:
    from argparse import Namespace

_WITH_SETTINGS = "microtubules"


def add_simulate(commands: Any) -> None:
    """Add the flags of `smdiffusion simulate`."""
    parser = add_command(
        commands,
        "simulate",
        "simulate super-resolution images of a structure",
        "smdiffusion simulate microtubules --out simulated.tif --count 4 --size 1024 --pixel-size 20",
    )
    parser.add_argument("structure", choices=tuple(STRUCTURES), help="structure to simulate")
    parser.add_argument("--out", required=True, metavar="FILE.tif", help="TIFF file to write")
    parser.add_argument("--count", type=int, default=1, metavar="N", help="number of images (default 1)")
    parser.add_argument("--size", type=int, default=512, metavar="PX", help="side of an image (default 512 px)")
    parser.add_argument("--pixel-size", type=float, default=20.0, metavar="NM", help="pixel size (default 20 nm)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="seed (default 0)")
    add_settings(parser.add_argument_group("labels"), LabellingConfig)  # type: ignore[arg-type]  # adds like a parser
    add_settings(parser.add_argument_group(f"{_WITH_SETTINGS} only"), MicrotubuleConfig)  # type: ignore[arg-type]


def simulate(options: Namespace) -> None:
    """Run `smdiffusion simulate`."""
    from ..images.tiff import write_image
    from ..structures.simulate import simulate as simulated

    out = check_output_file(options.out)
    labels = to_dict(config_from_flags(LabellingConfig, options))
    shape = _shape(options)
    image = simulated(
        options.structure, options.count, options.size, options.pixel_size, options.seed, **labels, **shape
    )
    write_image(out, image)
    these = "1 simulated image" if options.count == 1 else f"{options.count} simulated images"
    print_status(f"{these} of {options.structure} {'is' if options.count == 1 else 'are'} in {out}.")


def _shape(options: Namespace) -> dict[str, Any]:
    """Return the settings of the structure itself, which only microtubules have.

    Raises
    ------
    InputError
        If such a setting was given for another structure.
    """
    if options.structure == _WITH_SETTINGS:
        return to_dict(config_from_flags(MicrotubuleConfig, options))
    for field in setting_fields(MicrotubuleConfig):
        if getattr(options, field.name) != field.default:
            flag = f"--{field.name.replace('_', '-')}"
            raise InputError(f"{flag} is a setting of {_WITH_SETTINGS}, not of {options.structure}: leave it out.")
    return {}

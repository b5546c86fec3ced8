"""The command `smdiffusion`: flags, help and errors. What the commands do is in `commands`.

Nothing heavy is imported before a command is known to be well-formed.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from . import __version__
from .config import (
    DEFAULT_START,
    EnhanceConfig,
    EnhancerConfig,
    GenerateConfig,
    ImportConfig,
    MicroscopeConfig,
    TrainConfig,
)
from .errors import InputWarning
from .progress import is_for_people
from .settings import setting_fields

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 2 for bad input, 130 after Ctrl-C; a defect keeps its traceback."""
    options = _parser().parse_args(arguments)
    from .commands import COMMANDS

    try:
        with _warnings_in_lines(options.command):
            COMMANDS[options.command](options)
    except KeyboardInterrupt:
        return 130
    except InterruptedError as stopped:
        print(f"smdiffusion {options.command}: {stopped}", file=sys.stderr)
        return 130
    except Exception as error:
        if not is_for_people(error):
            raise
        print(f"smdiffusion {options.command}: {_sentence(error)}", file=sys.stderr)
        return 2
    return 0


@contextmanager
def _warnings_in_lines(command: str) -> Iterator[None]:
    """Show warnings for people as one line each on standard error; any other is shown as Python does."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", InputWarning)
        show = warnings.showwarning

        def show_line(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if issubclass(category, InputWarning):
                print(f"smdiffusion {command}: {message}", file=sys.stderr)
            else:
                show(message, category, *where, **more)

        warnings.showwarning = show_line
        yield


def _sentence(error: BaseException) -> str:
    """Return an error as one line, with a setting's name as the flag that it is on the command line."""
    text = " ".join(str(error).split()) or type(error).__name__
    first, _, rest = text.partition(" ")
    settings = {field.name for config in _CONFIGS for field in setting_fields(config)}
    flag = "size" if first in ("height", "width") else first.replace("_", "-")
    return f"--{flag} {rest}" if first in settings and rest.startswith("must") else text


_CONFIGS: tuple[Any, ...] = (
    TrainConfig,
    GenerateConfig,
    ImportConfig,
    EnhancerConfig,
    EnhanceConfig,
    MicroscopeConfig,
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="smdiffusion",
        description="Diffusion models for super-resolution microscopy: train, generate, compare, enhance.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_demo, _train, _generate, _compare, _train_enhancer, _enhance, _simulate, _models, _import, _export):
        add(commands)
    return parser


def _command(commands: Any, name: str, help: str, example: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help,
        description=help[0].upper() + help[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def _settings(parser: argparse.ArgumentParser, config: Any, but: Collection[str] = ()) -> None:
    """Add a flag for each field of a config; its name, type, default, unit and help are the field's."""
    for field in setting_fields(config):
        if field.name in but:
            continue
        unit = f" {field.unit}" if field.unit else ""
        shown = "" if field.default is None else f" (default {_plain(field.default)}{unit})"
        flag, text = f"--{field.name.replace('_', '-')}", f"{field.help}{shown}"
        if field.kind is bool:
            parser.add_argument(flag, action="store_true", help=text)
            continue
        extra: dict[str, Any] = {} if field.length is None else {"nargs": field.length or "+"}
        if field.choices:
            extra["choices"] = field.choices
        else:
            extra["metavar"] = "N" if field.kind is int else "X"
        parser.add_argument(flag, type=field.kind, default=field.default, help=text, **extra)


def _plain(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


_IMAGES = "TIFF files, folders of them (results of this program in them are left out), or localization tables"
_MODEL = "a model folder, or the name of a bundled or saved model"


def _demo(commands: Any) -> None:
    parser = _command(
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


def _train(commands: Any) -> None:
    parser = _command(
        commands,
        "train",
        "train a diffusion model on super-resolution images",
        "smdiffusion train storm.tif --out my-model --minutes 15",
    )
    parser.add_argument("images", nargs="+", metavar="IMAGES", help=_IMAGES)
    parser.add_argument("--out", required=True, metavar="MODEL", help="model folder to write")
    parser.add_argument("--resume", action="store_true", help="continue the run that was cut in --out")
    parser.add_argument(
        "--start",
        metavar="MODEL",
        help=f"begin from this model, or from scratch: `none` (default {DEFAULT_START}): {_MODEL}",
    )
    _pixel_size(parser)
    _settings(parser, TrainConfig, {"previews"})


def _generate(commands: Any) -> None:
    parser = _command(
        commands,
        "generate",
        "generate super-resolution images",
        "smdiffusion generate microtubules --out generated.tif --count 16 --size 512",
    )
    parser.add_argument("model", metavar="MODEL", help=_MODEL)
    parser.add_argument("--out", required=True, metavar="FILE.tif", help="TIFF file to write")
    parser.add_argument(
        "--size",
        nargs="+",
        type=int,
        default=[128],
        metavar="PX",
        help="side, or height and width, multiples of 16 from 64 on (default 128)",
    )
    _settings(parser, GenerateConfig, {"height", "width"})


def _compare(commands: Any) -> None:
    parser = _command(
        commands,
        "compare",
        "compare generated with experimental images, or judge an enhanced one by its widefield image, or both",
        "smdiffusion compare held_out.tif --generated generated.tif --training storm.tif --out comparison",
    )
    parser.add_argument("experimental", nargs="*", metavar="EXPERIMENTAL", help=_IMAGES)
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


def _train_enhancer(commands: Any) -> None:
    parser = _command(
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
        help=f"begin from this enhancer, of the same --upscale, and not from scratch (`none`): {_MODEL}",
    )
    _pixel_size(parser)
    _settings(parser, EnhancerConfig, {"previews"})
    _settings(parser.add_argument_group("microscope"), MicroscopeConfig)  # type: ignore[arg-type]  # adds like a parser


def _enhance(commands: Any) -> None:
    parser = _command(
        commands,
        "enhance",
        "enhance widefield images",
        "smdiffusion enhance microtubules widefield.tif --out enhanced.tif --uncertainty",
    )
    parser.add_argument("model", metavar="MODEL", help=_MODEL)
    parser.add_argument("widefield", nargs="+", metavar="WIDEFIELD", help="TIFF files or folders of them")
    parser.add_argument("--out", required=True, metavar="PATH", help="TIFF file; a folder for several images")
    parser.add_argument(
        "--error-map",
        action="store_true",
        help="also map where the result disagrees with its input, beside it as …_error.tif",
    )
    _pixel_size(parser)
    _settings(parser, EnhanceConfig)


def _simulate(commands: Any) -> None:
    parser = _command(
        commands,
        "simulate",
        "simulate super-resolution images of a structure",
        "smdiffusion simulate microtubules --out simulated.tif --count 4 --size 1024 --pixel-size 20",
    )
    parser.add_argument("structure", choices=("microtubules", "mitochondria"), help="what to simulate")
    parser.add_argument("--out", required=True, metavar="FILE.tif", help="TIFF file to write")
    parser.add_argument("--count", type=int, default=1, metavar="N", help="number of images (default 1)")
    parser.add_argument("--size", type=int, default=512, metavar="PX", help="side of an image (default 512 px)")
    parser.add_argument("--pixel-size", type=float, default=20.0, metavar="NM", help="pixel size (default 20 nm)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="seed (default 0)")


def _models(commands: Any) -> None:
    _command(commands, "models", "list the bundled and the user's models", "smdiffusion models")


def _import(commands: Any) -> None:
    parser = _command(
        commands,
        "import",
        "make a model of a checkpoint of improved_diffusion_for_SMLM",
        "smdiffusion import ema_0.9999_030000.pt --out my-model --pixel-size 20",
    )
    parser.add_argument("checkpoint", metavar="CHECKPOINT.pt", help="an ema_0.9999_NNNNNN.pt or modelNNNNNN.pt")
    parser.add_argument("--out", required=True, metavar="MODEL", help="model folder to write")
    _settings(parser, ImportConfig)


def _export(commands: Any) -> None:
    parser = _command(
        commands,
        "export",
        "write an enhancer as a bioimage.io package, for the programs that run such models",
        "smdiffusion export my-enhancer --out my-enhancer.zip --author 'Ada Lovelace' --license CC-BY-4.0",
    )
    parser.add_argument("model", metavar="MODEL", help=_MODEL)
    parser.add_argument("--out", required=True, metavar="FILE.zip", help="zip to write")
    parser.add_argument("--author", nargs="+", default=[], metavar="NAME", help="who made it")
    parser.add_argument("--license", metavar="SPDX", help="its licence by SPDX identifier, such as CC-BY-4.0")


def _pixel_size(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pixel-size", type=float, metavar="NM", help="pixel size of the images in nm, instead of the files' own"
    )


if __name__ == "__main__":
    sys.exit(main())

"""Converts settings to command-line flags, and flags to settings."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, TypeVar

from ..base.lines import write_status
from ..base.settings import from_dict, setting_fields

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Collection


def add_command(commands: Any, name: str, help: str, example: str) -> argparse.ArgumentParser:
    """Add a command with its help and an example."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help,
        description=help[0].upper() + help[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def add_settings(parser: argparse.ArgumentParser, config: Any, excluded: Collection[str] = ()) -> None:
    """Add a flag for each field of a config, with the name, type, default, unit and help of the field."""
    for field in setting_fields(config):
        if field.name in excluded:
            continue
        unit = f" {field.unit}" if field.unit else ""
        default = "" if field.default in (None, "") else f" (default {_as_typed(field.default)}{unit})"
        flag, text = f"--{field.name.replace('_', '-')}", f"{field.help}{default}"
        if field.kind is bool:
            parser.add_argument(flag, action="store_true", help=text)
            continue
        extra: dict[str, Any] = {} if field.length is None else {"nargs": field.length or "+"}
        if field.choices:
            extra["choices"] = field.choices
        else:
            extra["metavar"] = {int: "N", str: "NAME"}.get(field.kind, "X")
        parser.add_argument(flag, type=field.kind, default=field.default, help=text, **extra)


def _as_typed(value: object) -> str:
    """Return a value as the user types it after a flag."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


IMAGES = "TIFF files, folders of them (results of this program are skipped), or localization tables"
MODEL = "a model folder, or the name of a bundled or saved model"


def add_allow_computed(parser: argparse.ArgumentParser, computed: str) -> None:
    """Add the flag `--allow-computed` for these kinds of computed images."""
    parser.add_argument(
        "--allow-computed", action="store_true", help=f"train on {computed} too; they are refused otherwise"
    )


def add_pixel_size(parser: argparse.ArgumentParser) -> None:
    """Add the flag `--pixel-size`."""
    parser.add_argument(
        "--pixel-size", type=float, metavar="NM", help="pixel size of the images in nm; replaces that of the files"
    )


def add_z_range(parser: argparse.ArgumentParser) -> None:
    """Add the flags `--z-min` and `--z-max`."""
    for flag, which in (("--z-min", "lowest"), ("--z-max", "highest")):
        parser.add_argument(
            flag,
            type=float,
            metavar="NM",
            help=f"{which} z in nm of the molecules of 3-D localization tables (default: all, projected along z)",
        )


def in_slab(sources: Any, options: Namespace, left_out: Collection[str] = ()) -> Any:
    """Return sources in which each localization table is limited to the range of z of the flags.

    Parameters
    ----------
    sources
        A path, a sequence of paths, or None.
    options
        The parsed flags, with those of `add_z_range`.
    left_out
        Kinds of provenance. Files of these kinds in folders are skipped.

    Raises
    ------
    FileNotFoundError
        If a path does not exist.
    InputError
        If the range of z is empty.
    """
    z_range = options.z_min, options.z_max
    if not sources or z_range == (None, None):
        return sources
    from ..images.localizations import TableSlab, is_table
    from ..images.reading import image_files

    def limited(path: str) -> list[Any]:
        files = image_files([path], left_out=left_out)
        tables = [is_table(file) for file in files]
        if not any(tables):
            return [path]  # a folder without tables is still one source
        return [TableSlab(file, *z_range) if table else file for file, table in zip(files, tables, strict=True)]

    if isinstance(sources, str):
        return limited(sources)[0]
    return [source for path in sources for source in limited(path)]


def add_channel(parser: argparse.ArgumentParser) -> None:
    """Add the flag `--channel`."""
    parser.add_argument(
        "--channel", metavar="N|NAME", help="channel of files with several, by its number (the first is 0) or its name"
    )


_Config = TypeVar("_Config")


def add_region(
    parser: argparse.ArgumentParser, text: str, flag: str = "--region", *, several: bool = False, default: str = "all"
) -> None:
    """Add a flag for one rectangle of the images, or for several."""
    parser.add_argument(
        flag,
        type=_rectangle,
        nargs="+" if several else 1,
        default=(),
        metavar="ROW0,ROW1,COL0,COL1",
        help=f"{text}, in pixels: first row, last row + 1, first column, last column + 1; the first pixel is 0 "
        f"(default: {default})",
    )


def _rectangle(text: str) -> tuple[int, ...]:
    """Return the numbers in `0,256,0,512`."""
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 4:
        raise argparse.ArgumentTypeError(f"{text!r} is no region: write four whole numbers, such as 0,256,0,512.")
    return numbers


def print_status(line: str) -> None:
    """Print a line on standard error, if that is possible."""
    write_status(line)


def config_from_flags(kind: type[_Config], options: Namespace, **others: Any) -> _Config:
    """Return a config from the flags with the names of its fields, and from `others`."""
    return from_dict(kind, {**vars(options), **others})

"""Flags that are made from settings, and settings that are made from flags."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any, TypeVar

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


def add_settings(parser: argparse.ArgumentParser, config: Any, but: Collection[str] = ()) -> None:
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


IMAGES = "TIFF files, folders of them (results of this program in them are left out), or localization tables"
MODEL = "a model folder, or the name of a bundled or saved model"


def add_pixel_size(parser: argparse.ArgumentParser) -> None:
    """Add the flag `--pixel-size`."""
    parser.add_argument(
        "--pixel-size", type=float, metavar="NM", help="pixel size of the images in nm, instead of the files' own"
    )


_Config = TypeVar("_Config")


def say(line: str) -> None:
    """Print a line on standard error."""
    print(line, file=sys.stderr, flush=True)


def config_from_flags(kind: type[_Config], options: Namespace, **others: Any) -> _Config:
    """Make a config from the flags that bear its fields' names."""
    return from_dict(kind, {**vars(options), **others})

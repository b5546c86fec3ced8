"""Converts settings to command-line flags, and flags to settings."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, TypeVar

from ..base.lines import say
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
        default = "" if field.default is None else f" (default {_as_typed(field.default)}{unit})"
        flag, text = f"--{field.name.replace('_', '-')}", f"{field.help}{default}"
        if field.kind is bool:
            parser.add_argument(flag, action="store_true", help=text)
            continue
        extra: dict[str, Any] = {} if field.length is None else {"nargs": field.length or "+"}
        if field.choices:
            extra["choices"] = field.choices
        else:
            extra["metavar"] = "N" if field.kind is int else "X"
        parser.add_argument(flag, type=field.kind, default=field.default, help=text, **extra)


def _as_typed(value: object) -> str:
    """Return a value as the user types it after a flag."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


IMAGES = "TIFF files, folders of them (results of this program are skipped), or localization tables"
MODEL = "a model folder, or the name of a bundled or saved model"


def add_pixel_size(parser: argparse.ArgumentParser) -> None:
    """Add the flag `--pixel-size`."""
    parser.add_argument(
        "--pixel-size", type=float, metavar="NM", help="pixel size of the images in nm; replaces that of the files"
    )


_Config = TypeVar("_Config")


def print_status(line: str) -> None:
    """Print a line on standard error, if that is possible."""
    say(line)


def config_from_flags(kind: type[_Config], options: Namespace, **others: Any) -> _Config:
    """Return a config from the flags with the names of its fields, and from `others`."""
    return from_dict(kind, {**vars(options), **others})

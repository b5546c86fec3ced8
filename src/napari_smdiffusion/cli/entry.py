"""The entry point of `smdiffusion`: parses the flags, runs the command, and reports an error in one line.

Each command imports NumPy, torch and the like when it runs, so `--help` and wrong flags need no such import.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError, InputWarning, Stopped, is_user_error, sentence_of
from ..base.launched import processes_started
from ..base.lines import discard_unwritten, open_closed_descriptors, show_text, write_status
from ..base.printable import printable
from ..base.stopping import ending_signals_interrupt
from ..base.version import __version__
from .compare import add_compare, compare
from .demo import add_demo, demo
from .diffusion import add_generate, add_import, add_train, generate, import_, train
from .enhancer import (
    add_calibrate,
    add_enhance,
    add_export,
    add_train_enhancer,
    calibrate,
    enhance,
    export,
    train_enhancer,
)
from .models import add_get, add_models, add_share, get, models, share
from .simulate import add_simulate, simulate

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator, Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    The code is 0 after success, 2 after bad input, and 130 after Ctrl-C. SIGTERM and SIGHUP end a command as Ctrl-C
    does. A defect of the program raises its exception.
    """
    open_closed_descriptors()
    try:
        with ending_signals_interrupt():
            parser = _parser()
            if any("\0" in word for word in arguments or ()):
                parser.error("No name or text holds the character NUL: leave it out.")
            return _run(_with_home_folders(parser.parse_args(arguments)))
    except KeyboardInterrupt:
        return 130
    finally:
        discard_unwritten()


def _run(options: Namespace) -> int:
    """Run the command of parsed flags and return its exit code."""
    try:
        if processes_started() > 1 and options.command != "train":
            raise InputError("Several processes can train a diffusion model only: start this command once.")
        with _warnings_in_lines(options.command):
            COMMANDS[options.command](options)
    except Stopped as stopped:
        write_status(f"smdiffusion {options.command}: {stopped}")
        return 130
    except Exception as error:
        if _follows_interrupt(error):
            return 130
        if not is_user_error(error):
            raise
        write_status(f"smdiffusion {options.command}: {_sentence(error, options)}")
        return 2
    return 0


def _follows_interrupt(error: BaseException) -> bool:
    """Return whether an error was raised because of Ctrl-C, as by a library that is loaded by halves."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, KeyboardInterrupt):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


_NO_PATHS = ("command", "name", "author", "license", "to", "sha256")  # flags whose texts are no paths


def _with_home_folders(options: Namespace) -> Namespace:
    """Return the flags with `~` expanded, which shells leave in `--out=~/x`."""
    for name, value in vars(options).items():
        if name not in _NO_PATHS:
            setattr(options, name, _with_home_folder(value))
    return options


def _with_home_folder(value: Any) -> Any:
    """Return a path, or paths in a list, with `~` expanded; any other value as it is."""
    if isinstance(value, list):
        return [_with_home_folder(v) for v in value]
    return os.path.expanduser(value) if isinstance(value, str) else value


@contextmanager
def _warnings_in_lines(command: str) -> Iterator[None]:
    """Print each warning for the user as one line on standard error; Python shows all other warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", InputWarning)
        show_default = warnings.showwarning

        def show_line(message: Warning | str, category: type[Warning], *args: Any, **kwargs: Any) -> None:
            if issubclass(category, InputWarning):
                write_status(f"smdiffusion {command}: {message}")
            else:
                show_default(message, category, *args, **kwargs)

        warnings.showwarning = show_line
        yield


def _sentence(error: BaseException, options: Namespace) -> str:
    """Return the message of an error as one line; a setting at its beginning is replaced by the flag."""
    text = sentence_of(error) or type(error).__name__
    setting = error.setting if isinstance(error, InputError) else ""
    flag = "size" if setting in ("height", "width") else setting
    if setting and hasattr(options, flag) and text.startswith(setting):
        return f"--{flag.replace('_', '-')}{text[len(setting) :]}"
    return text


class _Parser(argparse.ArgumentParser):
    """A parser whose help and errors can be printed on any terminal."""

    def _print_message(self, message: str, file: Any = None) -> None:
        lines = message.rstrip("\n").split("\n")
        if file is sys.stdout:
            show_text("".join(f"{printable(line)}\n" for line in lines))
            return
        for line in lines:
            write_status(line)


def _parser() -> argparse.ArgumentParser:
    return _parsers()[0]


def command_parsers() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command by its name, for the reference of the flags."""
    return _parsers()[1]


def _parsers() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    parser = _Parser(
        prog="smdiffusion",
        description="Diffusion models for super-resolution microscopy: train, generate, compare, enhance.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (
        add_demo,
        add_train,
        add_generate,
        add_compare,
        add_train_enhancer,
        add_enhance,
        add_calibrate,
        add_simulate,
        add_models,
        add_share,
        add_get,
        add_import,
        add_export,
    ):
        add(commands)
    return parser, dict(commands.choices)


COMMANDS: dict[str, Callable[[Namespace], None]] = {
    "demo": demo,
    "train": train,
    "generate": generate,
    "compare": compare,
    "train-enhancer": train_enhancer,
    "enhance": enhance,
    "calibrate": calibrate,
    "simulate": simulate,
    "models": models,
    "share": share,
    "get": get,
    "import": import_,
    "export": export,
}

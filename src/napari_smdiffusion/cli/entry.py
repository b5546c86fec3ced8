"""The entry point of `smdiffusion`: parses the flags, runs the command, and reports an error in one line.

Each command imports NumPy, torch and the like when it runs, so `--help` and wrong flags need no such import.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError, InputWarning, Stopped, is_user_error
from ..base.printable import printable
from ..base.version import __version__
from .compare import add_compare, compare
from .demo import add_demo, demo
from .diffusion import add_generate, add_import, add_train, generate, import_, train
from .enhancer import add_enhance, add_export, add_train_enhancer, enhance, export, train_enhancer
from .models import add_models, models
from .simulate import add_simulate, simulate

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator, Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    The code is 0 after success, 2 after bad input, and 130 after Ctrl-C. A defect of the program raises its exception.
    """
    options = _parser().parse_args(arguments)

    try:
        with _warnings_in_lines(options.command):
            COMMANDS[options.command](options)
    except KeyboardInterrupt:
        return 130
    except Stopped as stopped:
        print(f"smdiffusion {options.command}: {printable(stopped)}", file=sys.stderr)
        return 130
    except Exception as error:
        if not is_user_error(error):
            raise
        print(f"smdiffusion {options.command}: {_sentence(error, options)}", file=sys.stderr)
        return 2
    return 0


@contextmanager
def _warnings_in_lines(command: str) -> Iterator[None]:
    """Print each warning for the user as one line on standard error; Python shows all other warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", InputWarning)
        show_default = warnings.showwarning

        def show_line(message: Warning | str, category: type[Warning], *args: Any, **kwargs: Any) -> None:
            if issubclass(category, InputWarning):
                print(f"smdiffusion {command}: {printable(message)}", file=sys.stderr)
            else:
                show_default(message, category, *args, **kwargs)

        warnings.showwarning = show_line
        yield


def _sentence(error: BaseException, options: Namespace) -> str:
    """Return the message of an error as one line; a setting at its beginning is replaced by the flag."""
    text = printable(" ".join(str(error).split())) or type(error).__name__
    setting = error.setting if isinstance(error, InputError) else ""
    flag = "size" if setting in ("height", "width") else setting
    if setting and hasattr(options, flag) and text.startswith(setting):
        return f"--{flag.replace('_', '-')}{text[len(setting) :]}"
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
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
        add_simulate,
        add_models,
        add_import,
        add_export,
    ):
        add(commands)
    return parser


COMMANDS: dict[str, Callable[[Namespace], None]] = {
    "demo": demo,
    "train": train,
    "generate": generate,
    "compare": compare,
    "train-enhancer": train_enhancer,
    "enhance": enhance,
    "simulate": simulate,
    "models": models,
    "import": import_,
    "export": export,
}

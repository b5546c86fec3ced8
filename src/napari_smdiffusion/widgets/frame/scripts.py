"""Writes jobs as Python code, for *Copy as Python*."""

from __future__ import annotations

import textwrap
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...base.folders import user_folder
from ..viewer.layer_source import LayerSource
from ..viewer.opening import opening_code

if TYPE_CHECKING:
    from collections.abc import Sequence
    from dataclasses import Field

    from napari.components import ViewerModel


_OURS, _NAPARI = "napari_smdiffusion", "napari_smdiffusion.napari"
_WIDTH = 100  # characters of a line; longer calls are written on several lines
_Imports = dict[str, set[str]]  # names by module, collected while code is written
_LAYERS = "layers"  # among the modules: the names of the layers that the code uses


def job_code(job: Any, after: str = "", uses: Sequence[str] = (), viewer: ViewerModel | None = None) -> str:
    """Return Python code that makes a job and runs it, in napari's console or as a script.

    Parameters
    ----------
    job
        The job. Its layers are written by their names.
    after
        Code that follows. It may use the variable `result`, and with `uses` the variable `viewer`.
    uses
        The functions of `napari_smdiffusion.napari` that `after` uses.
    viewer
        The viewer with the layers of the job. As a script, the code opens their files.
    """
    imports: _Imports = {"pathlib": set(), _OURS: {"run_job"}, _NAPARI: set(uses), _LAYERS: set()}
    constructor = _expression(job, imports)
    layers = sorted(imports.pop(_LAYERS))
    lines = [f"from {module} import {', '.join(sorted(names))}\n" for module, names in imports.items() if names]
    begin = end = ""
    if imports[_NAPARI]:
        lines.insert(bool(imports["pathlib"]), "import napari\n")
        opened = "" if viewer is None else opening_code(viewer, layers)
        new_viewer = "" if opened.startswith("raise") else "viewer = napari.Viewer()\n"
        begin = (
            "viewer = napari.current_viewer()\n"
            "as_script = viewer is None  # outside of napari\n"
            f"if as_script:\n{textwrap.indent(new_viewer + opened, '    ')}"
        )
        end = "if as_script:\n    napari.run()\n" if uses else ""
    return f"{''.join(lines)}\n{begin}job = {constructor}\nresult = run_job(job)\n{after}{end}"


def _expression(value: Any, imports: _Imports, indent: str = "") -> str:
    """Return a value as a Python expression, and add the names that it needs to `imports`."""
    if isinstance(value, LayerSource):
        function = "widefield_source" if value.before_enhancement or value.sides else "layer_image"
        imports[_NAPARI].add(function)
        channel = "" if value.channel is None else f", channel={value.channel!r}"
        channel += "" if value.channel_axis is None else f", channel_axis={value.channel_axis}"
        imports[_LAYERS].add(value.layer)
        part = "" if value.window is None else ".crop({}, {})".format(*value.window)
        return f"{function}(viewer.layers[{value.layer!r}]{channel}){part}"
    if isinstance(value, Path):
        return _path_expression(value, imports)
    if isinstance(value, (tuple, list)):
        parts = [_expression(item, imports, f"{indent}    ") for item in value]
        return _bracketed("(", parts, ")", indent, alone=",")
    if isinstance(value, dict):
        parts = [f"{name!r}: {_expression(item, imports, f'{indent}    ')}" for name, item in value.items()]
        return _bracketed("{", parts, "}", indent)
    if is_dataclass(value) and not isinstance(value, type):
        name = type(value).__name__
        imports[_OURS].add(name)
        changed = {field.name: getattr(value, field.name) for field in fields(value) if _differs(value, field)}
        parts = [f"{key}={_expression(item, imports, f'{indent}    ')}" for key, item in changed.items()]
        return _bracketed(f"{name}(", parts, ")", indent)
    if value is None or isinstance(value, (str, bool, int, float)):
        return repr(value)
    raise TypeError(f"A {type(value).__name__} cannot be written as code.")


def _path_expression(path: Path, imports: _Imports) -> str:
    if path.is_relative_to(user_folder()):
        imports[_OURS].add("user_folder")
        return " / ".join(["user_folder()", *(repr(part) for part in path.relative_to(user_folder()).parts)])
    imports["pathlib"].add("Path")
    return f"Path({str(path)!r})"


def _differs(value: Any, field: Field[Any]) -> bool:
    """Return whether a field of a dataclass has another value than its default."""
    default = field.default if field.default_factory is MISSING else field.default_factory()
    return default is MISSING or bool(getattr(value, field.name) != default)


def _bracketed(begin: str, parts: Sequence[str], end: str, indent: str, alone: str = "") -> str:
    """Return parts in brackets, on one line if it is short. `alone` follows a single part."""
    line = f"{begin}{', '.join(parts)}{alone if len(parts) == 1 else ''}{end}"
    if len(indent + line) <= _WIDTH and "\n" not in line:
        return line
    return "\n".join([begin, *(f"{indent}    {part}," for part in parts), f"{indent}{end}"])

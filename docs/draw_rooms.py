"""Draws `rooms.svg`: the rooms of the package, and which imports from which, read from the source.

python docs/draw_rooms.py
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "napari_smdiffusion"
PICTURE = Path(__file__).with_name("rooms.svg")
# From the top to the bottom, as the contract of import-linter in pyproject.toml has it.
FLOORS = (
    ("cli", "widgets"),
    ("recipes",),
    ("samples",),
    ("enhance",),
    ("report", "microscope", "posterior"),
    ("diffusion", "measure"),
    ("store",),
    ("training", "structures"),
    ("images",),
    ("base",),
)
FOUNDATIONS = ("images", "base")  # nearly every room imports them: drawn as wide as the picture, without arrows
WIDTH, HEIGHT, WIDE, GAP = 1000, 84, 310, 32  # pixels: of the picture, of a room, of a room, between two floors


def rooms() -> tuple[str, ...]:
    """Return the names of all rooms, from the top to the bottom."""
    return tuple(room for floor in FLOORS for room in floor)


def imports(source: Path = SOURCE) -> dict[str, set[str]]:
    """Return for each room the rooms that its files import from; imports for type checkers alone do not count."""
    found: dict[str, set[str]] = {room: set() for room in rooms()}
    for room in found:
        for path in sorted((source / room).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for_types = {
                id(inner)
                for node in ast.walk(tree)
                if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
                for inner in ast.walk(node)
            }
            # One dot is the folder of the file itself.
            depth = len(path.relative_to(source).parts)
            for node in ast.walk(tree):
                if (
                    isinstance(node, ast.ImportFrom)
                    and node.level == depth
                    and node.module
                    and id(node) not in for_types
                ):
                    found[room].add(node.module.partition(".")[0])
        found[room] &= set(found) - {room}
    return found


def svg() -> str:
    """Return the picture."""
    places = _places()
    height = len(FLOORS) * (HEIGHT + GAP) + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#5a7fa6"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
    ]
    arrows = imports()
    for room in rooms():
        if room not in FOUNDATIONS:
            parts += [_arrow(places, room, other) for other in sorted(arrows[room] - set(FOUNDATIONS))]
    parts += [_room(room, *places[room]) for room in rooms()]
    return "\n".join([*parts, "</svg>", ""])


def _places() -> dict[str, tuple[float, float]]:
    """Return the upper left corner of each room, (x, y)."""
    places = {}
    for k, floor in enumerate(FLOORS):
        step = min(453, (WIDTH - WIDE - 40) / max(len(floor) - 1, 1))
        for i, room in enumerate(floor):
            x = WIDTH / 2 + (i - (len(floor) - 1) / 2) * step
            places[room] = (20 if room in FOUNDATIONS else x - WIDE / 2, GAP + k * (HEIGHT + GAP))
    return places


def _arrow(places: dict[str, tuple[float, float]], room: str, other: str) -> str:
    """Return an arrow from a room to one that it imports from, dashed where it leads up."""
    (x, y), (to_x, to_y) = places[room], places[other]
    floors = round((to_y - y) / (HEIGHT + GAP))
    if floors < 0:
        return _arrow_up(x, y, to_x, to_y)
    if floors == 0:
        return _line((x + WIDE, y + HEIGHT / 2), (to_x, to_y + HEIGHT / 2))
    if floors == 1:
        return _line((x + WIDE / 2, y + HEIGHT), (to_x + WIDE / 2, to_y))
    # Around the rooms between, by the side that is nearer.
    right = (x + to_x) / 2 + WIDE / 2 >= WIDTH / 2
    edge = WIDE if right else 0
    start, end = (x + edge, y + HEIGHT * 0.75), (to_x + edge, to_y + HEIGHT * (0.2 + 0.05 * floors))
    reach = (max if right else min)(start[0], end[0]) + (1 if right else -1) * (14 + 20 * floors)
    return _curve(start, end, reach)


def _arrow_up(x: float, y: float, to_x: float, to_y: float) -> str:
    """Return the dashed arrow of a method that is a shortcut for a job."""
    if to_x == x:
        return _line((x + WIDE / 3, y), (to_x + WIDE / 3, to_y + HEIGHT), _DASHED)
    return _curve((x, y + HEIGHT / 4), (to_x, to_y + HEIGHT / 2), min(x, to_x) - 70, _DASHED)


_STROKE = 'fill="none" stroke="#5a7fa6" stroke-opacity="0.55" stroke-width="1.3" marker-end="url(#tip)"'
_DASHED = _STROKE.replace('stroke-width="1.3"', 'stroke-width="1.3" stroke-dasharray="5 4"')


def _line(start: tuple[float, float], end: tuple[float, float], stroke: str = _STROKE) -> str:
    return f'<path d="M{start[0]:.0f} {start[1]:.0f} L{end[0]:.0f} {end[1]:.0f}" {stroke}/>'


def _curve(start: tuple[float, float], end: tuple[float, float], reach: float, stroke: str = _STROKE) -> str:
    return (
        f'<path d="M{start[0]:.0f} {start[1]:.0f} C{reach:.0f} {start[1]:.0f} {reach:.0f} {end[1]:.0f} '
        f'{end[0]:.0f} {end[1]:.0f}" {stroke}/>'
    )


def _room(room: str, x: float, y: float) -> str:
    """Return a room: its name, and the first sentence of its docstring in two lines."""
    text = ast.get_docstring(ast.parse((SOURCE / room / "__init__.py").read_text(encoding="utf-8"))) or ""
    words = re.sub(r"`", "", text.partition("\n\n")[0].replace("\n", " ")).split()
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) > (140 if room in FOUNDATIONS else 46):
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    shown = "".join(
        f'<text x="{x + 12:.0f}" y="{y + 42 + 15 * i:.0f}" font-size="12" fill="#333">{line}</text>'
        for i, line in enumerate(lines[:3])
    )
    wide = WIDTH - 40 if room in FOUNDATIONS else WIDE
    return (
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{wide}" height="{HEIGHT}" rx="8" fill="#eef4fa" stroke="#5a7fa6"/>'
        f'<text x="{x + 12:.0f}" y="{y + 22:.0f}" font-size="16" font-weight="bold" fill="#1c3c5a">{room}/</text>'
        f"{shown}"
    )


if __name__ == "__main__":
    PICTURE.write_text(svg(), encoding="utf-8")

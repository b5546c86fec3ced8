"""Changes of valid files: bytes, directories of TIFF files, trees of JSON, cells of tables."""

import copy
import math
import struct

from hypothesis import strategies as st

_NUMBERS = (0, 1, 2, 3, 7, 8, 255, 256, 2**15, 2**16 - 1, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 10**6, 10**9, 12345)
_VALUES = (
    *(None, True, False, 0, -1, 1, 2, 0.5, -0.5, 1e-300, 1e300, 2**31, 2**63, 10**400, math.nan, math.inf),
    *("", "a", "1", "nan", "\x1b[31m\x00", "ü" * 300, "/dev/zero", "../x"),
    *([], {}, [1], [[]], [None], {"a": 1}, [1, 2, 3], ["a"], [[0.0] * 3] * 3),
)

_CELLS = (
    *("", "nan", "inf", "-1.7e308", "1e300", "9" * 400, "1,5", "1;2"),
    *("x", '"', "#", "\x1b[2J", "\x00", "x [nm]", "ü"),
)
_PLACE = st.floats(0, 1, exclude_max=True)  # of an edit, from the start to the end
# Edits of bytes: (kind, place from 0 to 1, value). Each kind is a case of `changed_bytes`.
_BYTE_EDITS = st.tuples(
    st.sampled_from(("byte", "bytes", "number", "cut", "insert", "double", "swap", "entry")),
    _PLACE,
    st.one_of(st.integers(0, 255), st.sampled_from(_NUMBERS)),
)
byte_edits = st.lists(_BYTE_EDITS, min_size=1, max_size=6)
_VALUE = st.one_of(
    st.sampled_from(_VALUES), st.integers(), st.floats(), st.text(max_size=8), st.lists(st.floats(), max_size=3)
)
tree_edits = st.lists(
    st.tuples(
        st.sampled_from(("set", "set", "set", "delete", "repeat", "nest")), st.floats(0, 1, exclude_max=True), _VALUE
    ),
    min_size=1,
    max_size=3,
)
cell_edits = st.lists(
    st.tuples(
        st.sampled_from(("cell", "cell", "separator", "line", "cut")),
        _PLACE,
        st.sampled_from(
            (
                "",
                "nan",
                "inf",
                "-1.7e308",
                "1e300",
                "x",
                '"',
                "1,5",
                "1;2",
                "#",
                "\x1b[2J",
                "\x00",
                "9" * 400,
                "x [nm]",
                "ü",
            )
        ),
    ),
    min_size=1,
    max_size=5,
)


def changed_bytes(content, edits):
    """Return bytes after some edits."""
    changed = bytearray(content)
    for kind, where, value in edits:
        place = int(where * len(changed))
        if kind == "byte":
            changed[place : place + 1] = bytes([value % 256])
        elif kind == "bytes":
            changed[place : place + 2] = struct.pack("<H", value % 2**16)
        elif kind == "number":
            changed[place : place + 4] = struct.pack("<I", value % 2**32)
        elif kind == "cut":
            del changed[place:]
        elif kind == "insert":
            changed[place:place] = bytes([value % 256]) * (value % 17)
        elif kind == "double":
            changed[place:place] = changed[place : place + 64]
        elif kind == "swap":
            changed[place : place + 8] = changed[place : place + 8][::-1]
        else:
            _change_entry(changed, where, value)
    return bytes(changed)


def _change_entry(content, where, value):
    """Change the type, the count or the value of an entry in the first directory of a TIFF file."""
    if content[:4] != b"II*\0" or len(content) < 16:
        return
    first = struct.unpack("<I", content[4:8])[0]
    if first + 2 > len(content):
        return
    entries = struct.unpack("<H", content[first : first + 2])[0]
    index = int(where * entries * 3)
    place = first + 2 + 12 * (index // 3)
    if place + 12 <= len(content):
        start, width = ((2, 2), (4, 4), (8, 4))[index % 3]
        content[place + start : place + start + width] = struct.pack("<I", value % 2**32)[:width]


def changed_tree(tree, edits):
    """Return nested lists and dictionaries after some edits."""
    changed = [copy.deepcopy(tree)]
    for kind, where, value in edits:
        places = list(_places(changed))
        parent, key = places[int(where * len(places))]
        if kind == "delete" and parent is not changed:
            del parent[key]
        elif kind == "repeat" and isinstance(parent[key], list):
            parent[key] = parent[key] * 3
        elif kind == "nest":
            for _ in range(int(where * 150)):
                parent[key] = [parent[key]]
        else:
            parent[key] = value
    return changed[0]


def _places(tree):
    stack = [tree]
    while stack:
        parent = stack.pop()
        for key in list(parent) if isinstance(parent, dict) else range(len(parent)):
            yield parent, key
            if isinstance(parent[key], (dict, list)):
                stack.append(parent[key])


def changed_table(text, edits):
    """Return a table of text after some edits of cells, separators and lines."""
    lines = [line.split(",") for line in text.splitlines()]
    for kind, where, value in edits:
        row = lines[int(where * len(lines))]
        if kind == "cell" and row:
            row[int(where * 7919) % len(row)] = value
        elif kind == "separator":
            row[:] = [";".join(row)]
        elif kind == "line":
            row[:] = [*row[1:], value]
        else:
            del row[int(where * 7919) % max(len(row), 1) :]
    return "\n".join(",".join(row) for row in lines) + "\n"

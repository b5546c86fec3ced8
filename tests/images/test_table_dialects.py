"""Random ways to write one table: the values are right, or the table is refused. They never land in other columns."""

import random

import numpy as np
import pytest

from napari_smdiffusion.base.errors import InputError
from napari_smdiffusion.images.localizations import read_table

ROW_NAMES = {"numbers": lambda k: str(k + 1), "quoted": lambda k: f'"{k + 1}"', "words": lambda k: f'"w{k}"'}


def random_table(choose, rows):
    """Return a table of random values, (n, 3), and a random text of it; None if the choices exclude each other."""
    decimals, mark, separator = choose((0, 1, 3)), choose("..,"), choose(",;\t|  ")
    unit, factor = choose((("nm", 1), ("µm", 1e-3), ("um", 1e-3)))
    low, high = np.array([(-500, 5000), (2000, 4000), (5, 20)]).T
    values = np.round(np.random.default_rng(choose(range(10**6))).uniform(low, high, (rows, 3)), decimals)
    names = [f"x [{unit}]", f"y [{unit}]", "uncertainty [nm]"]
    digits = decimals if factor == 1 else decimals + 3
    texts = [
        [f"{value * f:.{digits}f}".replace(".", mark) for value, f in zip(row, (factor, factor, 1), strict=True)]
        for row in values
    ]
    extra, row_names, quotes = choose(("", "", "text", "empty", "id")), choose(("", "", *ROW_NAMES)), choose("none all")
    if extra == "text":
        names, texts = [names[0], "note", *names[1:]], [[row[0], "a b", *row[1:]] for row in texts]
    elif extra == "empty":
        names, texts = [*names, "note"], [[*row, ""] for row in texts]
    elif extra == "id":
        names, texts = ["id", *names], [[str(k), *row] for k, row in enumerate(texts)]
    if quotes == "a":
        names, *texts = ([f'"{text}"' for text in row] for row in (names, *texts))
    if row_names:
        texts = [[ROW_NAMES[row_names](k), *row] for k, row in enumerate(texts)]
    if separator != " ":
        names, ends = names + choose(([], [], [""])), choose(([], [], [""], ["", ""]))
        texts = [row + ends for row in texts]
    elif extra in ("text", "empty"):
        return None
    comment = choose(("", "# c, d\n", "% x\n", "\n\n", "Sample; A, 3\n"))
    return values, comment + "\n".join(separator.join(row) for row in (names, *texts)) + "\n", 10.0**-decimals


@pytest.mark.parametrize("seed", range(2))
def test_values_never_land_in_another_column(tmp_path, seed):
    choose, certain = random.Random(seed).choice, 0
    for _ in range(150):
        example = random_table(choose, choose((1, 2, 3, 30)))
        if example is None:
            continue
        values, text, precision = example
        (tmp_path / "a.csv").write_bytes(
            text.replace("\n", choose(("\n", "\r\n", "\r"))).encode(choose(("utf-8-sig", "utf-16", "cp1252")))
        )
        try:
            table = read_table(tmp_path / "a.csv")
        except InputError:
            continue
        read = np.stack([table.x, table.y, table.precision], 1)
        assert read.shape == values.shape, text[:300]
        np.testing.assert_allclose(read, values, atol=0.51 * precision + 1e-6, err_msg=text[:300])
        certain += 1
    assert certain > 70  # most tables are certain

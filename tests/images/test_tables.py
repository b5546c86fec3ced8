"""Localization tables as programs and people write them: each value is in its column, or a message states why not."""

import os
from pathlib import Path

import numpy as np
import pytest

from napari_smdiffusion import read_image, read_images
from napari_smdiffusion.base.errors import InputError
from napari_smdiffusion.images import table_text
from napari_smdiffusion.images.localizations import is_table, read_table

NAMES = ("id", "frame", "x [nm]", "y [nm]", "z [nm]", "uncertainty [nm]")
_RNG = np.random.default_rng(1)
VALUES = np.stack([_RNG.uniform(low, high, 12) for low, high in ((-900, 5000), (2000, 4000), (-300, 300), (8, 20))], 1)
ROWS = [[str(k + 1), str(3 * k), *(f"{value:.3f}" for value in row)] for k, row in enumerate(VALUES)]
EXPONENTS = [["1", "1", *(f"{value:.9e}" for value in row)] for row in VALUES]
COMMAS = [[text.replace(".", ",") for text in row] for row in ROWS]


def quoted(texts):
    return [f'"{text}"' for text in texts]


def text_of(separator=",", names=NAMES, rows=ROWS, ending="\n"):
    return ending.join(separator.join(fields) for fields in (names, *rows)) + ending


def scaled(names, *factors):
    """Return a table whose lengths are multiplied by factors."""
    lengths = [[f"{value * factor:.12g}" for value, factor in zip(row, factors, strict=True)] for row in VALUES]
    return text_of(names=("id", *names), rows=[["1", *row] for row in lengths])


DECODE = "# {'xy_unit': 'px', 'px_size': (100.0, 100.0)}\n"
READ = {
    "commas": text_of(),
    "semicolons": text_of(";"),
    "tabs": text_of("\t"),
    "bars": text_of("|"),
    "commas and blanks": text_of(" , "),
    "columns of blanks": text_of("   "),
    "decimal commas between semicolons": text_of(";", rows=COMMAS),
    "decimal commas between tabs": text_of("\t", rows=COMMAS),
    "decimal commas in quotation marks": text_of(",", rows=[quoted(row) for row in COMMAS]),
    "quotation marks": text_of(",", quoted(NAMES), [quoted(row) for row in ROWS]),
    "single quotation marks": text_of(",", rows=[[f"'{text}'" for text in row] for row in ROWS]),
    "a separator at the end of rows": text_of(rows=[[*row, ""] for row in ROWS]),
    "separators at the end of rows": text_of(rows=[[*row, "", ""] for row in ROWS]),
    "a separator at the end of the names": text_of(names=[*NAMES, ""]),
    "names of rows": text_of(",", quoted(NAMES), [[f'"{k + 1}"', *row] for k, row in enumerate(ROWS)]),
    "names of rows without quotation marks": text_of(
        names=NAMES[2:], rows=[[str(k), *row[2:]] for k, row in enumerate(ROWS)]
    ),
    "names of rows that are words": text_of(rows=[[f"row {k}", *row] for k, row in enumerate(ROWS)]),
    "names of rows beside decimal commas": text_of("\t", rows=[[f'"{k}"', *row] for k, row in enumerate(COMMAS)]),
    "an index without a name": text_of(names=["", *NAMES], rows=[[str(k), *row] for k, row in enumerate(ROWS)]),
    "a text column": text_of(names=["file, note", *NAMES], rows=[["a b", *row] for row in ROWS]).replace("file,", "f"),
    "carriage returns": text_of(ending="\r"),
    "carriage returns and line feeds": text_of(ending="\r\n"),
    "a byte order mark": "\ufeff" + text_of(),
    "UTF-16": text_of("\t").encode("utf-16"),
    "a line for Excel": "sep=;\n" + text_of(";", rows=COMMAS),
    "lines about the recording": "Experiment: cell 3\nDate: 1.2.2020\n\n" + text_of(),
    "comments": "# made by hand\n#\n" + text_of().replace("\n", "\n# a comment\n", 1) + "# the end\n",
    "a comment with the names": "# " + text_of(),
    "a comment about the columns": "# x [nm], y [nm]\n" + text_of(),
    "names in a comment above another": "# " + text_of().replace("\n", "\n# exported twice\n", 1),
    "missing values below a comment": text_of(rows=[["0", "0", "NA", "n/a", "none", ""], *ROWS]).replace(
        "\n", "\n# a comment\n", 1
    ),
    "names between blanks in a comment": "# xnm ynm znm locprecnm\n# made by NumPy\n"
    + text_of(rows=[row[2:] for row in ROWS]).partition("\n")[2],
    "a number sign as a name": text_of(names=("#", *NAMES[1:])),
    "empty lines and rows": text_of() + "\n,,,,,\n\n",
    "missing values": text_of(rows=[["0", "0", "NaN", "", "nan", "NA"], *ROWS]),
    "exponents": text_of(rows=EXPONENTS),
    "old exponents": text_of(rows=[[text.replace("e", "D") for text in row] for row in EXPONENTS]),
    "facts below the table": text_of("\t") + "\nVoxelSizeX : 0.16\nROIList : \n",
    "µm": scaled(("x [µm]", "y [um]", "z (micron)", "uncertainty [nm]"), 1e-3, 1e-3, 1e-3, 1),
    "µm in another encoding": scaled(("x [µm]", "y [µm]", "z [µm]", "uncertainty [µm]"), *[1e-3] * 4).encode("latin-1"),
    "metres": scaled(("x [m]", "y [m]", "z [m]", "uncertainty [m]"), *[1e-9] * 4),
    "units after a stroke": scaled(("x / um", "y / um", "z / um", "precision / nm"), 1e-3, 1e-3, 1e-3, 1),
    "stated pixels": "# pixel size: 0.1 um\n"
    + scaled(("x [px]", "y [px]", "z [nm]", "uncertainty [px]"), 0.01, 0.01, 1, 0.01),
    "DECODE in pixels": "# {'xy_unit': 'px', 'px_size': (100.0, 100.0)}\n"
    + scaled(("x", "y", "z", "x_sig"), 0.01, 0.01, 1, 0.01),
    "SMAP": scaled(("xnm", "ynm", "znm", "locprecnm"), 1, 1, 1, 1),
    "Elyra": scaled(("Position X [nm]", "Position Y [nm]", "Position Z [nm]", "Precision [nm]"), 1, 1, 1, 1),
    "Nanoimager": scaled(("X (nm)", "Y (nm)", "Z (nm)", "X precision (nm)"), 1, 1, 1, 1),
    "nm beside pixels": text_of(names=("X (pix)", "Y (pix)", *NAMES[2:])),
    "N-STORM": text_of("\t", ("Channel Name", "X", "Xc", "Yc", "Zc", "Lateral Localization Accuracy")),
}


@pytest.mark.parametrize("name", READ)
def test_each_value_lands_in_its_column(tmp_path, name, monkeypatch):
    path = tmp_path / "table.txt"
    path.write_bytes(READ[name] if isinstance(READ[name], bytes) else READ[name].encode())
    monkeypatch.setattr(table_text, "_BLOCK", 300)  # characters: there are several blocks
    table = read_table(path)
    assert is_table(path)
    np.testing.assert_allclose(np.stack([table.x, table.y, table.z, table.precision], 1), VALUES, rtol=1e-6, atol=1e-3)


REFUSED = {
    "commas for everything": (text_of(rows=COMMAS), "decimal commas cannot be separated by commas"),
    "one decimal comma": (
        text_of(names=("id", "x [nm]", "y [nm]"), rows=[[str(k), "100,5", "7"] for k in range(5)]),
        "decimal commas cannot be separated by commas",
    ),
    "numbered rows that count otherwise": (
        text_of(rows=[[str(7 * k), *row] for k, row in enumerate(ROWS)]),
        "6 columns, but 7 fields in its first row",
    ),
    "numbered rows, or a last column without a name": (
        text_of(rows=[[*row, "1"] for row in ROWS]),
        "not certain which name belongs to which field",
    ),
    "numbered rows, or an empty last column": (
        text_of(names=NAMES[2:], rows=[[str(k), *row[2:-1], ""] for k, row in enumerate(ROWS)]),
        "not certain which name belongs to which field",
    ),
    "numbered rows below names that end in a separator": (
        text_of(";", (*NAMES[2:], ""), [[str(k), *row[2:]] for k, row in enumerate(ROWS)]),
        "not certain which name belongs to which field",
    ),
    "too few columns": (text_of(rows=[row[:-2] for row in ROWS]), "6 columns, but 4 fields in its first row"),
    "a short row": (text_of(rows=[*ROWS[:5], ROWS[5][:4], *ROWS[6:]]), "4 fields in line 7 and 6 in its first row"),
    "a long row": (text_of(rows=[*ROWS[:5], [*ROWS[5], "1"], *ROWS[6:]]), "7 fields in line 7 and 6 in its first row"),
    "a table cut off": (text_of()[:-15], "fields? in line 13 and 6 in its first row"),
    "a word": (text_of(rows=[*ROWS[:5], ["1", "1", "abc", "1", "1", "1"]]), r"in 'x \[nm\]': correct 'abc' in line 7"),
    "two tables": (text_of() * 2, r"correct 'x \[nm\]' in line 14"),
    "thousands": (text_of(";", rows=[["1", "1", "1,234.5", "1.0", "1", "1"]]), "commas and with points"),
    "thousands or decimals": (text_of(";", rows=[["1", "1", "1,234", "12,345", "1", "1"]]), "after thousands"),
    "two columns of one name": (text_of(names=("x [nm]", *NAMES[1:])), "two columns 'x \\[nm\\]'"),
    "no unit": ("x,y\n1,2\n", "does not state the unit of its columns 'x' and 'y'"),
    "an unknown unit": ("x [inch],y [inch]\n1,2\n", r"the column 'x \[inch\]', whose unit is not understood"),
    "pixels of no size": ("x [px],y [px]\n1,2\n", "does not state the size of a pixel"),
    "pixels of an absurd size": ("# pixel size: 0 nm\nx [px],y [px]\n1,2\n", "states a camera pixel of 0 nm"),
    "pixels of two sizes": ("# px_size: (100, 120)\nx [px],y [px]\n1,2\n", "camera pixels of 100 and 120 nm"),
    "z without unit": ("# pixel size: 100\nx [px],y [px],z\n1,2,3\n", "'z', whose unit is not understood"),
    "no names": ("1,2,3\n4,5,6\n", "begins with numbers"),
    "rapidSTORM of one axis": (
        '# <localizations><field identifier="Position-0-0" unit="nanometer"/></localizations>\n1 2\n',
        "save it with both positions",
    ),
    "other columns": ("a;b\n1;2\n", "has the columns a, b: a localization table needs 'x \\[nm\\]'"),
    "escapes": ("\x1b[31ma,b\n1,2\n", r"has the columns \\x1b\[31ma, b"),
    "far away": ("x [nm],y [nm]\n1.7e308,0\n-1.7e308,0\n", "a position of 1.7e\\+308 nm"),
    "nothing": ("\n \n", "is empty"),
    "comments alone": ("# made by hand\n", "has no line with the names of columns: a localization table needs"),
    "binary": (b"a\0b", "is not a text file"),
    "a workbook": (b"\xd0\xcf\x11\xe0\xa1", "is an Excel workbook"),
    "a long line": ("x [nm],y [nm]" + "," * 200_000 + "\n", "has a line of more than"),
    "text below": (text_of() + "\n" + "a few words\n" * 3, "1 field in line 15"),
    "text below the facts": (text_of() + "\nNote: good\n" + "a few words\n" * 3, "text below its table, near line 15"),
    "a long line after many": (
        text_of() + text_of(rows=ROWS * 400).partition("\n")[2] + "1" * 300_000,
        r"has a line of more than 131072 characters: export the table again",
    ),
    "a field over several lines": (
        text_of() + 2 * ('"' + "1" * 100_000 + "\n"),
        "1 field in line 1[45] and 6 in its first row",
    ),
    "rows that are numbered wrongly at the end": (
        text_of(names=NAMES[2:], rows=[[str(k), *ROWS[0][2:]] for k in (*range(600), 700)]),
        "this field does not number its rows",
    ),
}


# Characters: there are several blocks.
_BLOCKS = {"text below the facts": 1, "a long line after many": 200_000}


@pytest.mark.parametrize("name", REFUSED)
def test_an_uncertain_table_is_refused_in_a_sentence(tmp_path, name, monkeypatch):
    path = tmp_path / "table.csv"
    text, message = REFUSED[name]
    if name in _BLOCKS:
        monkeypatch.setattr(table_text, "_BLOCK", _BLOCKS[name])
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=message) as error:
        read_table(path)
    assert str(error.value).startswith(str(path))
    assert str(error.value).endswith(".")


def test_a_precision_in_an_unknown_unit_is_left_out(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(text_of().replace("uncertainty [nm]", "uncertainty [photons]"))
    table = read_table(path)
    np.testing.assert_allclose(table.x, VALUES[:, 0], atol=1e-3)
    assert np.isnan(table.precision).all()


def test_rapidstorm_names_its_columns_in_a_comment(tmp_path):
    field = '<field identifier="{}" syntax="floating point" unit="{}" min="0 m" />'
    names = (("Position-0-0", "micrometer"), ("Position-1-0", "nanometer"), ("ImageNumber-0-0", "frame"))
    header = f"# <localizations>{''.join(field.format(*name) for name in names)}</localizations>\n"
    (tmp_path / "a.txt").write_text(header + "1.5 2000 0\n2.5 3000 1\n")
    table = read_table(tmp_path / "a.txt")
    np.testing.assert_allclose((table.x, table.y), [[1500, 2500], [2000, 3000]])
    assert table.z is None


def test_only_regular_files_are_opened(tmp_path):
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.csv")
    os.mkfifo(tmp_path / "pipe.hdf5")
    for name in ("zero.csv", "pipe.csv", "pipe.hdf5"):
        assert not is_table(tmp_path / name)
        with pytest.raises(InputError, match=r"is a (device|pipe|queue|FIFO).*: choose a regular file"):
            read_image(tmp_path / name)


def test_a_text_in_a_folder_of_images_is_left_alone(tmp_path):
    (tmp_path / "README.txt").write_text("These are x and y.\n")
    (tmp_path / "notes.tsv").write_text("x\ty\n1\t2\n")
    (tmp_path / "locs.txt").write_text(text_of("\t", NAMES[:4], [row[:4] for row in ROWS]))
    assert [Path(image.name).name for image in read_images([tmp_path])] == ["locs.txt"]


@pytest.mark.parametrize("suffix", [".mat", ".json", ".pmx", ".msr", ".xlsx", ".npy", ".png"])
def test_the_sentence_about_other_files_states_what_to_export(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"\1\2\3\4 some bytes")
    with pytest.raises(InputError, match=r"is not read.*: export "):
        read_image(path)

"""The flags for a range of z of localization tables."""

from pathlib import Path

from napari_smdiffusion import TableSlab
from napari_smdiffusion.cli import compare, diffusion, enhancer
from napari_smdiffusion.cli.entry import _parser, main
from napari_smdiffusion.widgets.frame.scripts import job_code

TABLE = "xnm,ynm,znm\n1000,2000,-300\n3000,1500,200\n"


def test_tables_are_limited_to_the_range_and_other_images_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.csv", "folder/b.csv", "folder/c.tif", "images/d.tif"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(TABLE if name.endswith("csv") else "")
    flags = "--out m --z-min -50 --z-max 250"
    b, c = Path("folder/b.csv"), Path("folder/c.tif")
    for command, job in (("train", diffusion.train_job), ("train-enhancer", enhancer.train_enhancer_job)):
        built = job(_parser().parse_args([command, "a.csv", "folder", "images", *flags.split()]))
        assert built.images == (TableSlab(Path("a.csv"), -50, 250), TableSlab(b, -50, 250), c, "images")
        assert "TableSlab(path=Path('a.csv'), z_min=-50.0, z_max=250.0)" in job_code(built)
    arguments = "compare a.csv --generated c.tif --training folder --enhanced e.tif --widefield w.tif --reference a.csv"
    built = compare.compare_job(_parser().parse_args([*arguments.split(), *flags.split()]))
    assert built.experimental == (TableSlab(Path("a.csv"), -50, 250),) == (built.reference,)
    assert built.training == (TableSlab(b, -50, 250), c)
    assert diffusion.train_job(_parser().parse_args(["train", "a.csv", "--out", "m"])).images == ("a.csv",)


def test_a_table_that_is_refused_is_reported_in_one_line_without_escapes(tmp_path, capfd):
    (tmp_path / "a.csv").write_text("\x1b[31mx,y\n1,2\n")
    assert main(["train", str(tmp_path / "a.csv"), "--out", str(tmp_path / "m"), "--steps", "1"]) == 2
    error = capfd.readouterr().err
    assert r"\x1b[31mx, y" in error
    assert "\x1b" not in error
    assert error.count("\n") == 1

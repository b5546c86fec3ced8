"""Each input of any reader gives a result or a sentence, within limits of time and memory.

The suite tries a few hundred inputs, the same each time. A longer search with new inputs is
`SMDIFFUSION_FUZZ_SECONDS=400 pytest tests/fuzz`: an hour in all, as the seconds are those of each test.
"""

import json
import os
import shutil
import time
import warnings
import zipfile
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import tifffile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diffusion.test_imported import Shapes
from fuzz.guard import outcome
from fuzz.mutations import byte_edits, cell_edits, changed_bytes, changed_table, changed_tree, tree_edits
from napari_smdiffusion import DiffusionModel, Enhancer, GetJob, Image, import_checkpoint, list_models, read_image, run
from napari_smdiffusion.cli.entry import main
from napari_smdiffusion.images.reading import read_metadata
from napari_smdiffusion.images.tiff import write_image
from napari_smdiffusion.store.shared_file import CONTENTS, write_shared
from napari_smdiffusion.training.state import TrainingState

DATA = Path(__file__).parents[1] / "data"
CRASHERS = DATA / "crashers"
KINDS = {"diffusion": DiffusionModel, "enhancer": Enhancer}
_FOREVER = float(os.environ.get("SMDIFFUSION_FUZZ_SECONDS", "0"))


def fuzz(strategy, check, examples):
    """Run `check` on inputs of a strategy: `examples` fixed ones, or new ones for the seconds of the environment."""
    end, seed = time.monotonic() + _FOREVER, 0 if not _FOREVER else time.time_ns()
    while True:
        run = settings(
            max_examples=examples, deadline=None, database=None, derandomize=not _FOREVER,
            suppress_health_check=list(HealthCheck), print_blob=False,
        )(given(strategy)(check))  # fmt: skip
        if _FOREVER:
            seed += 1
            run = hypothesis.seed(seed)(run)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run()
        if time.monotonic() >= end:
            return


def _read(path):
    read_metadata(path)
    image = read_image(path)
    assert image.pixels.size


OME = (
    '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels '
    'ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="24" SizeY="24" SizeC="2" SizeZ="3" SizeT="1" '
    'PhysicalSizeX="0.1" PhysicalSizeXUnit="µm"><Channel ID="Channel:0:0" SamplesPerPixel="1"/><TiffData IFD="0" '
    'PlaneCount="6"/></Pixels></Image></OME>'
)


def _tiff_seeds(folder):
    pixels = (np.arange(3 * 24 * 24) % 251).astype(np.uint8).reshape(3, 24, 24)
    write_image(folder / "own.tif", Image(pixels, 20.0, (5.0, 7.0), "a", {"kind": "synthetic", "seed": 3}))
    tifffile.imwrite(
        folder / "imagej.tif", pixels.astype(np.uint16), imagej=True, resolution=(10, 10), metadata={"axes": "ZYX"}
    )
    tifffile.imwrite(folder / "ome.tif", np.repeat(pixels, 2, 0), description=OME.encode(), metadata=None)
    for compression in ("zlib", "lzw", "jpeg", "zstd"):
        tiles = {"compression": compression, "tile": (16, 16)}
        tifffile.imwrite(folder / f"{compression}.tif", np.tile(pixels[0], (2, 2)), **tiles)
    tifffile.imwrite(folder / "shaped.tif", pixels[None].astype(np.float32), photometric="minisblack")
    tifffile.imwrite(folder / "big.tif", pixels, bigtiff=True, byteorder=">", photometric="minisblack", metadata=None)
    return [path.read_bytes() for path in sorted([*folder.glob("*.tif"), *CRASHERS.glob("*.tif")])]


def test_tiff_files(tmp_path):
    seeds, path = _tiff_seeds(tmp_path), tmp_path / "fuzzed.tif"

    def check(index, edits):
        path.write_bytes(changed_bytes(seeds[index], edits))
        outcome(lambda: _read(path))

    fuzz(st.tuples(st.integers(0, len(seeds) - 1), byte_edits), lambda drawn: check(*drawn), 100)


def test_facts_in_tiff_files(tmp_path):
    pixels, path = np.arange(400, dtype=np.uint8).reshape(20, 20), tmp_path / "a.tif"
    provenance = {"kind": "enhanced", "seed": 3, "rse": [0.1], "training_data": []}
    write_image(path, Image(pixels, 20.0, (5.0, 7.0), "a", provenance))
    with tifffile.TiffFile(path) as tiff:
        facts = json.loads(tiff.imagej_metadata["napari_smdiffusion"])

    def check(edits):
        text = json.dumps(changed_tree(facts, edits))
        tifffile.imwrite(path, pixels, description=text.encode(), metadata=None)
        outcome(lambda: _read(path))

    fuzz(tree_edits, check, 40)


_ROWS = "".join(f"{k},{k},{37 * k % 900},{53 * k % 800},{k},9.5\n" for k in range(40))
TABLE = f"id,frame,x [nm],y [nm],z [nm],uncertainty [nm]\n{_ROWS}"
TABLES = (
    TABLE,
    TABLE.replace(",", ";").replace(".5", ",5"),
    "# comment\nxnm,ynm\n" + "1,2\n900,900\n" * 5,
    *(path.read_text(encoding="utf-8", errors="replace") for path in sorted(CRASHERS.glob("*.csv"))),
)
TEXTS = (
    b"Width: 32\nHeight: 32\nFrames: 20\nPixelsize: 130\n---\nGenerated by: Picasso\n",
    *(path.read_bytes() for path in sorted(CRASHERS.glob("*.yaml"))),
)


def test_tables(tmp_path):
    def check(index, edits, raw, suffix):
        path = tmp_path / f"fuzzed{suffix}"
        path.write_bytes(changed_bytes(changed_table(TABLES[index], edits).encode(), raw))
        outcome(lambda: _read(path))

    suffixes = st.sampled_from((".csv", ".csv", ".txt", ".tsv"))
    drawn = st.tuples(st.integers(0, len(TABLES) - 1), cell_edits, st.one_of(st.just([]), byte_edits), suffixes)
    fuzz(drawn, lambda drawn: check(*drawn), 40)


def test_binary_tables(tmp_path):
    h5py = pytest.importorskip("h5py")
    path, sidecar = tmp_path / "fuzzed.hdf5", tmp_path / "fuzzed.yaml"
    rows = np.zeros(20, [("frame", "u4"), ("x", "f4"), ("y", "f4"), ("lpx", "f4"), ("lpy", "f4")])
    rows["x"], rows["y"], rows["lpx"], rows["lpy"] = np.arange(20), np.arange(20) * 7 % 20, 0.1, 0.1
    with h5py.File(path, "w") as file:
        file["locs"] = rows
    seeds = [path.read_bytes(), *(seed.read_bytes() for seed in CRASHERS.glob("*.hdf5"))]

    def check(index, edits, of_text):
        path.write_bytes(changed_bytes(seeds[index], edits) if not of_text else seeds[0])
        text = TEXTS[index % len(TEXTS)]
        sidecar.write_bytes(changed_bytes(text, edits) if of_text else text)
        outcome(lambda: _read(path))

    drawn = st.tuples(st.integers(0, len(seeds) - 1), byte_edits, st.booleans())
    fuzz(drawn, lambda drawn: check(*drawn), 40)


def _use(kind, folder):
    """Load a model and write its facts again, which uses each of them."""
    model = KINDS[kind].load(folder)
    assert json.dumps(model.record.to_json())
    if kind == "diffusion":
        model.generate(1, size=64, steps=2)
    else:
        model.enhance(Image(np.arange(400.0).reshape(20, 20), 100.0))


def test_model_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("SMDIFFUSION_HOME", str(tmp_path))
    files = {kind: tmp_path / kind / "fuzzed" for kind in KINDS}
    for kind, folder in files.items():
        shutil.copytree(DATA / "old" / kind, folder)
    seeds = [(kind, file, (folder / file).read_bytes()) for kind, folder in files.items() for file in _files_of(folder)]

    def check(index, trees, raw, use):
        kind, file, content = seeds[index]
        path = files[kind] / file
        if file.endswith(".json"):
            path.write_text(json.dumps(changed_tree(json.loads(content), trees)))
        else:
            path.write_bytes(changed_bytes(content, raw))
        try:
            outcome(lambda: (_use if use else _load)(kind, files[kind]))
            assert outcome(list_models) == "ok"
        finally:
            path.write_bytes(content)

    drawn = st.tuples(st.integers(0, len(seeds) - 1), tree_edits, byte_edits, st.booleans())
    fuzz(drawn, lambda drawn: check(*drawn), 20)


def _files_of(folder):
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix in (".json", ".safetensors")]


def _load(kind, folder):
    KINDS[kind].load(folder)


@pytest.mark.parametrize("folder", sorted(CRASHERS.glob("folder*")), ids=lambda folder: folder.name)
def test_model_folders_that_failed_once(tmp_path, folder, monkeypatch):
    monkeypatch.setenv("SMDIFFUSION_HOME", str(tmp_path))
    kind = "diffusion" if (folder / "config.json").exists() else "enhancer"
    place = tmp_path / kind / "m"
    shutil.copytree(DATA / "old" / kind, place)
    shutil.copy(folder / "model.json", place)
    if kind == "diffusion":
        shutil.copy(folder / "config.json", place / "weights")
    outcome(lambda: _use(kind, place))
    assert outcome(list_models) == "ok"


def test_checkpoints(tmp_path):
    weights, path = Shapes(32, 32).random(), tmp_path / "fuzzed.pt"
    names = sorted(weights)
    others = (
        torch.zeros(1), torch.zeros(0), torch.tensor(1.0), torch.zeros(1).expand(1000, 1000), torch.eye(3).to_sparse(),
        torch.zeros(3, dtype=torch.int8), torch.empty(3, device="meta"), 3, None, "text", [], {}, float("nan"),
    )  # fmt: skip
    small = tmp_path / "small.pt"
    torch.save({name: weights[name] for name in names[:6]}, small)
    content = small.read_bytes()

    def check(edits, raw, whole):
        changed = dict(weights)
        for kind, where, value in edits:
            name = names[int(where * len(names))]
            if kind == "drop":
                changed.pop(name, None)
            elif kind == "rename":
                changed[f"input_blocks.{value}.0.op.weight"] = changed.pop(name, None)
            elif kind == "cut" and isinstance(changed.get(name), torch.Tensor):
                changed[name] = changed[name][..., : value % 5]
            else:
                changed[name] = others[value % len(others)]
        if whole:
            torch.save(changed, path)
        else:
            path.write_bytes(changed_bytes(content, raw))
        outcome(lambda: import_checkpoint(path))

    edits = st.lists(
        st.tuples(
            st.sampled_from(("drop", "rename", "cut", "set")), st.floats(0, 1, exclude_max=True), st.integers(0, 10**9)
        ),
        min_size=1,
        max_size=3,
    )
    drawn = st.tuples(edits, byte_edits, st.sampled_from((True, False, False, False)))
    fuzz(drawn, lambda drawn: check(*drawn), 20)


def test_training_states():
    network = torch.nn.Linear(2, 2)
    saved = TrainingState(network, 1e-3)
    for weights in network.parameters():
        weights.grad = torch.ones_like(weights)
    saved.update()
    tree = _listed(saved.state_dict())

    def check(edits):
        changed = _with_tensors(changed_tree(tree, edits))
        state = TrainingState(torch.nn.Linear(2, 2), 1e-3)
        outcome(lambda: state.load_state_dict(changed))
        assert all(bool(torch.isfinite(value).all()) for value in state.network.parameters())

    fuzz(tree_edits, check, 40)


def _listed(value):
    """Return a state with lists in place of tensors, so that edits reach their values."""
    if isinstance(value, torch.Tensor):
        return {"tensor": value.tolist()}
    if isinstance(value, dict):
        return {key: _listed(part) for key, part in value.items()}
    return [_listed(part) for part in value] if isinstance(value, (list, tuple)) else value


def _with_tensors(value):
    if isinstance(value, dict) and set(value) == {"tensor"}:
        try:
            return torch.tensor(value["tensor"])
        except (TypeError, ValueError, RuntimeError, OverflowError):
            return value["tensor"]
    if isinstance(value, dict):
        return {key: _with_tensors(part) for key, part in value.items()}
    return [_with_tensors(part) for part in value] if isinstance(value, list) else value


def test_shared_models(tmp_path, tiny_model):
    tiny_model.save(tmp_path / "mine")
    path = tmp_path / "a.zip"
    write_shared(tmp_path / "mine", "diffusion", path)
    with zipfile.ZipFile(path) as archive:
        parts = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    tree, content = json.loads(parts[CONTENTS]), path.read_bytes()

    def check(edits, raw, in_bytes):
        if in_bytes:
            path.write_bytes(changed_bytes(content, raw))
        else:
            text = json.dumps(changed_tree(tree, edits)).encode()
            with zipfile.ZipFile(path, "w") as archive:
                for name, part in {**parts, CONTENTS: text}.items():
                    archive.writestr(name, part)
        kept = set(tmp_path.rglob("*"))
        if outcome(lambda: run(GetJob(path).steps())) != "ok":
            assert not {file for file in set(tmp_path.rglob("*")) - kept if file.is_file()}

    fuzz(st.tuples(tree_edits, byte_edits, st.booleans()), lambda drawn: check(*drawn), 30)


WORDS = (
    *(
        "share",
        "get",
        "models",
        "simulate",
        "generate",
        "enhance",
        "compare",
        "import",
        "export",
        "microtubules",
        "mitochondria",
    ),
    *("--out", "--size", "--steps", "--count", "--seed", "--pixel-size", "--generated", "--tile", "--json", "--help"),
    *(
        "-1",
        "0",
        "64",
        "1e400",
        "nan",
        "x",
        "",
        "a/b",
        "x\x00y",
        "\x1b[31m",
        "ü",
        "~",
        "..",
        "/dev/null",
        "--",
        "-",
    ),
)


def test_command_lines(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMDIFFUSION_HOME", str(tmp_path))

    def check(words):
        def run():
            code = None
            try:
                main(words)
            except SystemExit as end:  # of argparse
                code = end.code
            assert code in (None, 0, 2)

        outcome(run)
        output = "".join(capfd.readouterr())
        assert "Traceback" not in output
        assert "\x1b" not in output
        assert "\x00" not in output

    for path in CRASHERS.glob("args*.json"):
        check(json.loads(path.read_text(encoding="utf-8")))
    fuzz(st.lists(st.sampled_from(WORDS), max_size=8), check, 60)

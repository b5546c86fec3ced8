"""Files of tensors are checked before memory is taken for the tensors that they state."""

import os
import sys
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from napari_smdiffusion.base.errors import InputError
from napari_smdiffusion.base.tensors import (
    TensorFileError,
    check_plain,
    check_weights,
    load_torch_file,
    read_weights,
    shapes_of,
)

WEIGHTS = {"weight": torch.eye(3), "bias": torch.ones(3)}
SHAPES = {name: value.shape for name, value in WEIGHTS.items()}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_weights_are_read_in_single_precision(tmp_path, dtype):
    save_file({name: value.to(dtype) for name, value in WEIGHTS.items()}, tmp_path / "w")
    read = read_weights(tmp_path / "w", SHAPES)
    assert list(read) == list(SHAPES)
    assert all(value.dtype == torch.float32 and torch.equal(value, WEIGHTS[name]) for name, value in read.items())


def test_the_shapes_of_a_network_need_no_memory():
    with torch.device("meta"):
        network = torch.nn.Linear(10**7, 10**7)
    assert shapes_of(network)["weight"] == (10**7, 10**7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bias": None}, "its tensor bias is missing"),
        ({"more": torch.ones(2)}, "its tensor more does not belong to the network"),
        ({"bias": torch.ones(4)}, r"its tensor bias has the shape \[4\], not \[3\]"),
        ({"bias": torch.ones(1)}, r"its tensor bias has the shape \[1\], not \[3\]"),
        ({"bias": torch.ones(3, dtype=torch.int32)}, "its tensor bias has the type I32"),
        ({"bias": torch.ones(3, dtype=torch.complex64)}, "its tensor bias has the type C64"),
        ({"bias": torch.ones(3).to(torch.float8_e4m3fn)}, "its tensor bias has the type F8_E4M3"),
        ({"bias": torch.tensor([1.0, float("nan"), 2.0])}, "its tensor bias has values that are not finite"),
        ({"bias": torch.tensor([1.0, float("-inf"), 2.0])}, "its tensor bias has values that are not finite"),
        ({"bias": torch.tensor([1.0, 1e30, 2.0])}, "its tensor bias has values from 1 to 1e[+]30"),
        ({"bias": torch.tensor([1.0, -2e5, 2.0])}, "its tensor bias has values from -2e[+]05 to 2"),
    ],
)
def test_other_weights_are_refused(tmp_path, change, message):
    changed = {name: value for name, value in {**WEIGHTS, **change}.items() if value is not None}
    save_file(changed, tmp_path / "w")
    with pytest.raises(TensorFileError, match=message):
        read_weights(tmp_path / "w", SHAPES)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_pipes_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "w")
    for read in (load_torch_file, lambda path: read_weights(path, SHAPES)):
        with pytest.raises(InputError, match="is a pipe"):
            read(tmp_path / "w")


@pytest.mark.parametrize(
    "value",
    [
        torch.eye(3).to_sparse(),
        torch.empty(3, device="meta"),
        torch.zeros(3).to(torch.float8_e4m3fn),
        torch.zeros(3, dtype=torch.complex64),
        torch.zeros(3, dtype=torch.int64),
        torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
        torch.zeros(1).expand(9),
        torch.nn.Buffer(torch.ones(2)).as_subclass(type("Own", (torch.Tensor,), {})),
    ],
)
def test_tensors_that_are_not_plain_are_refused(value):
    with pytest.raises(TensorFileError, match="its tensor odd"):
        check_plain("odd", value)


def test_transposed_and_cut_tensors_are_plain():
    check_plain("a", torch.ones(2, 3).T)
    check_plain("a", torch.ones(9)[3:5])
    check_plain("a", torch.nn.Parameter(torch.ones(2)))
    check_weights({"empty": torch.ones(0), "a": torch.full((2,), -1e4)})


def test_a_file_with_more_values_than_bytes_is_refused(tmp_path):
    torch.save({"a": torch.ones(100), "b": [torch.ones(3)]}, tmp_path / "whole.pt")
    assert torch.equal(load_torch_file(tmp_path / "whole.pt")["a"], torch.ones(100))
    shared = torch.ones(1000)
    for content in (torch.zeros(1).expand(10**5, 10**5), [shared[:] for _ in range(1000)], {"a": torch.ones(10**6)}):
        torch.save(content, tmp_path / "many.pt")
        if isinstance(content, dict):  # torch stores its archives, and reads compressed ones too
            _compress(tmp_path / "many.pt")
        with pytest.raises(TensorFileError, match=r"MB, and the file"):
            load_torch_file(tmp_path / "many.pt")


def _compress(path):
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def test_endless_containers_are_refused(tmp_path):
    deep, wide = [], [1]
    for _ in range(40):
        deep, wide = [deep], [wide] * 10
    for content in (deep, wide[0][0]):
        torch.save(content, tmp_path / "odd.pt")
        with pytest.raises(TensorFileError, match=r"nested too deeply|far more values"):
            load_torch_file(tmp_path / "odd.pt")

"""Reading of tensors from files, bounded by the size of the file: safetensors, and torch's own files.

A file is checked before memory is taken for its tensors. Their names, shapes and types must be the expected ones, and
their bytes must fit into the file.
"""

from __future__ import annotations

import math
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open

from .errors import InputError
from .printable import printable
from .regular_files import check_regular, open_regular
from .stored_weights import SCALE, from_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

# No trained network comes near; the states of Adam and the sums of losses do not either.
_LARGEST_WEIGHT = 1e4
_WEIGHT_TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_STORED_TYPES = ("F16", "BF16", "F32", "F64")  # the same in safetensors
_BYTE = "I8"
_DEEPEST = 32  # levels of nested containers in a file of torch
_MOST_PARTS = 10**6  # containers and values in a file of torch; a tensor is one of them


class TensorFileError(InputError):
    """A file does not hold the expected tensors.

    The message is a clause with the reason, such as "its tensor conv_in.bias is missing". The caller names the file.
    """


def read_weights(path: Path, shapes: Mapping[str, torch.Size]) -> dict[str, torch.Tensor]:
    """Return the weights of a network from a safetensors file, each in float32 and in memory of its own.

    Weights in 8 bits are multiplied by their factors; see `stored_weights`.

    Parameters
    ----------
    path
        The file.
    shapes
        Shape of each tensor of the network by name; the file must have these tensors and no others.

    Raises
    ------
    TensorFileError
        If a tensor is missing, superfluous, of another shape or type, or has values that no network has.
    InputError
        If `path` is no regular file.
    OSError, SafetensorError
        If the file is missing or damaged.
    """
    with open_regular(path) as opened, safe_open(_readable(path, opened), framework="pt", device="cpu") as file:
        factors = {name: torch.Size(shape[:1]) for name, shape in shapes.items() if _in_bytes(file, name)}
        expected = {**shapes, **{name + SCALE: shape for name, shape in factors.items()}}
        check_names(file.keys(), expected)
        for name, shape in expected.items():
            stored = file.get_slice(name)
            if list(shape) != stored.get_shape():
                raise TensorFileError(f"its tensor {name} has the shape {stored.get_shape()}, not {list(shape)}")
            if name not in factors and stored.get_dtype() not in _STORED_TYPES:
                raise TensorFileError(f"its tensor {name} has the type {stored.get_dtype()}, not float32 or float16")
        weights = {
            name: from_bytes(file.get_tensor(name), file.get_tensor(name + SCALE))
            if name in factors
            else file.get_tensor(name).to(torch.float32, copy=True)
            for name in shapes
        }
    check_weights(weights)
    return weights


def _in_bytes(file: Any, name: str) -> bool:
    """Return whether a tensor of an open safetensors file is stored in 8 bits; False if it is missing."""
    return name in file.keys() and file.get_slice(name).get_dtype() == _BYTE  # noqa: SIM118  # no mapping


def _readable(path: Path, opened: BinaryIO) -> Path:
    """Return a path that safetensors can open: it takes no names that are not UTF-8, which an old drive may have."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return Path(f"/dev/fd/{opened.fileno()}")
    return path


def shapes_of(network: torch.nn.Module) -> dict[str, torch.Size]:
    """Return the shape of each tensor of a network, which may be on the device "meta", by name."""
    return {name: value.shape for name, value in network.state_dict().items()}


def check_names(names: Iterable[str], wanted: Mapping[str, torch.Size]) -> None:
    """Raise a TensorFileError unless the names of the tensors are those of the network."""
    present = set(names)
    if missing := sorted(wanted.keys() - present):
        raise TensorFileError(f"its tensor {missing[0]} is missing")
    if more := sorted(present - wanted.keys()):
        raise TensorFileError(f"its tensor {printable(more[0], 80)} does not belong to the network")


def check_weights(weights: Mapping[str, torch.Tensor]) -> None:
    """Raise a TensorFileError for the first tensor with NaN, infinite or absurdly large values."""
    for name, value in weights.items():
        if not value.numel():
            continue
        low, high = (float(limit) for limit in value.detach().aminmax())  # NaN if there is any
        if not (low >= -_LARGEST_WEIGHT and high <= _LARGEST_WEIGHT):
            finite = math.isfinite(low) and math.isfinite(high)
            kind = f"values from {low:.3g} to {high:.3g}" if finite else "values that are not finite"
            raise TensorFileError(f"its tensor {printable(name, 80)} has {kind}, which no trained network has")


def check_plain(name: str, value: torch.Tensor, types: Iterable[torch.dtype] = _WEIGHT_TYPES) -> None:
    """Raise a TensorFileError unless a tensor is dense, on the CPU, of one of `types`, and fills its own memory.

    Tensors of other kinds (sparse, quantized, without data) have no values that all functions can read. One whose
    strides repeat values, as after `expand`, has more values than memory, and grows when it is copied.
    """
    name = printable(name, 80)
    # The type comes first: the properties of other classes than Tensor and Parameter may be anything.
    if type(value) not in (torch.Tensor, torch.nn.Parameter):
        raise TensorFileError(f"its tensor {name} is a {type(value).__name__}, which no network of this kind has")
    kind = str(value.dtype).removeprefix("torch.")
    if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized or value.is_nested:
        raise TensorFileError(f"its tensor {name} is sparse, quantized or without data, which this program cannot read")
    if value.dtype not in tuple(types):
        raise TensorFileError(f"its tensor {name} has the type {kind}, which this program cannot read")
    if value.is_conj() or value.is_neg() or value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise TensorFileError(f"its tensor {name} has more values than are stored in the file")


def load_torch_file(path: Path) -> Any:
    """Return the content of a file of `torch.save`: tensors, numbers, text and containers of them.

    No code in the file is executed. Tensors need not be plain; see `check_plain`.

    Raises
    ------
    TensorFileError
        If its tensors would take more memory than the file has bytes, or its containers are nested too deeply.
    InputError
        If `path` is no regular file.
    OSError, and errors of many kinds
        If the file is missing, or no file of torch.
    """
    check_regular(path)
    size = path.stat().st_size
    _check_archive(path, size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of old formats; other files are refused by the caller
        content = torch.load(path, weights_only=True, map_location="cpu")
    # The tensors of a file may share memory: each is small, and all copies together are not.
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors_in(content))
    if total > size:
        raise TensorFileError(f"its tensors have {total / 1e6:.3g} MB, and the file {size / 1e6:.3g} MB")
    return content


def _check_archive(path: Path, size: int) -> None:
    """Raise a TensorFileError for an archive whose files are larger than itself; torch never compresses them."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        total = sum(entry.file_size for entry in archive.infolist())
    if total > size:
        raise TensorFileError(f"its parts unpack to {total / 1e6:.3g} MB, and the file has {size / 1e6:.3g} MB")


def tensors_in(content: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors in nested containers; raises TensorFileError if there are too many, or too deep ones.

    A file can refer to one container many times, so that the parts are counted and not the bytes of the file.
    """
    level, parts = [content], 0
    for _ in range(_DEEPEST):
        inner: list[Any] = []
        for part in level:
            if isinstance(part, torch.Tensor):
                yield part
            elif isinstance(part, Mapping):
                inner += part.values()
            elif isinstance(part, (list, tuple, set)):
                inner += part
            if parts + len(inner) > _MOST_PARTS:
                raise TensorFileError("it has far more values than a network")
        parts += len(inner)
        level = inner
        if not level:
            return
    raise TensorFileError("its content is nested too deeply")

"""Weights in 32, 16 and 8 bits: what comes back, and what is refused."""

import pytest
import torch
from safetensors.torch import load, save

from napari_smdiffusion.base.stored_weights import SCALE, stored_weights
from napari_smdiffusion.base.tensors import TensorFileError, read_weights


def _weights():
    random = torch.Generator().manual_seed(0)
    large = torch.randn(8, 500, 3, 3, generator=random) * torch.logspace(-3, 1, 8)[:, None, None, None]
    large[2] = 0
    return {"large": large, "offset": torch.randn(8, generator=random), "small": torch.randn(2, 3, generator=random)}


def _read(path, stored, weights):
    path.write_bytes(save(stored))
    return read_weights(path, {name: value.shape for name, value in weights.items()})


@pytest.mark.parametrize(("bits", "most"), [(32, 0.0), (16, 2**-11), (8, 1 / 254)])
def test_weights_come_back_within_the_error_of_their_bits(tmp_path, bits, most):
    """The error is relative to the largest weight of the output channel."""
    weights = _weights()
    found = _read(tmp_path / "w", stored_weights(weights, bits), weights)
    for name, value in weights.items():
        largest = value.abs().flatten(1).amax(1).clamp(min=1e-9) if value.dim() > 1 else value.abs().amax()
        error = (found[name] - value).abs() / largest.reshape(-1, *[1] * (value.dim() - 1))
        assert found[name].dtype == torch.float32
        assert float(error.max()) <= 1.001 * max(most, 2**-11 if bits == 8 and name != "large" else most)
    assert torch.equal(found["large"][2], weights["large"][2])


def test_eight_bits_take_a_quarter_of_the_room():
    sizes = {bits: len(save(stored_weights({"w": torch.ones(64, 64, 3, 3)}, bits))) for bits in (32, 16, 8)}
    assert sizes[8] < 0.26 * sizes[32]
    assert sizes[16] < 0.51 * sizes[32]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda stored: stored.pop("large" + SCALE), r"large\.scale is missing"),
        (lambda stored: stored.update({"small" + SCALE: torch.ones(2)}), r"small\.scale does not belong"),
        (
            lambda stored: stored.update({"large" + SCALE: torch.ones(7)}),
            r"scale has the shape \[7\], not \[8\]",
        ),
        (lambda stored: stored.update({"large" + SCALE: torch.full((8,), torch.nan)}), "not finite"),
        (lambda stored: stored.update({"small": stored["small"].to(torch.int16)}), "has the type I16"),
    ],
)
def test_a_damaged_file_is_refused_with_its_reason(tmp_path, change, message):
    weights = _weights()
    stored = stored_weights(weights, 8)
    change(stored)
    with pytest.raises(TensorFileError, match=message):
        _read(tmp_path / "w", stored, weights)


def test_storing_what_was_in_eight_bits_changes_nothing(tmp_path):
    weights = _weights()
    first = stored_weights(weights, 8)
    again = stored_weights(_read(tmp_path / "w", first, weights), 8)
    assert torch.equal(first["large"], again["large"])
    assert set(load((tmp_path / "w").read_bytes())) == set(first)

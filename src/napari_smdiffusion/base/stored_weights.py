"""How the weights of a network are stored: in 32, 16 or 8 bits each.

With 8 bits, a large tensor NAME is stored as whole numbers from -127 to 127, and NAME.scale beside it has one factor
for each of its rows (each output channel). Smaller tensors stay in 16 bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

Bits = Literal[32, 16, 8]

SCALE = ".scale"  # ending of the names of the factors
_LARGEST = 127  # the range of 8 bits is used symmetrically, so that 0 stays 0
# Weights of a tensor that is stored in 8 bits. Smaller tensors hold little, and have a large share in the error: those
# of the first and last layers, and of the finest resolution (benchmarks/models/eight_bits.py).
_FEWEST = 30_000


def stored_weights(weights: Mapping[str, torch.Tensor], bits: Bits = 32) -> dict[str, torch.Tensor]:
    """Return the tensors that are stored for the weights of a network, on the CPU.

    Parameters
    ----------
    weights
        The weights by name, in any floating-point type.
    bits
        Bits of each weight. 32 and 16 are float32 and float16. With 8, the error of a weight is at most 1/254 of the
        largest one of its output channel.
    """
    kind = torch.float32 if bits == 32 else torch.float16
    stored: dict[str, torch.Tensor] = {}
    for name, value in weights.items():
        plain = value.detach().to("cpu", torch.float32)
        if bits == 8 and plain.dim() > 1 and plain.numel() >= _FEWEST:
            stored[name], stored[name + SCALE] = _in_bytes(plain)
        else:
            stored[name] = plain.to(kind).contiguous()
    return stored


def from_bytes(whole: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Return the float32 weights of whole numbers and the factors of their rows."""
    return whole.to(torch.float32) * scale.to(torch.float32).reshape(-1, *[1] * (whole.dim() - 1))


def _in_bytes(value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the whole numbers of a tensor, and the factors of its rows."""
    scale = value.flatten(1).abs().amax(1) / _LARGEST
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))  # a row of zeros
    whole = (value / scale.reshape(-1, *[1] * (value.dim() - 1))).round().to(torch.int8)
    return whole.contiguous(), scale

"""The digest of the weights of a network, which distinguishes two models of one name."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

WEIGHTS_KEY = "weights_sha256"  # key of the digest in the provenance of results in files
SHORT_DIGEST = 12  # first digits that are stated in the provenance of every result


def digest_of_weights(network: nn.Module) -> str:
    """Return the SHA-256 of the names and values of all weights of a network."""
    digest = hashlib.sha256()
    for name, values in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(memoryview(values.detach().cpu().contiguous().numpy()).cast("B"))
    return digest.hexdigest()

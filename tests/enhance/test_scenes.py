"""Patches with empty parts: some end at an edge, others stay as they are."""

import numpy as np
import torch

from napari_smdiffusion.enhance.scenes import with_empty_parts


def test_some_patches_end_at_an_edge_or_are_empty():
    sharp = torch.rand((60, 1, 64, 64), generator=torch.Generator().manual_seed(0)) + 1
    parts = with_empty_parts(sharp, np.random.default_rng(0))
    shares = (parts == 0).float().mean((1, 2, 3))
    assert 0.25 < float((shares > 0).float().mean()) < 0.55
    assert float(shares.max()) == 1
    whole = shares == 0
    assert torch.equal(parts[whole], sharp[whole])
    assert bool((parts <= sharp).all())
    # Edges are narrow: most pixels are either as they were or empty.
    assert float(((parts > 0) & (parts < sharp)).float().mean()) < 0.15
    again = with_empty_parts(sharp, np.random.default_rng(0))
    assert torch.equal(again, parts)

"""What fixed seeds compute, and what an earlier version saved, stays the same (see `digests.py`)."""

import os

import pytest

import digests

STORED = digests.read_stored()


@pytest.mark.parametrize("group", digests.GROUPS)
def test_results_are_what_they_were(group):
    """With SMDIFFUSION_EXACT=1, to the last bit: on the machine that stored them."""
    found, stored = digests.computed(group), STORED["digests"][group]
    assert found.keys() == stored.keys()
    far = {name: digests.difference(found[name], stored[name]) for name in found}
    assert {name: value for name, value in far.items() if value > digests.TOLERANCE} == {}
    if os.environ.get("SMDIFFUSION_EXACT"):
        assert {name: found[name]["sha256"] for name in found} == {n: stored[n]["sha256"] for n in stored}


def test_old_files_keep_their_pixel_size_place_and_provenance():
    assert digests.old_facts() == STORED["facts"]


def test_a_digest_shows_a_small_change_and_forgives_rounding():
    import numpy as np

    pixels = np.random.default_rng(0).normal(3, 2, (2, 40, 40)).astype(np.float32)
    stored = digests.digest(pixels)
    assert digests.difference(digests.digest(pixels * np.float32(1 + 1e-5)), stored) < digests.TOLERANCE
    assert digests.difference(digests.digest(pixels * np.float32(1 + 1e-2)), stored) > digests.TOLERANCE
    assert digests.difference(digests.digest(pixels[:1]), stored) > digests.TOLERANCE

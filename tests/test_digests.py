"""Results with fixed seeds and files of an earlier version do not change (see `digests.py`)."""

import os

import pytest

import digests

STORED = digests.read_stored()


@pytest.mark.parametrize("group", digests.GROUPS)
def test_results_are_unchanged(group):
    """With SMDIFFUSION_EXACT=1 the bytes must be equal, as on the machine that stored them."""
    current, stored = digests.computed(group), STORED["digests"][group]
    assert current.keys() == stored.keys()
    differences = {name: digests.difference(current[name], stored[name]) for name in current}
    assert {name: value for name, value in differences.items() if value > digests.TOLERANCE} == {}
    if os.environ.get("SMDIFFUSION_EXACT"):
        assert {name: current[name]["sha256"] for name in current} == {n: stored[n]["sha256"] for n in stored}


def test_pixel_size_origin_and_provenance_of_old_files_are_unchanged():
    assert digests.old_facts() == STORED["facts"]


def test_a_digest_detects_small_changes_but_not_rounding():
    import numpy as np

    pixels = np.random.default_rng(0).normal(3, 2, (2, 40, 40)).astype(np.float32)
    stored = digests.digest(pixels)
    assert digests.difference(digests.digest(pixels * np.float32(1 + 1e-5)), stored) < digests.TOLERANCE
    assert digests.difference(digests.digest(pixels * np.float32(1 + 1e-2)), stored) > digests.TOLERANCE
    assert digests.difference(digests.digest(pixels[:1]), stored) > digests.TOLERANCE

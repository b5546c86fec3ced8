"""Settings of all tests of this room."""

import pytest


@pytest.fixture(autouse=True)
def _quick_calibration(quick_calibration):
    """Calibrate quickly: these tests train enhancers for another purpose."""

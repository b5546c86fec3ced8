"""Settings of all tests of this room."""

import pytest


@pytest.fixture(autouse=True)
def _quick_results(quick_calibration, quick_classifier):
    """Calibrate and classify quickly: these tests train and compare for another purpose."""

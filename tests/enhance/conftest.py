"""Settings of all tests of this room."""

import pytest


@pytest.fixture(autouse=True)
def _quick_calibration(request):
    """Calibrate quickly, except in the tests of the calibration itself."""
    if request.module.__name__.rpartition(".")[2] != "test_calibration":
        request.getfixturevalue("quick_calibration")

"""Settings of all tests of this room."""

import pytest


@pytest.fixture(autouse=True)
def _quick_calibration(request):
    """Calibrate quickly where enhancers are trained for another purpose; the other tests need no torch."""
    if request.module.__name__.rpartition(".")[2] == "test_registration":
        request.getfixturevalue("quick_calibration")

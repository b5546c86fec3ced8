"""The sentence on how far intervals can be trusted states what they were measured on, and how often they held."""

from dataclasses import replace

import pytest

from napari_smdiffusion import InputError
from napari_smdiffusion.base.folders import bundled_folder
from napari_smdiffusion.enhance.facts import CalibrationFacts, EnhancerRecord
from napari_smdiffusion.enhance.trust import trust_sentence
from napari_smdiffusion.posterior.facts import SamplerFacts
from napari_smdiffusion.store.folder import read_facts

FACTS = CalibrationFacts((0.5, 0.9), (0.52, 0.91), None, (0.4, 0.83), held_out=True)
REAL = "On two real images, 77 to 78 % of the pixels with structure were in intervals of 90 %"
ANOTHER = "Another sample or microscope may have fewer."


@pytest.fixture(scope="module")
def record():
    """Return the record of a bundled enhancer, which learned from simulated images."""
    return read_facts(bundled_folder() / "enhancer" / "microtubules", "enhancer", EnhancerRecord)


def _with(record, facts, **changes):
    calibration = replace(record.calibration, facts=facts)
    return replace(record, calibration=calibration, samples_calibration=calibration, **changes)


def test_the_intervals_of_an_estimate(record):
    simulated = _with(record, FACTS, calibrated_on=())
    assert trust_sentence(simulated).startswith(
        f"Intervals of 90 % held for 91 % of the pixels (83 % of the bright ones) of simulated images. {REAL}"
    )
    pairs = _with(record, replace(FACTS, held_out=False, coverage_bright=None), trained_on="registered pairs")
    assert trust_sentence(replace(pairs, calibrated_on=())) == (
        "Intervals of 90 % held for 91 % of the pixels of held-out parts of the real pairs, which were trained on. "
        + ANOTHER
    )
    own = replace(simulated, calibrated_on=("a.tif", "b.tif"))
    assert trust_sentence(own).startswith(
        "The intervals are calibrated on your pairs a.tif, b.tif: those of 90 % held for 91 % of its pixels."
    )
    trained = _with(own, replace(FACTS, held_out=False), calibrated_on=("a.tif",))
    assert "on your pair a.tif, which was trained on: those" in trust_sentence(trained)


def test_without_a_calibration_at_90_percent_there_is_no_number_of_its_own(record):
    other = CalibrationFacts((0.5,), (0.52,))
    assert trust_sentence(None).startswith(f"The intervals are measured on simulated images, or on your pairs. {REAL}")
    assert trust_sentence(_with(record, other)).startswith(REAL)
    assert "it makes no uncertainty map" in trust_sentence(replace(record, calibration=None))
    with pytest.raises(InputError, match=r"The calibration has no level 0\.9"):
        other.at(0.9)


def test_the_intervals_around_samples(record):
    def said(record):
        return trust_sentence(record, samples=True)

    simulated = _with(record, FACTS, samples=SamplerFacts())
    assert said(simulated).endswith(
        "Intervals of 90 % held for 91 % of the pixels (83 % of the bright ones) of simulated images. On real images "
        "fewer may hold: calibrate on a pair of your own."
    )
    one, two = (_with(record, FACTS, samples=SamplerFacts(calibrated_on=names)) for names in (("a",), ("a", "b")))
    assert f"of your pair a. {ANOTHER}" in said(one)
    assert f"of your pairs a, b. {ANOTHER}" in said(two)
    pairs = _with(record, replace(FACTS, coverage_bright=None), samples=None, trained_on="registered pairs")
    assert said(pairs).endswith(f"held for 91 % of the pixels of held-out parts of the real pairs. {ANOTHER}")
    assert "They are measured on simulated images, or on your pairs. On real images fewer may hold" in said(None)
    assert "Intervals of 90 %" not in said(_with(record, CalibrationFacts((0.5,), (0.52,))))
    assert "the map shows their standard deviation" in said(replace(record, samples_calibration=None))

"""The verdict of a report: each outcome, and each limit from both sides."""

from dataclasses import replace

import pytest

from examples import added
from napari_smdiffusion import MEASURES
from napari_smdiffusion.measure.copies import CopyReport
from napari_smdiffusion.measure.filaments import FilamentDifference
from napari_smdiffusion.measure.realism import Realism
from napari_smdiffusion.measure.restoration import Similarity
from napari_smdiffusion.measure.spectrum import Spectrum
from napari_smdiffusion.report.measure import LeftOut
from napari_smdiffusion.report.measures.classifier import TWO_SAMPLE, TwoSampleResult
from napari_smdiffusion.report.measures.enhanced import Agreement, Enhanced, Intervals, OwnResolution
from napari_smdiffusion.report.measures.enhancement import ENHANCEMENT, ComparedWithReference, Registered
from napari_smdiffusion.report.measures.resolution import Resolution
from napari_smdiffusion.report.measures.skeletons import Skeletons
from napari_smdiffusion.report.measures.trained_on import TrainedOn
from napari_smdiffusion.report.report import Report
from napari_smdiffusion.report.verdict import verdicts_of

_PATCHES = {"patches": {"experimental": 60, "generated": 64}}
_REALISM = Realism(0.02, -0.03, 0.07, 1.0, 1.0, 9.0, diversity=0.9, repeated=0.0, coverage=0.9)
_NETWORK = TwoSampleResult(0.62, 0.1, 0.6, (0.6, 0.62, 0.64), 128, "")
_CURVATURE = FilamentDifference(1.1, 1.0, 0.5, 1.6, inside=True, difference=0.1, by_chance=0.3, unit="1/µm")
_COPIES = CopyReport(0.3, 0.3, 0.0, 2.0, 0.8, 0, 0, 0, (), "No sign of copying.")
_SPECTRUM = Spectrum("", (0.1, 0.2), (4, 4), (5, 5), (6, 6), (4, 4), (5, 5), (6, 6), 0.1)
_GENERATED = {
    "realism": _REALISM,
    "two_sample": _NETWORK,
    "filaments": Skeletons({"curvature": _CURVATURE}),
    "memorization": _COPIES,
    "resolution": Resolution(80.0, 82.0),
    "spectrum": _SPECTRUM,
}


def _verdict(results, provenance=_PATCHES):
    (verdict,) = verdicts_of(results, provenance)
    assert len(verdict.rows) == 5
    assert all(len(sentence.split()) <= 30 for sentence in verdict.text.split(". "))
    return verdict


def _changed(**measures):
    return _verdict({**_GENERATED, **measures})


def _level(**measures):
    return _changed(**measures).level


def test_images_like_the_experiment_are_good():
    verdict = _verdict(_GENERATED)
    assert (verdict.level, verdict.text) == ("good", "Good: the generated images resemble the experimental images.")
    assert {row.level for row in verdict.rows} == {"good"}
    assert [row.name for row in verdict.rows] == [
        *("Texture", "Recognized by a network", "Shape of the structure", "Sharpness", "New and varied images")
    ]
    assert verdict.rows[3].text == "80 nm, experiment 82 nm (normal: 63 to 107 nm)"


def test_a_good_verdict_states_its_limits():
    text = _changed(realism_of_training_images=TrainedOn(""), memorization=LeftOut("Give the training images.")).text
    assert text.endswith("experimental images, on which the model was trained; copies were not looked for.")


def test_copies_come_before_all_else():
    verdict = _changed(memorization=replace(_COPIES, copies=3), realism=replace(_REALISM, score=0.9, score_low=0.8))
    assert verdict.level == "warning"
    assert "may contain copies of training images (3 patches)" in verdict.text
    assert verdict.rows[4].level == "warning"


@pytest.mark.parametrize(
    ("key", "same", "different", "name"),
    [
        ("realism", {"score": 0.14}, {"score": 0.16, "score_low": 0.11}, "texture"),
        ("realism", {"score": 0.14}, {"score": 0.51, "score_low": 0.01}, "texture"),
        ("realism", {"diversity": 0.56}, {"diversity": 0.54}, "variety"),
        ("realism", {"repeated": 0.19}, {"repeated": 0.21}, "patches that occur repeatedly"),
        ("realism", {"coverage": 0.41}, {"coverage": 0.39}, "parts of the experiment that are missing"),
        ("two_sample", {"auc": 0.69}, {"auc": 0.71}, "details that a network recognizes"),
        ("two_sample", {"auc": 0.79, "auc_two_halves": 0.7}, {"auc": 0.75, "auc_two_halves": 0.64}, "network"),
        ("resolution", {"generated": 106.0}, {"generated": 107.0}, "sharpness"),
        ("resolution", {"generated": 64.0}, {"generated": 63.0}, "sharpness"),
        (
            "spectrum",
            {"log2_ratio": 0.9, "generated_low": (7, 7)},
            {"log2_ratio": 1.1, "generated_low": (7, 4)},
            "blur, noise or brightness",
        ),
        ("spectrum", {"log2_ratio": 9.0}, {"log2_ratio": 1.0, "generated_high": (3, 3)}, "blur"),
    ],
)
def test_a_measure_beyond_its_limit_differs(key, same, different, name):
    assert _level(**{key: replace(_GENERATED[key], **same)}) == "good"
    verdict = _changed(**{key: replace(_GENERATED[key], **different)})
    assert verdict.level == "differs"
    assert name in verdict.text


def test_skeletons_differ_if_they_lie_outside_and_not_by_chance():
    for inside, difference, level in ((False, 0.4, "differs"), (False, 0.2, "good"), (True, 0.4, "good")):
        curvature = replace(_CURVATURE, generated=1.7, inside=inside, difference=difference)
        assert _level(filaments=Skeletons({"curvature": curvature})) == level


def test_the_two_largest_differences_are_named():
    text = _changed(
        realism=replace(_REALISM, score=0.2, score_low=0.12),
        resolution=Resolution(200.0, 80.0),
        two_sample=replace(_NETWORK, auc=0.95),
    ).text
    assert text.endswith("in sharpness and in details that a network recognizes.")


def test_few_patches_say_nothing_about_variety():
    realism = {**_GENERATED, "realism": replace(_REALISM, diversity=0.3, coverage=0.1, repeated=0.5)}
    for count, level in ((29, "good"), (30, "differs")):
        assert _verdict(realism, {"patches": {"experimental": 60, "generated": count}}).level == level


@pytest.mark.parametrize(
    ("measures", "reason"),
    [
        ({"realism": replace(_REALISM, score=None, score_low=None, score_high=None)}, "or there are too few"),
        ({"realism": replace(_REALISM, score_high=0.51)}, "between -0.03 and 0.51"),
        ({"realism": replace(_REALISM, score=0.3, score_low=-0.1, score_high=0.7)}, "between -0.10 and 0.70"),
        # As of four fields of a real image: a part of an experiment may be this far from the whole.
        ({"realism": replace(_REALISM, score=0.16, score_low=0.09, score_high=0.29)}, "between 0.09 and 0.29"),
        ({"two_sample": LeftOut("One kind has 16 patches: give more.")}, "One kind has 16 patches"),
    ],
)
def test_too_little_gives_no_verdict(measures, reason):
    verdict = _changed(**measures)
    assert verdict.level == "unknown"
    assert verdict.text.startswith("Cannot say whether the generated images resemble the experimental images. ")
    assert reason in verdict.text
    assert _level(**measures, resolution=Resolution(200.0, 80.0)) == "differs"


def test_an_added_measure_counts_by_its_own_verdict():
    with added("A measure") as name:
        result = MEASURES[name].result
        assert "in mean intensity." in _changed(**{name: result(2.0, 1.0)}).text
        assert _level(**{name: result(1.0, 1.0)}) == "good"


_ENHANCED = Enhanced(
    0.1,
    0.9,
    "",
    OwnResolution(90.0, 300.0, None, "none"),
    Agreement(90.0, 160.0),
    Intervals(0.9, 0.85, 0.8, 0.8, 0.5),
    0.9,
)


def _compared(enhanced=0.7, interpolated=0.6, *, found=True):
    blurred = [Similarity(0.0, value, 0.0, 0.0, 0.0) for value in (enhanced, interpolated)]
    return ComparedWithReference(Registered((0.0, 0.0), found, *blurred), *blurred)


def test_the_measures_of_likeness_have_verdicts_of_their_own():
    compared = (_compared(), _compared(0.5), _compared(found=False))
    assert [ENHANCEMENT.verdict(each) for each in compared] == [True, False, None]
    assert [TWO_SAMPLE.verdict(replace(_NETWORK, auc=auc)) for auc in (0.55, 0.62)] == [True, False]


def _judged(compared=None, **changed):
    results = {"enhanced": replace(_ENHANCED, **changed)}
    return _verdict({**results, "enhancement": compared} if compared else results)


@pytest.mark.parametrize(
    ("compared", "changed", "level", "words"),
    [
        (None, {}, "good", "explains its widefield image."),
        (None, {"explained": 0.76}, "good", "explains its widefield image."),
        (None, {"explained": 0.74}, "warning", "does not explain its widefield image. Blurred again"),
        (None, {"explained": None}, "unknown", "Cannot say whether the enhanced image explains"),
        (_compared(), {}, "good", "and is more like the super-resolution image than the interpolated one."),
        (
            _compared(),
            {"agreement": Agreement(90.0, 310.0)},
            "good",
            "down to 310 nm only, no finer than the",
        ),
        (_compared(0.585), {}, "good", "and is more like"),
        (_compared(0.575), {}, "differs", "less like the super-resolution image than the interpolated one"),
        (_compared(0.1, found=False), {}, "good", "could not be registered"),
        (_compared(), {"agreement": Agreement(90.0, None)}, "differs", "hardly agrees with the super-resolution"),
    ],
)
def test_an_enhanced_image_explains_its_widefield_image_or_not(compared, changed, level, words):
    verdict = _judged(compared, **changed)
    assert verdict.level == level
    assert words in verdict.text


def test_the_rows_of_an_enhanced_image():
    rows = {row.name: row for row in _judged(_compared()).rows}
    assert (rows["True detail"].value, rows["True detail"].level) == ("down to 160 nm", "good")
    (coarse,) = (
        row for row in _judged(_compared(), agreement=Agreement(90.0, 310.0)).rows if row.name == "True detail"
    )
    assert coarse.level == "differs"
    *_, map_row = _judged(_compared(), uncertainty=None).rows
    assert map_row.text == "not measured: it needs the uncertainty map"
    assert rows["Uncertainty map"].level == "good"
    assert rows["Sharpness"].text == "90 nm, widefield image 300 nm (normal: finer than the widefield image)"
    without = _judged(
        uncertainty=replace(_ENHANCED.uncertainty, coverage=0.79), agreement=None, resolution="None."
    ).rows
    assert [row.level for row in without] == ["good", "unknown", "unknown", "unknown", "differs"]
    assert without[2].text == "not measured: it needs a super-resolution image of the same field of view"


def test_the_verdict_is_in_the_report_and_in_its_summary():
    report = Report({**_GENERATED, "enhanced": _ENHANCED}, _PATCHES)
    assert report["verdict"]["generated"] == {"level": "good", "text": report.summary[0]}
    assert report["verdict"]["enhanced"]["level"] == "good"
    assert {"verdict.generated", "verdict.enhanced"} <= set(report["meanings"])
    assert Report.from_json(report.to_json()).overall_verdicts == report.overall_verdicts
    assert "verdict" not in Report({"memorization": _COPIES}).to_json()

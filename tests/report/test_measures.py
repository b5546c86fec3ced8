"""One object adds a measure to the report, its meanings, the summary, the picture and the table."""

import json
from dataclasses import replace

import pytest

from examples import added
from napari_smdiffusion import MEASURES, InputError, Report, compare_images, simulate
from napari_smdiffusion.report import picture
from napari_smdiffusion.report.measure import LeftOut
from napari_smdiffusion.report.measures import ordered_measures
from napari_smdiffusion.report.summary import summary

_ALL = {
    *("realism", "realism_of_training_images", "histogram", "spectrum", "two_sample", "two_sample_large"),
    *("filaments", "memorization", "resolution", "enhanced", "enhancement"),
}


@pytest.fixture
def registered():
    with added("A measure") as name:
        yield MEASURES[name]


def test_a_new_measure_is_in_every_part_of_a_report(registered, tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(picture, "save_figure", lambda figure, path: figures.append(figure))
    real, generated = (simulate("microtubules", 1, 192, 20.0, seed=seed) for seed in (1, 2))
    report = compare_images([real], replace(generated, pixels=1.5 * generated.pixels), [], tmp_path)
    result = report.results["mean_intensity"]
    assert result.generated > 1.2 * result.experimental
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert written["mean_intensity"] == {"generated": result.generated, "experimental": result.experimental}
    assert written["meanings"]["mean_intensity.generated"].startswith("Mean of the generated patches")
    sentence = f"Mean intensity: {result.generated:.2f}, {result.experimental:.2f} expected."
    assert report.summary[-1] == sentence
    assert summary(written)[-1] == sentence
    rows = {row.key: row for row in report.table}
    assert rows["mean_intensity.generated"].text == f"{result.generated:.4g} photons"
    assert rows["mean_intensity.generated"].meaning == written["meanings"]["mean_intensity.generated"]
    assert report.verdicts["mean_intensity"] is False
    labels = [[label.get_text() for label in axes.get_xticklabels()] for axes in figures[0].axes]
    assert ["experimental", "generated"] in labels


def test_measures_have_an_order_and_meanings():
    assert {measure.key for measure in ordered_measures()} == _ALL
    for key, measure in MEASURES.items():
        assert key == measure.key
        assert measure.meanings
        assert all(meaning.endswith(".") for meaning in measure.meanings.values())
        assert set(measure.units) <= set(measure.meanings)
    orders = [measure.order for measure in ordered_measures()]
    assert len(set(orders)) == len(orders)


def test_a_report_keeps_the_result_of_an_unknown_measure(tmp_path):
    with added("A measure") as name:
        report = Report({name: MEASURES[name].result(2.0, 1.0)}, seconds={"compare": 1.0})
        report.write(tmp_path / "report.json")
        assert Report.read(tmp_path / "report.json").results == report.results
    without_measure = Report.read(tmp_path / "report.json")
    assert (without_measure.results, without_measure.summary, without_measure.table) == ({}, [], [])
    assert without_measure[name] == {"generated": 2.0, "experimental": 1.0}


def test_a_report_has_the_reason_for_a_left_out_measure():
    report = Report({"memorization": LeftOut("Give training images."), "two_sample": LeftOut("Give more.")})
    assert report["memorization_left_out"] == "Give training images."
    assert report.summary == ["Copies were not looked for. Give training images."]
    assert [(row.key, row.text) for row in report.table] == [
        ("two_sample_left_out", "Give more."),
        ("memorization_left_out", "Give training images."),
    ]
    assert Report.from_json(report.to_json()).results == report.results
    assert report.verdicts == {}


@pytest.mark.parametrize("text", ["no json", "[1]", '{"format_version": "x"}'])
def test_an_invalid_report_file_is_refused(tmp_path, text):
    (tmp_path / "report.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="is not a report"):
        Report.read(tmp_path / "report.json")

"""Reports have the keys, values, meanings and sentences of the stored reports."""

import json
import re
from pathlib import Path

import pytest

from napari_smdiffusion import compare_images
from napari_smdiffusion.report.report import Report

from .cases import cases

_STORED = json.loads((Path(__file__).parents[1] / "data" / "reports.json").read_text(encoding="utf-8"))


@pytest.mark.usefixtures("no_picture")
@pytest.mark.parametrize("name", list(_STORED))
def test_a_report_equals_the_stored_one(name, tmp_path):
    stored = _STORED[name]
    experimental, generated, training, enhanced = cases()[name]
    report = compare_images(experimental, generated, training, tmp_path, enhanced)
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report == written
    assert written.pop("format_version") == 1
    assert set(written.pop("seconds")) == {"compare"}
    meanings = written["meanings"]
    assert meanings.pop("format_version").endswith(".")
    assert meanings.pop("seconds.compare") == stored["report"]["meanings"].pop("seconds.compare")
    assert written["provenance"].pop("made_by").startswith("napari-smdiffusion ")
    stored["report"]["provenance"].pop("made_by")
    _same(written, stored["report"], name)
    _same(report.summary, stored["summary"], "summary")
    _same({row.key: row.text for row in report.table}, stored["rows"], "rows")
    assert {row.key: row.meaning for row in report.table if row.meaning}.items() <= stored["report"]["meanings"].items()
    _same(Report.read(tmp_path / "report.json").to_json(), report.to_json(), "read")


@pytest.mark.parametrize("name", list(_STORED))
def test_a_report_with_results_of_a_newer_version_is_read(name):
    stored = _STORED[name]
    report = Report.from_json({**stored["report"], "of_a_newer_version": [1]})
    assert not set(report.others) - {"of_a_newer_version"}
    _same(report.summary, stored["summary"], "summary")
    _same({row.key: row.text for row in report.table}, stored["rows"], "rows")
    assert report["of_a_newer_version"] == [1]


def test_a_report_of_version_0_1_0_is_read():
    """It has no verdict, no number of patches, and its judgement of the enhanced image lacks the newer fields."""
    data = Path(__file__).parents[1] / "data"
    report = Report.from_json(json.loads((data / "old" / "report.json").read_text(encoding="utf-8")))
    assert not report.others
    verdicts = {verdict.subject: verdict for verdict in report.overall_verdicts}
    assert verdicts["enhanced"].level == "unknown"
    assert "earlier version" in verdicts["enhanced"].text
    assert verdicts["generated"].rows
    _same(report["realism"], {**_STORED["everything"]["report"]["realism"], "patches": 0}, "realism")


def _same(value, stored, place):
    """Compare numbers, also in sentences, within the differences between processors; compare all else exactly."""
    # The training of a network amplifies rounding differences between processors.
    tolerance = 0.1 if "two_sample" in place else 2e-3
    if isinstance(stored, dict):
        assert set(value) == set(stored), place
        for key in stored:
            _same(value[key], stored[key], f"{place}.{key}")
    elif isinstance(stored, list):
        assert len(value) == len(stored), place
        for i, (item, stored_item) in enumerate(zip(value, stored, strict=True)):
            _same(item, stored_item, f"{place}[{i}]")
    elif isinstance(stored, float):
        assert value == pytest.approx(stored, rel=tolerance, abs=1e-6), place
    elif isinstance(stored, str):
        number = r"\d+(?:\.\d+)?(?:e[+-]?\d+)?"
        assert re.sub(number, "0", value) == re.sub(number, "0", stored), place
        if "two_sample" not in place and "network" not in stored:
            numbers, stored_numbers = (
                [float(digits) for digits in re.findall(number, text)] for text in (value, stored)
            )
            assert numbers == pytest.approx(stored_numbers, rel=0.02, abs=0.02), place
    else:
        assert value == stored, place

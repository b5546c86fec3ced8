"""A report: the results of all measures, written to and read from `report.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError
from ..base.json_values import read_json
from ..base.regular_files import read_text
from ..base.whole_files import atomic_file
from .meanings import meanings_of
from .measure import LEFT_OUT, LeftOut, Measure, TableRow
from .measures import ordered_measures
from .verdict import Verdict, verdicts_of

if TYPE_CHECKING:
    import os

REPORT_VERSION = 1  # of report.json; older reports have no version and the same keys
_OTHER_KEYS = ("format_version", "seconds", "meanings", "provenance", "verdict")


@dataclass(frozen=True, eq=False)
class Report(Mapping[str, Any]):
    """The results of a comparison. It is also a mapping with the content of `report.json`.

    Parameters
    ----------
    results
        The result of each measure by its key: a frozen dataclass, or `LeftOut`.
    provenance
        The compared images, and the version of the program.
    seconds
        Duration of each stage.
    others
        Parts of a report file that this version cannot read; they are written again unchanged.
    version
        Version of the format of `report.json`.
    """

    results: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    others: Mapping[str, Any] = field(default_factory=dict)
    version: int = REPORT_VERSION

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Report:
        """Return the report from the values of `to_json`, of this version or another."""
        results, others = {}, {key: value for key, value in values.items() if key not in _OTHER_KEYS}
        for measure in ordered_measures():
            try:
                result = measure.from_json(values)
            except (ValueError, TypeError, KeyError):  # of a newer version, or of another measure of this name
                continue
            if result is not None:
                results[measure.key] = result
                for key in (measure.key, f"{measure.key}{LEFT_OUT}"):
                    others.pop(key, None)
        version = int(values.get("format_version", REPORT_VERSION))
        return cls(results, values.get("provenance", {}), values.get("seconds", {}), others, version)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Report:
        """Read `report.json`, written by this version of the program or another.

        Raises
        ------
        InputError
            If the file is not a report.
        """
        try:
            values = read_json(read_text(Path(path)))
            if not isinstance(values, dict):
                raise TypeError("The report is no mapping.")
            return cls.from_json(values)
        # A value of another type than a measure expects gives any of these.
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
            raise InputError(f"{path} is not a report: give a report.json that `smdiffusion compare` wrote.") from error

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write `report.json` atomically."""
        with atomic_file(Path(path)) as temporary:
            temporary.write_text(json.dumps(self.to_json(), indent=2, allow_nan=False), encoding="utf-8")

    def to_json(self) -> dict[str, Any]:
        """Return the content of `report.json`: results, meanings and provenance."""
        values: dict[str, Any] = {}
        for measure, result in self._measured():
            values |= measure.to_json(result)
        values |= self.others
        values |= {"format_version": self.version, "seconds": dict(self.seconds)}
        if self.overall_verdicts:
            values["verdict"] = {
                verdict.subject: {"level": verdict.level, "text": verdict.text} for verdict in self.overall_verdicts
            }
        values["meanings"] = meanings_of({**values, "provenance": self.provenance})
        return {**values, "provenance": dict(self.provenance)}

    @cached_property
    def overall_verdicts(self) -> tuple[Verdict, ...]:
        """The verdict on the generated images and that on the enhanced image, as far as the report has them."""
        return verdicts_of(self.results, self.provenance)

    @property
    def summary(self) -> list[str]:
        """The verdicts, and the sentences of the measures."""
        return [*(verdict.text for verdict in self.overall_verdicts), *self.sentences]

    @property
    def sentences(self) -> list[str]:
        """The sentences of the measures."""
        return [sentence for measure, result in self._measured() for sentence in measure.summary(result)]

    @property
    def table(self) -> list[TableRow]:
        """All numbers and sentences of the measures, as rows of a table."""
        return [row for measure, result in self._measured() for row in measure.table(result)]

    @property
    def verdicts(self) -> dict[str, bool]:
        """Whether each measure is within the limits in its meanings; measures without limits are left out."""
        verdicts = {
            measure.key: measure.verdict(result)
            for measure, result in self._measured()
            if not isinstance(result, LeftOut)
        }
        return {key: verdict for key, verdict in verdicts.items() if verdict is not None}

    def _measured(self) -> Iterator[tuple[Measure[Any], Any]]:
        """Yield the measures that have a result, in their order, and the results."""
        for measure in ordered_measures():
            if measure.key in self.results:
                yield measure, self.results[measure.key]

    @cached_property
    def _values(self) -> dict[str, Any]:
        return self.to_json()

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

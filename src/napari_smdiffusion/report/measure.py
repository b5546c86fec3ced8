"""A measure of a report: its numbers, their meanings and units, sentences, verdict and drawing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import TypeAdapter

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .context import MeasureContext

Result = TypeVar("Result")
LEFT_OUT = "_left_out"  # suffix of a key in a report whose value is a sentence instead of numbers


@dataclass(frozen=True)
class LeftOut:
    """A sentence on why a measure has no result, and what to do."""

    sentence: str


@dataclass(frozen=True)
class PictureRow:
    """A row of the picture of a report: its height in inches, and a function that draws into a subfigure."""

    height: float
    draw: Callable[[Any], None]


@dataclass(frozen=True)
class TableRow:
    """One number or sentence of a report: its keys joined by dots, its text with unit, and its meaning."""

    key: str
    text: str
    meaning: str


def _no_sentences(_result: Any) -> Iterable[str]:
    return ()


def _no_verdict(_result: Any) -> bool | None:
    return None


def _plain(result: Any) -> Any:
    return asdict(result)


@dataclass(frozen=True)
class Measure(Generic[Result]):
    """One part of a report. `MEASURES.register("name")(measure)` adds it to every report.

    Parameters
    ----------
    key
        Key of the result in a report, and the registered name.
    result
        The frozen dataclass of the result.
    compute
        Returns the result, or `LeftOut`, or None if the images to measure are missing.
    meanings
        Meaning of each number: what it is, and which values are good. The key is the path of the number in the
        result, joined by dots; "" is the result itself.
    units
        Units by the same keys, for numbers with a unit.
    sentences
        Sentences for the summary.
    verdict
        Whether the result is within the limits in its meanings; None without limits.
    panel
        Draws the result into one of the axes that the measures of patches share.
    row
        Returns a row of the picture; None if there is nothing to draw.
    left_out
        First sentence of the summary if the measure was left out; without it, the summary has no such sentence.
    encode, decode
        Convert the result to JSON values and back; by default field by field.
    shown
        Returns the values of a table, under the keys of `encode`; by default those of `encode`.
    order
        Measures of a lower order come first in the report, the summary and the picture.
    """

    key: str
    result: type[Result]
    compute: Callable[[MeasureContext], Result | LeftOut | None]
    meanings: Mapping[str, str]
    units: Mapping[str, str] = field(default_factory=dict)
    sentences: Callable[[Result], Iterable[str]] = _no_sentences
    verdict: Callable[[Result], bool | None] = _no_verdict
    panel: Callable[[Axes, Result], None] | None = None
    row: Callable[[Result, MeasureContext], PictureRow | None] | None = None
    left_out: str = ""
    encode: Callable[[Result], Any] = _plain
    decode: Callable[[Any], Result] | None = None
    shown: Callable[[Result], Any] | None = None
    order: int = 1000

    def full_key(self, name: str) -> str:
        """Return the path of a number in a report, from its path in the result."""
        return f"{self.key}.{name}" if name else self.key

    def to_json(self, result: Result | LeftOut) -> dict[str, Any]:
        """Return the keys and values for a report."""
        if isinstance(result, LeftOut):
            return {f"{self.key}{LEFT_OUT}": result.sentence}
        return {self.key: _listed(self.encode(result))}

    def from_json(self, report: Mapping[str, Any]) -> Result | LeftOut | None:
        """Return the result from a report; None if the report has none.

        Raises
        ------
        ValueError
            If its format is not that of this version of the measure.
        """
        if self.key in report:
            decode = self.decode or TypeAdapter(self.result).validate_python
            return decode(report[self.key])
        sentence = report.get(f"{self.key}{LEFT_OUT}")
        return None if sentence is None else LeftOut(str(sentence))

    def summary(self, result: Result | LeftOut) -> list[str]:
        """Return the sentences of a report's summary."""
        if isinstance(result, LeftOut):
            return [f"{self.left_out} {result.sentence}"] if self.left_out else []
        return list(self.sentences(result))

    def table(self, result: Result | LeftOut) -> list[TableRow]:
        """Return the rows of a table of the result; lists are left out."""
        if isinstance(result, LeftOut):
            return [TableRow(f"{self.key}{LEFT_OUT}", result.sentence, "")]
        values = (self.shown or self.encode)(result)
        return [
            TableRow(self.full_key(name), _text(value, self.units.get(name, "")), self.meanings.get(name, ""))
            for name, value in _leaves(values)
        ]


def with_unit(text: str, unit: str) -> str:
    """Return the text of a number with its unit, if it has one."""
    return f"{text} {unit}" if unit else text


def compared_text(generated: float, experimental: float, marks: tuple[float, float] | None = None) -> str:
    """Return the text of a number of generated patches, that of experimental ones, and the range of these."""
    spread = f", 5 to 95 %: {marks[0]:.3g} to {marks[1]:.3g}" if marks else ""
    return f"{generated:.3g} (experimental {experimental:.3g}{spread})"


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path and the value of each number and sentence of a result; lists are left out."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    elif not isinstance(value, (list, tuple)):
        yield name, value


def _text(value: Any, unit: str) -> str:
    if value is None:
        return "None"
    return with_unit(f"{value:.4g}" if isinstance(value, float) else str(value), unit)


def _listed(value: Any) -> Any:
    """Return a value with lists in place of tuples, as in JSON."""
    if isinstance(value, Mapping):
        return {key: _listed(inner) for key, inner in value.items()}
    return [_listed(inner) for inner in value] if isinstance(value, (list, tuple)) else value

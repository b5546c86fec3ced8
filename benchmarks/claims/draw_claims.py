"""Draw and tabulate what `claims/paper_claims.py` measured so far.

    python -m benchmarks.claims.draw_claims

Figures go to docs/images, and the tables into docs/results.md, between the marks that name them. Intervals are of 95 %
by Student's t over the seeds, from three on.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from benchmarks.common import PICTURES, RESULTS, ROOT, no_options
from napari_smdiffusion.report.pictures import new_figure, save_figure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PLACE = RESULTS / "paper_claims"
PAGE = ROOT / "docs" / "results.md"
NO_FIELDS = {"mathematical": "#8c564b", "continuous": "#7f7f7f", "pretrained": "#bcbd22"}
ARMS = {
    **NO_FIELDS,
    "experimental": "#1f77b4",
    "experimental and continuous": "#17becf",
    "both": "#9467bd",
    "generated": "#d62728",
}
# Arms that learn through another microscope, and what they are to be compared with.
MICROSCOPES = {
    "pairs": "experimental",
    "fitted experimental": "experimental",
    "fitted generated": "generated",
    "fitted continuous": "continuous",
}
KINDS = {"real": "registered", "simulated": "as it is"}  # widefield images, and how they are compared
PRIMARY = "correlation"
NEARER = "fraction_above_held_out_99"
SHOWN = {
    "correlation": "correlation",
    "correlation_blurred": "blurred",
    "psnr": "PSNR, dB",
    "ssim": "SSIM",
    "frc_nm": "FRC, nm",
}
STRUCTURES = {"microtubules": "#d62728", "mitochondria": "#2ca02c"}

PARTS = {"training": "part it saw", "whole": "whole image", "held_out": "part held out"}  # of the experimental image
APART = f"{PARTS['training']}, windows apart"
# What the classifier was asked about.
CLASSIFIED = {
    f"AUC 128 px, {PARTS['whole']}": "128",
    f"AUC 128 px, {APART}": "apart_128",
    f"AUC 256 px, {PARTS['whole']}": "256",
    f"AUC 256 px, {APART}": "apart_256",
}
JUDGED = {  # with how many digits
    **{f"realism, {PARTS[part]}": 3 for part in PARTS},
    **dict.fromkeys(CLASSIFIED, 2),
}
# Smirnov's limit for the skeletons of 32 generated and 25 experimental patches, with 95 % confidence.
SKELETONS_BY_CHANCE = 1.358 * ((32 + 25) / (32 * 25)) ** 0.5

Piece = dict[str, Any]
BySeed = dict[tuple[str, str], dict[int, Piece]]  # by arm and fields, then by seed


def measured() -> dict[str, Piece]:
    """Return all pieces by their names; pieces made with different settings do not belong together."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(PLACE.glob("*.json"))]
    for claim in "ABC":
        if len({json.dumps(one["settings"]) for one in found if one["piece"][0] == claim}) > 1:
            raise ValueError(f"Pieces of claim {claim} in {PLACE} were made with different settings: delete the old.")
    return {one["piece"]: one for one in found}


def half_width(values: Sequence[float]) -> float:
    """Return half of the 95 % interval of the mean; NaN for fewer than three seeds, which tell no spread."""
    if len(values) < 3:
        return float("nan")
    return float(student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))


def interval(values: Iterable[float | None], digits: int = 2) -> str:
    """Return the mean with its interval, and of how many it is known where it is not of all."""
    given = list(values)
    known = [value for value in given if value is not None]
    if not known:
        return "none"
    mean = f"{np.mean(known):.{digits}f}"
    if len(known) > 2:
        mean += f" ± {half_width(known):.{digits}f}"
    return mean if len(known) == len(given) else f"{mean} ({len(known)} of {len(given)})"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def grouped(pieces: dict[str, Piece], pattern: str) -> dict[tuple[str, ...], list[Piece]]:
    """Return the pieces whose names match, all seeds together, by what the pattern's groups say."""
    groups: dict[tuple[str, ...], list[Piece]] = defaultdict(list)
    for name, one in pieces.items():
        if found := re.fullmatch(pattern + r"_seed\d+", name):
            groups[found.groups()].append(one)
    return dict(sorted(groups.items(), key=lambda group: [(len(part), part) for part in group[0]]))


def resemblance(pieces: dict[str, Piece]) -> str:
    """Draw and tabulate claim A: realism and AUC against training time."""
    groups = grouped(pieces, r"A_(\w+)_(\d+)min")
    if not groups:
        return "Not measured yet."
    experimental = grouped(pieces, r"A_(\w+)_halves")
    rows = []
    for (structure, *minutes), ones in (*groups.items(), *experimental.items()):
        judged = [_judged(one) for one in ones]
        looked_up = [one["memorization"] for one in ones if "memorization" in one]
        found = f"{sum(m['copies'] for m in looked_up)} of {sum(len(m['copied']) for m in looked_up)}"
        values = (interval([one.get(name) for one in judged], digits) for name, digits in JUDGED.items())
        black = interval([one["black"] for one in ones])
        rows.append((structure, *(minutes or ["experimental"]), len(ones), *values, black, found if looked_up else ""))
    figure = new_figure(15, 6.5)
    places = figure.subplots(2, 4).ravel()
    places[-1].axis("off")
    for axes, name in zip(places[:-1], JUDGED, strict=True):
        for structure, color in STRUCTURES.items():
            drawn = [(int(m), _known(map(_judged, ones), name)) for (s, m), ones in groups.items() if s == structure]
            _errorbar(axes, drawn, structure, color)
            if floors := _known(map(_judged, experimental.get((structure,), [])), name):
                axes.axhline(np.mean(floors), color=color, linestyle=":", linewidth=1)
        axes.set(title=name, xlabel="minutes of training", xscale="log", xticks=[2, 10, 30], xticklabels=[2, 10, 30])
        axes.minorticks_off()
    figure.axes[0].legend(frameon=False)
    save_figure(figure, PICTURES / "claim_a.png")
    header = ("structure", "minutes", "seeds", *JUDGED, "black", "copies")
    return f"{table(header, rows)}\n\n{_skeletons(groups)}"


def _judged(one: Piece) -> dict[str, float]:
    """Return what a piece of claim A knows of `JUDGED`, generated or experimental patches alike."""
    found = {f"realism, {PARTS[part]}": told["score"] for part, told in one["realism"].items()}
    for name, key in CLASSIFIED.items():
        found[name] = one.get(f"auc_{key}", one.get(f"auc_two_halves_{key}"))
    return {name: value for name, value in found.items() if value is not None}


def _known(judged: Iterable[dict[str, float]], name: str) -> list[float]:
    return [one[name] for one in judged if name in one]


def _skeletons(groups: dict[tuple[str, ...], list[Piece]]) -> str:
    of_time = {minutes: ones for (structure, minutes), ones in groups.items() if structure == "microtubules"}
    if not of_time:
        return ""
    names = list(next(iter(of_time.values()))[0]["filaments"])
    rows = []
    for minutes, ones in of_time.items():
        cells = []
        for name in names:
            told = [one["filaments"][name] for one in ones]
            apart = np.mean([t["difference"] for t in told])
            cells.append(f"{sum(t['inside'] for t in told)} of {len(told)}; {apart:.2f}")
        rows.append((minutes, *cells))
    return (
        "Skeletons: by how many seeds the median lies within the 5 to 95 % spread of experimental patches; and the "
        "Kolmogorov-Smirnov statistic of both distributions (mean), which chance keeps below "
        f"{SKELETONS_BY_CHANCE:.2f}:\n\n" + table(("minutes", *(name.replace("_", " ") for name in names)), rows)
    )


def copies(pieces: dict[str, Piece]) -> str:
    """Draw and tabulate claim B: copies against the number of training patches and time."""
    groups = grouped(pieces, r"B_(\d+)patches_(\d+)min")
    everything: dict[tuple[str, ...], list[Piece]] = {
        ("all" if structure == "microtubules" else f"all, {structure}", minutes): ones
        for (structure, minutes), ones in grouped(pieces, r"A_(\w+)_(\d+)min").items()
    }
    groups |= everything
    if not groups:
        return "Not measured yet."
    rows = []
    for (count, minutes), ones in groups.items():
        found = [one["memorization"] for one in ones]
        rows.append(
            (
                count,
                minutes,
                len(ones),
                f"{sum(m['copies'] for m in found)} of {sum(len(m['copied']) for m in found)}",
                interval(m[NEARER] for m in found),
                interval(m["generated_median"] for m in found),
                interval(m["held_out_median"] for m in found),
                interval(one.get("known_copies_found") for one in ones),
            )
        )
    figure = new_figure(7, 4)
    axes = figure.subplots()
    names = list(dict.fromkeys(count for count, _ in groups))
    for minutes, color in (("2", "#9ecae1"), ("10", "#3182bd"), ("30", "#08306b")):
        drawn = [
            (names.index(count), [one["memorization"][NEARER] for one in ones])
            for (count, m), ones in groups.items()
            if m == minutes
        ]
        of_microtubules = [(place, values) for place, values in drawn if "," not in names[place]]
        _errorbar(axes, of_microtubules, f"{minutes} minutes", color)
        _errorbar(axes, [one for one in drawn if one not in of_microtubules], "_nolegend_", color)
    axes.set(
        xticks=range(len(names)),
        xticklabels=[name.replace(", ", ",\n") for name in names],
        xlabel="training patches of 128²",
        ylabel="nearer than 99 % of held-out patches",
    )
    axes.legend(frameon=False)
    save_figure(figure, PICTURES / "claim_b.png")
    header = (
        "training patches",
        "minutes",
        "seeds",
        "copies",
        "nearer",
        "generated",
        "held out",
        "known copies found",
    )
    return table(header, rows)


def enhancers(pieces: dict[str, Piece]) -> str:
    """Draw and tabulate claim C, with differences paired by seed."""
    by_seed: BySeed = defaultdict(dict)
    for name, one in pieces.items():
        if found := re.fullmatch(r"C_(?:(\w+)fields|without|microscopes(\d*))_seed(\d+)", name):
            for arm in set(ARMS) & set(one):
                by_seed[arm, found[1] or ""][int(found[3])] = one[arm]
            for arm in set(MICROSCOPES) & set(one):
                by_seed[arm, found[2] or "all"][int(found[3])] = one[arm]
    counts = [count for count in ("1", "2", "4", "8", "all") if ("generated", count) in by_seed]
    if not counts:
        return "Not measured yet."
    _draw_enhancers(by_seed, counts)
    parts = [_every_measure(by_seed, counts, kind, how) for kind, how in KINDS.items()]
    others = [arm for arm in ARMS if arm not in ("generated", "both")]
    header = ("fields", "widefield", *(f"over {other}" for other in others))
    rows = [
        (count, kind, *(_difference(by_seed, kind, PRIMARY, count, other) for other in others))
        for kind in KINDS
        for count in counts
    ]
    rows += [("together", kind, *_together(by_seed, kind, counts, others)) for kind in KINDS]
    parts.append(
        f"What `generated` gains in {SHOWN[PRIMARY]}, paired by seed; *together* is the mean over the numbers of "
        "fields, with its p by Holm's method for so many comparisons:\n\n" + table(header, rows)
    )
    keys = [key for key in SHOWN if key != PRIMARY]
    header = ("fields", "widefield", *(SHOWN[key] for key in keys))
    for other in ("experimental", "mathematical"):
        rows = [
            (count, kind, *(_difference(by_seed, kind, key, count, other, 3) for key in keys))
            for kind in KINDS
            for count in counts
        ]
        parts.append(
            f"What it gains over `{other}` in the other measures (less is better for FRC):\n\n" + table(header, rows)
        )
    if through := _microscopes(by_seed, counts):
        parts.append(through)
    return "\n\n".join(parts)


def _microscopes(by_seed: BySeed, counts: Sequence[str]) -> str:
    """Tabulate what another microscope changes, paired by seed."""
    rows = []
    for count in counts:
        for arm, other in MICROSCOPES.items():
            if ours := by_seed.get((arm, count), {}):
                here = [one["real"][KINDS["real"]] for one in ours.values()]
                cells = [interval((one[key] for one in here), 0 if key == "frc_nm" else 2) for key in SHOWN]
                gains = [
                    interval([of_seed - there for of_seed, there in _paired(ours, _arm(by_seed, one, count))], 3)
                    for one in (other, "generated")
                ]
                rows.append((count, arm, len(ours), *cells, f"{other}: {gains[0]}", gains[1]))
    if not rows:
        return ""
    gain = f"gain in {SHOWN[PRIMARY]}"
    header = ("fields", "trained on", "seeds", *SHOWN.values(), f"{gain} over the same as before", "over `generated`")
    return (
        "What another microscope changes, on the **real** widefield image (registered). One takes all columns and "
        "their real widefield image, instead of a simulated one. The other is a simulated one that is fitted to the "
        "whole real widefield image:\n\n" + table(header, rows)
    )


def _paired(ours: dict[int, Piece], theirs: dict[int, Piece]) -> list[tuple[float, float]]:
    """Return the primary outcome of both on the real widefield image, for each seed that both have."""
    how = KINDS["real"]
    return [(ours[s]["real"][how][PRIMARY], theirs[s]["real"][how][PRIMARY]) for s in sorted(set(ours) & set(theirs))]


def _arm(by_seed: BySeed, arm: str, count: str) -> dict[int, Piece]:
    return by_seed.get((arm, "" if arm in NO_FIELDS else count), {})


def _every_measure(by_seed: BySeed, counts: Sequence[str], kind: str, how: str) -> str:
    rows, as_files_lie = [], ("correlation", "correlation_blurred") if how == "registered" else ()
    for count in counts:
        for arm in ARMS:
            seeds = _arm(by_seed, arm, count).values()
            if seeds and (arm not in NO_FIELDS or count == counts[0]):
                cells = [interval((one[kind][how][key] for one in seeds), 0 if key == "frc_nm" else 2) for key in SHOWN]
                cells += [interval(one[kind]["as it is"][key] for one in seeds) for key in as_files_lie]
                rows.append(("none" if arm in NO_FIELDS else count, arm, len(seeds), *cells))
    header = (
        "fields",
        "trained on",
        "seeds",
        *SHOWN.values(),
        *(f"{SHOWN[key]}, as files lie" for key in as_files_lie),
    )
    return f"On the **{kind}** widefield image ({how}):\n\n" + table(header, rows)


def _difference(by_seed: BySeed, kind: str, key: str, count: str, other: str, digits: int = 2) -> str:
    ours, theirs, how = _arm(by_seed, "generated", count), _arm(by_seed, other, count), KINDS[kind]
    pairs = [(ours[s][kind][how][key], theirs[s][kind][how][key]) for s in ours if s in theirs]
    return interval((None if None in pair else pair[0] - pair[1] for pair in pairs), digits)


def _together(by_seed: BySeed, kind: str, counts: Sequence[str], others: Sequence[str]) -> list[str]:
    """Return the gains over each of `others` as means over the numbers of fields of each seed, with adjusted p."""
    gains = [_gains(by_seed, kind, counts, other) for other in others]
    chances = holm([float(ttest_1samp(one, 0).pvalue) if len(one) > 2 else float("nan") for one in gains])
    return [f"{interval(one, 3)}, p = {chance:.2g}" for one, chance in zip(gains, chances, strict=True)]


def _gains(by_seed: BySeed, kind: str, counts: Sequence[str], other: str) -> list[float]:
    gains: dict[int, list[float]] = defaultdict(list)
    for count in counts:
        ours, theirs = _arm(by_seed, "generated", count), _arm(by_seed, other, count)
        for seed in set(ours) & set(theirs):
            pair = (one[seed][kind][KINDS[kind]][PRIMARY] for one in (ours, theirs))
            gains[seed].append(next(pair) - next(pair))
    return [float(np.mean(one)) for one in gains.values()]


def holm(chances: Sequence[float]) -> list[float]:
    """Return p-values that hold for all comparisons together (Holm 1979)."""
    adjusted, highest = list(chances), 0.0
    for rank, i in enumerate(np.argsort(chances)):
        highest = max(highest, min(1.0, (len(chances) - rank) * chances[i]))
        adjusted[i] = highest
    return adjusted


def _draw_enhancers(by_seed: BySeed, counts: Sequence[str]) -> None:
    figure = new_figure(11, 4.5)
    for axes, (kind, how) in zip(figure.subplots(1, 2), KINDS.items(), strict=True):
        for arm, color in ARMS.items():
            if arm in NO_FIELDS:
                values = [one[kind][how][PRIMARY] for one in _arm(by_seed, arm, "").values()]
                middle, half = float(np.mean(values)), float(np.nan_to_num(half_width(values)))
                axes.axhline(middle, color=color, linestyle="--", linewidth=1, label=f"{arm} (no field)")
                axes.axhspan(middle - half, middle + half, color=color, alpha=0.12, linewidth=0)
                continue
            drawn = [
                (place, [one[kind][how][PRIMARY] for one in _arm(by_seed, arm, count).values()])
                for place, count in enumerate(counts)
            ]
            _errorbar(axes, [(place, values) for place, values in drawn if values], arm, color)
        axes.set(xticks=range(len(counts)), xticklabels=counts, xlabel="experimental fields of 256²")
        axes.set(title=f"{kind} widefield image, {how}", ylabel="correlation with the STORM image")
    axes.legend(frameon=False, fontsize=8)
    save_figure(figure, PICTURES / "claim_c.png")


def _errorbar(axes: Any, drawn: Sequence[tuple[float, Sequence[float]]], label: str, color: str) -> None:
    """Draw means with their intervals, and each seed as a point."""
    if not drawn:
        return
    means, halves = [np.mean(v) for _, v in drawn], [np.nan_to_num(half_width(v)) for _, v in drawn]
    axes.errorbar([x for x, _ in drawn], means, halves, label=label, color=color, capsize=3, marker="o", markersize=4)
    for x, values in drawn:
        axes.plot([x] * len(values), values, ".", color=color, alpha=0.5)


def main() -> None:
    """Draw everything, and put the tables into the page."""
    no_options(__doc__)
    pieces, page = measured(), PAGE.read_text(encoding="utf-8")
    for name, part in (("A", resemblance), ("B", copies), ("C", enhancers)):
        begin, end = f"<!-- claim {name}: written by draw_claims.py -->", f"<!-- end of claim {name} -->"
        before, rest = page.split(begin)
        page = f"{before}{begin}\n\n{part(pieces)}\n\n{end}{rest.split(end)[1]}"
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()

"""Draw and tabulate what `paper_claims.py` measured so far: figures in docs/images, tables on standard output.

python benchmarks/draw_claims.py
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from typing import Any

import numpy as np

from common import PICTURES, RESULTS
from napari_smdiffusion.pictures import new_figure, save_figure

PLACE = RESULTS / "paper_claims"
ARMS = {"experimental": "#1f77b4", "mathematical": "#7f7f7f", "generated": "#d62728", "both": "#9467bd"}


def measured() -> dict[str, dict[str, Any]]:
    """Return all pieces by their names."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(PLACE.glob("*.json"))]
    return {one["piece"]: one for one in found}


def interval(values: list[float]) -> str:
    """Return the mean, and the 95 % interval of it by Student's t where there are several seeds."""
    from scipy.stats import t

    mean = float(np.mean(values))
    if len(values) < 2:
        return f"{mean:.3f} (1 seed)"
    half = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return f"{mean:.3f} ± {half:.3f} ({len(values)} seeds)"


def _row(*cells: object) -> None:
    print("| " + " | ".join(map(str, cells)) + " |")


def resemblance(pieces: dict[str, dict[str, Any]]) -> None:
    """Print claim A: realism and AUC against training time."""
    groups: dict[tuple[str, float], list[dict[str, Any]]] = defaultdict(list)
    for name, one in pieces.items():
        if found := re.fullmatch(r"A_(\w+)_([\d.]+)min_seed\d+", name):
            groups[found[1], float(found[2])].append(one)
    _row("structure", "minutes", "realism score", "AUC 128 px", "two halves", "AUC 256 px", "two halves", "copies")
    _row(*["---"] * 8)
    for (structure, minutes), ones in sorted(groups.items()):
        scores = [o["realism"]["score"] for o in ones if o["realism"]["score"] is not None]
        _row(
            structure,
            f"{minutes:g}",
            interval(scores) if scores else "no scale",
            *(
                interval([o[key] for o in ones])
                for key in ("auc_128", "auc_two_halves_128", "auc_256", "auc_two_halves_256")
            ),
            interval([o["memorization"]["copies"] for o in ones]),
        )
    inside: dict[str, list[bool]] = defaultdict(list)
    for (structure, minutes), ones in groups.items():
        for one in ones if structure == "microtubules" and minutes == max(m for _, m in groups) else ():
            for name, value in one["filaments"].items():
                inside[name].append(value["inside"])
    for name, values in inside.items():
        print(f"- {name}: inside the spread of experimental patches for {sum(values)} of {len(values)} seeds")


def copies(pieces: dict[str, dict[str, Any]]) -> None:
    """Print claim B: copies against the number of training patches and time."""
    groups: dict[tuple[int, float], list[dict[str, Any]]] = defaultdict(list)
    for name, one in pieces.items():
        if found := re.fullmatch(r"B_(\d+)patches_([\d.]+)min_seed\d+", name):
            groups[int(found[1]), float(found[2])].append(one)
    _row("training patches", "minutes", "copies among 64", "nearest, generated", "nearest, held out")
    _row(*["---"] * 5)
    for (count, minutes), ones in sorted(groups.items()):
        found_in = [one["memorization"] for one in ones]
        _row(
            count,
            f"{minutes:g}",
            interval([m["copies"] for m in found_in]),
            interval([m["generated_median"] for m in found_in]),
            interval([m["held_out_median"] for m in found_in]),
        )


def enhancers(pieces: dict[str, dict[str, Any]]) -> None:
    """Print claim C with paired differences over seeds, and draw it."""
    groups: dict[tuple[str, int], dict[int, dict[str, Any]]] = defaultdict(dict)
    for name, one in pieces.items():
        if found := re.fullmatch(r"C_(\w+)_(\d+)fields_seed(\d+)", name):
            groups[found[1], int(found[2])][int(found[3])] = one
    if not groups:
        return
    counts = sorted({count for arm, count in groups if arm != "mathematical"})
    figure = new_figure(11, 4.5)
    for axes, kind in zip(figure.subplots(1, 2), ("simulated", "real"), strict=True):
        for arm, color in ARMS.items():
            drawn = [(c, groups[arm, c if arm != "mathematical" else 0]) for c in counts]
            drawn = [(c, list(seeds.values())) for c, seeds in drawn if seeds]
            if not drawn:
                continue
            values = [[one[kind]["correlation_blurred"] for one in ones] for _, ones in drawn]
            means, spreads = [np.mean(v) for v in values], [np.std(v) for v in values]
            axes.errorbar([c for c, _ in drawn], means, spreads, label=arm, color=color, marker="o", capsize=3)
        axes.set(xscale="log", xticks=counts, xticklabels=counts, xlabel="experimental fields of 256²")
        axes.set(title=f"{kind} widefield", ylabel="correlation, reference blurred by 2 px")
        axes.minorticks_off()
    axes.legend()
    save_figure(figure, PICTURES / "claims_enhancers.png")
    _row("fields", "trained on", "simulated widefield", "real widefield", "better than experimental (real, paired)")
    _row(*["---"] * 5)
    for count in counts:
        for arm in ARMS:
            seeds = groups[arm, 0 if arm == "mathematical" else count]
            if not seeds:
                continue
            usual = groups["experimental", count]
            paired = [
                one["real"]["correlation_blurred"] - usual[seed]["real"]["correlation_blurred"]
                for seed, one in seeds.items()
                if seed in usual
            ]
            _row(
                count,
                arm,
                *(interval([o[kind]["correlation_blurred"] for o in seeds.values()]) for kind in ("simulated", "real")),
                interval(paired) if paired and arm != "experimental" else "",
            )


if __name__ == "__main__":
    everything = measured()
    for part in (resemblance, copies, enhancers):
        part(everything)
        print()

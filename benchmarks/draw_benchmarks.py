"""Write docs/benchmarks.md and its figures from the JSON in benchmarks/results.

python benchmarks/draw_benchmarks.py
"""

from __future__ import annotations

import json
from typing import Any

from common import PICTURES, RESULTS, ROOT
from draw_claims import table
from napari_smdiffusion.pictures import new_figure, save_figure

PAGE = ROOT / "docs" / "benchmarks.md"
BEFORE = """# Benchmarks

Written by `benchmarks/draw_benchmarks.py` from the JSON files in `benchmarks/results`; each names the machine, the
versions and the date it was measured on. Each script below makes the other program's environment itself, from PyPI, and
runs both in one go on one machine. Speeds are those of one run with nothing beside it: repeat it on your machine before
you rely on a factor.
"""


def loaded(name: str) -> dict[str, Any] | None:
    """Return a result, or None where it was not measured."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def where(result: dict[str, Any]) -> str:
    """Say on which machine and when."""
    m = result["machine"]
    return f"{m['processor']}, {m['cores']} cores, Python {m['python']}, torch {m['torch']}, {m['date']}."


def reference() -> str:
    """Tabulate speed and memory beside the reference implementation, and realism after equal time."""
    result = loaded("against_reference_speed")
    if result is None:
        return ""
    rows = []
    for name, one in result.items():
        if name != "machine":
            what, size = name.split("_")
            unit = "training step, per image" if what == "train" else "one image"
            cells = (f"{one[who]['seconds']:.3g} s ({one[who]['megabytes']:,} MB)" for who in ("reference", "ours"))
            rows.append((f"{unit}, {size} px", *cells, f"{one['ratio']:,.0f}"))
    parts = [
        "## Against the paper's own code\n",
        "    python benchmarks/against_reference.py\n",
        where(result)
        + " improved_diffusion_for_SMLM 0.3.0 with its own defaults: 1000 evaluations of its network for an image "
        "(4 for each of 4 images were timed), batch of 10 in training; ours 18, batch of 16, bfloat16. Memory is the "
        "highest resident set of the process, for 4 images of theirs and 16 of ours.\n",
        table(("", "reference", "ours", "times quicker"), rows),
    ]
    judged = [(who, loaded(f"against_reference_{who}")) for who in ("theirs", "ours")]
    rows = [
        (name.replace("_", " "), one["steps"], f"{one['realism']['score']:.3f}", f"{one['auc']:.2f}")
        for _, found in judged
        if found is not None
        for name, one in found.items()
        if name != "machine"
    ]
    if rows:
        parts += [
            "\nRealism of 96 patches of 128 px after the same time:\n",
            table(("", "steps", "score", "AUC"), rows),
        ]
    return "\n".join(parts)


def care() -> str:
    """Tabulate and draw the learning curves of CARE and of ours."""
    result = loaded("against_care")
    if result is None:
        return ""
    rows = []
    for who in ("care", "ours"):
        for mark, one in result[who]["curve"].items():
            cells = [
                f"{one['simulated']['as it is'][key]:.2f}" for key in ("psnr", "correlation", "correlation_blurred")
            ]
            cells += [f"{one['real'][how]['correlation_blurred']:.2f}" for how in ("as it is", "registered")]
            minutes, _, loss = mark.partition(" ")
            said = f"{who}, {minutes} min" + (f", {loss} loss" if loss else "")
            rows.append((said, result[who]["steps"][mark], *cells))
    plain = result["interpolated"]
    cells = [f"{plain['simulated']['as it is'][key]:.2f}" for key in ("psnr", "correlation", "correlation_blurred")]
    cells += [f"{plain['real'][how]['correlation_blurred']:.2f}" for how in ("as it is", "registered")]
    rows.append(("interpolated", "", *cells))
    figure = new_figure(9, 4)
    for axes, (kind, how) in zip(
        figure.subplots(1, 2), (("simulated", "as it is"), ("real", "registered")), strict=True
    ):
        for who, color in (("care", "#1f77b4"), ("ours", "#d62728")):
            curve = {float(m): one for m, one in result[who]["curve"].items() if "mse" not in m}
            axes.plot(
                list(curve), [one[kind][how]["psnr"] for one in curve.values()], marker="o", color=color, label=who
            )
        axes.set(xlabel="minutes of training", ylabel="PSNR, dB", title=f"{kind} widefield image, {how}")
    axes.legend(frameon=False)
    save_figure(figure, PICTURES / "against_care.png")
    quick, slow = (result[who]["seconds_to_enhance"] for who in ("ours", "care"))
    megapixels = 1280**2 / 1e6
    header = ("", "updates", "PSNR", "correlation", "blurred", "real, blurred", "real, registered")
    return "\n".join(
        [
            "## The enhancer against CARE\n",
            "    python benchmarks/against_care.py\n",
            f"{where(result)} csbdeep {result['care']['version']}, TensorFlow {result['care']['tensorflow']}. Both "
            "learn from the same 400 pairs in their 8 symmetries, anew for each time. The first columns are of a "
            "simulated widefield image of the test columns, the last two of the real one (blurred).\n",
            table(header, rows),
            "\n![Learning curves](images/against_care.png)\n",
            f"256² to 1280² pixels take CARE {slow:.2f} s and ours {quick:.2f} s: {megapixels / slow:.1f} and "
            f"{megapixels / quick:.1f} megapixels a second, {slow / quick:.1f} times as many.",
        ]
    )


if __name__ == "__main__":
    PAGE.write_text("\n".join([BEFORE, *(part + "\n" for part in (reference(), care()) if part)]), encoding="utf-8")

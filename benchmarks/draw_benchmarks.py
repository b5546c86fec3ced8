"""Write docs/benchmarks.md and its figures from the JSON in benchmarks/results.

python benchmarks/draw_benchmarks.py
"""

from __future__ import annotations

import json
from typing import Any

from common import PICTURES, RESULTS, ROOT
from draw_claims import interval, table
from napari_smdiffusion.pictures import new_figure, save_figure

PAGE = ROOT / "docs" / "benchmarks.md"
BEFORE = """# Benchmarks

Written by `benchmarks/draw_benchmarks.py` from the JSON files in `benchmarks/results`; each names the machine, the
versions and the date it was measured on. The two scripts that compare with another program make its environment
themselves, from PyPI, and run both in one go on one machine. Speeds were measured with nothing beside them, once or a
few times, as each script says: repeat it on your machine before you rely on a factor.
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
        if isinstance(one, dict) and "ratio" in one:
            what, size = name.split("_")
            unit = "training step, per image" if what == "train" else "drawing, per image"
            cells = (f"{one[who]['seconds']:.3g} s ({one[who]['megabytes']:,} MB)" for who in ("reference", "ours"))
            rows.append((f"{unit}, {size} px", *cells, f"{one['ratio']:,.0f}"))
    parts = [
        "## Against the paper's own code\n",
        "    python benchmarks/against_reference.py --only speed\n",
        where(result)
        + " improved_diffusion_for_SMLM 0.3.0 with its own defaults: 1000 evaluations of its network for an image "
        "(4 for each of 4 images drawn at once were timed), batch of 10 in training; ours "
        f"{result['solver_steps']}, of 16 images drawn at once, batch of 16, bfloat16. Memory is the highest resident "
        "set of the process.\n",
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
    header = ("", "updates", "PSNR", "correlation", "blurred", "real, blurred", "real, registered")
    return "\n".join(
        [
            "## The enhancer against CARE\n",
            "    python benchmarks/against_care.py --minutes 0.5 1 2\n",
            f"{where(result)} csbdeep {result['care']['version']}, TensorFlow {result['care']['tensorflow']}. Both "
            "learn from the same 400 pairs in their 8 symmetries, anew for each time. The first columns are of a "
            "simulated widefield image of the test columns, the last two of the real one (blurred).\n",
            table(header, rows),
            "\n![Learning curves](images/against_care.png)\n",
            _enhancing(),
        ]
    )


def _enhancing() -> str:
    """Tabulate how long both take to enhance an image."""
    result = loaded("against_care_speed")
    if result is None:
        return ""
    rows = [
        (f"{side}² to {int(side) * 5}²", *(f"{one[who]:.2f} s" for who in ("care", "ours")),
         *(f"{(int(side) * 5) ** 2 / 1e6 / one[who]:.1f}" for who in ("care", "ours")), f"{one['ratio']:.1f}")
        for side, one in result.items()
        if side != "machine"
    ]  # fmt: skip
    header = ("pixels", "CARE", "ours", "CARE, megapixels a second", "ours", "times quicker")
    return "Enhancing alone:\n\n" + table(header, rows)


def start_up() -> str:
    """Tabulate how soon the first image is there."""
    result = loaded("start_up")
    if result is None:
        return ""
    rows = [
        (f"Run {name.removeprefix('run_after_').removesuffix('_s')} s after the dock was opened",
         *(f"{one[key]['median']:.1f} s" for key in ("first_preview", "first_image")))
        for name, one in result.items()
        if name != "machine"
    ]  # fmt: skip
    cold = loaded("speed") or {}
    rows += [
        ("from a cold command line", "", f"{one['value']:.1f} s") for key, one in cold.items() if "cold command" in key
    ]
    parts = [
        "## The first image",
        "    python benchmarks/start_up.py && python benchmarks/speed.py cold",
        f"{where(result)} Seconds until an image is shown, still being denoised, and until it is finished: 512 pixels "
        "in the dock, medians of three, and 128 on the command line, once.",
        table(("", "shown", "finished"), rows),
    ]
    return "\n\n".join(parts)


def limits() -> str:
    """Tabulate which part of the peak is reached, where the time goes, and how cost grows."""
    result = loaded("limits")
    if result is None:
        return ""
    stages = {name: one for name, one in result.items() if isinstance(one, dict) and "fraction_of_peak" in one}
    rows = [
        (name, f"{one['seconds']:.3g} s", f"{one['gigaflop']:.0f}", f"{100 * one['fraction_of_peak']:.0f} %",
         _longest(one["operators"]))
        for name, one in stages.items()
    ]  # fmt: skip
    peaks = result["peak_gigaflops"]
    parts = [
        "## How near to the limit",
        "    python benchmarks/limits.py",
        f"{where(result)} The peak, the best product of two 2048² matrices, is {peaks['float32']:.0f} · 10⁹ operations "
        f"a second in float32 and {peaks['bfloat16']:.0f} in bfloat16; the fractions are of that in "
        f"{result['precision']}. Operations are counted by torch: multiplications and additions of convolutions, "
        "matrix products and attention.",
        table(("", "time", "10⁹ operations", "of the peak", "the operators that take longest"), rows),
        "How the cost grows:",
    ]
    for name, one in result["growth"].items():
        parts.append(f"- {name}: " + ", ".join(f"{key}: {_time(value)}" for key, value in one.items()))
    return "\n\n".join(parts[:5]) + "\n\n" + "\n".join(parts[5:])


def _time(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def _longest(operators: dict[str, float], most: int = 4) -> str:
    first = list(operators.items())[:most]
    return ", ".join(f"{name.removeprefix('aten::')} {100 * share:.0f} %" for name, share in first)


def solver_steps() -> str:
    """Tabulate realism against the number of steps."""
    result = loaded("solver_steps")
    if result is None:
        return ""
    rows = [
        (name, steps, f"{one['score']:.3f} ({one['score_low']:.3f} to {one['score_high']:.3f})", f"{one['auc']:.2f}",
         f"{100 * one['difference']:.0f} %")
        for name, curve in result.items() if name != "machine"
        for steps, one in sorted(curve.items(), key=lambda item: int(item[0]))
    ]  # fmt: skip
    parts = [
        "## How many steps an image needs",
        "    python benchmarks/solver_steps.py",
        f"{where(result)} The same 400 patches with each number of steps: realism score with its 90 % interval, AUC of "
        "the classifier, and how far they are from those of 64 steps, relative to their standard deviation.",
        table(("model", "steps", "realism", "AUC", "difference"), rows),
        "![Realism against the number of steps](images/solver_steps.png)",
    ]
    return "\n\n".join(parts)


def large_field() -> str:
    """Say what a large field takes, and whether it shows that it was made of windows."""
    result = loaded("large_field")
    if result is None:
        return ""
    seams, again = result["seams"], result["repetition"]
    parts = [
        "## Large fields",
        "    python benchmarks/large_field.py",
        f"{where(result)} {result['size']}² pixels in {result['seconds'] / 60:.1f} minutes, at most "
        f"{result['peak_memory_gb']:.2f} GB. Differences of neighbouring pixels across the borders of windows "
        f"are {seams['at_borders_mean']:.3f} of those across the lines around them, {seams['at_borders_most']:.3f} at "
        f"most; one in 100 of all lines reaches {seams['all_lines_99']:.3f}. Patches of a quarter of it correlate with "
        f"other places of that quarter by {again['generated']['median']:.2f} (median), "
        f"{again['generated']['highest']:.2f} at most; those of the experimental image with its "
        f"other places by {again['experimental']['median']:.2f} and {again['experimental']['highest']:.2f}.",
    ]
    return "\n\n".join(parts)


def fine_tuning() -> str:
    """Tabulate what it brings to begin from a model that ships."""
    result = loaded("fine_tuning")
    if result is None:
        return ""
    names = [name for name in result if name not in ("machine", "minutes")]
    levels = list(result[names[0]][0]["loss"])
    rows = [
        (name, len(result[name]), *(interval((one["loss"][level] for one in result[name]), 3) for level in levels),
         interval(one["realism"] for one in result[name]), interval(one["auc"] for one in result[name]))
        for name in names
    ]  # fmt: skip
    parts = [
        "## Beginning from a model that ships",
        "    python benchmarks/fine_tuning.py",
        f"{where(result)} Mitochondria, as many steps as {result['minutes']} minutes have; loss on the held-out part "
        "at three levels of noise, realism score and AUC; intervals of 95 % over seeds.",
        table(("trained on", "seeds", *(f"loss, σ = {level}" for level in levels), "realism", "AUC"), rows),
    ]
    return "\n\n".join(parts)


PARTS = (reference, care, start_up, solver_steps, large_field, fine_tuning, limits)

if __name__ == "__main__":
    PAGE.write_text("\n".join([BEFORE, *(part + "\n" for one in PARTS if (part := one()))]), encoding="utf-8")

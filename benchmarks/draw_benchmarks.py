"""Write docs/benchmarks.md and its figures from the JSON in benchmarks/results.

python -m benchmarks.draw_benchmarks
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.claims.draw_claims import interval, table
from benchmarks.common import CELLS, PICTURES, ROOT, entries, loaded, no_options, where
from benchmarks.models.draw_microscope import microscope
from benchmarks.realism.solver_steps import curve_of, order
from benchmarks.scale.workers import drawn as workers
from benchmarks.speed.draw_limits import limits
from benchmarks.speed.draw_memory import memory
from napari_smdiffusion.diffusion.noise_prediction import NOISE_STEPS
from napari_smdiffusion.diffusion.sampler import STEPS
from napari_smdiffusion.report.pictures import new_figure, save_figure

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = ROOT / "docs" / "benchmarks.md"
COMPARED = 30  # minutes of training, at most, after which both programs are compared
EVALUATIONS, DDIM = 1000, 25  # of the reference's network for an image, by default and in its shorter way
BEFORE = """# Benchmarks

Written by `benchmarks/draw_benchmarks.py` from the JSON files in `benchmarks/results`. Each names the machine, the
versions and the date it was measured on, and most the commit, with a + where files of the clone had been changed. The
two scripts that compare with another program make its environment themselves, from PyPI. They time both in one go on
one machine. What was trained for long was trained in several goes. Speeds were measured with nothing beside them,
unless it is stated, once or a few times: repeat it on your machine before you rely on a factor. {gpu} The experimental
images are of SFSRM (github.com/crrayna/SFSRM, Chen et al. 2023, BSD-3-Clause).
{aims}
"""


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
            cells = [
                f"{one[who]['seconds']:.3g} s ({one[who]['megabytes']:,} MB)" if who in one else ""
                for who in ("reference", "imported", "ours")
            ]
            ratios = (one.get("ratio_imported"), one["ratio"])
            rows.append((f"{unit}, {size} px", *cells, *("" if ratio is None else f"{ratio:,.0f}" for ratio in ratios)))
    reference, ours = result["generate_128"]["reference"], result["generate_128"]["ours"]
    together = 10 if "all" in reference else 4
    parts = [
        "## Against the paper's own code\n",
        "    python -m benchmarks.speed.against_reference\n",
        where(result)
        + " improved_diffusion_for_SMLM 0.3.0 with its own defaults: 1000 evaluations of its network for an image "
        f"(4 for each of {together} images drawn at once were timed), batch of 10 in training. Ours: "
        f"{result['solver_steps']} evaluations, of 16 images of which the first is drawn alone, batch of 16, bfloat16"
        + (f"; {ours['threads']} threads" if "threads" in ours else "")
        + ". Imported: the same network as the reference's, drawn by our solver in 20 steps and in float32. Memory is "
        "the highest resident set of the process.\n",
        table(("", "reference", "imported", "ours", "imported, times quicker", "ours, times quicker"), rows),
        _fairness(result),
    ]
    return "\n".join([*parts, *_after_equal_time(), *_imported_steps(), *_imported_exactly()])


def _fairness(result: dict[str, Any]) -> str:
    """Say under which conditions the factors are what they are, and what they would be under others."""
    train, draw = result["train_128"], result["generate_128"]
    short = draw["reference"]["seconds"] * DDIM / EVALUATIONS
    said = [
        "The reference computes in float32. Its training step is the best of four on random images, ours the median "
        "of three times ten on a simulated one. A quarter of our steps show 4 patches of twice the side, which are as "
        "many pixels and count as 16 images.",
        f"It can draw by DDIM too, in {DDIM} evaluations instead of {EVALUATIONS}: {short:.2g} s for an image of 128 "
        f"px by the same timing, {short / draw['ours']['seconds']:.0f} times what ours takes and "
        f"{short / draw['imported']['seconds']:.1f} times what an imported model does.",
    ]
    if in_float32 := _in_float32():
        training, drawing = train["ratio"] / in_float32["training"], draw["ratio"] / in_float32["drawing"]
        said.append(
            f"In float32, where a processor has no bfloat16, ours takes {in_float32['training']:.2f} times as long in "
            f"training and {in_float32['drawing']:.2f} times in drawing (below): about {training:.0f} and "
            f"{drawing:,.0f} times quicker than the reference at 128 px."
        )
    return "\n" + " ".join(said)


def _in_float32() -> dict[str, float]:
    """Return how many times as long ours takes in float32, where both were measured."""
    stages = (loaded("limits") or {}).get("stages", {})
    kinds = {"training": "training step, 16", "drawing": "16 images", "enhancing": "256² enhanced"}
    found = {}
    for kind, begin in kinds.items():
        for name, one in stages.items():
            if name.startswith(begin) and "float32" in one and "bfloat16" in one:
                found[kind] = one["float32"]["seconds"] / one["bfloat16"]["seconds"]
    return found if len(found) == len(kinds) else {}


def aims() -> str:
    """Say which of the aims are met, as they are and in float32."""
    reference, care, slower = loaded("against_reference_speed"), loaded("against_care_speed"), _in_float32()
    if reference is None or care is None or not slower:
        return ""
    again, said = _enhancing_again(care)
    told = [
        (f"{what}, of {aim:,} times", f"{ratio:,.{digits}f}", f"{ratio / slower[kind]:,.{digits}f}",
         _met(ratio, ratio / slower[kind], aim, others))
        for what, kind, ratio, aim, digits, others in (
            ("training step at 128 px", "training", reference["train_128"]["ratio"], 35, 0, []),
            ("drawing at 128 px", "drawing", reference["generate_128"]["ratio"], 1000, 0, []),
            ("enhancing 256² to 1280²", "enhancing", care["256"]["ratio"], 15, 1, again),
        )
    ]  # fmt: skip
    header = ("aim, against the reference and CARE", "in bfloat16", "in float32, by the ratio below", "")
    return "\nThe aims, on two cores:\n\n" + table(header, told) + said


def _enhancing_again(care: dict[str, Any]) -> tuple[list[float], str]:
    """Return how many times quicker than CARE the network alone is, and state what the rest of the time is."""
    limits = loaded("limits")
    took = care["256"]
    said = (
        f"\n\nEnhancing took {took['ours']:.2f} s. That includes the checks of the result: whether it explains its "
        "widefield image, rings, or has a grid. CARE has none of them."
    )
    if limits is None or limits["machine"]["processor"] != care["machine"]["processor"]:
        return [], f"{said}\n"
    seconds = limits["stages"]["256² enhanced to 1280²"]["bfloat16"]["seconds"]
    ratio = took["care"] / seconds
    return [ratio], f"{said} The network alone takes {seconds:.3f} s, and is {ratio:.1f} times quicker than CARE.\n"


def _met(ratio: float, in_float32: float, aim: float, others: list[float]) -> str:
    """Say whether an aim is met; `others` are what the ratio is by other measurements."""
    if ratio < aim:
        return "missed"
    said = "met"
    if missed := sum(other < aim for other in others):
        said += f" by {1 + len(others) - missed} of {1 + len(others)} measurements"
    return said if in_float32 >= aim else f"{said} in bfloat16, missed in float32"


def _after_equal_time() -> list[str]:
    """Tabulate realism after the same time of training."""
    order = ("reference", "scratch", "pretrained", "two halves")
    found = sorted(
        (one for one in entries("against_reference_trained").values() if one.get("minutes", 0) <= COMPARED),
        key=lambda one: (one["size"], order.index(one["who"]), one.get("minutes", 0)),
    )
    judged = [one for one in found if "realism" in one]
    if not judged:
        return []
    rows = [
        (f"{one['size']} px", "reference, imported" if one["who"] == "reference" else f"ours, {one['who']}",
         f"{one['minutes']} min", one["steps"], one["evaluations"], one["patches"], _score(one["realism"]),
         *(f"{one['realism'][key]:.2f}" for key in ("diversity", "coverage")), interval(one["auc"]))
        if one in judged else (f"{one['size']} px", one["who"], *[""] * 7, interval(one["auc"]))
        for one in found
    ]  # fmt: skip
    header = ("size", "program", "training", "steps", "evaluations for an image", "images", "realism", "diversity",
              "coverage", "AUC")  # fmt: skip
    sizes = sorted({one["size"] for one in judged})
    return [
        f"\nAfter the same time of training ({where(*judged)[:-1]}), against the columns that all were trained on. "
        "The table has the realism score with its 90 % interval, diversity and coverage, and the AUC of three "
        "classifiers with its 95 % interval. Diversity is how different the images are from each other, and coverage "
        "how many experimental ones have one like them; 1 is ideal. The last row has how well the classifiers tell two "
        "halves of these columns. Times are given in steps, as many as the "
        "timing above makes of them. Images of 256 px are judged in quarters, for there are no more than 15 "
        "experimental patches of that size. The reference's raw weights are drawn by our solver, not by its own 1000 "
        "evaluations. Its average is left out, which after so few steps is near the untrained network still. The "
        "intensities it was given are stretched, all alike, and those of its images scaled back. What is called "
        "pretrained began from the bundled model of simulated filaments, which took an hour and three quarters more "
        "and saw no experimental image. The reference is meant to be trained for far longer, on a GPU. In this time it "
        "has hardly begun: at 64 px filaments begin to show in its noise. What is compared is what a laptop gives in "
        "half an hour, not what its images are like in the end. The pictures show those whose images are kept: at "
        "64 px of a second training of the reference, for longer."
        f"{_apart_from_each_other(judged)}\n",
        table(header, rows),
        *(f"\n![Patches of {size} pixels](images/against_reference_{size}.png)" for size in sizes),
        "",
    ]


def _apart_from_each_other(judged: list[dict[str, Any]]) -> str:
    """Name what the classifiers do not agree about."""
    said = [
        f"{one['minutes']} minutes of {one['who']} at {one['size']} px ({_each(one['auc'])})"
        for one in judged
        if max(one["auc"]) - min(one["auc"]) > 0.25
    ]
    return f" The three classifiers did not learn the same about {', '.join(said)}." if said else ""


def _imported_steps() -> list[str]:
    """Tabulate realism of the imported reference against the number of steps."""
    result = loaded("against_reference_steps")
    if result is None:
        return []
    rows = [
        (steps, _score(one["realism"]), f"{100 * one['difference']:.0f} %")
        for steps, one in sorted(result["curve"].items(), key=lambda item: int(item[0]))
    ]
    size, steps = result["size"], result["steps"]
    longest = next(
        (
            one
            for one in entries("against_reference_trained").values()
            if (one["who"], one["size"], one.get("steps")) == ("reference", size, steps)
        ),
        None,
    )
    judged = (
        ""
        if longest is None
        else f", which is {longest['minutes']} minutes: realism {_score(longest['realism'])}, AUC "
        f"{interval(longest['auc'])}, of {longest['patches']} patches drawn and judged as above"
    )
    return [
        f"\nThe network of the reference after {steps:,} steps of training on images of {size} px{judged}. The table "
        f"is of {result['patches']} patches drawn by our solver from the same noise. It tells how far they are from "
        f"those of 64 steps ({where(result)[:-1]}). Filaments show by then, with any number of steps, on a background "
        "that is too bright and noisy (the picture above). So the score says little here, and the difference more. "
        f"By the score 8 steps would do. The default is {NOISE_STEPS}, by which the deviation of a known "
        "distribution is met within 7 %.\n",
        table(("steps of the solver", "realism", "difference"), rows),
    ]


def _imported_exactly() -> list[str]:
    """Say how far what imported checkpoints compute is from what the reference computes with them."""
    result = loaded("reference_checkpoints")
    if result is None:
        return []
    found = [one for networks in result["compared"].values() for one in networks]
    sizes = sorted({one["size"] for one in found})
    widths = sorted({one["width"] for one in found})
    drawn = sorted({one["size"] for one in found if "images" in one})
    return [
        "\nWhether imported checkpoints compute the same:\n",
        "    python -m benchmarks.models.reference_checkpoints\n",
        f"{where(result)} Networks of the versions {' and '.join(result['compared'])} of improved_diffusion_for_SMLM, "
        f"for images of {_listed(sizes)} px, {_listed(widths)} channels wide, with random weights and saved by that "
        "code. Of each version, one has two blocks and one a learned variance. The noise that they predict differs by "
        f"at most {_of_std(found, 'noise')} of its standard deviation. What those of one block and without a variance "
        f"draw by DDIM in {result['evaluations']} evaluations, of {_listed(drawn)} px, differs by at most "
        f"{_of_std(found, 'images')}. This is the rounding of float32.",
    ]


def _listed(numbers: list[int]) -> str:
    return f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


def _of_std(found: list[dict[str, Any]], key: str) -> str:
    return f"{max(one[key] for one in found if key in one):.5f}"


def _score(realism: dict[str, float]) -> str:
    return f"{realism['score']:.3f} ({realism['score_low']:.3f} to {realism['score_high']:.3f})"


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
    rows += [*_deconvolved(), ("interpolated", "", *cells)]
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
    marks = {who: " ".join(mark for mark in result[who]["curve"] if "mse" not in mark) for who in ("care", "ours")}
    command = f"    python -m benchmarks.speed.against_care --minutes {marks['care']} --our-minutes {marks['ours']}\n"
    header = ("", "updates", "PSNR", "correlation", "blurred", "real, blurred", "real, registered")
    return "\n".join(
        [
            "## The enhancer against CARE\n",
            command,
            f"{where(result)} csbdeep {result['care']['version']}, TensorFlow {result['care']['tensorflow']}. Both "
            "learn from the same 400 pairs in their 8 symmetries, CARE from their quarters, anew for each time. A few "
            "seconds of other work fell into the training of ours. The first columns are of a "
            "simulated widefield image of the test columns, the last two of the real one (blurred). Ours computes in "
            "bfloat16, CARE in float32, in training and in enhancing.\n",
            table(header, rows),
            *_to_equal_psnr(result),
            "\n![Learning curves](images/against_care.png)\n",
            _enhancing(),
        ]
    )


def _deconvolved() -> list[tuple[object, ...]]:
    """Return the row of Richardson-Lucy after as many iterations as suit it best on the real image."""
    result = loaded("deconvolution")
    if result is None:
        return []
    by_count = result["iterations"]
    best = max(by_count, key=lambda count: by_count[count]["real"]["as it is"]["correlation_blurred"])
    simulated, real = by_count[best]["simulated"]["as it is"], by_count[best]["real"]
    cells = [f"{simulated[key]:.2f}" for key in ("psnr", "correlation", "correlation_blurred")]
    cells += [f"{real[how]['correlation_blurred']:.2f}" for how in ("as it is", "registered")]
    return [(f"Richardson-Lucy, {best} iterations, the best of {', '.join(by_count)}", "", *cells)]


def _to_equal_psnr(result: dict[str, Any]) -> list[str]:
    """Say how long ours takes to what CARE reaches, and what a patch and a pixel take."""
    if "equal" not in result:
        return []
    equal, (care, ours) = result["equal"], (result[who]["training"] for who in ("care", "ours"))
    least = {"at most": "at least ", "more than": "less than "}.get(equal["ours_is"], "")
    bound = f"{equal['ours_is']} " if equal["ours_is"] else ""
    said = [
        f"To the best PSNR of CARE on the simulated image, {equal['psnr']:.2f} dB after {equal['care_minutes']:g} "
        f"minutes, ours takes {bound}{60 * equal['ours_minutes']:.0f} s: {least}{equal['ratio']:.0f} times "
        "less."
    ]
    said += [
        f"A patch of {one['side']}² pixels takes {who} {1000 * one['seconds_a_patch']:.1f} ms of training, a pixel "
        f"{1e9 * one['seconds_a_pixel']:.0f} ns."
        for who, one in (("CARE", care), ("ours", ours))
    ]
    times, pixels = (care[key] / ours[key] for key in ("seconds_a_patch", "seconds_a_pixel"))
    said.append(f"Ours is {times:.0f} times quicker by the patch, {pixels:.0f} by the pixel.")
    return ["\n" + " ".join([*said, _at_each_time(result)])]


def _at_each_time(result: dict[str, Any]) -> str:
    """Say how long ours takes to what CARE has reached at each of its times."""
    curve = {
        who: {float(mark): one["simulated"]["as it is"]["psnr"] for mark, one in result[who]["curve"].items()
              if " " not in mark}
        for who in ("care", "ours")
    }  # fmt: skip
    marks = sorted(curve["ours"])
    heights = np.maximum.accumulate([curve["ours"][mark] for mark in marks])
    told = []
    for minutes, psnr in curve["care"].items():
        seconds = 60 * float(np.exp(np.interp(psnr, heights, np.log(marks))))
        bound = "less than " if psnr < heights[0] else "more than " if psnr > heights[-1] else ""
        told.append(f"{bound}{seconds:.0f} s for its {minutes:g} min ({psnr:.2f} dB)")
    return f"At each of its times: {', '.join(told)}. CARE is meant to be trained for longer, on a GPU."


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
    cold = {key: one for key, one in entries("speed").items() if "cold command" in key}
    rows += [("from a cold command line", "", f"{one['value']:.1f} s") for one in cold.values()]
    parts = [
        "## The first image",
        "    python -m benchmarks.speed.start_up && python -m benchmarks.speed.stages cold",
        f"{where(result, *cold.values())} Seconds until an image is shown, still being denoised, and until it is "
        "finished: 512 pixels in the dock, medians of three, and 128 on the command line, once.",
        table(("", "shown", "finished"), rows),
    ]
    return "\n\n".join(parts)


def solver_steps() -> str:
    """Tabulate realism against the number of steps."""
    result = entries("solver_steps")
    if not result:
        return ""
    points = [
        (name, steps, one)
        for name, measured in result.items()
        for steps, one in sorted(curve_of(measured).items(), key=lambda item: order(item[0]))
    ]
    told = any("auc_of_64_steps" in one for *_, one in points)
    rows = [
        (name, steps, _score(one), f"{one['auc']:.2f}", *([_each(one.get("auc_of_64_steps", ()))] if told else []),
         f"{100 * one['difference']:.0f} %")
        for name, steps, one in points
    ]  # fmt: skip
    of_64 = " AUC of two classifiers against patches of 64 steps and other noise (0.5 ± 0.04 is chance);"
    parts = [
        "## How many steps an image needs",
        f"    python -m benchmarks.realism.solver_steps {' '.join(result)}",
        f"{where(*result.values())} 400 patches from the same noise with each number of steps: realism score with its "
        f"90 % interval; AUC of the classifier, against experimental ones;{of_64 if told else ''} the difference from "
        "those of 64 steps and the same noise, relative to their standard deviation."
        f"{' What is called fitted is the solver below.' if any('fitted' in steps for _, steps, _ in points) else ''}",
        table(("model", "steps", "realism", "AUC", *(["told from 64 steps"] if told else []), "difference"), rows),
        *_repeated_steps(),
        "![Realism against the number of steps](images/solver_steps.png)",
        *_fitted_solver(),
    ]
    return "\n\n".join(parts)


def _repeated_steps() -> list[str]:
    """Tabulate the numbers of steps among which the choice is as they were judged once more."""
    result = entries("solver_steps_repeated")
    if not result:
        return []
    rows = [
        (name, steps, interval(one["auc"]), interval(one["auc_of_64_steps"]))
        for name, measured in result.items()
        for steps, one in sorted(measured["curve"].items(), key=lambda item: order(item[0]))
    ]
    return [
        f"    python -m benchmarks.realism.solver_steps --repeat {' '.join(result)}",
        f"{where(*result.values())} Those among which the choice is, once more, from other noise: AUC of three "
        "classifiers, each against experimental windows that are drawn anew, and of three against patches of 64 steps "
        "and other noise, with 95 % intervals of their means. By how much more than 64 steps themselves they are told "
        f"from 64 steps, over both measurements, paired by classifier: {'; '.join(_more_than_64(result))}. All of this "
        "is less than what another noise changes; against experimental patches no number from 9 on differs from 64 "
        f"beyond its interval. The default is {STEPS}, the fewest by which microtubules are told no more than by 12; "
        "mitochondria show no order among 8 to 12.",
        table(("model", "steps", "AUC", "told from 64 steps"), rows),
    ]


def _more_than_64(repeated: dict[str, dict[str, Any]]) -> list[str]:
    """Say for each model and number of steps by how much the patches are told from 64 steps more than these are."""
    first, said = entries("solver_steps"), []
    for name, measured in repeated.items():
        curves = (curve_of(measured), curve_of(first[name]))
        gains = {
            steps: [
                more - own
                for curve in curves
                for more, own in zip(curve[steps]["auc_of_64_steps"], curve["64"]["auc_of_64_steps"], strict=True)
            ]
            for steps in measured["curve"]
            if steps != "64"
        }
        said.append(f"{name} {', '.join(f'{steps} by {interval(gain, 3)}' for steps, gain in gains.items())}")
    return said


def _fitted_solver() -> list[str]:
    """Tabulate how nearly few steps follow 64, by formula and by the solver that was fitted."""
    result = entries("fitted_solver")
    if not result:
        return []
    told = {
        f"{steps}, {kind}": entry[kind]
        for steps, entry in sorted(result.items(), key=lambda item: int(item[0]))
        for kind in ("formula", "fitted")
        if kind in entry
    }
    models = list(next(iter(told.values())))
    rows = [
        (name, *(f"{100 * one['distance']:.1f} % ({one['amplitudes'][0]:.2f})" for one in (of[m] for m in models)))
        for name, of in told.items()
    ]
    return [
        "    python -m benchmarks.realism.fitted_solver --steps 7 --others FOLDERS-OF-MODELS",
        f"{where(*result.values())} A solver of few steps whose noise levels and weights were fitted to the three "
        "models that ship, against DPM-Solver++(2M), from other noise. The table has the distance to images of 64 "
        "steps as above, as the median over 12 images, and the weakest band of spatial frequencies, relative to "
        "theirs. Nothing was "
        "fitted to the other models (of claim A). It is not used yet.",
        table(("steps", *(name.replace("_", " ") for name in models)), rows),
    ]


def _how_often_better(groups: dict[str, list[dict[str, Any]]]) -> str:
    """Say in how many pairs of one seed the start is better than nothing in all that was measured."""
    better = pairs = 0
    for name, ones in groups.items():
        fields, _, start = name.partition(", from ")
        plain = {one["seed"]: one for one in groups[f"{fields}, from nothing"]}
        for one in ones if start != "nothing" else ():
            if other := plain.get(one["seed"]):
                pairs += 1
                lower = [one["loss"][level] < other["loss"][level] for level in one["loss"]]
                better += all(lower) and one["realism"] < other["realism"]
    return f"In {better} of the {pairs} pairs of one seed all of these are lower from a model than from nothing."


def _gained(groups: dict[str, list[dict[str, Any]]]) -> str:
    """Say what each start gains in realism over nothing, paired by seed."""
    told = []
    for name, ones in groups.items():
        fields, _, start = name.partition(", from ")
        if start != "nothing":
            plain = {one["seed"]: one["realism"] for one in groups[f"{fields}, from nothing"]}
            gains = interval(plain[one["seed"]] - one["realism"] for one in ones if one["seed"] in plain)
            told.append(f"{fields} from {start} {gains}")
    return "; ".join(told)


def _each(values: Iterable[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


def large_field() -> str:
    """Say what a large field takes, and whether it shows that it was made of windows."""
    result = loaded("large_field")
    if result is None:
        return ""
    fields = result.get("fields") or {"microtubules": result}
    searched = "all of it" if "fields" in result else "a quarter of it"
    parts = [
        "## Large fields",
        "    python -m benchmarks.realism.large_field",
        f"{where(result)} Memory is the highest of the process, which only the first of the fields tells: the networks "
        "are of one size, and so are the fields. Repetition is looked for by the best match that a patch has anywhere "
        f"else in its field. A field of {result['size']}² has more places to match by chance than the experimental "
        "image, so that its highest may be somewhat higher; a window that came again would have 1.",
    ]
    for structure, one in fields.items():
        seams, again = one["seams"], one["repetition"]
        memory = f", at most {one['peak_memory_gb']:.2f} GB" if "peak_memory_gb" in one else ""
        said = (
            f"{structure.capitalize()}: {result['size']}² pixels in {one['seconds'] / 60:.1f} minutes{memory}. "
            f"Differences of neighbouring pixels across the borders of windows are {seams['at_borders_mean']:.3f} of "
            f"those across the lines around them, {seams['at_borders_most']:.3f} at most; one in 100 of all lines "
            f"reaches {seams['all_lines_99']:.3f}."
        )
        if "overlaps" in one:
            kept = one["overlaps"]
            said += (
                f" Where windows overlap the variance is {kept['variance_kept']:.3f} of what it is in a field made in "
                f"one window; windows not denoised together would keep {kept['variance_kept_by_strangers']:.2f}."
            )
        parts.append(
            f"{said} Patches correlate with other places of {searched} by {again['generated']['median']:.2f} (median), "
            f"{again['generated']['highest']:.2f} at most; those of the experimental image with its other places by "
            f"{again['experimental']['median']:.2f} and {again['experimental']['highest']:.2f}."
        )
    return "\n\n".join(parts)


def fine_tuning() -> str:
    """Tabulate what it brings to begin from a model that ships."""
    found = list(entries("fine_tuning").values())
    if not found:
        return ""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in found:
        groups[one["trained_on"]].append(one)
    levels = list(found[0]["loss"])
    rows = [
        (name, len(seeds), *(interval((one["loss"][level] for one in seeds), 3) for level in levels),
         interval(one["realism"] for one in seeds))
        for name, seeds in groups.items()
    ]  # fmt: skip
    parts = [
        "## Beginning from a model that ships",
        "    python -m benchmarks.models.fine_tuning",
        f"{where(*found)} Mitochondria, as many steps as {found[0]['minutes']} minutes have. The table has the loss on "
        f"the held-out part at three levels of noise, and the realism score of {found[0]['patches']} patches: means "
        f"over seeds, from three on with intervals of 95 %. {_how_often_better(groups)} One structure and one time: "
        "nothing is known of others. By how much the realism score is lower than from nothing, paired by seed: "
        f"{_gained(groups)}.",
        table(("trained on", "seeds", *(f"loss, σ = {level}" for level in levels), "realism"), rows),
        *_fine_tuned_enhancers(),
    ]
    return "\n\n".join(parts)


def _fine_tuned_enhancers() -> list[str]:
    """Tabulate what it brings an enhancer to begin from one that ships."""
    found = list(entries("fine_tuning_enhancers").values())
    if not found:
        return []
    groups: dict[tuple[float, str], list[dict[str, Any]]] = defaultdict(list)
    for one in found:
        groups[one["minutes"], one["start"]].append(one)
    rows = [
        (f"{60 * minutes:.0f} s", start, len(seeds), interval(one["simulated"]["psnr"] for one in seeds),
         *(interval(one[image][key] for one in seeds)
           for image, key in (("simulated", "correlation"), ("real", "correlation_blurred"))))
        for (minutes, start), seeds in sorted(groups.items(), key=lambda item: item[0][0])
    ]  # fmt: skip
    return [
        f"Enhancers, {where(*found)} Trained on one window of 512² of the mitochondria, as many steps as the times "
        "have. PSNR and correlation of a simulated widefield image of the held-out part with that part; correlation of "
        "the real one, laid exactly on it, with that part blurred by 2 pixels. Better after the shortest of the times, "
        "worse after half a minute, and not trained for two minutes: nothing is to be had by it for sure. From one "
        "window, two minutes from nothing were worse than half of one on what is simulated from others.",
        table(("training", "from", "seeds", "PSNR", "correlation", "real, blurred"), rows),
    ]


def conditional() -> str:
    """Tabulate the realism of one model of two structures and of a model of each."""
    found = list(entries("conditional").values())
    if not found:
        return ""
    groups: dict[tuple[str, str, float, int], list[dict[str, Any]]] = defaultdict(list)
    for one in found:
        groups[one["structure"], one["model"], one["guidance"], one["steps"]].append(one)
    rows = [
        (structure, "it alone" if model == structure else f"both, guidance {guidance:g}", steps, len(seeds),
         interval(one["realism"] for one in seeds), interval(one["diversity"] for one in seeds),
         f"{100 * max(one['like_the_other'] for one in seeds):.1f} %")
        for (structure, model, guidance, steps), seeds in sorted(groups.items())
    ]  # fmt: skip
    experimental = max(one["experimental_like_the_other"] for one in found)
    return "\n\n".join(
        [
            "## One model of several structures",
            "    python -m benchmarks.models.conditional",
            f"{where(*found)} All models begin from `simulated-filaments`. The model of both has twice the steps, half "
            f"of each for a structure. The table has the realism score and the diversity of {found[0]['patches']} "
            "patches of 128²: means over seeds, from three on with intervals of 95 %. The last column is the largest "
            "share of patches whose nearest experimental patch, by texture, is of the other structure. Of experimental "
            f"patches it is at most {100 * experimental:.1f} %.",
            table(("structure", "model of", "steps", "seeds", "realism", "diversity", "like the other"), rows),
        ]
    )


def samplers() -> str:
    """Tabulate how far samplers of other trainings differ."""
    found = {structure: list(entries(f"sampler_seeds_{structure}").values()) for structure in CELLS}
    if not any(found.values()):
        return ""
    rows = []
    for structure, seeds in found.items():
        if seeds:
            gaps = (
                interval((one["honesty"][blur]["with_sample"] - one["honesty"][blur]["with_truth"] for one in seeds), 3)
                for blur in ("0", "2", "4")
            )
            auc = interval(one["realism"]["sample"]["auc"] for one in seeds)
            held = (interval(one["intervals"][key] for one in seeds) for key in ("ninety_structure", "ninety_all"))
            better = interval((one["mean_of_samples"]["blurred"] - one["estimate"]["blurred"] for one in seeds), 3)
            rows.append((structure, len(seeds), *gaps, auc, *held, better))
    names = ("gap", "blurred by 2 px", "by 4 px", "AUC of a sample", "90 % intervals, structure", "all pixels")
    header = ("structure", "trainings", *names, "gain in correlation by samples")
    return "\n\n".join(
        [
            "## Samplers of other trainings",
            "    python -m benchmarks.models.sampler_seeds microtubules",
            f"{where(*(one for seeds in found.values() for one in seeds))} Each sampler was trained anew with another "
            "seed, for 1 500 steps and 250 through wider microscopes, on the bundled best estimate. The bundled "
            "sampler of microtubules saw three times as many steps. Judged on the real pairs with 16 samples; means "
            "with intervals of 95 % over the trainings. The *gap* is the correlation of two samples minus that of a "
            "sample with the truth: 0 if samples are honest. The gain compares the best estimate with samples and "
            "the estimate alone with the STORM image, which is blurred by 2 px.",
            table(header, rows),
        ]
    )


def processes() -> str:
    """State how a training in two processes compares with one."""
    result = loaded("training_processes")
    if result is None:
        return ""
    two, one = (min(result[key]) for key in ("two_processes_s", "one_process_s"))
    return "\n\n".join(
        [
            "## Training in two processes",
            "    python -m benchmarks.scale.processes",
            f"{where(result)} A training step of 16 patches of 128² takes {two:.2f} s in two processes of one thread "
            f"each, and {one:.2f} s in one process of two threads: {two / one:.1f} times as long. On one computer "
            "without GPUs, one process is quicker.",
        ]
    )


PARTS = (
    reference,
    care,
    start_up,
    solver_steps,
    large_field,
    fine_tuning,
    conditional,
    microscope,
    samplers,
    memory,
    workers,
    processes,
    limits,
)

if __name__ == "__main__":
    no_options(__doc__)
    on_gpu = loaded("limits_cuda") is not None
    gpu = "Nothing but the limits was measured on a GPU." if on_gpu else "Nothing was measured on a GPU."
    PAGE.write_text(
        "\n".join([BEFORE.format(gpu=gpu, aims=aims()), *(part + "\n" for one in PARTS if (part := one()))]),
        encoding="utf-8",
    )

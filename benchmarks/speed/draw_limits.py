"""The part of docs/benchmarks.md on what `speed/limits.py` measured, and its figure; drawn by `draw_benchmarks.py`."""

from __future__ import annotations

from typing import Any

from benchmarks.claims.draw_claims import table
from benchmarks.common import PICTURES, entries, loaded, where
from napari_smdiffusion import TrainConfig
from napari_smdiffusion.report.pictures import new_figure, save_figure


def limits() -> str:
    """Tabulate which part of the peak is reached, where the time goes, and how cost grows."""
    parts = [_limits(name, result) for name in ("limits", "limits_cuda") if (result := loaded(name)) is not None]
    return "\n\n".join(["## How near to the limit", "    python -m benchmarks.speed.limits", *parts]) if parts else ""


def _limits(name: str, result: dict[str, Any]) -> str:
    stages = result.get("stages") or {
        stage: {**one, result["precision"]: one}
        for stage, one in result.items()
        if isinstance(one, dict) and "fraction_of_peak" in one
    }
    used, peaks = result["precision"], result["peak_gigaflops"]
    rows = [
        (stage, kind, f"{one[kind]['seconds']:.3g} s",
         f"{one['images'] / one[kind]['seconds']:.3g}" if "images" in one else "", f"{one['gigaflop']:.0f}",
         f"{100 * one[kind]['fraction_of_peak']:.0f} %", _longest(one["operators"]) if kind == used else "")
        for stage, one in stages.items()
        for kind in peaks
        if kind in one
    ]  # fmt: skip
    device = f"{result['device']}. " if result.get("device", "cpu") != "cpu" else ""
    parts = [
        f"{where(result)} {device}The peak, the best product of two large matrices (as one, or as a "
        f"convolution of 1×1), is {peaks['float32']:.0f} · 10⁹ operations a second in float32 "
        f"and {peaks['bfloat16']:.0f} in bfloat16. Operations are counted by torch: "
        "multiplications and additions of convolutions and matrix products. Those of attention it does not count on a "
        "processor: half a per cent of an image of 512². The package computes in "
        f"{used} on this machine. Above 100 %, convolutions suit the machine better than the product does. Images are "
        "drawn together here; a run of the program draws the first alone, so that it is there sooner, which is why 16 "
        "of them take longer elsewhere.",
        table(
            (
                "",
                "precision",
                "time",
                "images a second",
                "10⁹ operations",
                "of the peak",
                "the operators that take longest",
            ),
            rows,
        ),
        *([_stood_out(stages, result["growth"])] if name == "limits" else []),
        _growth(name, result["growth"]),
        *_tried(loaded(name.replace("limits", "limits_tried"))),
    ]
    return "\n\n".join(parts)


def _stood_out(stages: dict[str, Any], growth: dict[str, dict[str, float]]) -> str:
    """Say what was looked at for time that could be saved, and what became of it."""
    train, draw = (
        stages[name]["operators"] for name in ("training step, 16 patches of 128²", "16 images of 128² drawn")
    )
    norms = [
        100 * sum(share for name, share in one.items() if name.startswith("aten::native_group_norm"))
        for one in (train, draw)
    ]
    attention = 100 * max(
        share for one in stages.values() for name, share in one["operators"].items() if "attention" in name
    )
    alone = growth["drawing one image, against its size"]
    together = growth["drawing images of 128² together, each, against their number"]
    said = [
        "*Python*: one image of 64² takes "
        f"{_time(alone['64'])} to draw and one of 128² {_time(alone['128'])}, so that images are drawn together, each "
        f"{together['1'] / together['16']:.1f} times quicker with 16",
        f"*memory format*: {_formats()}",
        f"*attention*: on the coarsest grid alone, at most {attention:.0f} % of drawing",
        f"*group normalization*: {norms[0]:.0f} % of a training step, {norms[1]:.0f} % of drawing, as torch has it",
        "*precision*: bfloat16 where the processor multiplies it",
        "*threads*: as many as there are cores; *compiling*: below",
    ]
    whole = [one["value"] for key, one in entries("speed").items() if key.startswith("training, patches")]
    step = [one for name, one in stages.items() if name.startswith("training step")]
    if whole and step:
        rate = step[0]["images"] / step[0]["bfloat16"]["seconds"]
        said.insert(0, f"*data*: {whole[0]:.0f} patches a second in a whole training, {rate:.0f} in its step alone")
    return "What was looked at, and what became of it:\n\n" + "\n".join(f"- {one}." for one in said)


def _formats() -> str:
    """Say how long all takes with channels first, relative to channels last."""
    result = loaded("limits_formats")
    if result is None:
        return "channels first in training, channels last elsewhere (not compared)"
    said = [f"{name} {one['channels first'] / one['channels last']:.2f}" for name, one in result["formats"].items()]
    return (
        "channels first in training on a processor, channels last elsewhere. With channels first, the time is "
        f"multiplied by these factors: {', '.join(said)}. The training steps here were measured with channels last, "
        "before this was found: they are quicker now"
    )


def _growth(name: str, growth: dict[str, dict[str, float]]) -> str:
    """Draw how the cost grows: against size, number and width of the network."""
    figure = new_figure(12, 3.6)
    kinds = (("against its size", "pixels of a side"), ("against their number", "images drawn together"),
             ("against the width", "width of the network"))  # fmt: skip
    for axes, (kind, label) in zip(figure.subplots(1, 3), kinds, strict=True):
        curves = {said.split(", against")[0]: curve for said, curve in growth.items() if kind in said}
        ticks = list(dict.fromkeys(sorted((key for curve in curves.values() for key in curve), key=_number)))
        for said, curve in curves.items():
            axes.plot([ticks.index(key) for key in curve], [1000 * took for took in curve.values()], "o-", label=said)
        axes.set(xlabel=label, ylabel="ms", xticks=range(len(ticks)), xticklabels=ticks, xlim=(-0.3, len(ticks) - 0.6))
        if kind == "against its size":
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
        else:
            axes.set_ylim(bottom=0)
        axes.legend(frameon=False, fontsize=7)
    save_figure(figure, PICTURES / f"{name}_growth.png")
    rows = [(said, ", ".join(f"{key}: {_time(took)}" for key, took in curve.items())) for said, curve in growth.items()]
    drawn = f"![Cost against size, number and width](images/{name}_growth.png)"
    why = "A training step draws as many patches however many images there are, so their number changes nothing."
    return f"How the cost grows. {why}\n\n{table(('', 'against which'), rows)}\n\n{drawn}"


def _number(key: str) -> int:
    return int(key) if key.isdigit() else 0


def _tried(result: dict[str, Any] | None) -> list[str]:
    """Say what torch.compile and other numbers of threads bring."""
    if result is None:
        return ["`torch.compile` and other numbers of threads were not measured on this machine."]
    said = [
        f"{name}: {_time(one['seconds'])}, with `torch.compile` {_time(one['compiled'])} "
        f"({one['seconds'] / one['compiled']:.2f} times quicker) "
        f"after a first call of {one['first_call']:.0f} s{_pays(one)}"
        for name, one in result["compile"].items()
    ]
    for name, one in result["threads"].items():
        took = (f"{_time(seconds)} with {count} thread{'s' * (count != '1')}" for count, seconds in one.items())
        said.append(f"{name}: " + ", ".join(took))
    why = (
        "`torch.compile` is not used: it needs a C++ compiler, which few machines have that napari runs on, and it "
        f"compiles each shape by itself.{_training_pays(result['compile'])}"
    )
    return [f"Tried (`python -m benchmarks.speed.limits --only tried`). {why}", "\n".join(f"- {line}" for line in said)]


def _training_pays(compiled: dict[str, dict[str, float]]) -> str:
    """Say when compiling pays in a training, whose steps look at patches of two sizes."""
    one, other = (compiled.get(f"training step, {patches}") for patches in ("16 patches of 128²", "4 patches of 256²"))
    if one is None or other is None:
        return ""
    wide = TrainConfig().wide_fraction
    mixed = {key: (1 - wide) * one[key] + wide * other[key] for key in ("seconds", "compiled")}
    whole = {**mixed, "first_call": one["first_call"] + other["first_call"]}
    gain = f"{mixed['seconds'] / mixed['compiled']:.2f} times quicker"
    left = ((minutes, 1 - whole["first_call"] / 60 / minutes) for minutes in (30, 120))
    more = [f"{100 * (mixed['seconds'] / mixed['compiled'] * of - 1):.0f} % in {minutes}" for minutes, of in left]
    usual = f"; {TrainConfig().minutes:g} are usual. More steps by it: {' and '.join(more)} minutes"
    return f" A training has two: it is {gain} after {whole['first_call']:.0f} s of compiling{_pays(whole)}{usual}."


def _pays(one: dict[str, float]) -> str:
    saved = one["seconds"] - one["compiled"]
    return f", which pays after {one['first_call'] / saved * one['seconds'] / 60:.0f} minutes" if saved > 0 else ""


def _time(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def _longest(operators: dict[str, float], most: int = 4) -> str:
    first = list(operators.items())[:most]
    return ", ".join(f"{name.removeprefix('aten::')} {100 * share:.0f} %" for name, share in first)

"""The jobs, and the faces that build them: command, dock, class method. A new job is a new entry of `JOBS`."""

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_smdiffusion import (
    CompareJob,
    DemoJob,
    DiffusionModel,
    EnhanceJob,
    Enhancer,
    GenerateJob,
    Image,
    MicroscopeConfig,
    TrainEnhancerJob,
    TrainJob,
)
from napari_smdiffusion.base.settings import Checked, setting_fields
from napari_smdiffusion.cli import compare, demo, diffusion, enhancer
from napari_smdiffusion.cli.entry import _parser


@dataclass(frozen=True)
class Faces:
    """How each face is used so that it sets all fields of a job; several uses where fields exclude each other.

    Parameters
    ----------
    job
        The recipe's class.
    commands
        Arguments of `smdiffusion` without the flags of settings, which are added, and the function that makes the job.
    calls
        Calls of the class's method, with settings as keywords; `run_job` is intercepted. None: there is no such method.
    dock, fill
        The dock's name in the menu, and functions that fill in its form, all but the rows of settings. "": no dock.
    no_flag
        Settings that have no flag of their own, as other flags or the terminal decide.
    but
        Fields that a face does not set, and why: by face ("method", "form") and field.
    """

    job: type
    commands: tuple[str, ...]
    from_flags: Callable[[Any], Any]
    calls: tuple[Callable[..., object], ...] | None
    dock: str
    fill: tuple[Callable[[Any], object], ...]
    no_flag: tuple[str, ...] = ()
    but: dict[str, dict[str, str]] = field(default_factory=dict)


def all_fields(kind):
    """Return the names of a job's fields; those of settings as "settings.minutes"."""
    names = set()
    for one in dataclasses.fields(kind):
        config = one.default_factory if isinstance(one.default_factory, type) else None
        if config is not None and issubclass(config, Checked):
            names |= {f"{one.name}.{setting.name}" for setting in setting_fields(config)}
        else:
            names.add(one.name)
    return names


def changed_fields(job):
    """Return the names of the fields of a job that have other values than their defaults."""
    names = set()
    for one in dataclasses.fields(job):
        value = getattr(job, one.name)
        if isinstance(value, Checked):
            names |= {
                f"{one.name}.{setting.name}"
                for setting in setting_fields(type(value))
                if getattr(value, setting.name) != setting.default
            }
        elif one.default is dataclasses.MISSING or value != one.default:
            names.add(one.name)
    return names


def configs(kind):
    """Return the classes of a job's settings, by the name of the field."""
    factories = {one.name: one.default_factory for one in dataclasses.fields(kind)}
    return {n: f for n, f in factories.items() if isinstance(f, type) and issubclass(f, Checked)}


def another(setting):
    """Return a value that is not a setting's default."""
    default = setting.default
    if setting.choices:
        return next(choice for choice in setting.choices if choice not in (default, "cuda", "mps"))
    if setting.kind is bool:
        return not default
    if isinstance(default, tuple):
        return tuple(another(dataclasses.replace(setting, default=one, length=None)) for one in default)
    if setting.kind is int:
        step = setting.multiple_of or 1
        low = int(setting.low or 0)
        value = max(low, step) if default is None else default + step
        return value if setting.high is None or value <= setting.high else default - step
    return 20.0 if default is None else 0.9 * default if default else 0.1


def other_settings(kind):
    """Return another value for each of the settings of a job, by name."""
    return {one.name: another(one) for config in configs(kind).values() for one in setting_fields(config)}


def jobs_from_flags(faces):
    """Return the jobs that the command makes, with all settings set that have a flag."""
    flags = []
    for name, value in other_settings(faces.job).items():
        flag = f"--{name.replace('_', '-')}"
        if name not in faces.no_flag:
            flags += [flag] if value is True else [flag, *map(str, value if isinstance(value, tuple) else (value,))]
    return [faces.from_flags(_parser().parse_args([*command.split(), *flags])) for command in faces.commands]


_PIXELS = np.random.default_rng(0).random((64, 64))


def _fill_train(dock):
    dock.name.setText("mine")
    dock.time.set_minutes(7)
    dock.start_from.choose("tiny")


def _fill_resume(dock):
    """Ask for the resumption of a training that was interrupted."""
    dock.name.setText("interrupted")
    assert dock.resume.isVisibleTo(dock)
    dock.resume.setChecked(True)


def _train_anew(**settings):
    DiffusionModel.train([Image(_PIXELS)], start="tiny", out="m", name="n", pixel_size=20, **settings)


def _train_on(**settings):
    DiffusionModel.train(_PIXELS, out="m", resume=True, **settings)


def _generate(**settings):
    size = settings.pop("height"), settings.pop("width")
    model = DiffusionModel(None, None, None, None)
    model.generate(settings.pop("count"), size=size, out="g.tif", **settings)


def _fill_simulated(dock):
    """Ask for a training on simulated images too, of a microscope that is fitted."""
    dock.model.choose("")
    dock.training.time.set_minutes(7)
    dock.training.start_from.choose("tiny")
    dock.training.simulated.setCurrentText("mitochondria")
    dock.training.fit.setChecked(True)
    dock.training.pairs.setChecked(False)
    dock.training.sources.choose([dock.viewer.layers["storm"]])
    dock.layer_list.choose([dock.viewer.layers["storm"]])


def _fill_pairs(dock):
    """Ask for a training on real pairs."""
    _fill_simulated(dock)
    dock.training.pairs.setChecked(True)


def _fill_enhance(dock):
    dock.model.choose("tiny")
    dock.layer_list.choose([dock.viewer.layers["storm"]])
    dock.uncertainty.setChecked(True)
    dock.error_map.setChecked(True)


def _fill_compare(dock):
    layer = dock.viewer.layers["storm"]
    other, *field = [
        dock.viewer.add_image(layer.data, name=name, scale=layer.scale, units=layer.units) for name in "abcde"
    ]
    dock.experimental.choose(layer)
    dock.generated.choose(other)
    dock.training.choose([field[0]])
    for box, one in zip((dock.enhanced, dock.widefield, dock.reference, dock.uncertainty), field, strict=True):
        box.choose(one)


def _train_enhancer(**settings):
    microscope = _microscope(settings)
    Enhancer.train(
        _PIXELS,
        weights=[2],
        microscope=microscope,
        fit=_PIXELS,
        simulated=[("mitochondria", 0.5)],
        start="tiny",
        out="e",
        name="n",
        pixel_size=20,
        **settings,
    )


def _train_enhancer_on_pairs(**settings):
    Enhancer.train(pairs=[(_PIXELS, _PIXELS)], microscope=_microscope(settings), **settings)


def _microscope(settings):
    """Return the settings of the microscope, and leave the others."""
    return MicroscopeConfig(**{one.name: settings.pop(one.name) for one in setting_fields(MicroscopeConfig)})


def _enhance(**settings):
    with suppress(AttributeError):  # nothing is run, and so there is no result
        Enhancer(None, None, None, None, None).enhance_with_uncertainty(_PIXELS, out="x.tif", pixel_size=80, **settings)


JOBS = {
    "train": Faces(
        TrainJob,
        ("train a.tif b.tif --out m --name n --start tiny --pixel-size 20", "train a.tif --out m --resume"),
        diffusion.train_job,
        (_train_anew, _train_on),
        "Train diffusion model",
        (_fill_train, _fill_resume),
        ("previews",),  # none on a terminal
        {
            "form": {
                "name": "the folder has the name",
                "pixel_size": "layers have their own",
                "settings.steps": "minutes are chosen",
                **{
                    f"settings.{name}": "of the method, not of the images"
                    for name in ("channels", "log_sigma_mean", "log_sigma_std")
                },
            },
        },
    ),
    "generate": Faces(
        GenerateJob,
        ("generate tiny --out g.tif --size 144 160",),
        diffusion.generate_job,
        (_generate,),
        "Generate images",
        (lambda dock: dock.model.choose("tiny"),),
        ("height", "width"),  # of --size
        {"form": {"out": "a layer takes the images"}},
    ),
    "train enhancer": Faces(
        TrainEnhancerJob,
        (
            "train-enhancer a.tif --weights 2 --fit w.tif --simulated mitochondria:0.5 --start tiny --out e --name n "
            "--pixel-size 20",
            "train-enhancer a.tif --widefield w.tif --out e",
        ),
        enhancer.train_enhancer_job,
        (_train_enhancer, _train_enhancer_on_pairs),
        "Enhance widefield",
        (_fill_simulated, _fill_pairs),
        ("previews",),  # none on a terminal
        {
            "form": {
                "pixel_size": "layers have their own",
                "settings.steps": "minutes are chosen",
                "settings.previews": "the dock shows none",
            },
        },
    ),
    "enhance": Faces(
        EnhanceJob,
        ("enhance tiny a.tif --error-map --out x.tif --pixel-size 80",),
        enhancer.enhance_job,
        (_enhance,),
        "Enhance widefield",
        (_fill_enhance,),
        but={
            "method": {"error_map": "the method returns what was enhanced"},
            "form": {"out": "layers take the images", "pixel_size": "layers have their own"},
        },
    ),
    "compare": Faces(
        CompareJob,
        (
            "compare a.tif --generated g.tif --training t.tif --enhanced e.tif --widefield w.tif --reference r.tif "
            "--uncertainty u.tif --out c",
        ),
        compare.compare_job,
        None,
        "Compare images",
        (_fill_compare,),
        but={"form": {"out": "the dock keeps the report until it is saved"}},
    ),
    "demo": Faces(
        DemoJob,
        (
            "demo --images a.tif --widefield w.tif --reference r.tif --upscale 5 --pixel-size 20 --minutes 2 --seed 3 "
            "--out d",
        ),
        demo.demo_job,
        None,
        "",
        (),
    ),
}

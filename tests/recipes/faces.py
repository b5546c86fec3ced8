"""The jobs and the faces that build them: command, dock and class method. A new job needs a new entry in `JOBS`."""

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_smdiffusion import (
    CalibrateJob,
    CompareJob,
    DemoJob,
    DiffusionModel,
    EnhanceJob,
    Enhancer,
    GenerateJob,
    GetJob,
    Image,
    LabellingConfig,
    MicroscopeConfig,
    ShareJob,
    TrainEnhancerJob,
    TrainJob,
)
from napari_smdiffusion.base.settings import Checked, setting_fields
from napari_smdiffusion.cli import compare, demo, diffusion, enhancer, models
from napari_smdiffusion.cli.entry import _parser
from napari_smdiffusion.widgets.viewer.regions import Region


@dataclass(frozen=True)
class Faces:
    """The use of each face that sets all fields of a job; several uses if fields exclude each other.

    Parameters
    ----------
    job
        The class of the job.
    commands
        Arguments of `smdiffusion` without the flags of settings, which `jobs_from_flags` adds.
    from_flags
        Function that builds the job from the parsed arguments.
    calls
        Functions that call the class method with settings as keywords. None: there is no class method.
    dock, fill
        The dock's name in the menu, and functions that fill in its form except for the rows of settings. "": no dock.
    no_flag
        Settings without a flag of their own.
    but
        Fields that a face does not set, each with the reason, by face ("method", "form").
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
    """Return the names of the fields of a job; fields of its settings are written as "settings.minutes"."""
    names = set()
    for job_field in dataclasses.fields(kind):
        config = job_field.default_factory if isinstance(job_field.default_factory, type) else None
        if config is not None and issubclass(config, Checked):
            names |= {f"{job_field.name}.{setting.name}" for setting in setting_fields(config)}
        else:
            names.add(job_field.name)
    return names


def changed_fields(job):
    """Return the names of the fields of a job whose values are not the defaults."""
    names = set()
    for job_field in dataclasses.fields(job):
        value = getattr(job, job_field.name)
        if isinstance(value, Checked):
            names |= {
                f"{job_field.name}.{setting.name}"
                for setting in setting_fields(type(value))
                if getattr(value, setting.name) != setting.default
            }
        elif job_field.default is dataclasses.MISSING or value != job_field.default:
            names.add(job_field.name)
    return names


def configs(kind):
    """Return the classes of a job's settings, by the name of the field."""
    factories = {job_field.name: job_field.default_factory for job_field in dataclasses.fields(kind)}
    return {name: made for name, made in factories.items() if isinstance(made, type) and issubclass(made, Checked)}


def another(setting):
    """Return a valid value of a setting that is not its default."""
    default = setting.default
    if setting.choices:
        return next(choice for choice in setting.choices if choice not in (default, "cuda", "mps"))
    if setting.kind is bool:
        return not default
    if setting.kind is str:
        return "microtubules"
    if isinstance(default, tuple):
        return tuple(another(dataclasses.replace(setting, default=element, length=None)) for element in default)
    if setting.kind is int:
        step = setting.multiple_of or 1
        low = int(setting.low or 0)
        value = max(low, step) if default is None else default + step
        return value if setting.high is None or value <= setting.high else default - step
    value = 20.0 if default is None else 0.9 * default if default else 0.01
    return value if setting.low is None or value >= setting.low else 1.1 * default


def other_settings(kind):
    """Return a value that is not the default for each setting of a job, by name."""
    return {setting.name: another(setting) for config in configs(kind).values() for setting in setting_fields(config)}


def jobs_from_flags(faces):
    """Return the jobs that the command builds when all flags of settings are used."""
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
    dock.allow_computed.setChecked(True)
    dock.start_from.choose("tiny")


def _fill_several(dock):
    """Fill in the form to train one model of two structures."""
    _fill_train(dock)
    layer = dock.viewer.layers["storm"]
    other = dock.viewer.add_image(layer.data[::-1], name="other", scale=layer.scale, units=layer.units)
    dock.layer_list.choose([layer, other])
    dock.structures.several.setChecked(True)
    dock.structures.name_layers({"storm": "microtubules", "other": "mitochondria"})


def _fill_resume(dock):
    """Fill in the form to resume an interrupted training."""
    dock.name.setText("interrupted")
    assert dock.resume.isVisibleTo(dock)
    dock.resume.setChecked(True)


def _train_from_start(**settings):
    DiffusionModel.train(
        [Image(_PIXELS)],
        start="tiny",
        out="m",
        name="n",
        pixel_size=20,
        allow_computed=True,
        region=(0, 64, 0, 64),
        held_out=[(0, 16, 0, 16)],
        **settings,
    )


def _train_several(**settings):
    DiffusionModel.train({"microtubules": _PIXELS, "mitochondria": [_PIXELS[:32]]}, **settings)


def _resume_training(**settings):
    DiffusionModel.train(_PIXELS, out="m", resume=True, **settings)


def _generate(**settings):
    size = settings.pop("height"), settings.pop("width")
    model = DiffusionModel(None, None, None, None)
    model.generate(settings.pop("count"), size=size, out="g.tif", resume=True, **settings)


def _fill_generate(dock):
    dock.model.choose("tiny two")
    dock.structure.choose("microtubules")


def _fill_simulated(dock):
    """Fill in the form to train with simulated images and a fitted microscope."""
    dock.model.choose("")
    dock.training.time.set_minutes(7)
    dock.training.allow_computed.setChecked(True)
    dock.training.start_from.choose("tiny")
    dock.training.prior.choose("tiny")
    dock.training.simulated.setCurrentText("mitochondria")
    dock.training.fit.setChecked(True)
    dock.training.only_sharp.setChecked(True)
    dock.training.sources.choose([dock.viewer.layers["storm"]])
    dock.layer_list.choose([dock.viewer.layers["storm"]])


def _fill_pairs(dock):
    """Fill in the form to train on real pairs."""
    _fill_simulated(dock)
    dock.training.pairs.setChecked(True)


def _fill_resumed_enhancer(dock):
    """Fill in the form to resume an interrupted training."""
    _fill_simulated(dock)
    dock.training.name.setText("interrupted")
    assert dock.training.resume.isVisibleTo(dock.training)
    dock.training.resume.setChecked(True)


def _fill_enhance(dock):
    dock.model.choose("tiny sampler")
    dock.enhance_as.samples.setChecked(True)
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
    for box, image_layer in zip((dock.enhanced, dock.widefield, dock.reference, dock.uncertainty), field, strict=True):
        box.choose(image_layer)
    shapes = dock.viewer.add_shapes(
        [[[0, 0], [0, 32], [32, 32], [32, 0]]], shape_type="rectangle", scale=layer.scale, units=layer.units
    )
    dock.region.choose(Region("inside", shapes))


def _train_enhancer(**settings):
    microscope, labels = _microscope(settings), _labels(settings)
    Enhancer.train(
        _PIXELS,
        weights=[2],
        microscope=microscope,
        fit=_PIXELS,
        simulated=[("mitochondria", 0.5)],
        labels=labels,
        start="tiny",
        prior="mine",
        out="e",
        name="n",
        pixel_size=20,
        allow_computed=True,
        region=(0, 64, 0, 64),
        held_out=[(0, 16, 0, 16)],
        **settings,
    )


def _train_enhancer_on_pairs(**settings):
    Enhancer.train(pairs=[(_PIXELS, _PIXELS)], microscope=_microscope(settings), labels=_labels(settings), **settings)


def _resume_enhancer(**settings):
    microscope, labels = _microscope(settings), _labels(settings)
    Enhancer.train(_PIXELS, out="e", resume=True, microscope=microscope, labels=labels, **settings)


def _calibrate(**settings):
    Enhancer(None, None, None, None, None).calibrate([(_PIXELS, _PIXELS)], out="c", **settings)


def _microscope(settings):
    """Remove the settings of the microscope from `settings`, and return them."""
    return _config(MicroscopeConfig, settings)


def _labels(settings):
    """Remove the settings of the labels from `settings`, and return them."""
    return _config(LabellingConfig, settings)


def _config(kind, settings):
    return kind(**{setting.name: settings.pop(setting.name) for setting in setting_fields(kind)})


def _enhance(**settings):
    with suppress(AttributeError):  # `run_job` is replaced and returns None, which has no images
        Enhancer(None, None, None, None, None).enhance_with_uncertainty(
            _PIXELS, out="x.tif", pixel_size=80, resume=True, region=(0, 40, 0, 64), workers=2, **settings
        )


def _enhance_on_cluster(**settings):
    with suppress(AttributeError):
        Enhancer(None, None, None, None, None).enhance_with_uncertainty(
            _PIXELS, out="x.tif", scheduler="tcp://node:8786", **settings
        )


_CUT = "each layer is cut in its own pixels, before the job"

JOBS = {
    "train": Faces(
        TrainJob,
        (
            "train a.tif b.tif --out m --name n --start tiny --pixel-size 20 --channel 1 --allow-computed "
            "--region 0,40,0,64 --held-out 0,16,0,20 40,64,0,64",
            "train a.tif --out m --resume",
            "train --group mt=a.tif --group mito=b.tif --group mt=c.tif --out m",
        ),
        diffusion.train_job,
        (_train_from_start, _resume_training, _train_several),
        "Train diffusion model",
        (_fill_train, _fill_resume, _fill_several),
        ("previews",),  # a terminal shows no previews
        {
            "method": {"channel": "images have chosen theirs"},
            "form": {
                "name": "the folder has the name",
                "pixel_size": "layers have their own",
                "channel": "layers have their own",
                "region": _CUT,
                "held_out": _CUT,
                "settings.steps": "the user chooses minutes",
                **{
                    f"settings.{name}": "of the method, not of the images"
                    for name in ("channels", "log_sigma_mean", "log_sigma_std")
                },
            },
        },
    ),
    "generate": Faces(
        GenerateJob,
        ("generate tiny --out g.tif --resume --size 144 160",),
        diffusion.generate_job,
        (_generate,),
        "Generate images",
        (_fill_generate,),
        ("height", "width"),  # the flag is --size
        {"form": {"out": "the images are added to a layer", "resume": "a layer has no unfinished file"}},
    ),
    "train enhancer": Faces(
        TrainEnhancerJob,
        (
            "train-enhancer a.tif --weights 2 --fit w.tif --simulated mitochondria:0.5 --start tiny --prior mine "
            "--out e --name n --pixel-size 20 --channel 1 --allow-computed --region 0,40,0,64 --held-out 0,16,0,20",
            "train-enhancer a.tif --widefield w.tif --out e",
            "train-enhancer a.tif --out e --resume",
        ),
        enhancer.train_enhancer_job,
        (_train_enhancer, _train_enhancer_on_pairs, _resume_enhancer),
        "Enhance widefield",
        (_fill_simulated, _fill_pairs, _fill_resumed_enhancer),
        ("previews",),  # a terminal shows no previews
        {
            "method": {"channel": "images have chosen theirs"},
            "form": {
                "pixel_size": "layers have their own",
                "channel": "layers have their own",
                "region": _CUT,
                "held_out": _CUT,
                "settings.steps": "the user chooses minutes",
                "settings.previews": "the dock shows none",
            },
        },
    ),
    "enhance": Faces(
        EnhanceJob,
        (
            "enhance tiny a.tif --error-map --out x.tif --pixel-size 80 --channel mito --resume --region 0,40,0,64 "
            "--glob c*.tif --workers 2",
            "enhance tiny a.tif --out x.tif --scheduler tcp://node:8786",
        ),
        enhancer.enhance_job,
        (_enhance, _enhance_on_cluster),
        "Enhance widefield",
        (_fill_enhance,),
        but={
            "method": {
                "error_map": "the method returns an Enhancement, which has no error map",
                "channel": "images have chosen theirs",
                "glob": "an image is no folder",
            },
            "form": {
                "out": "the images are added as layers",
                "pixel_size": "layers have their own",
                "channel": "layers have their own",
                "resume": "a layer has no unfinished file",
                "region": _CUT,
                "glob": "layers are no folders",
                "workers": "a layer is enhanced in the process of napari",
                "scheduler": "a layer is enhanced in the process of napari",
            },
        },
    ),
    "calibrate": Faces(
        CalibrateJob,
        ("calibrate tiny --pair w.tif a.tif --pair x.tif b.tif --out c --channel 1",),
        enhancer.calibrate_job,
        (_calibrate,),
        "",
        (),
        but={"method": {"channel": "images have chosen theirs"}},
    ),
    "compare": Faces(
        CompareJob,
        (
            "compare a.tif --generated g.tif --training t.tif --enhanced e.tif --widefield w.tif --reference r.tif "
            "--uncertainty u.tif --out c --channel 1 --region 0,40,0,64 --widefield-region 0,30,0,32",
        ),
        compare.compare_job,
        None,
        "Compare images",
        (_fill_compare,),
        but={
            "form": {"out": "the dock keeps the report until it is saved", "channel": "layers have their own"},
        },
    ),
    "demo": Faces(
        DemoJob,
        (
            "demo --images a.tif --widefield w.tif --reference r.tif --upscale 5 --pixel-size 20 --minutes 2 --seed 3 "
            "--out d --channel 1",
        ),
        demo.demo_job,
        None,
        "",
        (),
    ),
    # The docks have a dialog for each of these two: see `widgets/test_model_menu.py`.
    "share": Faces(
        ShareJob,
        ("share tiny --kind enhancer --out s.zip --to hf:ada/tiny --author Ada Bob --license CC-BY-4.0 --public",),
        models.share_job,
        None,
        "",
        (),
    ),
    "get": Faces(GetJob, (f"get s.zip --name mine --sha256 {64 * '0'}",), models.get_job, None, "", ()),
}

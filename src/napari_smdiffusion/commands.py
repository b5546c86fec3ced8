"""What each command of `smdiffusion` does, from its parsed options. Input is checked before long work begins."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import os
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .config import EnhanceConfig, EnhancerConfig, GenerateConfig, ImportConfig, MicroscopeConfig, TrainConfig
from .errors import InputError
from .files import (
    TIFF_SUFFIXES,
    check_space,
    image_files,
    mapped_image,
    new_tiff,
    read_image,
    read_images,
    write_image,
    written_here,
    written_whole,
)
from .images import RESULT_KINDS, SIMULATED, SYNTHETIC
from .model_folder import check_place
from .progress import Reporter, Steps, is_for_people, run, stop_on_interrupt
from .settings import from_dict
from .summary import summary

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from .enhancer import Enhancer, ResultKind
    from .images import Image, Pixels
    from .progress import Stop

# What is left out of folders of images to be like: it was made of such.
_MADE = (SYNTHETIC, *RESULT_KINDS)
_Config = TypeVar("_Config")
_Result = TypeVar("_Result")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _config(kind: type[_Config], options: Namespace, **others: Any) -> _Config:
    """Make a config from the flags that bear its fields' names."""
    return from_dict(kind, {**vars(options), **others})


def _drained(steps: Callable[[Stop], Steps[_Result]]) -> _Result:
    """Run with a progress bar; Ctrl-C stops and keeps what there is."""
    with stop_on_interrupt() as stop, closing(Reporter()) as report:
        return run(steps(stop), report)


def _check_file(path: str | Path) -> Path:
    """Return where a TIFF file will be written, or raise before any work is done."""
    path = Path(path)
    if path.suffix.lower() not in TIFF_SUFFIXES:
        raise ValueError(f"--out {path} must end in .tif.")
    # What was generated can be generated again; a measured image cannot be measured again.
    if path.is_file() and not written_here(path):
        raise FileExistsError(f"{path} exists, and was not made by smdiffusion: name another file, so that it is kept.")
    _check_writable(path)
    return path


def _check_folder(path: str | Path) -> Path:
    """Return the folder that results will be written into, or raise before any work is done."""
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise ValueError(f"--out {path} is a file: name a folder.")
    _check_writable(path / "report.json")
    return path


def _check_writable(path: Path) -> None:
    """Raise an OSError if a file cannot be written; try it, rather than guess from permissions."""
    # Windows replaces no file that a program has open; elsewhere the folder alone must allow it.
    if os.name == "nt" and path.is_file():
        try:
            path.open("r+b").close()
        except OSError as error:
            raise OSError(
                f"{path} cannot be replaced ({error.strerror}): close what has it open, or name another file."
            ) from error
    existed = [parent for parent in path.parents if parent.exists()]
    try:
        with written_whole(path):
            raise _TrialError
    except _TrialError:
        for parent in path.parents:
            if parent not in existed:
                parent.rmdir()


class _TrialError(Exception):
    pass


def demo(options: Namespace) -> None:
    """Do the whole work in a few minutes."""
    if not options.minutes > 0:
        raise ValueError(f"--minutes must be more than 0, not {options.minutes}.")
    if options.napari and importlib.util.find_spec("napari") is None:
        raise ValueError("--napari needs napari: pip install 'napari-smdiffusion[all]'.")
    from .demo import run_demo

    out = _check_folder(options.out)
    for name in ("generated.tif", "enhanced.tif"):
        _check_file(out / name)
    report = run_demo(_demo_input(options), out, options.minutes, options.seed)
    for line in summary(report):
        _say(line)
    _say(f"Look at {out / 'overview.png'}; the numbers are in {out / 'report.json'}.")
    if options.napari:
        _open_in_napari(out)


def _demo_input(options: Namespace) -> Any:
    from .demo import DemoInput
    from .samples import simulated_pair, simulated_reference

    if options.images is None:
        if options.widefield is not None:
            raise ValueError("--widefield needs --images: give super-resolution images to train on.")
        images, widefield = simulated_pair()
        factor = round((widefield.pixel_size or 0) / (images.pixel_size or 1))
        if options.upscale not in (None, factor):
            raise ValueError(f"--upscale must be {factor} for the bundled sample: leave it out, or give --images.")
        simulated = dataclasses.replace(images, provenance={"kind": SIMULATED})
        return DemoInput([simulated], widefield, factor, simulated_reference())
    images_read = read_images(options.images, options.pixel_size, _MADE)
    widefield_read = read_image(options.widefield) if options.widefield else None
    return DemoInput(images_read, widefield_read, _factor(options, images_read[0], widefield_read))


def _factor(options: Namespace, sharp: Image, widefield: Image | None) -> int:
    if options.upscale is not None:
        EnhancerConfig(upscale=options.upscale)
        return int(options.upscale)
    if widefield is None:
        return 4
    if sharp.pixel_size and widefield.pixel_size:
        factor = round(widefield.pixel_size / sharp.pixel_size)
        EnhancerConfig(upscale=factor)
        return factor
    raise ValueError(f"{widefield.name} has no pixel size: give --upscale, the fine pixels per widefield pixel.")


def _open_in_napari(out: Path) -> None:
    # By name: nothing outside the widgets may import napari when it is loaded.
    from .samples import layer_data

    napari: Any = importlib.import_module("napari")
    viewer = napari.Viewer()
    for name in ("generated", "enhanced"):
        pixels, layer_options, _ = layer_data(read_image(out / f"{name}.tif"), f"{name} (synthetic)")
        viewer.add_image(pixels, **layer_options)
    napari.run()


def train(options: Namespace) -> None:
    """Train a diffusion model."""
    config = _config(TrainConfig, options, previews=0)
    images = read_images(options.images, options.pixel_size, _MADE)
    from .diffusion_training import train_steps
    from .models import starting_model

    if options.resume and options.start is not None:
        raise InputError(f"--resume goes on with the training in {options.out}, whatever it began from: omit --start.")
    named = None if options.resume or options.start == "none" else options.start or "default"
    start, note = starting_model(named, config.channels)
    if note is not None:
        _say(note.message)
    out = Path(options.out)
    if not options.resume and (out / "model.json").exists():
        raise FileExistsError(f"There is a model in {out} already: name a new folder, or go on with --resume.")
    _drained(lambda stop: train_steps(images, config, start=start, out=out, resume=options.resume, stop=stop))
    _say(f"The model is in {out}. Next: smdiffusion generate {out} --out generated.tif")


def generate(options: Namespace) -> None:
    """Generate images."""
    if len(options.size) > 2:
        raise ValueError(f"--size takes a side, or a height and a width, not {len(options.size)} numbers.")
    height, width = options.size[0], options.size[-1]
    config = _config(GenerateConfig, options, height=height, width=width)
    out = _check_file(options.out)
    check_space(out, (config.count, height, width))
    from .models import facts_to_generate, load_diffusion_model

    facts_to_generate(options.model, config)  # before torch and the network are loaded
    from .diffusion import generate_steps

    model = load_diffusion_model(options.model)
    images = _drained(lambda stop: generate_steps(model, config, stop=stop))
    write_image(out, images)
    _say(f"{len(images)} synthetic images of {height} × {width} pixels are in {out}.")


def compare(options: Namespace) -> None:
    """Compare generated with experimental images, and judge an enhanced one."""
    from .comparison import compare_steps
    from .enhanced_field import EnhancedField

    if bool(options.experimental) != (options.generated is not None):
        raise ValueError("Name experimental images and --generated ones together: they are compared with each other.")
    if (options.enhanced is None) != (options.widefield is None) or (options.reference and options.enhanced is None):
        raise ValueError("Name --enhanced and --widefield together: the two are compared with each other.")
    if options.uncertainty and not options.reference:
        raise ValueError("--uncertainty is judged by the super-resolution image of the field: name --reference too.")
    if options.generated is None and options.enhanced is None:
        raise ValueError("Name experimental images and --generated ones, or --enhanced and --widefield.")
    experimental = read_images(options.experimental, left_out=_MADE) if options.experimental else []
    generated = None if options.generated is None else read_image(options.generated)
    enhanced = None
    if options.enhanced is not None:
        others = (read_image(path) if path else None for path in (options.reference, options.uncertainty))
        enhanced = EnhancedField.where_both_show(read_image(options.enhanced), read_image(options.widefield), *others)
    training = read_images(options.training, left_out=_MADE) if options.training else []
    out = _check_folder(options.out)
    report = _drained(lambda stop: compare_steps(experimental, generated, training, out, enhanced=enhanced, stop=stop))
    for line in summary(report):
        _say(line)
    _say(f"Look at {out / 'comparison.png'}; the numbers are in {out / 'report.json'}.")


def train_enhancer(options: Namespace) -> None:
    """Train an enhancer."""
    config = _config(EnhancerConfig, options, previews=0)
    microscope = _config(MicroscopeConfig, options)
    images = read_images(options.images, options.pixel_size, RESULT_KINDS)
    coarse = [] if options.widefield is None else [read_image(path) for path in options.widefield]
    if coarse and len(coarse) != len(images):
        raise ValueError(f"--widefield names {len(coarse)} images for {len(images)} super-resolution images.")
    out = Path(options.out)
    check_place(out)
    from .enhancer_training import settings_from, train_enhancer_steps
    from .models import load_enhancer

    start = None if options.start in (None, "none") else load_enhancer(options.start)
    config = settings_from(start, config)
    if options.fit is not None:
        from .microscope_fit import fit_microscope

        found = fit_microscope(read_image(options.fit), images, microscope, config.upscale)
        _say(found.sentence)
        microscope = found.config(microscope)
    _drained(
        lambda stop: train_enhancer_steps(
            images,
            config,
            microscope,
            weights=options.weights,
            pairs=list(zip(coarse, images, strict=True)) if coarse else [],
            start=start,
            out=out,
            stop=stop,
        )
    )
    _say(f"The enhancer is in {out}. Next: smdiffusion enhance {out} widefield.tif --out enhanced.tif")


def enhance(options: Namespace) -> None:
    """Enhance widefield images."""
    config = _config(EnhanceConfig, options)
    # Results of an earlier run may lie in the same folder.
    sources = image_files(options.widefield, TIFF_SUFFIXES, left_out=RESULT_KINDS)
    targets = _targets(Path(options.out), sources)
    words = [word for word, wanted in (("uncertainty", config.uncertainty), ("error", options.error_map)) if wanted]
    for target in targets:
        for word in words:
            _check_file(_beside(target, word))
    from .enhancer import uncertainty_facts
    from .models import load_enhancer

    enhancer = load_enhancer(options.model)
    failed = 0
    with stop_on_interrupt() as stop:
        for source, target in zip(sources, targets, strict=True):
            what = "enhanced"
            try:
                image = read_image(source, options.pixel_size)
                _enhance_one(enhancer, image, config, target, stop)
                _say(f"{target} is {source} enhanced ×{enhancer.config.upscale}.")
                if config.uncertainty:
                    meaning = uncertainty_facts(enhancer, image, config)["meaning"]
                    _say(f"{_beside(target, 'uncertainty')} maps its uncertainty: {meaning}.")
                # Now that the enhanced image is safe.
                if options.error_map:
                    what = "compared with what was made of it"
                    _write_error_map(_beside(target, "error"), mapped_image(target), image, stop)
            # One image that cannot be worked with must not cost the others.
            except (ValueError, MemoryError) as error:
                if len(sources) == 1 or not is_for_people(error):
                    raise
                _say(f"{source} could not be {what}: {error}")
                failed += 1
    if failed:
        raise ValueError(f"{failed} of {len(sources)} images made trouble: what is wrong with each is told above.")


def _targets(out: Path, images: list[Path]) -> list[Path]:
    """Return the file that each image's result is written to."""
    if len(images) == 1 and out.suffix.lower() in TIFF_SUFFIXES:
        return [_check_file(out)]
    if out.suffix.lower() in TIFF_SUFFIXES or out.is_file():
        raise ValueError(f"--out {out} must be a folder for {len(images)} images, or end in .tif for one.")
    names = [f"{path.stem}_enhanced.tif" for path in images]
    if len(set(names)) < len(names):
        raise ValueError("Two of the widefield images have the same file name: enhance them one after the other.")
    return [_check_file(out / name) for name in names]


def _enhance_one(enhancer: Enhancer, image: Image, config: EnhanceConfig, target: Path, stop: Stop) -> None:
    """Enhance straight into the files, so that the result may be larger than memory."""
    from .enhancer import enhance_steps, enhanced_facts, enhanced_pixel_size, uncertainty_facts

    pixel_size = enhanced_pixel_size(enhancer, image)
    factor = enhancer.config.upscale
    check_space(target, (len(image), image.size[0] * factor, image.size[1] * factor), 1 + config.uncertainty)
    places = {
        "enhanced": (target, enhanced_facts(enhancer, image, config)),
        "uncertainty": (_beside(target, "uncertainty"), uncertainty_facts(enhancer, image, config)),
    }
    with ExitStack() as files:

        def new_array(kind: ResultKind, shape: tuple[int, int, int]) -> Pixels:
            path, facts = places[kind]
            return files.enter_context(new_tiff(path, shape, pixel_size, image.origin, facts))

        with closing(Reporter()) as report:
            run(enhance_steps(enhancer, image, config, new_array=new_array, stop=stop), report)


def _beside(path: Path, word: str) -> Path:
    return path.with_name(f"{path.stem}_{word}{path.suffix}")


def _write_error_map(path: Path, enhanced: Image, widefield: Image, stop: Stop) -> None:
    from .enhanced_field import EnhancedField, mapped_error_steps

    with closing(Reporter()) as report:
        error = run(mapped_error_steps(EnhancedField(enhanced, widefield), stop), report)
    write_image(path, error)
    rsp = error.provenance["rsp"]
    agreement = f"{sum(rsp) / len(rsp):.3f}; haze lowers it"
    _say(f"{path} maps the disagreement; correlation with the widefield image (RSP) {agreement}.")


def simulate(options: Namespace) -> None:
    """Simulate super-resolution images."""
    from .structures import simulate as simulated

    out = _check_file(options.out)
    write_image(out, simulated(options.structure, options.count, options.size, options.pixel_size, options.seed))
    _say(f"{options.count} simulated images of {options.structure} are in {out}.")


def models(options: Namespace) -> None:
    """List the models."""
    from .models import KINDS, list_models, user_folder

    for entry in list_models():
        place = "bundled" if entry.bundled else str(entry.folder)
        print(f"{entry.name:20} {entry.kind:10} {entry.description:32} {place}")
    places = " and ".join(str(user_folder() / kind) for kind in KINDS)
    print(f"\nYour own, which the docks list too, lie in {places}.")


def import_(options: Namespace) -> None:
    """Make a model of a checkpoint of the reference implementation."""
    config = _config(ImportConfig, options)
    out = Path(options.out)
    from .models import user_folder
    from .reference_checkpoint import import_checkpoint

    check_place(out)
    model = import_checkpoint(options.checkpoint, config, name=out.absolute().name)
    model.save(out)
    size = model.config.patch
    _say(
        f"The model, of images of {size} × {size} pixels, is in {out}. "
        f"Next: smdiffusion generate {out} --out generated.tif --size {size}"
    )
    listed_in = user_folder() / "diffusion"
    if out.absolute().parent != listed_in.absolute():
        _say(f"To have it in the docks of napari too, move it to {listed_in / out.name}.")


def export(options: Namespace) -> None:
    """Write an enhancer as a bioimage.io package."""
    out = Path(options.out)
    if out.suffix.lower() != ".zip":
        raise ValueError(f"--out {out} must end in .zip.")
    if out.exists():
        raise FileExistsError(f"{out} exists: name another file, or remove it.")
    _check_writable(out)
    from .bioimage_io import export_enhancer
    from .models import find_model

    export_enhancer(find_model(options.model, "enhancer"), out, authors=options.author, license_id=options.license)
    _say(f"{out} is a bioimage.io package; what a program must know that runs it stands in its rdf.yaml.")


COMMANDS: dict[str, Callable[[Namespace], None]] = {
    "demo": demo,
    "train": train,
    "generate": generate,
    "compare": compare,
    "train-enhancer": train_enhancer,
    "enhance": enhance,
    "simulate": simulate,
    "models": models,
    "import": import_,
    "export": export,
}

"""Enhancing straight into files, which a later run can go on with."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import InputError, Stopped, is_out_of_memory
from ..base.events import Note, SampleDone, Steps, Stop, TileDone
from ..base.folders import user_path
from ..base.whole_files import cannot_be_written, check_space
from ..images.axes import axes_text
from ..images.image import with_own_pixels
from ..images.reading import mapped_image
from ..images.regions import as_rectangles
from ..images.unfinished import (
    UnfinishedTiff,
    check_same_run,
    finish_all,
    forget_unfinished,
    part_of,
    unfinished,
    was_begun,
)
from ..images.zarr_planes import ZARR_SUFFIXES
from ..images.zarr_results import StagedZarr, UnfinishedZarr, chunk_side
from ..store.weights import WEIGHTS_KEY
from .doubting import doubts_after
from .enhancements import enhancement_steps, plans_of
from .job import ImageSource, source_name
from .outputs import RESULT_SUFFIXES, check_output_file, check_output_store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..base.json_values import Json
    from ..enhance.applying import Enhancement, NewArray, ResultKind, ResultPlan
    from ..enhance.model import Enhancer
    from ..enhance.settings import EnhanceConfig
    from ..images.image import Image
    from ..images.provenance import Provenance
    from ..images.unfinished import Unfinished
    from .enhance import EnhanceJob

_NO_FILE_NAME = r'[<>:"/\\|?*\x00-\x1f]'  # characters that file names must not have on some systems
_SOURCE = "widefield_image_sha256"  # key of the digest of the widefield image in the provenance of a result


def beside(path: Path, word: str) -> Path:
    """Return the path of a map of a result: the map `uncertainty` of `x.tif` is `x_uncertainty.tif`."""
    return path.with_name(f"{path.stem}_{word}{path.suffix}")


def target_files(job: EnhanceJob, sources: Sequence[ImageSource]) -> Sequence[Path | None]:
    """Return the output file of each source, None for memory; raise an error if a file cannot be written."""
    if job.out is None:
        return [None] * len(sources)
    out = user_path(job.out)
    is_file = out.suffix.lower() in RESULT_SUFFIXES
    if (is_file and len(sources) != 1) or (not is_file and out.is_file()):
        raise InputError(
            f"out must be a folder for {len(sources)} images, or end in .tif or .zarr for one, not {out}.", "out"
        )
    stems = [re.sub(_NO_FILE_NAME, "_", Path(source_name(source)).stem) for source in sources]
    if len(set(stems)) < len(stems):
        raise InputError(
            "Two of the widefield images have the same file name: enhance them in two runs, or choose files by glob."
        )
    if job.channel is not None:  # so that the results of two channels do not replace each other
        stems = [f"{stem}_channel_{re.sub(_NO_FILE_NAME, '_', str(job.channel))}" for stem in stems]
    for rectangle in as_rectangles(job.region, "region"):  # the results of two regions neither
        stems = [f"{stem}_region_{'_'.join(map(str, rectangle))}" for stem in stems]
    endings = [".zarr" if source_name(source).lower().endswith(ZARR_SUFFIXES) else ".tif" for source in sources]
    results = [out / f"{stem}_enhanced{ending}" for stem, ending in zip(stems, endings, strict=True)]
    targets = [out] if is_file else results
    wanted = {
        "uncertainty": job.settings.uncertainty,
        "samples": job.settings.samples > 0,
        "trust": job.settings.samples > 0,
        "error": job.error_map,
    }
    for target in targets:
        for path in (target, *(beside(target, word) for word, is_wanted in wanted.items() if is_wanted)):
            (check_output_store if path.suffix.lower() in ZARR_SUFFIXES else check_output_file)(path)
    return targets


def enhancement_in_files(path: Path) -> Enhancement:
    """Return the results of an image in the file `path` and in the files beside it; planes are read when used."""
    from ..enhance.applying import Enhancement

    image = mapped_image(path)
    settings = image.provenance.settings
    kinds = ["uncertainty"] * bool(settings.get("uncertainty"))
    kinds += ["samples", "trust"] * bool(settings.get("samples"))  # files of earlier versions state no number
    return Enhancement(image, **{kind: mapped_image(beside(path, kind)) for kind in kinds})


def notes_on_files(target: Path, image: Image, enhancement: Enhancement, upscale: int) -> Steps[None]:
    """Yield a Note on each file of a widefield image `image` that was written, except for its error map."""
    axes = f", {axes_text(image.axes)}" if image.axes else ""
    samples, trust = enhancement.samples, enhancement.trust
    mean = "" if samples is None else ", from the samples and the estimate"
    yield Note(f"{target} is {image.name} enhanced ×{upscale}{axes}{mean}.")
    if enhancement.uncertainty is not None:
        meaning = enhancement.uncertainty.provenance.meaning
        yield Note(f"{beside(target, 'uncertainty')} maps its uncertainty: {meaning}.")
    if samples is not None and trust is not None:
        yield Note(f"{beside(target, 'samples')} has {samples.provenance.meaning}.")
        yield Note(f"{beside(target, 'trust')} maps the trust in it: the {trust.provenance.meaning}.")


def is_finished(enhancer: Enhancer, image: Image, settings: EnhanceConfig, target: Path, *, resume: bool) -> bool:
    """Return whether an earlier run has finished the files of an image, with this enhancer and these settings.

    The hidden files of a later run that was killed are removed then: they are not needed.

    Raises
    ------
    InputError
        With `resume`, if there are finished files of another image or of other settings. Without, they are replaced.
        They are also replaced if the interrupted run was to replace them.
    """
    plans, paths = _files_of(enhancer, image, settings, target)
    try:
        finished = _are_finished(paths, plans)
        if finished:
            forget_unfinished(target, tuple(paths[1:]))
        return finished
    except (InputError, OSError):
        identity = _identity(plans[0].provenance, plans[0].pixel_size, plans[0].origin, plans[0].shape)
        if resume and not was_begun(target, identity):
            raise
        return False


def has_current_error_map(target: Path | None) -> bool:
    """Return whether the error map of a result is beside it, and no older than it."""
    path = None if target is None else beside(target, "error")
    return bool(target and path and path.exists() and path.stat().st_mtime_ns >= target.stat().st_mtime_ns)


def enhance_into_files(
    enhancer: Enhancer,
    image: Image,
    settings: EnhanceConfig,
    target: Path,
    resume: bool,
    stop: Stop,
    said: tuple[str, ...] = (),
    client: Any = None,
) -> Steps[None]:
    """Enhance one image into the file `target`, and its maps into the files beside it.

    Posterior samples and their map of trust have files beside it too. A killed or stopped run leaves hidden files, with
    which a run with `resume` goes on. The provenance has the sentences of doubt `said`, and those about the result.
    With the `client` of a cluster, its workers compute the image block by block.

    Raises
    ------
    InputError
        If the files to go on with are of another input or of other settings.
    """
    plans, paths = _files_of(enhancer, image, settings, target)
    identity = _identity(plans[0].provenance, plans[0].pixel_size, plans[0].origin, plans[0].shape)
    with unfinished(target, identity, resume=resume, others=tuple(paths[1:])) as work:
        if not work.finished:
            check_space(target, (sum(plan.shape[0] for plan in plans), *plans[0].shape[1:]))
        files = {
            plan.kind: _result_file(work, path, plan, enhancer.config.upscale, settings)
            for path, plan in zip(paths, plans, strict=True)
        }
        try:
            if client is None:
                yield from _marked(enhancer, image, settings, lambda plan: files[plan.kind].pixels, work, stop)
            else:
                from .enhanced_blocks import blocks_steps

                results = [files[plan.kind].pixels for plan in plans]
                yield from blocks_steps(client, enhancer, image, settings, results, target, work, stop)
                results.clear()  # mapped files cannot be renamed on Windows
            _state_doubts(enhancer, image, plans, files, said)
            for file in files.values():
                if isinstance(file, UnfinishedZarr):
                    yield from file.complete(stop)
            finish_all(files.values())
        except OSError as error:  # of the system, about a hidden file
            if error.errno is None or is_out_of_memory(error):
                raise
            raise cannot_be_written(target, error) from error
        except Stopped as stopped:
            if not work.finished:
                raise
            raise Stopped(
                f"Stopped: {target} is not finished. To go on with it, run the same again with --resume (in Python: "
                "resume=True)."
            ) from stopped


def _marked(
    enhancer: Enhancer, image: Image, settings: EnhanceConfig, new_array: NewArray, work: Unfinished, stop: Stop
) -> Steps[None]:
    """Enhance an image, and mark each tile or sample that is written; raises Stopped if one is missing."""
    from ..enhance.applying import mark_of

    # The tiles of samples are those of the estimate, which the first sample replaces.
    tiles_are_final = settings.samples == 0
    steps = enhancement_steps(enhancer, image, settings, new_array=new_array, finished=work.finished, stop=stop)
    with closing(steps):
        for event in steps:
            if isinstance(event, SampleDone):
                work.add(event.plane, event.sample)
            elif isinstance(event, TileDone) and tiles_are_final:
                work.add(*mark_of(event.plane, event.rows, event.columns))
            yield event
    # A stop is no error for results in memory, which may have fewer samples. A file has all of them.
    if any((plane, sample) not in work.finished for plane in range(len(image)) for sample in range(settings.samples)):
        raise Stopped("Stopped: samples are missing.")


def _files_of(
    enhancer: Enhancer, image: Image, settings: EnhanceConfig, target: Path
) -> tuple[list[ResultPlan], list[Path]]:
    """Return the plans of the results of an image, with what identifies them, and their files."""
    plans = [
        replace(plan, provenance=_identified(plan.provenance, enhancer, image))
        for plan in plans_of(enhancer, image, settings)
    ]
    return plans, [target if plan.kind == "enhanced" else beside(target, plan.kind) for plan in plans]


def _state_doubts(
    enhancer: Enhancer,
    image: Image,
    plans: Sequence[ResultPlan],
    files: Mapping[ResultKind, UnfinishedTiff | UnfinishedZarr],
    said: tuple[str, ...],
) -> None:
    """Look for reasons to doubt a result that is complete, and write them and `said` into its files."""
    doubts = (*said, *doubts_after(enhancer, with_own_pixels(image, files["enhanced"].pixels), image))
    for plan in plans if doubts else ():
        files[plan.kind].restate(replace(plan.provenance, doubts=doubts))


def _result_file(
    work: Unfinished, path: Path, plan: ResultPlan, factor: int, settings: EnhanceConfig
) -> UnfinishedTiff | UnfinishedZarr:
    """Return the file or the store that a result is written into as it is computed."""
    metadata = {
        "pixel_size": plan.pixel_size,
        "origin": plan.origin,
        "provenance": plan.provenance,
        "axes": plan.axes,
    }
    if path.suffix.lower() not in ZARR_SUFFIXES:
        return UnfinishedTiff(work, path, plan.shape, **metadata)
    if settings.samples:  # each sample changes the best estimate and the maps
        return StagedZarr(work, path, plan.shape, **metadata)
    return UnfinishedZarr(work, path, part_of(path), plan.shape, chunk_side(factor), **metadata)


def _identified(provenance: Provenance, enhancer: Enhancer, image: Image) -> Provenance:
    """Return the provenance of a file, with digests of the enhancer and of the widefield image."""
    return replace(provenance, more={**provenance.more, WEIGHTS_KEY: enhancer.digest(), _SOURCE: image.digest})


def _identity(
    provenance: Provenance, pixel_size: float | None, origin: tuple[float, float], shape: Sequence[int]
) -> Mapping[str, Json]:
    """Return the values that the pixels of a result depend on, by name. The side of the tiles is none of them."""
    # Without samples, their number and seed change nothing, and files of earlier versions do not state them.
    left_out = {"tile"} if provenance.settings.get("samples") else {"tile", "samples", "seed"}
    settings = {key: value for key, value in provenance.settings.items() if key not in left_out}
    digests = {key: provenance.more.get(key) for key in (WEIGHTS_KEY, _SOURCE)}
    place = {"pixel_size": pixel_size, "origin": list(origin), "shape": list(shape)}
    return {"model": provenance.model, **settings, **digests, **place}


def _are_finished(paths: Sequence[Path], plans: Sequence[ResultPlan]) -> bool:
    """Return whether an earlier run has finished all files of an image; raise an InputError if that was another run.

    A run that was killed between two of its files leaves maps of another run beside its result: these are not finished.
    """
    if not all(path.exists() for path in paths):
        return False
    _check_made_by(plans[0], paths[0])
    try:
        for plan, path in zip(plans[1:], paths[1:], strict=True):
            _check_made_by(plan, path)
    except InputError:
        return False
    return True


def _check_made_by(plan: ResultPlan, path: Path) -> None:
    """Raise an InputError if a file has other values than a plan of those that its pixels depend on."""
    before = mapped_image(path)
    stated = _identity(before.provenance, before.pixel_size, before.origin, before.pixels.shape)
    check_same_run(stated, _identity(plan.provenance, plan.pixel_size, plan.origin, plan.shape), path)

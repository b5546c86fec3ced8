"""The end of the Python code of the Enhance dock, which shows the results as layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...recipes.job import as_sources
from ..frame.scripts import job_code

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from ...recipes.enhance import EnhanceJob


def enhance_code(viewer: Viewer, job: EnhanceJob, *, in_place: bool, in_parts: bool) -> str:
    """Return Python code of an enhancement, which also shows the results as layers.

    Parameters
    ----------
    viewer, job
        The viewer with the layers of the job, and the job.
    in_place
        Whether the results replace the pixels of their layers.
    in_parts
        Whether parts of the layers are enhanced.
    """
    sources = as_sources(job.widefield)
    names = ", ".join(repr(getattr(source, "layer", "")) for source in sources)
    parts, part, option = "", "", ""
    if in_parts:
        windows = ", ".join(str(getattr(source, "window", None)) for source in sources)
        parts, part = f"windows = [{windows}]\n", "    window = windows[enhanced.index]\n"
        option = ", window=window"
    show = f"        show_error_map(viewer, layer, enhanced.error{option})\n"
    error_map = f"    if enhanced.error is not None:\n{show}"
    after = (
        f"layers = [viewer.layers[name] for name in ({names},)]\n{parts}"
        "for enhanced in result.images:\n"
        f"    layer = layers[enhanced.index]\n{part}"
        f"    in_place = {in_place}\n"
        f"    show_enhanced(viewer, layer, enhanced.enhancement, enhanced.upscale, in_place=in_place{option})\n"
        f"{error_map if job.error_map else ''}"
    )
    return job_code(job, after, ("show_enhanced", "show_error_map")[: 1 + job.error_map], viewer)

"""The card of a diffusion model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.json_values import to_json
from ..store.card import CardText, program_and_date, quoted, training_list, write_card
from .learning import copy_warning

if TYPE_CHECKING:
    from pathlib import Path

    from .facts import DiffusionRecord


def write_diffusion_card(folder: Path, record: DiffusionRecord) -> None:
    """Write the card of a diffusion model into `folder`."""
    imported, steps = record.imported, f"{record.steps} steps"
    size = 512 if imported is None else imported.image_size
    chosen = f" --structure {quoted(record.structures[0])}" if record.structures else ""
    use = f"smdiffusion generate {quoted(record.name)}{chosen} --out generated.tif --count 16 --size {size}"
    title = f"{record.name}: a diffusion model of super-resolution images"
    if imported is None:
        origin = f"Trained by {program_and_date(record)}, {steps}"
        warning = copy_warning(record.training_data, record.config, record.steps)
        more = f"\n## Copies\n\n{warning}\n" if warning else ""
        data, settings = training_list(record), to_json(record.config)
    else:
        importer = program_and_date(record)
        origin = f"Trained by improved_diffusion_for_SMLM, {steps}; imported from {imported.file} by {importer}"
        more, data, settings = "", "Unknown: the checkpoint does not state it.\n", to_json(imported)
    write_card(folder, record, record.pixel_size_nm, CardText(title, use, origin, data, settings, more + record.judged))

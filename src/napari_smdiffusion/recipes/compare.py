"""The job that compares generated with experimental images, and judges an enhanced one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.errors import InputError
from ..base.events import Steps, Stop, never
from ..images.provenance import MADE_BY_MODELS
from .job import ImageSource, optional_sources, read_source, read_sources, run_job
from .outputs import check_output_folder

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from ..images.image import Image
    from ..report.enhanced import EnhancedField
    from ..report.report import Report


@dataclass(frozen=True, eq=False)
class CompareJob:
    """Compare generated with experimental images, or judge an enhanced image by its widefield image, or both.

    Parameters
    ----------
    experimental
        Experimental images, files or folders; the search for copies needs some that the model was not trained on.
    generated
        Generated images, to compare with the experimental ones.
    training
        Images that the model was trained on, to look for copies of them.
    enhanced
        An enhanced image, to judge by `widefield`; or an `EnhancedField`, which has the other images of it already.
    widefield
        The widefield image that the enhanced one was made of: the same field.
    reference
        The super-resolution image of that field, or of a part of it, which is looked for.
    uncertainty
        The uncertainty map of the enhanced image, which is judged by the reference.
    out
        Folder for `comparison.png` and `report.json`.

    Raises
    ------
    InputError
        If a field is given without another one that it needs, or there is nothing to compare.
    """

    experimental: ImageSource | Sequence[ImageSource] = ()
    generated: ImageSource | None = None
    training: ImageSource | Sequence[ImageSource] = ()
    enhanced: ImageSource | EnhancedField | None = None
    widefield: ImageSource | None = None
    reference: ImageSource | None = None
    uncertainty: ImageSource | None = None
    out: str | os.PathLike[str] = "comparison"

    def __post_init__(self) -> None:
        for name in ("experimental", "training"):
            object.__setattr__(self, name, optional_sources(getattr(self, name)))
        if bool(self.experimental) != (self.generated is not None):
            raise InputError("Give experimental and generated images together: they are compared with each other.")
        field = self._given_field()
        if field is not None and not (self.widefield is self.reference is self.uncertainty is None):
            raise InputError("The other images of the field are in `enhanced` already: leave out those beside it.")
        if field is None and (self.enhanced is None) != (self.widefield is None):
            raise InputError(
                "Give the enhanced and the widefield image together: the two are compared with each other."
            )
        if self.reference is not None and self.enhanced is None:
            raise InputError("A reference judges an enhanced image: give the enhanced and the widefield image too.")
        if self.uncertainty is not None and self.reference is None:
            raise InputError("The uncertainty map is judged by the super-resolution image of the field: give it too.")
        if self.generated is None and self.enhanced is None:
            raise InputError("Give experimental and generated images, or an enhanced and a widefield image.")

    @property
    def title(self) -> str:
        """What the job does."""
        return "comparing"

    def steps(self, stop: Stop = never) -> Steps[Report]:
        """Compare.

        Yields
        ------
        Progress after each part.

        Returns
        -------
        The report, a mapping of what stands in `report.json`.

        Raises
        ------
        InputError
            If there are too few patches to compare, pixel sizes differ, or the images are not of one field.
        OSError
            If a file cannot be read, or the report cannot be written.
        Stopped
            If it was stopped: half a comparison is none.
        """
        from ..report.compare import compare_steps

        out = check_output_folder(self.out)
        experimental, training = (
            read_sources(sources, left_out=MADE_BY_MODELS, stop=stop) if sources else []
            for sources in map(optional_sources, (self.experimental, self.training))
        )
        generated = _read(self.generated, stop)
        return (yield from compare_steps(experimental, generated, training, out, enhanced=self._field(stop), stop=stop))

    def _given_field(self) -> EnhancedField | None:
        """Return `enhanced` where it is a field with all its images."""
        from ..report.enhanced import EnhancedField

        return self.enhanced if isinstance(self.enhanced, EnhancedField) else None

    def _field(self, stop: Stop) -> EnhancedField | None:
        """Return the enhanced image with what it is judged by."""
        from ..report.enhanced import EnhancedField

        if self.enhanced is None or isinstance(self.enhanced, EnhancedField):
            return self.enhanced
        sharp, coarse = _read(self.enhanced, stop), _read(self.widefield, stop)
        if sharp is None or coarse is None:
            return None
        return EnhancedField.cropped_to_reference(
            sharp, coarse, _read(self.reference, stop), _read(self.uncertainty, stop)
        )


def _read(source: ImageSource | None, stop: Stop) -> Image | None:
    return None if source is None else read_source(source, stop=stop)


def compare_images(
    experimental: Sequence[Image],
    generated: Image | None,
    training: Sequence[Image],
    out: str | os.PathLike[str],
    enhanced: EnhancedField | None = None,
) -> Report:
    """Run a `CompareJob` with a progress bar; its parameters, result and errors are those."""
    return run_job(CompareJob(experimental, generated, training, enhanced, out=out))

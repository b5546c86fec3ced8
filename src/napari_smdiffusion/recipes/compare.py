"""The job that compares generated with experimental images, and evaluates an enhanced image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.errors import InputError
from ..base.events import Steps, Stop, never
from ..images.provenance import MADE_BY_MODELS
from ..images.regions import as_rectangles, cut, one_rectangle, within
from .job import ImageSource, optional_sources, read_source, read_sources, run_job
from .outputs import check_output_folder

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from ..images.axes import Channel
    from ..images.image import Image
    from ..images.regions import Rectangles
    from ..report.enhanced import EnhancedField
    from ..report.report import Report


@dataclass(frozen=True, eq=False)
class CompareJob:
    """Compare generated with experimental images, or evaluate an enhanced image, or both.

    Parameters
    ----------
    experimental
        Experimental images, files or folders. The search for copies needs held-out images: the model was not trained on
        them.
    generated
        Generated images, which are compared with the experimental images.
    training
        Training images of the model; copies of them are searched for.
    enhanced
        An enhanced image, which is compared with `widefield`; or an `EnhancedField` with all images of the field of
        view.
    widefield
        The widefield image that was enhanced.
    reference
        The super-resolution image of the same field of view. It may show a part of the field, which is then located.
    uncertainty
        The uncertainty map of the enhanced image, which is checked by the reference.
    out
        Folder for `comparison.png` and `report.json`. An earlier report in it is not replaced.
    channel
        Index (the first is 0) or name of the channel, for files with several.
    region
        Rectangles of each experimental image that are compared, in its pixels: (first row, last row + 1, first column,
        last column + 1), or a sequence of them. (): all of it.
    widefield_region
        A rectangle of the widefield image, in its pixels, in which the enhanced image is evaluated. (): all of it.

    Raises
    ------
    InputError
        If a field lacks another field that it needs, or there is nothing to compare.
    """

    experimental: ImageSource | Sequence[ImageSource] = ()
    generated: ImageSource | None = None
    training: ImageSource | Sequence[ImageSource] = ()
    enhanced: ImageSource | EnhancedField | None = None
    widefield: ImageSource | None = None
    reference: ImageSource | None = None
    uncertainty: ImageSource | None = None
    out: str | os.PathLike[str] = "comparison"
    channel: Channel = None
    region: Rectangles = ()
    widefield_region: Rectangles = ()

    def __post_init__(self) -> None:
        for name in ("experimental", "training"):
            object.__setattr__(self, name, optional_sources(getattr(self, name)))
        if bool(self.experimental) != (self.generated is not None):
            raise InputError("Give experimental and generated images together: they are compared with each other.")
        field = self._enhanced_field()
        if field is not None and not (self.widefield is self.reference is self.uncertainty is None):
            raise InputError("`enhanced` holds all images of the field already: leave out widefield and the others.")
        if field is None and (self.enhanced is None) != (self.widefield is None):
            raise InputError(
                "Give the enhanced and the widefield image together: the two are compared with each other."
            )
        if self.reference is not None and self.enhanced is None:
            raise InputError("A reference needs an enhanced image: give the enhanced and the widefield image too.")
        if self.uncertainty is not None and self.reference is None:
            raise InputError("An uncertainty map needs a reference: give the super-resolution image of the field too.")
        if self.generated is None and self.enhanced is None:
            raise InputError("Give experimental and generated images, or an enhanced and a widefield image.")
        object.__setattr__(self, "region", as_rectangles(self.region, "region"))
        object.__setattr__(self, "widefield_region", one_rectangle(self.widefield_region, "widefield_region"))
        if self.region and not self.experimental:
            raise InputError("region is a part of experimental images: give some, or give widefield_region.", "region")
        if self.widefield_region and self.enhanced is None:
            raise InputError("widefield_region needs an enhanced image: give one, or give region.", "widefield_region")

    @property
    def title(self) -> str:
        """Short description of the job."""
        return "comparing"

    def steps(self, stop: Stop = never) -> Steps[Report]:
        """Compare the images.

        Yields
        ------
        Progress after each part.

        Returns
        -------
        The report; as a mapping, it has the content of `report.json`.

        Raises
        ------
        InputError
            If there are too few patches to compare, pixel sizes differ, or the images do not show one field of view.
        OSError
            If a file cannot be read, the report cannot be written, or the folder has a report already.
        Stopped
            If the job was stopped: an incomplete comparison has no result.
        """
        from ..report.compare import compare_steps

        out = check_output_folder(self.out, "comparison.png", replace=False)
        experimental, training = (
            read_sources(sources, left_out=MADE_BY_MODELS, stop=stop, channel=self.channel) if sources else []
            for sources in map(optional_sources, (self.experimental, self.training))
        )
        generated = self._read(self.generated, stop)
        if rectangles := as_rectangles(self.region, "region"):
            experimental = [cut(image, within(image, part)) for image in experimental for part in rectangles]
        return (yield from compare_steps(experimental, generated, training, out, enhanced=self._field(stop), stop=stop))

    def _enhanced_field(self) -> EnhancedField | None:
        """Return `enhanced` if it is an `EnhancedField`, otherwise None."""
        from ..report.enhanced import EnhancedField

        return self.enhanced if isinstance(self.enhanced, EnhancedField) else None

    def _field(self, stop: Stop) -> EnhancedField | None:
        """Return the enhanced image with the other images of its field of view; None without an enhanced image."""
        from ..report.enhanced import EnhancedField

        region = next(iter(as_rectangles(self.widefield_region, "widefield_region")), None)
        if self.enhanced is None or isinstance(self.enhanced, EnhancedField):
            return self.enhanced if self.enhanced is None or region is None else self.enhanced.inside(region)
        enhanced, widefield = self._read(self.enhanced, stop), self._read(self.widefield, stop)
        if enhanced is None or widefield is None:
            return None
        return EnhancedField.cropped_to_reference(
            enhanced, widefield, self._read(self.reference, stop), self._read(self.uncertainty, stop), region
        )

    def _read(self, source: ImageSource | None, stop: Stop) -> Image | None:
        return None if source is None else read_source(source, stop=stop, channel=self.channel)


def compare_images(
    experimental: Sequence[Image],
    generated: Image | None,
    training: Sequence[Image],
    out: str | os.PathLike[str],
    enhanced: EnhancedField | None = None,
) -> Report:
    """Run a `CompareJob` with a progress bar; parameters, result and errors are those of the job."""
    return run_job(CompareJob(experimental, generated, training, enhanced, out=out))

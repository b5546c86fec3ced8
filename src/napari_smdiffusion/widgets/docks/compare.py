"""The dock that compares generated images with experimental ones, and shows them side by side."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from qtpy.QtWidgets import (
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ...base.errors import InputError, sentence_of
from ...images.provenance import SIMULATED, SYNTHETIC
from ...recipes.compare import CompareJob
from ..frame.dock import Dock, heading
from ..parts.channels import ChannelRow
from ..parts.folded import Folded
from ..parts.pickers import LayerBox, LayerList
from ..parts.region_row import RegionRow
from ..parts.report_view import ReportView
from ..viewer.layer_pixels import known_pixel_size
from ..viewer.layer_watch import watch_layers
from ..viewer.layers import drawn_extent, image_layers, kind, live_source
from ..viewer.places import along_axes_of, check_not_turned
from ..viewer.regions import rectangles_in
from ..viewer.view import canvas_grid, drawn_unit, scene_camera

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.components import ViewerModel
    from napari.layers import Image as ImageLayer

    from ...base.events import Steps, Stop
    from ...report.report import Report

_LINKED = ("contrast_limits", "gamma")


@dataclass(frozen=True)
class _View:
    """State of the viewer before two layers were shown side by side."""

    visible: list[tuple[ImageLayer, bool]]
    pair: tuple[ImageLayer, ImageLayer]
    contrast: tuple[float, float]
    translate: Any
    grid: tuple[bool, tuple[int, int], int]
    order: list[ImageLayer]
    camera: tuple[tuple[float, ...], float]


class CompareDock(Dock):
    """Compare generated with experimental images, look for copies, and judge an enhanced image."""

    key: ClassVar[str] = "compare"
    preload_module: ClassVar[str] = "napari_smdiffusion.report.compare"

    def build_form(self) -> None:
        """Make the fields."""
        # The finest pixels: an open widefield image is no super-resolution image.
        self.experimental = LayerBox(self.viewer, lambda layer: kind(layer) in ("experimental", SIMULATED), finest=True)
        self.experimental.setToolTip("experimental super-resolution images to compare the generated images with")
        self.generated = LayerBox(self.viewer, lambda layer: kind(layer) == SYNTHETIC, optional=True)
        self.generated.setToolTip("generated (synthetic) images")
        self.training = LayerList(self.viewer, finest=True, excluded=self._unlikely_training_layers)
        self.experimental.currentIndexChanged.connect(self.training.refresh)
        self.training.setToolTip(
            "training images of the model, which are searched for copies; tick none to skip the search"
        )
        self.enhanced = LayerBox(self.viewer, lambda layer: False, optional=True)
        self.enhanced.setToolTip(
            "enhanced image: its resolution and its agreement with its widefield image are measured"
        )
        self.widefield = LayerBox(self.viewer, lambda layer: False, optional=True)
        self.widefield.setToolTip("widefield image that was enhanced")
        self.reference = LayerBox(self.viewer, lambda layer: False, optional=True)
        self.reference.setToolTip("optional super-resolution image of the same field of view, or of a part of it")
        self.uncertainty = LayerBox(self.viewer, lambda layer: False, optional=True)
        self.uncertainty.setToolTip(
            "uncertainty map of the enhanced image: its coverage is measured against the reference image"
        )
        self.channel = ChannelRow()
        self.region = RegionRow(self.viewer, "compare")
        self.side_by_side = QPushButton("Show side by side")
        self.side_by_side.setCheckable(True)
        self.side_by_side.setToolTip(
            "show both layers beside each other with the same zoom and contrast; click again to go back"
        )
        self.side_by_side.toggled.connect(self._toggle_side_by_side)
        self.report = ReportView(self)
        self.table, self.sentences = self.report.table, self.report.sentences
        self.picture, self.save = self.report.picture, self.report.save
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._next: tempfile.TemporaryDirectory[str] | None = None
        self._view: _View | None = None
        for text, widget in (
            ("Experimental", self.experimental),
            ("Generated", self.generated),
            ("Training images", self.training),
        ):
            self.form.addWidget(heading(text))
            self.form.addWidget(widget)
        self.form.addWidget(Folded("Judge an enhanced image too", self._enhanced_form()))
        for widget in (self.channel, self.region, self.side_by_side):
            self.form.addWidget(widget)
        self.results.addWidget(self.report)

        for box in self._boxes():
            box.currentIndexChanged.connect(self._show_channel)
        watch_layers(self.viewer, self.channel, self._show_channel)

    def _boxes(self) -> tuple[LayerBox, ...]:
        """Return the choices of single layers."""
        return (
            self.experimental,
            self.generated,
            self.enhanced,
            self.widefield,
            self.reference,
            self.uncertainty,
        )

    def _show_channel(self) -> None:
        """Ask for the channel of a chosen layer with several."""
        self.channel.show_layers([layer for box in self._boxes() if (layer := box.layer()) is not None])

    def on_close(self) -> None:
        """Restore the view that two layers side by side replaced."""
        self.show_former_view()

    def job(self) -> CompareJob:
        """Return the comparison that the form describes. `thread_steps` sets a temporary folder for its report."""
        compared_layers = self._compared()
        compared = [live_source(layer) for layer in compared_layers]
        training = [live_source(layer) for layer in self.training.layers()] if compared else []
        field = self._field()
        enhanced, widefield, reference, uncertainty = (None if layer is None else live_source(layer) for layer in field)
        _, coarse, sharp, _ = field
        if widefield is not None and reference is not None and coarse is not None and sharp is not None:
            check_not_turned(coarse, sharp)
            reference = along_axes_of(coarse, widefield, reference)
        region = self.region.region()
        return CompareJob(
            experimental=compared[:-1],
            generated=compared[-1] if compared else None,
            training=training,
            enhanced=enhanced,
            widefield=widefield,
            reference=reference,
            uncertainty=uncertainty,
            region=rectangles_in(self.viewer, region, compared_layers[0]) if compared_layers else (),
            widefield_region=() if field[1] is None else rectangles_in(self.viewer, region, field[1]),
        )

    def on_start(self, job: CompareJob) -> None:
        """Create a folder for the new report. The previous report stays until the new one is complete."""
        self._next = tempfile.TemporaryDirectory(prefix="smdiffusion-")

    def thread_steps(self, job: CompareJob) -> Callable[[Stop], Steps[Report]]:
        """Return the comparison, which writes its report into the temporary folder."""
        if self._next is None:
            return job.steps
        return replace(job, out=Path(self._next.name) / "comparison").steps

    def on_result(self, result: Report) -> str:
        """Show the report."""
        self._folder = self._next
        self.report.show_report(result, None if self._folder is None else Path(self._folder.name) / "comparison")
        self.area.show_top_of(self.report)
        return "The comparison is complete. Save the report to keep the picture and the numbers."

    def save_report(self, folder: Path) -> None:
        """Save the report in a folder; see `ReportView.save_report`."""
        self.report.save_report(folder)

    def show_side_by_side(self) -> None:
        """Show the two layers beside each other, with the same zoom and contrast."""
        experimental, generated = self._pair()
        viewer = self.viewer
        grid, camera = canvas_grid(viewer), scene_camera(viewer)
        self._view = _View(
            [(layer, layer.visible) for layer in viewer.layers],
            (experimental, generated),
            tuple(generated.contrast_limits),
            np.array(generated.translate),
            (grid.enabled, tuple(grid.shape), grid.stride),
            list(viewer.layers),
            (tuple(camera.center), float(camera.zoom)),
        )
        for layer in viewer.layers:
            layer.visible = layer in (experimental, generated)
        if not hasattr(viewer, "canvas"):
            # Before napari 0.9, hidden layers take cells of the grid too: two layers need neighbouring cells.
            _set_order(viewer, [*(layer for layer in viewer.layers if not layer.visible), generated, experimental])
        # All cells of the grid show the same region of the world, so both layers must start at the same corner.
        place, unit = np.array(generated.translate), str(generated.units[-1])
        corners = [drawn_extent(viewer, layer, unit)[0] for layer in (experimental, generated)]
        place[-2:] += corners[0] - corners[1]
        generated.translate = place
        generated.contrast_limits = experimental.contrast_limits
        viewer.layers.link_layers([experimental, generated], _LINKED)
        grid.shape, grid.stride = (1, 2), 1
        grid.enabled = True
        viewer.reset_view()
        # `reset_view` fits the view to all layers; fit it to these two.
        all_layers = viewer.layers.extent.world[:, -2:]
        unit = drawn_unit(viewer, generated)
        both = np.array([drawn_extent(viewer, layer, unit) for layer in (experimental, generated)])
        low, high = both[:, 0].min(0), both[:, 1].max(0)
        camera.zoom *= max((all_layers[1] - all_layers[0]).max() / max((high - low).max(), 1e-9), 1)
        camera.center = (*camera.center[:-2], *(low + high) / 2)

    def show_former_view(self) -> None:
        """Restore the view that was stored by `show_side_by_side`."""
        view, self._view = self._view, None
        if view is None:
            return
        viewer = self.viewer
        if remaining := [layer for layer in view.pair if layer in viewer.layers]:
            viewer.layers.unlink_layers(remaining, _LINKED)
        grid = canvas_grid(viewer)
        grid.enabled, grid.shape, grid.stride = view.grid
        generated = view.pair[1]
        generated.translate, generated.contrast_limits = view.translate, view.contrast
        for layer, visible in view.visible:
            layer.visible = visible
        if not hasattr(viewer, "canvas"):
            _set_order(viewer, view.order)
        camera = scene_camera(viewer)
        camera.center, camera.zoom = view.camera

    def _pair(self) -> tuple[ImageLayer, ImageLayer]:
        experimental, generated = self.experimental.layer(), self.generated.layer()
        if experimental is None or generated is None:
            raise InputError("Two layers are compared: open an experimental image and generate images first.")
        if experimental is generated:
            raise InputError("Choose two different layers: an experimental and a generated one.")
        return experimental, generated

    def _unlikely_training_layers(self) -> list[ImageLayer]:
        """Return unlikely training images: the experimental layer, and all layers of another pixel size."""
        layer = self.experimental.layer()
        size = None if layer is None else known_pixel_size(layer)
        layers = image_layers(self.viewer)
        return [other for other in layers if other is layer or not size or known_pixel_size(other) != size]

    def _compared(self) -> list[ImageLayer]:
        """Return the experimental and the generated layer, or neither if only an enhanced image is to be judged."""
        if self.generated.layer() is None and self.enhanced.layer() is not None:
            return []
        return list(self._pair())

    def _field(self) -> list[ImageLayer | None]:
        """Return the enhanced and widefield layers, the reference image and the uncertainty map; None where missing."""
        enhanced, widefield = self.enhanced.layer(), self.widefield.layer()
        if enhanced is None:
            return [None] * 4
        if widefield is None or widefield is enhanced:
            raise InputError("Choose the widefield layer that was enhanced: the enhanced image is compared with it.")
        reference, uncertainty = self.reference.layer(), self.uncertainty.layer()
        if uncertainty is not None and reference is None:
            raise InputError("Choose a super-resolution reference too: the uncertainty map is compared with it.")
        return [enhanced, widefield, reference, uncertainty]

    def _enhanced_form(self) -> QWidget:
        form = QWidget()
        layout = QVBoxLayout(form)
        layout.setContentsMargins(0, 0, 0, 0)
        for text, box in (
            ("Enhanced", self.enhanced),
            ("Its widefield image", self.widefield),
            ("Super-resolution reference", self.reference),
            ("Uncertainty map", self.uncertainty),
        ):
            layout.addWidget(heading(text))
            layout.addWidget(box)
        return form

    def _toggle_side_by_side(self, on: bool) -> None:
        if not on:
            self.show_former_view()
            self.side_by_side.setText("Show side by side")
            return
        try:
            self.show_side_by_side()
        except ValueError as error:
            self.side_by_side.setChecked(False)
            self.show_failure(sentence_of(error))
        else:
            self.side_by_side.setText("Back to the previous view")


def _set_order(viewer: ViewerModel, order: Sequence[ImageLayer]) -> None:
    """Sort the layers as in `order`, from the lowest to the topmost. Layers that are not in it end up above."""
    remaining = [layer for layer in order if layer in viewer.layers]
    for index, layer in enumerate(remaining):
        viewer.layers.move(viewer.layers.index(layer), index)

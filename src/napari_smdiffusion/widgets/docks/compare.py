"""The dock that shows generated beside experimental images and compares them."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHeaderView,
    QLabel,
    QPushButton,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ...base.errors import InputError
from ...images.provenance import SIMULATED, SYNTHETIC
from ...recipes.compare import CompareJob
from ..frame.dock import Dock, Folded, heading
from ..parts.pickers import LayerBox, LayerList
from ..viewer.layers import drawn_extent, image_layers, kind, known_pixel_size, live_source
from ..viewer.view import canvas_grid, drawn_unit, scene_camera

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image as ImageLayer

    from ...base.events import Steps, Stop
    from ...report.report import Report

_LINKED = ("contrast_limits", "gamma")


@dataclass(frozen=True)
class _View:
    """How the viewer was before two layers were shown side by side."""

    visible: list[tuple[ImageLayer, bool]]
    pair: tuple[ImageLayer, ImageLayer]
    contrast: tuple[float, float]
    translate: Any
    grid: tuple[bool, tuple[int, int], int]
    order: list[ImageLayer]
    camera: tuple[tuple[float, ...], float]


class CompareDock(Dock):
    """Show generated beside experimental images, and measure how alike they are and whether any is a copy."""

    key: ClassVar[str] = "compare"
    preload_module: ClassVar[str] = "napari_smdiffusion.report.compare"

    def build_form(self) -> None:
        """Make the fields."""
        # The finest: a widefield image that is open too is what nobody generates.
        self.experimental = LayerBox(self.viewer, lambda layer: kind(layer) in ("experimental", SIMULATED), finest=True)
        self.experimental.setToolTip("experimental images that the generated ones should be like")
        self.generated = LayerBox(self.viewer, lambda layer: kind(layer) == SYNTHETIC, optional=True)
        self.generated.setToolTip("synthetic images")
        self.training = LayerList(self.viewer, finest=True, meant_otherwise=self._hardly_trained_on)
        self.experimental.currentIndexChanged.connect(self.training.refresh)
        self.training.setToolTip("images that the model was trained on, to look for copies; none to leave this out")
        self.enhanced = LayerBox(self.viewer, lambda layer: False, optional=True)
        self.enhanced.setToolTip(
            "an enhanced image: how sharp is it, and where does it contradict its widefield image?"
        )
        self.widefield = LayerBox(self.viewer, lambda layer: False, optional=True)
        self.widefield.setToolTip("the widefield image that it was made of")
        self.reference = LayerBox(self.viewer, lambda layer: False, optional=True)
        self.reference.setToolTip("a super-resolution image of the same field, or of a part of it, if there is one")
        self.uncertainty = LayerBox(self.viewer, lambda layer: False, optional=True)
        self.uncertainty.setToolTip("the uncertainty map that came with the enhanced image: does it hold what it says?")
        self.side_by_side = QPushButton("Show side by side")
        self.side_by_side.setCheckable(True)
        self.side_by_side.setToolTip("both layers beside each other with one camera and one contrast; again to go back")
        self.side_by_side.toggled.connect(self._toggle_side_by_side)
        self.sentences = QLabel()
        self.sentences.setWordWrap(True)
        self.sentences.setTextFormat(Qt.TextFormat.PlainText)
        self.sentences.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.sentences.setVisible(False)
        self.table = QTableWidget(0, 2)
        self.table.setHorizontalHeaderLabels(["measure", "value"])
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.verticalHeader().setVisible(False)
        self.table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        # Sentences are cut short here, whole in the tooltip and above the table: numbers must stay in sight.
        self.table.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.Fixed)
        self.table.horizontalHeader().resizeSection(1, 165)
        self.table.setVisible(False)
        self.picture = _Picture()
        self.save = QPushButton("Save report …")
        self.save.setToolTip("save the picture and the numbers in a folder")
        self.save.setEnabled(False)
        self.save.clicked.connect(self._ask_where)
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
        for below in (self.side_by_side, self.sentences, self.table, self.picture, self.save):
            self.form.addWidget(below)

    def on_close(self) -> None:
        """Leave the viewer as it was before two layers were shown side by side."""
        self.show_former_view()

    def job(self) -> CompareJob:
        """Return the comparison that the form describes; its report is kept in a folder of the dock's own."""
        compared = [live_source(layer) for layer in self._compared()]
        training = [live_source(layer) for layer in self.training.layers()] if compared else []
        enhanced, widefield, reference, uncertainty = (
            None if layer is None else live_source(layer) for layer in self._field()
        )
        return CompareJob(
            experimental=compared[:-1],
            generated=compared[-1] if compared else None,
            training=training,
            enhanced=enhanced,
            widefield=widefield,
            reference=reference,
            uncertainty=uncertainty,
        )

    def on_start(self, job: CompareJob) -> None:
        """Make room for the report; the former one stays until there is a new one."""
        self._next = tempfile.TemporaryDirectory(prefix="smdiffusion-")

    def steps(self, job: CompareJob, stop: Stop) -> Steps[Report]:
        """Compare, in the thread."""
        out = "comparison" if self._next is None else Path(self._next.name) / "comparison"
        return replace(job, out=out).steps(stop)

    def on_result(self, result: Report) -> str:
        """Show what the report says, the numbers and the picture."""
        self._folder = self._next
        self.sentences.setText("\n".join(f"• {sentence}" for sentence in result.summary))
        self.sentences.setVisible(True)
        rows = result.table
        self.table.setRowCount(len(rows))
        for i, row in enumerate(rows):
            for column, text in enumerate((readable(row.key), row.text)):
                item = QTableWidgetItem(text)
                item.setToolTip(f"{text}. {row.meaning}".strip())
                self.table.setItem(i, column, item)
        self.table.setMinimumHeight(min(320, 30 * (len(rows) + 1)))
        self.table.setVisible(True)
        if self._folder is not None:
            self.picture.show_file(Path(self._folder.name) / "comparison" / "comparison.png")
        self.save.setEnabled(True)
        return "Compared. Save the report to keep the picture and the numbers."

    def save_report(self, folder: Path) -> None:
        """Copy the picture and the numbers into `folder`."""
        if self._folder is None:
            raise InputError("There is no report yet: press Run first.")
        shutil.copytree(Path(self._folder.name) / "comparison", folder, dirs_exist_ok=True)
        self.say(f"comparison.png and report.json are in {folder}.")

    def show_side_by_side(self) -> None:
        """Show the two layers beside each other, with one camera and one contrast."""
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
            # Before napari 0.9 hidden layers take cells of the grid: only neighbours are sure to have one each.
            _set_order(viewer, [*(layer for layer in viewer.layers if not layer.visible), generated, experimental])
        # In the grid both are seen through the same window, so they must begin at the same place.
        place, unit = np.array(generated.translate), str(generated.units[-1])
        corners = [drawn_extent(viewer, layer, unit)[0] for layer in (experimental, generated)]
        place[-2:] += corners[0] - corners[1]
        generated.translate = place
        generated.contrast_limits = experimental.contrast_limits
        viewer.layers.link_layers([experimental, generated], _LINKED)
        grid.shape, grid.stride = (1, 2), 1
        grid.enabled = True
        viewer.reset_view()
        # The view was fitted to all layers; fit it to these two.
        whole = viewer.layers.extent.world[:, -2:]
        unit = drawn_unit(viewer, generated)
        both = np.array([drawn_extent(viewer, layer, unit) for layer in (experimental, generated)])
        low, high = both[:, 0].min(0), both[:, 1].max(0)
        camera.zoom *= max((whole[1] - whole[0]).max() / max((high - low).max(), 1e-9), 1)
        camera.center = (*camera.center[:-2], *(low + high) / 2)

    def show_former_view(self) -> None:
        """Go back to how the viewer was."""
        view, self._view = self._view, None
        if view is None:
            return
        viewer = self.viewer
        if left := [layer for layer in view.pair if layer in viewer.layers]:
            viewer.layers.unlink_layers(left, _LINKED)
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
            raise InputError("Open an experimental image and generate images first: two layers are compared.")
        if experimental is generated:
            raise InputError("Choose two different layers: an experimental one and a generated one.")
        return experimental, generated

    def _hardly_trained_on(self) -> list[ImageLayer]:
        """Return layers that the model hardly saw: the experimental one, and those whose pixels are not as large."""
        layer = self.experimental.layer()
        size = None if layer is None else known_pixel_size(layer)
        return [one for one in image_layers(self.viewer) if one is layer or not size or known_pixel_size(one) != size]

    def _compared(self) -> list[ImageLayer]:
        """Return the experimental and the generated layer; none of them where only an enhanced one is to be judged."""
        if self.generated.layer() is None and self.enhanced.layer() is not None:
            return []
        return list(self._pair())

    def _field(self) -> list[ImageLayer | None]:
        """Return the enhanced layer, its widefield layer, the reference and the uncertainty map, None where missing."""
        enhanced, widefield = self.enhanced.layer(), self.widefield.layer()
        if enhanced is None:
            return [None] * 4
        if widefield is None or widefield is enhanced:
            raise InputError("Choose the widefield layer that the enhanced image was made of.")
        reference, uncertainty = self.reference.layer(), self.uncertainty.layer()
        if uncertainty is not None and reference is None:
            raise InputError("Choose the super-resolution reference too: the uncertainty map is judged by it.")
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
            self.show_failure(str(error))
        else:
            self.side_by_side.setText("Back to the former view")

    def _ask_where(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Save the report in this folder")
        if folder:
            try:
                self.save_report(Path(folder))
            except (OSError, shutil.Error) as error:
                self.show_failure(f"The report cannot be saved in {folder} ({error}).")


def _set_order(viewer: ViewerModel, order: Sequence[ImageLayer]) -> None:
    """Give the layers an order, from the lowest to the topmost; those that are not in it come to lie above."""
    here = [layer for layer in order if layer in viewer.layers]
    for place, layer in enumerate(here):
        viewer.layers.move(viewer.layers.index(layer), place)


class _Picture(QLabel):
    """A picture that is as wide as there is room for."""

    def __init__(self) -> None:
        super().__init__()
        self._pixmap = QPixmap()
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.setToolTip("patches side by side, intensity histograms, radial spectra, and the nearest training patches")

    def show_file(self, path: Path) -> None:
        """Show a PNG file."""
        self._pixmap = QPixmap(str(path))
        self._fit()

    def resizeEvent(self, event: Any) -> None:
        """Fit the picture into the new width."""
        super().resizeEvent(event)
        self._fit()

    def sizeHint(self) -> QSize:
        """Return the size of the fitted picture."""
        return QSize(300, self.pixmap().height() if not self._pixmap.isNull() else 0)

    def _fit(self) -> None:
        if not self._pixmap.isNull() and self.width() > 0:
            fitted = self._pixmap.scaledToWidth(self.width(), Qt.TransformationMode.SmoothTransformation)
            self.setPixmap(fitted)
            self.setFixedHeight(fitted.height())


def readable(key: str) -> str:
    """Return a report's key as people read it: "realism.score_low" as "realism: score low"."""
    return key.replace(".", ": ").replace("_", " ")

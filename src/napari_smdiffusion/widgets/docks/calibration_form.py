"""The part of the Enhance dock that calibrates the chosen enhancer on a pair of the user's layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from ...base.errors import InputError, is_user_error, sentence_of
from ...base.folders import user_folder
from ...images.provenance import SIMULATED, join_names
from ...recipes.calibrate import CalibrateJob
from ...store.catalogue import checked_name, find_model, free_name, is_bundled
from ..frame.scripts import job_code
from ..parts.pickers import LayerBox
from ..parts.plain import plain_label
from ..viewer.enhanced_layers import live_widefield_source
from ..viewer.layer_source import with_copied_layers
from ..viewer.layers import kind, live_source

if TYPE_CHECKING:
    from napari.layers import Image as ImageLayer
    from napari.viewer import Viewer

    from ...enhance.model import Enhancer
    from ..parts.model_box import ModelBox
    from ..parts.model_menu import Frame

_REPLACES = "the enhancer itself gets the new intervals"


class CalibrationForm(QWidget):
    """*Calibrate on a pair*: the two layers, and the name of the calibrated enhancer.

    Parameters
    ----------
    viewer
        The viewer whose layers are listed.
    models
        The list of enhancers.
    frame
        The dock, which runs the work.
    """

    calibrated = Signal()

    def __init__(self, viewer: Viewer, models: ModelBox, frame: Frame) -> None:
        super().__init__()
        self._viewer, self._models, self._frame = viewer, models, frame
        self.widefield, self.sharp = (LayerBox(viewer, _is_measured, finest=finest) for finest in (False, True))
        self.widefield.setToolTip("widefield image of the pair, of the same field of view or a larger one")
        self.sharp.setToolTip("super-resolution image of the same field: the truth that the intervals are to hold")
        self.name = QLineEdit()
        self.name.setPlaceholderText(_REPLACES)
        self.name.setToolTip(
            "name of a new enhancer with the new intervals; if it is empty, the chosen one gets them. A bundled "
            "enhancer stays as it is, so that a name is needed"
        )
        self.run, self.copy = QPushButton("Calibrate on this pair"), QPushButton("Copy as Python")
        self.run.setToolTip(
            "measure how wide the intervals of the uncertainty must be for your microscope and sample. The image that "
            "the enhancer makes does not change"
        )
        self.run.clicked.connect(self.calibrate)
        self.copy.clicked.connect(self.copy_code)
        text = plain_label(
            "The intervals of the uncertainty map were measured on simulated images, or on the pairs of the training. "
            "Measured on a pair of your own, they hold for your microscope."
        )
        text.setWordWrap(True)
        rows = QFormLayout()
        rows.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        for label, field in (("widefield", self.widefield), ("super-resolution", self.sharp), ("name", self.name)):
            rows.addRow(label, field)
        buttons = QHBoxLayout()
        for button in (self.run, self.copy):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 0, 0, 0)
        layout.addWidget(text)
        layout.addLayout(rows)
        layout.addLayout(buttons)
        models.changed.connect(self._suggest_name)
        self._suggest_name()

    def job(self) -> CalibrateJob:
        """Return the calibration that the form describes; raises InputError with what must be changed."""
        model, name = self._models.chosen(), self.name.text().strip()
        if not model:
            raise InputError("Choose the enhancer to calibrate: a new one is calibrated by its training.")
        widefield, sharp = self.widefield.layer(), self.sharp.layer()
        if widefield is None or sharp is None or widefield is sharp:
            raise InputError("Choose two layers: a widefield image and the super-resolution image of the same field.")
        if not name and is_bundled(find_model(model, "enhancer"), "enhancer"):
            raise InputError(f"Enter a name for the calibrated enhancer: {model} is bundled, and stays as it is.")
        out = user_folder() / "enhancer" / checked_name(name) if name else None
        return CalibrateJob(model, [(live_widefield_source(widefield), live_source(sharp))], out)

    def calibrate(self) -> None:
        """Calibrate the chosen enhancer in a thread."""
        if self._frame.running:
            return
        try:
            job = with_copied_layers(self.job())
        except Exception as error:
            self._show_error(error)
            return
        self._frame.start(job.title, job.steps, self._done)

    def copy_code(self) -> None:
        """Copy Python code that does the same to the clipboard."""
        try:
            code = job_code(self.job(), viewer=self._viewer)
        except Exception as error:
            self._show_error(error)
            return
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(code)
        self._frame.show_status("The code is on the clipboard: paste it into napari's console or into a script.")

    def _show_error(self, error: Exception) -> None:
        if not is_user_error(error):
            raise error
        self._frame.show_failure(sentence_of(error))

    def _done(self, enhancer: Enhancer) -> str:
        self._models.choose(enhancer.name)
        self.calibrated.emit()
        self._suggest_name()
        pairs = join_names(enhancer.facts.calibrated_on)
        return f"{enhancer.name} is calibrated on {pairs}: only its intervals changed."

    def _suggest_name(self) -> None:
        """Suggest a name for a calibrated copy of a bundled enhancer."""
        entry = self._models.entry
        self.name.setText(free_name(f"{entry.name} calibrated", "enhancer") if entry and entry.bundled else "")


def _is_measured(layer: ImageLayer) -> bool:
    return kind(layer) in ("experimental", SIMULATED)

"""The form that trains a new enhancer, a part of the Enhance dock."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QLineEdit, QRadioButton, QVBoxLayout, QWidget

from ...base.errors import InputError
from ...base.folders import user_folder
from ...base.settings import setting_fields
from ...diffusion.settings import DEFAULT_START
from ...enhance.settings import EnhancerConfig
from ...microscope.settings import MicroscopeConfig
from ...recipes.regions import divided, divided_weights, divided_widefield
from ...recipes.train_enhancer import TrainEnhancerJob, interrupted_enhancer_training
from ...recipes.train_samples import ESTIMATE_SHARE
from ...store.catalogue import checked_name, free_name
from ...structures.registry import STRUCTURES
from ...structures.settings import LabellingConfig
from ..frame.dock import heading
from ..parts.folded import Folded
from ..parts.forms import ConfigForm, TimeChoice
from ..parts.model_box import ModelBox
from ..parts.numbers import NumberField
from ..parts.pickers import LayerList
from ..parts.plain import plain_label
from ..parts.region_row import RegionRow
from ..viewer.layers import live_source
from ..viewer.places import check_not_turned
from ..viewer.regions import training_windows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari.layers import Image as ImageLayer
    from napari.viewer import Viewer

    from ...enhance.facts import EnhancerRecord
    from ..viewer.layer_source import LayerSource

_MINUTES = (("2 min", 2.0), ("5 min", 5.0), ("15 min", 15.0))
_TRAINING = ("patch", "batch", "learning_rate", "channels", "seed", "device")


class TrainingForm(QWidget):
    """The training of an enhancer: layers with weights, simulated structures, optics, factor, method, time."""

    method_changed = Signal()  # whether the enhancer will draw samples

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.region = RegionRow(viewer, "train on", leave_out=True)
        self.sources = LayerList(viewer, finest=True, weighted=True)
        self.sources.setToolTip("super-resolution images to train on, experimental or generated")
        self.allow_computed = QCheckBox("enhanced images too")
        self.allow_computed.setToolTip(
            "train on enhanced layers and maps too: an enhancer trained on them learns the errors of another one"
        )
        self.simulated = QComboBox()
        self.simulated.addItem("none")
        for name, model in STRUCTURES.items():
            self.simulated.addItem(name)
            tooltip = f"{model.description} ({model.source})"
            self.simulated.setItemData(self.simulated.count() - 1, tooltip, Qt.ItemDataRole.ToolTipRole)
        self.simulated.setToolTip("mathematical model of a structure: images simulated from it are trained on too")
        self.simulated_weight = NumberField(0.01, 1000)
        self.simulated_weight.show_number(1)
        self.simulated_weight.setToolTip(
            "how often a training patch comes from a simulated image, relative to the weights of the layers"
        )
        self.name = QLineEdit(free_name("my enhancer", "enhancer"))
        self.name.setToolTip("name of the new enhancer, which is saved in your model folder")
        self.resume = QCheckBox("resume the interrupted training of this enhancer")
        self.resume.setToolTip(
            "continue the training from where it stopped, with its settings. Choose the layers that it was trained on."
        )
        self.resume.setVisible(False)
        self._interrupted: EnhancerRecord | None = None  # of the training to resume
        self.name.textChanged.connect(self._offer_to_resume)
        self.start_from = ModelBox("enhancer", [("nothing (from scratch)", "")])
        self.start_from.setToolTip("start from a trained enhancer with the same factor")
        self.factor = ConfigForm(EnhancerConfig, ("upscale",))
        self.labels = ConfigForm(LabellingConfig, [field.name for field in setting_fields(LabellingConfig)])
        self._make_method()
        self.time = TimeChoice(_MINUTES, EnhancerConfig().minutes)
        self.optics = ConfigForm(MicroscopeConfig, [field.name for field in setting_fields(MicroscopeConfig)])
        self.fit = QCheckBox("fit the microscope to the widefield image")
        self.fit.setToolTip(
            "measure blur, haze (out-of-focus light) and noise in the first widefield layer ticked below, instead of "
            "simulating many microscopes. This helps if you train on many experimental images. Leave it off for "
            "generated or simulated images."
        )
        self.only_sharp = QRadioButton("I have only super-resolution images")
        self.only_sharp.setToolTip("the widefield images to train on are simulated from the super-resolution images")
        self.pairs = QRadioButton("I have pairs of the same fields")
        self.pairs.setToolTip(
            "train on real pairs instead of a simulated microscope, which is better if you have them. Tick one "
            "widefield layer below for each super-resolution layer, in the same order. It shows the same field of view "
            "or a larger one. These layers are enhanced afterwards."
        )
        self.only_sharp.setChecked(True)
        self.pairs.toggled.connect(self._enable_simulation)
        self.advanced = ConfigForm(EnhancerConfig, _TRAINING)
        self._simulation = (self.simulated, self.simulated_weight, self.labels, self.fit, self.optics)
        self._arrange()

    def _make_method(self) -> None:
        """Make the choice whether samples are trained too, and the model that they begin with."""
        self.method = ConfigForm(EnhancerConfig, ("method",))
        self.prior = ModelBox("diffusion", imported=False)
        self.prior.choose(DEFAULT_START)
        self.prior.setToolTip(
            "diffusion model whose weights the samples begin with: choose one that was trained on this structure"
        )
        self.about_samples = plain_label()
        self.about_samples.setWordWrap(True)
        self.samples = QWidget()
        form = QFormLayout(self.samples)
        form.setContentsMargins(0, 0, 0, 0)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        form.addRow("samples begin with", self.prior)
        form.addRow(self.about_samples)
        self.method.changed.connect(self._show_method)
        self.start_from.changed.connect(self._show_method)
        self.resume.toggled.connect(self._show_method)
        self._show_method()

    def draws_samples(self) -> bool:
        """Return whether the training that the form describes is also one of samples."""
        if self._interrupted is not None and self.resume.isChecked():
            return self._interrupted.config.method == "samples"
        return bool(self.method.values()["method"] == "samples")

    def _show_method(self) -> None:
        """Show what the samples begin with, and what is trained."""
        self.samples.setVisible(self.draws_samples())
        start = self.start_from.model()
        self.about_samples.setText(
            f"Only the samples are trained: the best estimate of {start} stays as it is."
            if start and not self.resume.isChecked()
            else f"The first {100 * ESTIMATE_SHARE:.0f} % of the time train the best estimate, the rest the samples."
        )
        self.method_changed.emit()

    def _arrange(self) -> None:
        rows = QWidget()
        form = QFormLayout(rows)
        form.setContentsMargins(0, 0, 0, 0)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        form.addRow("simulated", self.simulated)
        form.addRow("weight of the simulated images", self.simulated_weight)
        form.addRow("name", self.name)
        form.addRow("", self.resume)
        form.addRow("start from", self.start_from)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 0, 0, 0)
        layout.addWidget(heading("What do you have?"))
        for widget in (self.only_sharp, self.pairs):
            layout.addWidget(widget)
        layout.addWidget(heading("Super-resolution layers to train on"))
        for widget in (self.sources, self.region, self.allow_computed, rows, self.factor, self.method, self.samples):
            layout.addWidget(widget)
        for widget in (self.time, self.fit):
            layout.addWidget(widget)
        layout.addWidget(Folded("Optics of your widefield microscope", self.optics))
        layout.addWidget(Folded("Labels of the simulated structure", self.labels))
        layout.addWidget(Folded("Advanced training", self.advanced))

    def job(self, coarse: Sequence[ImageLayer], widefield: Sequence[LayerSource]) -> TrainEnhancerJob:
        """Return the training that the form describes; `coarse` are the layers to enhance, `widefield` the sources."""
        layers, structure = self.sources.layers(), self._structure()
        paired = self._paired(layers, coarse, widefield)
        if not layers and structure == "none":
            raise InputError("Choose at least one super-resolution layer, or a simulated structure, to train on.")
        name = checked_name(self.name.text())
        out = user_folder() / "enhancer" / name
        simulated = [] if structure == "none" else [(structure, self.simulated_weight.number())]
        labels = LabellingConfig(**self.labels.values())
        if self._interrupted is not None and self.resume.isChecked():
            config = self._interrupted.config
            images, weights, paired = self._parts(layers, paired, config)
            return TrainEnhancerJob(
                images,
                config,
                self._interrupted.sampler_microscope,
                weights=weights,
                widefield=paired,
                simulated=simulated,
                labels=labels,
                prior=self._prior(),
                out=out,
                name=name,
                allow_computed=self.allow_computed.isChecked(),
                resume=True,
            )
        shown = {**self.factor.values(), **self.method.values(), **self.advanced.values()}
        config = EnhancerConfig(minutes=self.time.minutes(), **shown)
        images, weights, paired = self._parts(layers, paired, config)
        return TrainEnhancerJob(
            images,
            config,
            MicroscopeConfig(**self.optics.values()),
            weights=weights,
            widefield=paired,
            fit=self._example(widefield),
            simulated=simulated,
            labels=labels,
            start=self.start_from.chosen() or None,
            prior=self._prior(),
            out=out,
            name=name,
            allow_computed=self.allow_computed.isChecked(),
        )

    def _prior(self) -> str:
        """Return the diffusion model that samples begin with; the default where none are trained."""
        return self.prior.chosen() if self.draws_samples() else DEFAULT_START

    def _parts(
        self, layers: Sequence[ImageLayer], paired: Sequence[LayerSource], config: EnhancerConfig
    ) -> tuple[list[LayerSource], list[float] | None, list[LayerSource]]:
        """Return the parts of the super-resolution layers to train on, their weights and their widefield images."""
        whole = [live_source(layer) for layer in layers]
        factor = config.upscale if paired else 1
        windows = training_windows(self._viewer, self.region.region(), layers, whole, config.patch, factor)
        coarse = divided_widefield(paired, whole, windows, factor) if paired else []
        return divided(whole, windows), divided_weights(self.sources.weights(), windows), coarse

    def resume_model(self, name: str) -> None:
        """Show the training of an enhancer that was stopped, to continue it."""
        self.name.setText(name)
        self.resume.setChecked(True)

    def _offer_to_resume(self) -> None:
        """Show the box *resume* if the training of the enhancer with the entered name was interrupted."""
        self._interrupted = None
        with suppress(InputError):  # an invalid name
            folder = user_folder() / "enhancer" / checked_name(self.name.text())
            self._interrupted = interrupted_enhancer_training(folder)
        self.resume.setVisible(self._interrupted is not None)
        if self._interrupted is None:
            self.resume.setChecked(False)
        self._show_method()

    def _structure(self) -> str:
        """Return the simulated structure to train on, or "none"."""
        return "none" if self.pairs.isChecked() else self.simulated.currentText()

    def _paired(
        self, layers: Sequence[ImageLayer], coarse: Sequence[ImageLayer], widefield: Sequence[LayerSource]
    ) -> list[LayerSource]:
        """Return the widefield image of each layer, or nothing if the microscope is simulated."""
        if not self.pairs.isChecked():
            return []
        if len(layers) != len(widefield) or not layers:
            raise InputError(
                f"{len(layers)} super-resolution and {len(widefield)} widefield layers are ticked: tick one widefield "
                "layer for each super-resolution layer."
            )
        for pair in zip(coarse, layers, strict=True):
            check_not_turned(*pair)
        return list(widefield)

    def _enable_simulation(self) -> None:
        """Disable the fields of the simulated microscope if the training uses real pairs."""
        for widget in self._simulation:
            widget.setEnabled(not self.pairs.isChecked())

    def _example(self, widefield: Sequence[LayerSource]) -> LayerSource | None:
        """Return the widefield layer that the microscope is fitted to, or None."""
        if not self.fit.isChecked() or self.pairs.isChecked():
            return None
        if not widefield:
            raise InputError("Tick a widefield layer: the microscope is to be fitted to it.")
        return widefield[0]

    def settings(self) -> dict[str, Any]:
        """Return the settings to remember; not *I have pairs*, which holds for the layers of one session."""
        return {
            "minutes": self.time.minutes(),
            **self.factor.values(),
            **self.method.values(),
            **self.advanced.values(),
            "optics": self.optics.values(),
            "fit": self.fit.isChecked(),
            "simulated": self.simulated.currentText(),
            "simulated_weight": self.simulated_weight.number(),
            "labels": self.labels.values(),
            "name": self.name.text(),
            "start": self.start_from.model(),
            "prior": self.prior.model(),
        }

    def show_settings(self, values: Mapping[str, Any]) -> None:
        """Show remembered settings."""
        if isinstance(values.get("minutes"), (int, float)):
            self.time.set_minutes(float(values["minutes"]))
        self.fit.setChecked(bool(values.get("fit")))
        self.simulated.setCurrentIndex(max(0, self.simulated.findText(str(values.get("simulated")))))
        if isinstance(values.get("simulated_weight"), (int, float)):
            self.simulated_weight.show_number(float(values["simulated_weight"]))
        if values.get("name"):
            self.name.setText(free_name(str(values["name"]), "enhancer"))
        self.start_from.choose(str(values.get("start") or ""))
        self.prior.choose(str(values.get("prior") or DEFAULT_START))
        for form in (self.factor, self.method, self.advanced):
            form.show_values(values)
        for name, form in (("optics", self.optics), ("labels", self.labels)):
            if isinstance(values.get(name), dict):
                form.show_values(values[name])

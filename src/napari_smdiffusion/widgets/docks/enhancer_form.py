"""The part of the Enhance dock in which a new enhancer is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QFormLayout, QLineEdit, QVBoxLayout, QWidget

from ...base.errors import InputError
from ...base.events import Note
from ...base.folders import user_folder
from ...base.settings import setting_fields
from ...enhance.settings import EnhancerConfig
from ...microscope.settings import MicroscopeConfig
from ...store.catalogue import checked_name, free_name
from ...store.folder import check_place
from ...structures.registry import STRUCTURES
from ..frame.dock import Folded, heading
from ..frame.scripts import images_code, settings_code, widefield_code
from ..parts.forms import ConfigForm, TimeChoice
from ..parts.model_box import ModelBox
from ..parts.pickers import LayerList
from ..viewer.layers import layer_source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari.layers import Image as ImageLayer
    from napari.viewer import Viewer

    from ...base.events import Steps, Stop
    from ...enhance.model import Enhancer
    from ..viewer.layers import LayerSource

_Widefield = TypeVar("_Widefield")
_MINUTES = (("2 min", 2.0), ("5 min", 5.0), ("15 min", 15.0))
_TRAINING = ("patch", "batch", "learning_rate", "channels", "seed", "device")


class TrainingForm(QWidget):
    """What an enhancer is trained on: layers with weights, simulated structures, optics, factor, time."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self.sources = LayerList(viewer, finest=True, weighted=True)
        self.sources.setToolTip("super-resolution images, experimental or generated, to learn from")
        self.simulated = QComboBox()
        self.simulated.addItem("none")
        for name, model in STRUCTURES.items():
            self.simulated.addItem(name)
            described = f"{model.description} ({model.source})"
            self.simulated.setItemData(self.simulated.count() - 1, described, Qt.ItemDataRole.ToolTipRole)
        self.simulated.setToolTip("mathematical models of structures to learn from as well")
        self.simulated_weight = QDoubleSpinBox()
        self.simulated_weight.setRange(0.01, 1000)
        self.simulated_weight.setValue(1)
        self.simulated_weight.setToolTip("how often the simulated images are drawn from, relative to a layer's weight")
        self.name = QLineEdit(free_name("my enhancer", "enhancer"))
        self.name.setToolTip("what to call the enhancer; it is kept in your model folder")
        self.start_from = ModelBox("enhancer", [("nothing (from scratch)", "")])
        self.start_from.setToolTip("begin from a trained enhancer of the same factor")
        self.factor = ConfigForm(EnhancerConfig, ("upscale",))
        self.time = TimeChoice(_MINUTES, EnhancerConfig().minutes)
        self.optics = ConfigForm(MicroscopeConfig, [field.name for field in setting_fields(MicroscopeConfig)])
        self.fit = QCheckBox("fit the microscope to the widefield image")
        self.fit.setToolTip(
            "find blur, haze and noise of the first widefield layer ticked below, instead of many kinds: helps where "
            "the super-resolution images are experimental and many, not where they are generated or simulated"
        )
        self.pairs = QCheckBox("the widefield layers below show the same fields")
        self.pairs.setToolTip(
            "learn from real pairs, which is better than from a simulated microscope where there are any: one "
            "widefield layer is ticked below for each super-resolution layer, in the same order, of the same field or "
            "a larger one; they are enhanced then"
        )
        self.pairs.toggled.connect(self._show_what_counts)
        self.advanced = ConfigForm(EnhancerConfig, _TRAINING)
        rows = QWidget()
        form = QFormLayout(rows)
        form.setContentsMargins(0, 0, 0, 0)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        form.addRow("simulated", self.simulated)
        form.addRow("its weight", self.simulated_weight)
        form.addRow("name", self.name)
        form.addRow("start from", self.start_from)
        self._simulation = (self.simulated, self.simulated_weight, self.fit, self.optics)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 0, 0, 0)
        layout.addWidget(heading("Super-resolution images to learn from"))
        for widget in (self.sources, self.pairs, rows, self.factor, self.time, self.fit):
            layout.addWidget(widget)
        layout.addWidget(Folded("Optics of your widefield microscope", self.optics))
        layout.addWidget(Folded("Advanced training", self.advanced))

    def steps_maker(self, widefield: Sequence[LayerSource]) -> Any:
        """Check the form and return what makes the steps of the training; `widefield` is what will be enhanced."""
        layers, structure = self.sources.layers(), self._structure()
        paired = self._paired(layers, widefield)
        if not layers and structure == "none":
            raise InputError("Choose at least one super-resolution layer, or a simulated structure, to learn from.")
        sources = [layer_source(layer) for layer in layers]
        weights = [*self.sources.weights(), *([self.simulated_weight.value()] if structure != "none" else [])]
        config = EnhancerConfig(minutes=self.time.minutes(), **self.factor.values(), **self.advanced.values())
        optics = MicroscopeConfig(**self.optics.values())
        example = self._example(widefield)
        start = self.start_from.chosen()
        name = checked_name(self.name.text())
        out = user_folder() / "enhancer" / name
        check_place(out)

        def steps(stop: Stop) -> Steps[Enhancer]:
            from ...enhance.model import load_enhancer, settings_from, train_enhancer_steps
            from ...microscope.fit import fit_microscope
            from ...structures.simulate import simulated_like

            begin = load_enhancer(start) if start else None
            settings_from(begin, config)  # before long work
            microscope = optics
            images = [source.read(stop) for source in sources]
            if structure != "none":
                images += simulated_like(structure, images, config.seed)
            if example is not None:
                found = fit_microscope(example.read(stop), images, optics, config.upscale)
                yield Note(found.sentence)
                microscope = found.config(optics)
            cameras = [source.read(stop) for source in paired]
            pairs = list(zip(cameras, images, strict=True)) if cameras else []
            return (
                yield from train_enhancer_steps(
                    images,
                    config,
                    microscope,
                    weights=weights,
                    pairs=pairs,
                    start=begin,
                    out=out,
                    name=name,
                    stop=stop,
                )
            )

        return steps

    def _structure(self) -> str:
        """Return the simulated structure to learn from as well, or "none"."""
        return "none" if self.pairs.isChecked() else self.simulated.currentText()

    def _paired(self, layers: Sequence[ImageLayer], widefield: Sequence[_Widefield]) -> list[_Widefield]:
        """Return the widefield image of each layer; none where the microscope is simulated."""
        if not self.pairs.isChecked():
            return []
        if len(layers) != len(widefield) or not layers:
            raise InputError(
                f"Real pairs need a widefield layer for each super-resolution layer, and {len(layers)} and "
                f"{len(widefield)} are ticked: tick as many of one as of the other."
            )
        return list(widefield)

    def _show_what_counts(self) -> None:
        """Grey out what is of a simulated microscope where pairs are learned from."""
        for widget in self._simulation:
            widget.setEnabled(not self.pairs.isChecked())

    def _example(self, widefield: Sequence[_Widefield]) -> _Widefield | None:
        """Return what the microscope is fitted to, or None."""
        if not self.fit.isChecked() or self.pairs.isChecked():
            return None
        if not widefield:
            raise InputError("Tick the widefield layer that the microscope is to be fitted to.")
        return widefield[0]

    def code(self, widefield: Sequence[ImageLayer]) -> str:
        """Return the same training as Python; `widefield` is what will be enhanced."""
        layers, structure = self.sources.layers(), self._structure()
        paired = self._paired(layers, widefield)
        settings = {"minutes": self.time.minutes(), **self.factor.values(), **self.advanced.changes()}
        weights = [*self.sources.weights(), *([self.simulated_weight.value()] if structure != "none" else [])]
        simulated = (
            ""
            if structure == "none"
            else (
                "from napari_smdiffusion import simulated_like\n"
                f"sources += simulated_like({structure!r}, sources, {self.advanced.values()['seed']})\n"
            )
        )
        example = self._example(widefield)
        fitted = (
            ""
            if example is None
            else (
                "from napari_smdiffusion import fit_microscope\n"
                f"{widefield_code([example])}"
                f"found = fit_microscope(widefield[0], sources, microscope, {self.factor.values()['upscale']})\n"
                "microscope = found.config(microscope)\n"
            )
        )
        pairs = f"{widefield_code(paired)}pairs = list(zip(widefield, sources, strict=True))\n" if paired else ""
        start = self.start_from.chosen()
        begin = f"start = load_enhancer({start!r})\n" if start else ""
        learned = (
            f"{'pairs=pairs' if paired else 'sources'}, weights={weights}, microscope=microscope"
            f"{', start=start' if start else ''}"
        )
        return (
            f"from napari_smdiffusion import Enhancer, MicroscopeConfig{', load_enhancer' if start else ''}\n"
            "from napari_smdiffusion import user_folder\n"
            f"{images_code('sources', layers) if layers else 'sources = []'}\n"
            f"{simulated}"
            f"microscope = MicroscopeConfig({settings_code(self.optics.changes())})\n"
            f"{fitted}{pairs}{begin}"
            f"enhancer = Enhancer.train({learned}, {settings_code(settings)})\n"
            f'enhancer.save(user_folder() / "enhancer" / {checked_name(self.name.text())!r})\n'
        )

    def settings(self) -> dict[str, Any]:
        """Return what is to be remembered."""
        return {
            "minutes": self.time.minutes(),
            **self.factor.values(),
            **self.advanced.values(),
            "optics": self.optics.values(),
            "fit": self.fit.isChecked(),
            "pairs": self.pairs.isChecked(),
            "simulated": self.simulated.currentText(),
            "simulated_weight": self.simulated_weight.value(),
            "name": self.name.text(),
            "start": self.start_from.model(),
        }

    def show_settings(self, values: Mapping[str, Any]) -> None:
        """Show what was remembered."""
        if isinstance(values.get("minutes"), (int, float)):
            self.time.set_minutes(float(values["minutes"]))
        self.fit.setChecked(bool(values.get("fit")))
        self.pairs.setChecked(bool(values.get("pairs")))
        self.simulated.setCurrentIndex(max(0, self.simulated.findText(str(values.get("simulated")))))
        if isinstance(values.get("simulated_weight"), (int, float)):
            self.simulated_weight.setValue(float(values["simulated_weight"]))
        if values.get("name"):
            self.name.setText(free_name(str(values["name"]), "enhancer"))
        self.start_from.choose(str(values.get("start") or ""))
        for form in (self.factor, self.advanced):
            form.show_values(values)
        if isinstance(values.get("optics"), dict):
            self.optics.show_values(values["optics"])

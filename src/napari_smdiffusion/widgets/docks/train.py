"""The dock that trains a diffusion model on image layers."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from qtpy.QtWidgets import QCheckBox, QLineEdit

from ...base.errors import InputError
from ...base.events import Event, Preview, Steps, Stop
from ...base.folders import user_folder
from ...base.settings import to_dict
from ...diffusion.settings import DEFAULT_START, TrainConfig
from ...images.provenance import PREVIEW, layer_metadata
from ...recipes.groups import groups_of, ungrouped
from ...recipes.job import read_sources
from ...recipes.outcome import outcome
from ...recipes.train_diffusion import TrainJob, interrupted_structures, interrupted_training
from ...report.pictures import contact_sheet
from ...store.catalogue import checked_name, free_name
from ..frame.dock import Dock, heading
from ..frame.new_models import announce_model
from ..parts.folded import Folded
from ..parts.forms import ConfigForm, TimeChoice
from ..parts.model_box import ModelBox
from ..parts.model_menu import ModelMenu
from ..parts.pickers import LayerList
from ..parts.region_row import RegionRow
from ..parts.structure_names import StructureNames
from ..parts.training_view import GO_ON, TrainingView
from ..viewer.layers import free_place, live_source
from ..viewer.regions import training_parts
from ..viewer.view import bring_into_view

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.layers import Image as ImageLayer

    from ...diffusion.model import DiffusionModel

_MINUTES = (("2 min", 2.0), ("15 min", 15.0), ("2 h", 120.0))
_ADVANCED = ("patch", "batch", "wide_fraction", "widest_fraction", "learning_rate", "seed", "previews", "device")


class TrainDock(Dock):
    """Train a diffusion model on the chosen layers. The dock shows the loss and generated previews meanwhile."""

    key: ClassVar[str] = "train"
    preload_module: ClassVar[str] = "napari_smdiffusion.diffusion.training"

    def build_form(self) -> None:
        """Make the fields."""
        self.layer_list = LayerList(self.viewer, finest=True)
        self.layer_list.setToolTip(
            "super-resolution images to train on: 2-D images or stacks, all with the same pixel size"
        )
        self.name = QLineEdit(free_name("my model", "diffusion"))
        self.name.setObjectName("name")
        self.name.setToolTip("name of the new model, which is saved in your model folder")
        self.time = TimeChoice(_MINUTES, 15.0)
        self.start_from = ModelBox("diffusion", [("nothing (from scratch)", "")], imported=False)
        self.start_from.setToolTip("start from a trained model, which needs less time and fewer images")
        self.start_from.choose(DEFAULT_START)
        self.models = ModelMenu(self.start_from, self, self.show_interrupted)
        self.resume = QCheckBox("resume the interrupted training of this model")
        self.resume.setToolTip(
            "continue the training with the same images and settings, for the rest of its original time"
        )
        self.resume.setVisible(False)
        self._interrupted: TrainConfig | None = None  # settings of the training to resume
        self.name.textChanged.connect(self._offer_to_resume)
        self.resume.toggled.connect(self._show_interrupted)
        self.allow_computed = QCheckBox("computed images too")
        self.allow_computed.setToolTip(
            "train on generated and enhanced images too: a model that is trained on them learns the errors of another "
            "model"
        )
        self.structures = StructureNames(self.layer_list)
        self.region = RegionRow(self.viewer, "train on", leave_out=True)
        self.advanced = ConfigForm(TrainConfig, _ADVANCED)
        self.as_layer = QCheckBox("show the preview as a layer too")
        self.as_layer.setToolTip("one layer for all trainings, beside the others and at their scale")
        self.view = TrainingView(self.viewer)
        self.view.continued.connect(self.go_on)
        self._preview_layer: ImageLayer | None = None
        self._preview_wanted = True
        self._model_name = ""  # of the newest training
        self._training = False  # whether the run is a training
        self._limits: list[float] = []
        self._pixel_size: float | None = None
        for text, widget in (
            ("Super-resolution layers to train on", self.layer_list),
            ("", self.structures),
            ("", self.region),
            ("", self.allow_computed),
            ("Name of the model", self.name),
            ("", self.resume),
            ("Time", self.time),
            ("Start from", self.start_from),
        ):
            if text:
                self.form.addWidget(heading(text))
            self.form.addWidget(widget)
        self.form.addWidget(Folded("Advanced", self.advanced))
        self.form.addWidget(self.as_layer)
        self.results.addWidget(self.view)

    def job(self) -> TrainJob:
        """Return the training that the form describes."""
        layers = self.layer_list.layers()
        if not layers:
            raise InputError("Choose at least one image layer to train on.")
        values = {"minutes": self.time.minutes(), **self.advanced.values()}
        whole = [live_source(layer) for layer in layers]
        patch = TrainConfig(**values).patch
        parts = training_parts(self.viewer, self.region.region(), layers, whole, patch)
        sources = self.structures.grouped(layers, parts)
        name = checked_name(self.name.text())
        out = user_folder() / "diffusion" / name
        if self._interrupted is not None and self.resume.isChecked():
            settings = replace(self._interrupted, **values)
            return TrainJob(sources, settings, out=out, resume=True, allow_computed=self.allow_computed.isChecked())
        start = self.start_from.chosen() or None
        return TrainJob(sources, TrainConfig(**values), start, out, allow_computed=self.allow_computed.isChecked())

    def thread_steps(self, job: TrainJob) -> Callable[[Stop], Steps[Any]]:
        """Return the training, which also measures the contrast limits of its previews."""
        return partial(_train, job, self._limits)

    def on_start(self, job: TrainJob) -> None:
        """Forget the preview of the previous run, and show an empty plot."""
        self._model_name, self._training = checked_name(self.name.text()), True
        self._pixel_size = getattr(next(iter(groups_of(job.images).values()))[0], "pixel_size", None)
        self._limits = []
        self._preview_wanted = True
        self.view.begin()
        self.area.follow()

    def on_events(self, events: Sequence[Event]) -> None:
        """Draw the loss, and show the newest preview."""
        self.view.add(events, self._limits)
        previews = [event for event in events if isinstance(event, Preview)]
        if previews and self.as_layer.isChecked():
            self._show_preview(previews[-1])

    def on_result(self, result: DiffusionModel) -> str:
        """Choose the model in the Generate dock, now or when that dock is opened."""
        announce_model(self.viewer, "diffusion", self._model_name)
        self.view.end(result.facts)
        far = outcome(f"the model {self._model_name}", result.facts, GO_ON)
        return f"{far} The model is chosen in Generate images."

    def go_on(self) -> None:
        """Continue the training that was stopped last."""
        self.show_interrupted(self._model_name)
        self.run()

    def show_interrupted(self, name: str) -> None:
        """Show the training of a model that was interrupted, to resume it."""
        self.name.setText(name)
        self.resume.setChecked(True)

    def on_end(self) -> None:
        """Suggest a free name for the next model, and list the new model under *Start from*."""
        if self._training:
            self.name.setText(free_name(self._model_name, "diffusion"))
        self._training = False
        self.start_from.refresh()

    def settings(self) -> dict[str, Any]:
        """Return the settings to remember."""
        return {
            "minutes": self.time.minutes(),
            "start": self.start_from.model(),
            "name": self.name.text(),
            "as_layer": self.as_layer.isChecked(),
            **self.advanced.values(),
        }

    def show_settings(self, values: dict[str, Any]) -> None:
        """Show remembered settings."""
        if isinstance(values.get("minutes"), (int, float)):
            self.time.set_minutes(float(values["minutes"]))
        if "start" in values:
            self.start_from.choose(str(values["start"] or ""))
        if values.get("name"):
            self.name.setText(free_name(str(values["name"]), "diffusion"))
        self.as_layer.setChecked(bool(values.get("as_layer")))
        self.advanced.show_values(values)

    def _offer_to_resume(self) -> None:
        """Show the box *resume* if the training of the model with the entered name was interrupted."""
        self._interrupted = None
        with suppress(InputError):  # an invalid name
            self._interrupted = interrupted_training(user_folder() / "diffusion" / checked_name(self.name.text()))
        self.resume.setVisible(self._interrupted is not None)
        if self._interrupted is None:
            self.resume.setChecked(False)

    def _show_interrupted(self, resumed: bool) -> None:
        """Show the settings of the interrupted training: a resumed training accepts no others."""
        if resumed and self._interrupted is not None:
            self.time.set_minutes(self._interrupted.minutes)
            self.advanced.show_values(to_dict(self._interrupted))
            self.structures.show_names(interrupted_structures(user_folder() / "diffusion" / self.name.text().strip()))
        for widget in (self.time, self.start_from):
            widget.setEnabled(not resumed)

    def _show_preview(self, event: Preview) -> None:
        columns = int(np.ceil(np.sqrt(len(event.images))))
        picture = contact_sheet(event.images, columns, fill=float(event.images.min()))
        layer = self._preview_layer
        name = f"training preview: {self._model_name} (synthetic)"
        if layer is not None and layer in self.viewer.layers:
            self._preview_wanted = False
            layer.data, layer.name = picture, name
            layer.metadata.update(self._preview_metadata(event))
        elif self._preview_wanted:
            # Added once: a user who deletes the layer does not want a new one.
            self._preview_wanted = False
            self._preview_layer = self.viewer.add_image(
                picture,
                name=name,
                contrast_limits=self._limits if len(set(self._limits)) == 2 else None,
                colormap="inferno",
                metadata=self._preview_metadata(event),
                **free_place(self.viewer, self._pixel_size, 2),
            )
            bring_into_view(self.viewer, self._preview_layer)

    def _preview_metadata(self, event: Preview) -> dict[str, Any]:
        return layer_metadata({"kind": PREVIEW, "model": self._model_name, "step": event.step})


def _train(job: TrainJob, limits: list[float], stop: Stop) -> Steps[DiffusionModel]:
    """Put the contrast limits of the first image into `limits`, then train."""
    groups = {name: read_sources(own, job.pixel_size, stop=stop) for name, own in groups_of(job.images).items()}
    first = next(iter(groups.values()))[0]  # previews of all structures have its intensities
    limits[:] = (float(value) for value in np.percentile(first.pixels[0], (1, 99.8)))
    images = ungrouped(groups)
    return (yield from replace(job, images=images).steps(stop))

"""The dock that trains a diffusion model on image layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from qtpy.QtWidgets import QLineEdit

from ...base.errors import InputError
from ...base.events import Event, Preview, Steps, Stop
from ...base.folders import user_folder
from ...diffusion.settings import DEFAULT_START, TrainConfig
from ...images.provenance import layer_metadata
from ...report.pictures import contact_sheet
from ...store.catalogue import checked_name, free_name
from ...store.folder import check_place
from ..frame.dock import Dock, Folded, Task, heading
from ..frame.new_models import announce_model
from ..frame.scripts import images_code, settings_code
from ..parts.forms import ConfigForm, TimeChoice
from ..parts.model_box import ModelBox
from ..parts.pickers import LayerList
from ..viewer.layers import free_place, layer_source
from ..viewer.view import bring_into_view

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari.layers import Image as ImageLayer
    from napari.viewer import Viewer

_MINUTES = (("2 min", 2.0), ("15 min", 15.0), ("2 h", 120.0))
_ADVANCED = ("patch", "batch", "wide_fraction", "learning_rate", "seed", "previews", "device")


class TrainDock(Dock):
    """Train a diffusion model on the chosen layers; samples appear in a layer while it learns."""

    key: ClassVar[str] = "train"
    preload_module: ClassVar[str] = "napari_smdiffusion.diffusion.model"

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self.layer_list = LayerList(self.viewer, finest=True)
        self.layer_list.setToolTip("super-resolution images to learn from: 2-D images or stacks, of one pixel size")
        self.name = QLineEdit(free_name("my model", "diffusion"))
        self.name.setObjectName("name")
        self.name.setToolTip("what to call the model; it is kept in your model folder")
        self.time = TimeChoice(_MINUTES, 15.0)
        self.start_from = ModelBox("diffusion", [("nothing (from scratch)", "")], imported=False)
        self.start_from.setToolTip("begin from a trained model, which takes less time and fewer images")
        self.start_from.choose(DEFAULT_START)
        self.advanced = ConfigForm(TrainConfig, _ADVANCED)
        self.plot: Any = None
        self._preview_layer: ImageLayer | None = None
        self._preview_wanted = True
        self._model_name = ""
        self._limits: list[float] = []
        self._pixel_size: float | None = None
        for text, widget in (
            ("Super-resolution layers to learn from", self.layer_list),
            ("Name of the model", self.name),
            ("Time", self.time),
            ("Start from", self.start_from),
        ):
            self.form.addWidget(heading(text))
            self.form.addWidget(widget)
        self.form.addWidget(Folded("Advanced", self.advanced))
        self._form_is_made()

    def task(self) -> Task:
        """Check the form, take what is needed of the layers, and say what to do."""
        layers = self.layer_list.layers()
        if not layers:
            raise InputError("Choose at least one image layer to learn from.")
        sources = [layer_source(layer) for layer in layers]
        self._pixel_size = sources[0].pixel_size
        config = TrainConfig(minutes=self.time.minutes(), **self.advanced.values())
        self._model_name = name = checked_name(self.name.text())
        out = user_folder() / "diffusion" / name
        check_place(out)
        start = self.start_from.chosen()
        limits: list[float] = []
        self._limits = limits

        def steps(stop: Stop) -> Steps[Path]:
            # Loaded now, with torch: at the first checkpoint, amid the training, it would hold up the event loop.
            import matplotlib.figure  # noqa: F401

            from ...diffusion.model import load_diffusion_model, train_steps

            images = [source.read(stop) for source in sources]
            limits[:] = (float(v) for v in np.percentile(images[0].pixels[0], (1, 99.8)))
            model = load_diffusion_model(start) if start else None
            yield from train_steps(images, config, start=model, out=out, name=name, stop=stop)
            return out

        return Task(f"training {name}", steps)

    def code(self) -> str:
        """Return the same training as Python."""
        layers = self.layer_list.layers()
        if not layers:
            raise InputError("Choose at least one image layer to learn from.")
        settings = {"minutes": self.time.minutes(), **self.advanced.changes()}
        start = self.start_from.chosen()
        begin = f"start = load_diffusion_model({start!r})\n" if start else "start = None\n"
        name = checked_name(self.name.text())
        return (
            "from napari_smdiffusion import DiffusionModel, load_diffusion_model\n"
            "from napari_smdiffusion.models import user_folder\n"
            f"{images_code('images', layers)}"
            f"{begin}"
            f"model = DiffusionModel.train(images, start=start, {settings_code(settings)})\n"
            f'model.save(user_folder() / "diffusion" / {name!r})\n'
        )

    def on_start(self) -> None:
        """Make the plot, and forget the preview of the run before."""
        if self.plot is None:
            from ..parts.plots import LossPlot

            self.plot = LossPlot(self.viewer)
            self.form.insertWidget(self.form.count() - 1, self.plot)
        self.plot.clear()
        self._preview_layer, self._preview_wanted = None, True

    def on_events(self, events: Sequence[Event]) -> None:
        """Draw the loss, and show the newest samples."""
        self.plot.add(events)
        previews = [event for event in events if isinstance(event, Preview)]
        if previews:
            self._show_preview(previews[-1])

    def on_result(self, result: Path) -> str:
        """Offer the model in the Generate dock, now or when that is opened."""
        announce_model(self.viewer, "diffusion", result.name)
        return f"The model {result.name} is trained: it is chosen in Generate images."

    def on_end(self) -> None:
        """Offer another name, unless nothing was saved under this one, and the model to begin others from."""
        self.name.setText(free_name(self._model_name, "diffusion"))
        self.start_from.refresh()

    def settings(self) -> dict[str, Any]:
        """Return what is to be remembered."""
        return {
            "minutes": self.time.minutes(),
            "start": self.start_from.model(),
            "name": self.name.text(),
            **self.advanced.values(),
        }

    def show_settings(self, values: dict[str, Any]) -> None:
        """Show what was remembered."""
        if isinstance(values.get("minutes"), (int, float)):
            self.time.set_minutes(float(values["minutes"]))
        if "start" in values:
            self.start_from.choose(str(values["start"] or ""))
        if values.get("name"):
            self.name.setText(free_name(str(values["name"]), "diffusion"))
        self.advanced.show_values(values)

    def _show_preview(self, event: Preview) -> None:
        columns = int(np.ceil(np.sqrt(len(event.images))))
        picture = contact_sheet(event.images, columns, fill=float(event.images.min()))
        layer = self._preview_layer
        if layer is not None and layer in self.viewer.layers:
            layer.data = picture
            layer.metadata.update(self._preview_metadata(event))
        elif self._preview_wanted:
            # A person who deletes the layer does not want it back.
            self._preview_wanted = False
            self._preview_layer = self.viewer.add_image(
                picture,
                name=f"training preview: {self._model_name} (synthetic)",
                contrast_limits=self._limits if len(set(self._limits)) == 2 else None,
                colormap="inferno",
                metadata=self._preview_metadata(event),
                **free_place(self.viewer, self._pixel_size, 2),
            )
            bring_into_view(self.viewer, self._preview_layer)

    def _preview_metadata(self, event: Preview) -> dict[str, Any]:
        return layer_metadata({"kind": "preview", "model": self._model_name, "step": event.step})

"""The dock that enhances widefield layers, and trains enhancers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from qtpy.QtWidgets import QCheckBox, QPushButton, QRadioButton

from ...base.errors import InputError, Stopped
from ...base.events import Note, PartDone
from ...enhance.settings import EnhanceConfig
from ...store.catalogue import free_name
from ..frame.background import error_message
from ..frame.dock import Dock, Folded, Task, heading
from ..frame.remembered import remember
from ..frame.scripts import settings_code
from ..parts.forms import ConfigForm
from ..parts.model_box import ModelBox
from ..parts.pickers import LayerList
from ..viewer.enhanced_layers import (
    original,
    plain_name,
    restore,
    show_enhanced,
    show_error_map,
    widefield_pixel_size,
    widefield_source,
)
from ..viewer.layers import image_layers, known_pixel_size
from .enhancer_form import TrainingForm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image as ImageLayer
    from napari.viewer import Viewer

    from ...base.events import Event, Steps, Stop
    from ...enhance.applying import Enhancement
    from ...enhance.model import Enhancer
    from ...images.image import Image


@dataclass(frozen=True)
class _Made:
    """What was made of one layer."""

    factor: int
    enhancement: Enhancement
    error: Image | None
    agreement: float | None


@dataclass(frozen=True)
class _Result:
    """What a run made: the enhancer if one was trained, how many layers it enhanced, and what failed."""

    trained: str | None
    factor: int
    made: int
    failures: list[str]


class EnhanceDock(Dock):
    """Enhance widefield layers, as new layers or in place, with an enhancer at hand or one trained here."""

    key: ClassVar[str] = "enhance"
    preload_module: ClassVar[str] = "napari_smdiffusion.enhance.model"

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        # What the pixel sizes say counts more than what was remembered.
        self._suggested: tuple[float, float] | None = None
        self._suggest_factor()

    def build_form(self) -> None:
        """Make the fields."""
        self.model = ModelBox("enhancer", [("train a new one …", "")])
        self.training = TrainingForm(self.viewer)
        self.layer_list = LayerList(self.viewer, finest=False, meant_otherwise=self._learned_from)
        self.layer_list.setToolTip("widefield images or stacks to enhance")
        self.new_layer = QRadioButton("new layer")
        self.in_place = QRadioButton("in place")
        self.new_layer.setToolTip("add the enhanced image as a layer that lies exactly on the widefield layer")
        self.in_place.setToolTip("turn the widefield layer itself into the enhanced image; its original is kept")
        self.new_layer.setChecked(True)
        self.uncertainty = QCheckBox("uncertainty map")
        self.uncertainty.setToolTip(
            "how far the true image may be from the enhanced one, in its units: 8 times the work"
        )
        self.error_map = QCheckBox("error map")
        self.error_map.setToolTip("where the enhanced image, blurred again, disagrees with the widefield image")
        self.advanced = ConfigForm(EnhanceConfig, ("confidence", "tile", "device"))
        self.restore = QPushButton("Restore original")
        self.restore.setToolTip("give the chosen layers, or else all of them, back as they were before any enhancement")
        self.restore.clicked.connect(self.restore_originals)
        self._layers: list[ImageLayer] = []
        self._suggested = None
        self._said: list[str] = []
        self.form.addWidget(heading("Enhancer"))
        self.form.addWidget(self.model)
        self.form.addWidget(self.training)
        self.form.addWidget(heading("Widefield layers to enhance"))
        self.form.addWidget(self.layer_list)
        for widget in (self.new_layer, self.in_place, self.uncertainty, self.error_map):
            self.form.addWidget(widget)
        self.form.addWidget(Folded("Advanced", self.advanced))
        self.form.addWidget(self.restore)
        self.model.changed.connect(self._show_training)
        self.model.changed.connect(self.layer_list.refresh)
        self.layer_list.changed.connect(self._suggest_factor)
        self.training.sources.changed.connect(self._suggest_factor)
        self.training.sources.changed.connect(self.layer_list.refresh)
        self.model.box.setCurrentIndex(min(1, self.model.box.count() - 1))
        self._show_training()

    def job(self) -> Task:
        """Check the form, take what is needed of the layers, and say what to do."""
        self._layers = layers = self.layer_list.layers()
        self._said = []
        config = EnhanceConfig(uncertainty=self.uncertainty.isChecked(), **self.advanced.values())
        model, error_map = self._chosen(), self.error_map.isChecked()
        sources, names = [widefield_source(layer) for layer in layers], [layer.name for layer in layers]
        if self.in_place.isChecked() and any(layer.multiscale for layer in layers):
            raise InputError("A multiscale layer cannot be changed in place: choose new layer.")
        train = None if model else self.training.steps_maker(sources)

        def steps(stop: Stop) -> Steps[_Result]:
            from ...enhance.model import load_enhancer

            enhancer = load_enhancer(model) if train is None else (yield from train(stop))
            made = 0
            failures = []
            for index, source in enumerate(sources):
                if stop():
                    break
                try:
                    one = yield from _enhance_layer(enhancer, source.read(stop), config, error_map, stop)
                except Stopped:
                    break
                # One layer that cannot be enhanced must not cost the others, and least of all the training. Layers
                # read their pixels when they are asked for them: what is raised then may be anything.
                except Exception as error:
                    failures.append(f"{error_message(error, f'enhancing {names[index]}').removesuffix('.')}.")
                else:
                    made += 1
                    yield PartDone(index, one)
            if failures and train is None and not made:
                raise InputError(" ".join(failures))
            return _Result(enhancer.name if train is not None else None, enhancer.config.upscale, made, failures)

        what = f"enhancing {len(layers)} layer{'s' * (len(layers) != 1)}"
        return Task(what if model else f"training {self.training.name.text()}", steps)

    def code(self) -> str:
        """Return the same as Python, with all maps that are ticked."""
        layers, model = self.layer_list.layers(), self._chosen()
        made = (
            f"from napari_smdiffusion import load_enhancer\n\nenhancer = load_enhancer({model!r})\n"
            if model
            else self.training.code(layers)
        )
        return f"{made}\n{self._enhancing_code(layers)}" if layers else made

    def _enhancing_code(self, layers: Sequence[ImageLayer]) -> str:
        settings = {**self.advanced.changes(), "uncertainty": self.uncertainty.isChecked()}
        names = ", ".join(repr(layer.name) for layer in layers)
        error_map = (
            "    error = mapped_error(EnhancedField(result.image, image))\n    show_error_map(viewer, layer, error)\n"
        )
        return (
            "import napari\n"
            "from napari_smdiffusion import EnhancedField, mapped_error\n"
            "from napari_smdiffusion.napari import show_enhanced, show_error_map, widefield_source\n\n"
            "viewer = napari.current_viewer()\n"
            f"for name in ({names},):\n"
            "    layer = viewer.layers[name]\n"
            "    image = widefield_source(layer).read()\n"
            f"    result = enhancer.enhance_with_uncertainty(image, {settings_code(settings)})\n"
            f"    show_enhanced(viewer, layer, result, enhancer.config.upscale, in_place={self.in_place.isChecked()})\n"
            f"{error_map if self.error_map.isChecked() else ''}"
        )

    def on_events(self, events: Sequence[Event]) -> None:
        """Show each enhanced layer when it is ready, new or in place, with the maps on top."""
        for event in events:
            if isinstance(event, PartDone):
                self._show(self._layers[event.index], event.result)

    def on_result(self, result: _Result) -> str:
        """Say what was done."""
        if result.trained is not None:
            self.model.choose(result.trained)
            self.training.start_from.refresh()
            remember(self.key, self.settings())
        said = [f"The enhancer {result.trained} is trained and chosen."] if result.trained else []
        said += self._said
        if self._layers:
            said.append(f"{result.made} of {len(self._layers)} layers enhanced ×{result.factor}.")
        return " ".join([*said, *result.failures])

    def on_end(self) -> None:
        """Offer another name for the next enhancer, unless nothing was saved under this one."""
        self.training.name.setText(free_name(self.training.name.text(), "enhancer"))
        # The layers are the person's, and whether they stay in memory.
        self._layers = []

    def restore_originals(self) -> None:
        """Give layers back their original data, place and contrast."""
        changed = [layer for layer in image_layers(self.viewer) if original(layer) is not None]
        meant = {id(layer) for layer in [*self.layer_list.layers(), *self.viewer.layers.selection]}
        chosen = [layer for layer in changed if id(layer) in meant] or changed
        if not chosen:
            self.show_failure("No layer was enhanced in place: there is nothing to restore.")
            return
        for layer in chosen:
            restore(layer)
        self.layer_list.refresh()
        self.say(f"Restored: {', '.join(layer.name for layer in chosen)}.")

    def settings(self) -> dict[str, Any]:
        """Return what is to be remembered."""
        return {
            "model": self.model.model(),
            "in_place": self.in_place.isChecked(),
            "uncertainty": self.uncertainty.isChecked(),
            "error_map": self.error_map.isChecked(),
            "training": self.training.settings(),
            **self.advanced.values(),
        }

    def show_settings(self, values: dict[str, Any]) -> None:
        """Show what was remembered."""
        if isinstance(values.get("model"), str):
            self.model.choose(values["model"])
        (self.in_place if values.get("in_place") else self.new_layer).setChecked(True)
        self.uncertainty.setChecked(bool(values.get("uncertainty")))
        self.error_map.setChecked(bool(values.get("error_map")))
        if isinstance(values.get("training"), dict):
            self.training.show_settings(values["training"])
        self.advanced.show_values(values)

    def _chosen(self) -> str:
        """Return the chosen enhancer, or "" to train one; raises ValueError if there is nothing to do with it."""
        model = self.model.chosen()
        if model and not self.layer_list.layers():
            raise InputError("Choose at least one widefield layer to enhance.")
        return model

    def _show(self, layer: ImageLayer, made: _Made) -> None:
        in_place = self.in_place.isChecked() and layer in self.viewer.layers
        name = plain_name(layer)
        show_enhanced(self.viewer, layer, made.enhancement, made.factor, in_place=in_place)
        if made.error is not None and made.agreement is not None:
            show_error_map(self.viewer, layer, made.error)
            self._said.append(
                f"{name}: agreement with the widefield image (RSP) {made.agreement:.3f}; 1 is best, and haze lowers it."
            )
        self.layer_list.refresh()

    def _suggest_factor(self) -> None:
        """Offer the factor that leads from the widefield pixels to those of the super-resolution images."""
        sizes = [
            {widefield_pixel_size(layer) for layer in self.layer_list.layers()} - {None},
            {known_pixel_size(layer) for layer in self.training.sources.layers()} - {None},
        ]
        if all(len(some) == 1 for some in sizes):
            coarse, fine = (some.pop() or 1.0 for some in sizes)
            # Once: what a person puts in its place stays.
            if 2 <= round(coarse / fine) <= 8 and self._suggested != (coarse, fine):
                self._suggested = coarse, fine
                self.training.factor.show_values({"upscale": round(coarse / fine)})

    def _learned_from(self) -> list[ImageLayer]:
        """Return the layers that a new enhancer is to learn from: where all have one pixel size, who knows else."""
        return self.training.sources.layers() if self.model.model() == "" else []

    def _show_training(self) -> None:
        self.training.setVisible(self.model.model() == "")


def _enhance_layer(
    enhancer: Enhancer, image: Image, config: EnhanceConfig, error_map: bool, stop: Stop
) -> Steps[_Made]:
    from ...enhance.applying import enhance_steps
    from ...report.enhanced import EnhancedField, mapped_error_steps

    enhancement = yield from enhance_steps(enhancer, image, config, stop=stop)
    if not error_map:
        return _Made(enhancer.config.upscale, enhancement, None, None)
    try:
        error = yield from mapped_error_steps(EnhancedField(enhancement.image, image), stop)
    # The image is there already, whoever stops now and whatever goes wrong.
    except Stopped:
        return _Made(enhancer.config.upscale, enhancement, None, None)
    except Exception as problem:
        yield Note(error_message(problem, f"mapping the errors of {image.name}"))
        return _Made(enhancer.config.upscale, enhancement, None, None)
    return _Made(enhancer.config.upscale, enhancement, error, float(np.mean(error.provenance.rsp or ())))

"""The dock that enhances widefield layers, and trains enhancers."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from qtpy.QtWidgets import QButtonGroup, QCheckBox, QPushButton, QRadioButton

from ...base.errors import InputError
from ...enhance.facts import EnhancerRecord
from ...enhance.settings import EnhanceConfig
from ...enhance.trust import trust_sentence
from ...images.provenance import SAMPLES
from ...images.provenance import TRUST as TRUST_KIND
from ...images.provenance import UNCERTAINTY as UNCERTAINTY_KIND
from ...recipes.enhance import EnhanceJob
from ...recipes.enhance_results import EnhancedImage, EnhanceResult
from ...recipes.enhancements import sentence_on_trust
from ...recipes.job import as_sources
from ...recipes.outcome import enhancer_outcome
from ...recipes.train_enhancer import TrainEnhancerJob
from ...store.catalogue import checked_name, find_model, free_name
from ...store.folder import read_facts
from ..frame.dock import Dock, heading
from ..frame.remembered import remember
from ..frame.scripts import job_code
from ..parts.enhance_as import EnhanceAs
from ..parts.enhance_folder import EnhanceFolder
from ..parts.enhancer_choice import EnhancerChoice
from ..parts.folded import Folded
from ..parts.forms import ConfigForm
from ..parts.map_choice import ERROR, TRUST, UNCERTAINTY, MapChoice
from ..parts.model_box import ModelBox
from ..parts.model_menu import ModelMenu
from ..parts.pickers import LayerList
from ..parts.plain import plain_label
from ..parts.region_row import RegionRow
from ..parts.save_results import SaveResults
from ..parts.training_view import GO_ON, TrainingView
from ..parts.warnings import ResultWarnings
from ..viewer.enhanced_layers import (
    check_in_place,
    live_widefield_source,
    original,
    restore,
    show_error_map,
    widefield_pixel_size,
)
from ..viewer.large_results import into_store, show_stored
from ..viewer.layer_pixels import known_pixel_size
from ..viewer.layer_source import LayerSource
from ..viewer.layers import image_layers, kind
from ..viewer.regions import WHOLE, widefield_parts
from ..viewer.result_layers import ResultLayers
from .calibration_form import CalibrationForm
from .enhance_code import enhance_code
from .enhance_outcome import last_part, outcome_sentences
from .enhancer_form import TrainingForm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari.layers import Image as ImageLayer
    from napari.viewer import Viewer

    from ...base.events import Event, Steps, Stop
    from ...enhance.model import Enhancer

_MAPS = {UNCERTAINTY_KIND: UNCERTAINTY, TRUST_KIND: TRUST}  # kinds of images that are maps
_NO_SAMPLES = (
    "makes best estimates only: choose an enhancer 'with samples', or train one with the method "
    "'best estimate and samples'."
)
_TRAIN_SAMPLES = (
    "The new enhancer will make best estimates only: choose the method 'best estimate and samples' of its training."
)


class EnhanceDock(Dock):
    """Enhance widefield layers, as new layers or in place, with an enhancer at hand or one trained here."""

    key: ClassVar[str] = "enhance"
    preload_module: ClassVar[str] = "napari_smdiffusion.enhance.training"

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        # The pixel sizes of the layers take precedence over a remembered factor.
        self._suggested: tuple[float, float] | None = None
        self._suggest_factor()

    def build_form(self) -> None:
        """Make the fields: the enhancer or its training, the widefield layers, and the results to make."""
        self.model = ModelBox("enhancer", [("train a new one …", "")])
        self.training = TrainingForm(self.viewer)
        self.models = ModelMenu(self.model, self, self.show_interrupted)
        self.layer_list = LayerList(self.viewer, finest=False, excluded=self._training_layers)
        self.layer_list.setToolTip("widefield images or stacks to enhance")
        self.enhance_as = EnhanceAs()
        self.new_layer, self.in_place = QRadioButton("new layer"), QRadioButton("in place")
        self.new_layer.setToolTip("add the enhanced image as a new layer, exactly on top of the widefield layer")
        self.in_place.setToolTip("replace the widefield layer with the enhanced image; the original can be restored")
        self._places = QButtonGroup(self)
        for button in (self.new_layer, self.in_place):
            self._places.addButton(button)
        self.new_layer.setChecked(True)
        self.region = RegionRow(self.viewer, "enhance: zoom in and choose 'what I see' to try an enhancer quickly")
        self.uncertainty = QCheckBox("uncertainty map")
        self.uncertainty.setToolTip(
            "add a map of how far the true image may be from the enhanced image, in its units; the best estimate takes "
            "8 times as long with it, samples do not"
        )
        self.error_map = QCheckBox("error map")
        self.error_map.setToolTip("map where the enhanced image, blurred again, disagrees with the widefield image")
        self.trust = plain_label()
        self.trust.setWordWrap(True)
        self.advanced = ConfigForm(EnhanceConfig, ("confidence", "seed", "tile", "device"))
        self.restore = QPushButton("Restore original")
        self.restore.setToolTip("restore the pixels of the ticked or selected layers, or else of all enhanced in place")
        self.restore.clicked.connect(self.restore_originals)
        self._shown = ResultLayers(self.viewer, [])  # of this run
        self._suggested = None
        self._agreements: list[str] = []
        self.choice = EnhancerChoice(self.model, self.layer_list)
        self.view = TrainingView(self.viewer)
        self.maps, self.save_results = MapChoice(self.viewer), SaveResults(self.viewer, self)
        self.calibration = CalibrationForm(self.viewer, self.model, self)
        self._trained = ""  # name of the enhancer that was trained last
        self._arrange()
        self._connect()
        self._offer_to_restore()
        self.layer_list.refresh()  # the training layers of a new enhancer were left out so far
        self._offer_samples()
        self._show_trust()
        self._show_training()

    def _arrange(self) -> None:
        self.form.addWidget(heading("Enhancer"))
        for widget in (self.model, self.choice.card, self.training):
            self.form.addWidget(widget)
        self.form.addWidget(heading("Widefield layers to enhance"))
        self.form.addWidget(self.layer_list)
        self.form.addWidget(self.choice)
        self.form.addWidget(heading("Enhance as"))
        self.form.addWidget(self.enhance_as)
        for widget in (self.region, self.new_layer, self.in_place, self.uncertainty, self.trust, self.error_map):
            self.form.addWidget(widget)
        self.form.addWidget(Folded("Advanced", self.advanced))
        self.calibrating = Folded("Calibrate on a pair of your own", self.calibration)
        self.form.addWidget(self.calibrating)
        self.form.addWidget(self.restore)
        self.form.addWidget(EnhanceFolder(self, self.folder_job))
        for widget in (ResultWarnings(self.save_results), self.maps, self.save_results, self.view):
            self.results.addWidget(widget)

    def _connect(self) -> None:
        self.view.continued.connect(self.go_on)
        self.calibration.calibrated.connect(self._show_calibrated)
        self.uncertainty.toggled.connect(self._show_trust)
        self.enhance_as.changed.connect(self._show_trust)
        self.training.method_changed.connect(self._offer_samples)
        for show in (self._offer_samples, self._show_trust, self._show_training, self.layer_list.refresh):
            self.model.changed.connect(show)
        self.layer_list.changed.connect(self._suggest_factor)
        self.layer_list.changed.connect(self._offer_to_restore)
        self.training.sources.changed.connect(self._suggest_factor)
        self.training.sources.changed.connect(self.layer_list.refresh)

    def job(self) -> EnhanceJob | TrainEnhancerJob:
        """Return the enhancement of the ticked layers, with a new enhancer if one is to be trained.

        Without ticked layers it is the training alone. Results of a layer that would fill the memory are written into
        a store.
        """
        job = self._job()
        record = self._record()
        if isinstance(job, TrainEnhancerJob) or record is None or self.in_place.isChecked():
            return job
        return into_store(job, record.config.upscale)

    def _job(self) -> EnhanceJob | TrainEnhancerJob:
        """Return the job of the form, with results in memory."""
        layers = self.layer_list.layers()
        sources = [live_widefield_source(layer) for layer in layers]
        model = self._chosen() or self.training.job(layers, sources)
        if isinstance(model, TrainEnhancerJob) and not layers:
            return model
        region = self.region.region()
        if self.in_place.isChecked():
            check_in_place(layers, sources, region != WHOLE)
        sources = widefield_parts(self.viewer, region, layers)
        return EnhanceJob(model, sources, self._config(), self.error_map.isChecked())

    def folder_job(self, widefield: Path, out: Path) -> EnhanceJob:
        """Return the enhancement of the files in a folder."""
        if not (model := self.model.chosen()):
            raise InputError("Choose an enhancer for the folder: a new one must be trained before.")
        return EnhanceJob(model, widefield, self._config(), self.error_map.isChecked(), out)

    def _config(self) -> EnhanceConfig:
        samples, uncertainty = self.enhance_as.number(), self.uncertainty.isChecked()
        return EnhanceConfig(samples=samples, uncertainty=uncertainty, **self.advanced.values())

    def code(self) -> str:
        """Return Python code of the job, which also shows the results as layers."""
        job = self._job()
        if isinstance(job, TrainEnhancerJob):
            return job_code(job, viewer=self.viewer)
        in_parts = self.region.region() != WHOLE
        return enhance_code(self.viewer, job, in_place=self.in_place.isChecked(), in_parts=in_parts)

    def on_start(self, job: EnhanceJob | TrainEnhancerJob) -> None:
        """Store which layers are enhanced: the list of layers may change during the run."""
        sources = as_sources(job.widefield) if isinstance(job, EnhanceJob) else ()
        self._shown = ResultLayers(self.viewer, [source for source in sources if isinstance(source, LayerSource)])
        self._agreements = []
        self.maps.clear()
        self.save_results.set_layers([])
        if self.model.model() == "":
            self._trained = checked_name(self.training.name.text())
            self.view.begin()
            self.area.follow()

    def thread_steps(self, job: EnhanceJob | TrainEnhancerJob) -> Callable[[Stop], Steps[Any]]:
        """Return the steps of the job, which fill arrays that are shown meanwhile."""
        return partial(job.steps, new_array=self._shown.arrays) if isinstance(job, EnhanceJob) else job.steps

    def on_events(self, events: Sequence[Event]) -> None:
        """Show new tiles and samples, and each finished image, as a new layer or in place, with its maps on top."""
        self.view.add(events)
        for part in self._shown.follow(events):
            self._show(part.result)
        if self._shown.deleted and self.running:
            self.stop()
            self.add_note("The layer that was being filled was deleted, so the work was stopped.")

    def on_result(self, result: EnhanceResult | Enhancer) -> str:
        """Choose the new enhancer, and return the number of enhanced layers and the failures."""
        sentences = []
        if self.model.model() == "":
            enhancer = result.enhancer if isinstance(result, EnhanceResult) else result
            self.model.choose(enhancer.name)
            self.view.end(last_part(enhancer))
            self.training.start_from.refresh()
            remember(self.key, self.settings())
            sentences += [enhancer_outcome(enhancer, GO_ON), "It is chosen above."]
        if not isinstance(result, EnhanceResult):
            return " ".join(sentences)
        trusted = [sentence_on_trust(image.name, image.enhancement) for image in result.images]
        self.drop_notes(trusted)  # they are a part of the result
        return " ".join([*sentences, *self._agreements, *outcome_sentences(result, trusted)])

    def on_end(self) -> None:
        """Suggest a free name for the next enhancer, and release the layers."""
        self.training.name.setText(free_name(self.training.name.text(), "enhancer"))
        self._shown.begin(0)
        self._shown = ResultLayers(self.viewer, [])  # references would keep deleted layers in memory

    def on_close(self) -> None:
        """Remove an unfinished layer."""
        self._shown.begin(0)

    def go_on(self) -> None:
        """Continue the training that was stopped last."""
        self.show_interrupted(self._trained)
        self.run()

    def show_interrupted(self, name: str) -> None:
        """Show the training of an enhancer that was interrupted, to resume it."""
        self.model.choose("")
        self.training.resume_model(name)

    def restore_originals(self) -> None:
        """Restore the original pixels, place and contrast of layers that were enhanced in place."""
        enhanced = [layer for layer in image_layers(self.viewer) if original(layer) is not None]
        ticked = {id(layer) for layer in [*self.layer_list.layers(), *self.viewer.layers.selection]}
        chosen = [layer for layer in enhanced if id(layer) in ticked] or enhanced
        if not chosen:
            self.show_failure("No layer was enhanced in place: there is nothing to restore.")
            return
        hidden = {kind(added) for layer in chosen for added in restore(layer)}
        self.maps.clear()
        self.layer_list.refresh()
        results = ["maps"] * bool(hidden - {SAMPLES}) + ["samples"] * (SAMPLES in hidden)
        shown = f" The {' and the '.join(results)} of the enhanced image are hidden." if results else ""
        self.show_status(f"Restored: {', '.join(layer.name for layer in chosen)}.{shown}")

    def settings(self) -> dict[str, Any]:
        """Return the settings to remember; not *in place*, which replaces data and must be chosen again."""
        return {
            "model": self.choice.preferred,
            "uncertainty": self.uncertainty.isChecked(),
            "error_map": self.error_map.isChecked(),
            "training": self.training.settings(),
            **self.enhance_as.settings(),
            **self.advanced.values(),
        }

    def show_settings(self, values: dict[str, Any]) -> None:
        """Show remembered settings."""
        if isinstance(values.get("model"), str):
            self.choice.prefer(values["model"])
        self.uncertainty.setChecked(bool(values.get("uncertainty")))
        self.error_map.setChecked(bool(values.get("error_map")))
        if isinstance(values.get("training"), dict):
            self.training.show_settings(values["training"])
        self.advanced.show_values(values)
        self.enhance_as.show_settings(values)

    def _chosen(self) -> str:
        """Return the chosen enhancer, or "" to train one; raises InputError if there is no layer to enhance."""
        self.choice.check()
        model = self.model.chosen()
        if model and not self.layer_list.layers():
            raise InputError("Choose at least one widefield layer to enhance.")
        return model

    def _show(self, enhanced: EnhancedImage) -> None:
        """Show a finished result."""
        index = enhanced.index
        layer, name = self._shown.layers[index], self._shown.names[index]
        here = layer in self.viewer.layers
        if not here:
            self.add_note(f"{name} was deleted during the run: its enhanced image was added as a new layer.")
        if enhanced.path is not None:
            show_stored(self.viewer, layer, enhanced, self._shown.windows[index])
            self.layer_list.refresh()
            return
        widefield = live_widefield_source(layer).pixels
        shown = self._shown.finish(enhanced, in_place=self.in_place.isChecked() and here)
        for added in shown[1:]:
            if (map_kind := _MAPS.get(kind(added))) is not None:
                self.maps.add(map_kind, added, shown[0], widefield)
        if enhanced.error is not None:
            shown.append(show_error_map(self.viewer, layer, enhanced.error, self._shown.windows[index]))
            self.maps.add(ERROR, shown[-1], shown[0], widefield)
            agreement = float(np.mean(enhanced.error.provenance.rsp or ()))
            self._agreements.append(
                f"{name}: agreement with the widefield image (RSP) is {agreement:.3f}. 1 is best; haze lowers it."
            )
        self.save_results.add_layers(shown)
        self.layer_list.refresh()

    def _show_trust(self) -> None:
        """Show how far the intervals of the chosen enhancer can be trusted, while the map is wanted."""
        self.trust.setVisible(self.uncertainty.isChecked())
        if self.uncertainty.isChecked():
            self.trust.setText(trust_sentence(self._record(), samples=self.enhance_as.number() > 0))

    def _record(self) -> EnhancerRecord | None:
        """Return the facts of the chosen enhancer; None without one, or if it is damaged."""
        with suppress(ValueError, OSError):
            if model := self.model.model():
                return read_facts(find_model(model, "enhancer"), "enhancer", EnhancerRecord)
        return None

    def _offer_samples(self) -> None:
        """Offer samples of enhancers that draw them, and state why others do not."""
        if self.model.model() == "":
            reason = "" if self.training.draws_samples() else _TRAIN_SAMPLES
        elif (record := self._record()) is None:
            reason = "Choose an enhancer first."
        else:
            reason = "" if record.samples is not None else f"{self.model.model()} {_NO_SAMPLES}"
        self.enhance_as.allow(reason)

    def _suggest_factor(self) -> None:
        """Suggest the factor between the pixel sizes of the widefield and the super-resolution layers."""
        sizes = [
            {widefield_pixel_size(layer) for layer in self.layer_list.layers()} - {None},
            {known_pixel_size(layer) for layer in self.training.sources.layers()} - {None},
        ]
        if all(len(distinct) == 1 for distinct in sizes):
            coarse, fine = (distinct.pop() or 1.0 for distinct in sizes)
            # Suggested once, so that a factor that the user enters stays.
            if 2 <= round(coarse / fine) <= 8 and self._suggested != (coarse, fine):
                self._suggested = coarse, fine
                self.training.factor.show_values({"upscale": round(coarse / fine)})

    def _offer_to_restore(self) -> None:
        """Enable *Restore original* if there is something to restore."""
        self.restore.setEnabled(any(original(layer) is not None for layer in image_layers(self.viewer)))

    def _training_layers(self) -> list[ImageLayer]:
        """Return the training layers of a new enhancer: their pixel size may be that of the widefield layers."""
        return self.training.sources.layers() if self.model.model() == "" else []

    def _show_training(self) -> None:
        self.training.setVisible(self.model.model() == "")
        self.calibrating.setVisible(bool(self.model.model()))

    def _show_calibrated(self) -> None:
        """Show the new facts of an enhancer whose intervals were calibrated."""
        self.choice.card.reload()
        self._show_trust()

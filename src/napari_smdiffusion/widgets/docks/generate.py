"""The dock that generates images with a diffusion model."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from qtpy.QtWidgets import QPushButton

from ...base.errors import sentence_of
from ...base.events import Event, Generated, Preview, Steps, Stop
from ...diffusion.settings import GenerateConfig
from ...images.image import empty_images
from ...images.provenance import METADATA, Provenance, layer_metadata
from ...recipes.generate import GenerateJob, facts_to_generate
from ...recipes.nearest_patch import nearest_patch
from ..frame.dock import Dock, heading
from ..frame.new_models import forget_model, subscribe
from ..frame.scripts import job_code
from ..parts.folded import Folded
from ..parts.forms import ConfigForm
from ..parts.model_box import ModelBox
from ..parts.model_card import ModelCardView
from ..parts.model_menu import ModelMenu
from ..parts.patch_pair import PatchPair
from ..parts.save_results import SaveResults
from ..parts.structure_choice import StructureChoice
from ..viewer.layers import free_place
from ..viewer.nearest_patch import COLORS, search_of, show_nearest, title_of
from ..viewer.own_metadata import own_metadata
from ..viewer.view import bring_into_view, look_at_plane, plane_seen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    from napari.layers import Image as ImageLayer
    from napari.viewer import Viewer

    from ...base.arrays import Pixels
    from ...diffusion.facts import DiffusionRecord
    from ...diffusion.intensities import Scaling
    from ...images.image import Image
    from ...recipes.nearest_patch import NearestPatch
    from ..viewer.nearest_patch import Search

_SHOWN = ("count", "height", "width", "seed")
_ADVANCED = ("steps", "solver", "batch", "device")


class GenerateDock(Dock):
    """Generate images into one layer, image by image. The layer is marked as synthetic."""

    key: ClassVar[str] = "generate"
    preload_module: ClassVar[str] = "napari_smdiffusion.diffusion.model"

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        subscribe(self.viewer, self)

    def build_form(self) -> None:
        """Make the fields."""
        self.model = ModelBox("diffusion")
        self.models = ModelMenu(self.model, self, self.show_interrupted)
        self.main = ConfigForm(GenerateConfig, _SHOWN)
        self.main.show_values({"height": 512, "width": 512, "count": 8})
        self.new_seed = QPushButton("New seed")
        self.new_seed.setToolTip("choose a random seed, for new images")
        self.new_seed.clicked.connect(self._draw_seed)
        self.advanced = ConfigForm(GenerateConfig, _ADVANCED)
        self.nearest = QPushButton("Find nearest training patch")
        self.nearest.setToolTip(
            "search the open training images for the centre of the generated image, in all orientations: is it a copy?"
        )
        self.nearest.clicked.connect(self.find_nearest)
        self._layer: ImageLayer | None = None
        self._pixels: npt.NDArray[np.float32] | None = None
        self._record: DiffusionRecord | None = None
        self._provenance: list[Provenance] = []  # of the images of this run, once its model is loaded
        self._done = self._last = 0
        self._config = GenerateConfig()
        self.form.addWidget(heading("Model"))
        self.card = ModelCardView()
        self.model.changed.connect(self._show_card)
        self.form.addWidget(self.model)
        self.form.addWidget(self.card)
        self.structure = StructureChoice()
        self.form.addWidget(self.structure)
        self._show_card()
        self.form.addWidget(heading("Images"))
        self.form.addWidget(self.main)
        self.form.addWidget(self.new_seed)
        self.form.addWidget(Folded("Advanced", self.advanced))
        self.form.addWidget(heading("Is it a copy?"))
        self.form.addWidget(self.nearest)
        self.pair = PatchPair()
        self.results.addWidget(self.pair)
        self.save_results = SaveResults(self.viewer, self)
        self.results.addWidget(self.save_results)

    def _show_card(self) -> None:
        """Show the card of the chosen model, and its structures if it has several."""
        self.card.show_model(self.model.model() or "", "diffusion")
        self.structure.show_model(self.model.model() or "")

    def job(self) -> GenerateJob:
        """Return the generation that the form describes."""
        values = {**self.main.values(), **self.advanced.values(), **self.structure.values()}
        return GenerateJob(self.model.chosen(), GenerateConfig(**values))

    def thread_steps(self, job: GenerateJob) -> Callable[[Stop], Steps[Image]]:
        """Return the generation, which fills the array of the layer."""
        return partial(_generate, job, self._pixels, self._provenance)

    def code(self) -> str:
        """Return Python code of the job, which also shows the images as a layer."""
        after = (
            "place = free_place(viewer, result.pixel_size, 3)\n"
            f'metadata = {{"{METADATA}": {{"provenance": dict(result.provenance)}}}}\n'
            f"name = {_layer_name(self._chosen_name(), self.job().settings)!r}\n"
            "viewer.add_image(result.pixels, name=name, metadata=metadata, **place)\n"
        )
        return job_code(self.job(), after, ["free_place"], self.viewer)

    def on_start(self, job: GenerateJob) -> None:
        """Allocate the images, and begin a new layer."""
        forget_model("diffusion")
        self._config = job.settings
        self._record = facts_to_generate(self.model.chosen(), job.settings)
        self._provenance = []
        self._pixels = empty_images(job.settings.count, job.settings.height, job.settings.width)
        self._layer, self._done = None, 0
        self.pair.setVisible(False)  # it belongs to other images

    def on_events(self, events: Sequence[Event]) -> None:
        """Add finished images to the layer, and show the next image while it is denoised."""
        for event in events:
            if isinstance(event, Generated):
                self._put(event.index, event.image)
                self._done = event.index + 1
            elif isinstance(event, Preview):
                self._put(self._done, event.images[0])
        if self._layer is not None and self._layer not in self.viewer.layers:
            if self.running:
                self.stop()
                self.add_note("The layer of the images was deleted, so the work was stopped.")
        elif any(isinstance(event, (Generated, Preview)) for event in events):
            self._show(self._last)

    def on_result(self, result: Image) -> str:
        """Show the finished images, also if their layer was deleted at the last moment."""
        if self._layer is not None and self._layer in self.viewer.layers:
            self._show(len(result))
        elif self._layer is not None:
            return "The images are no longer there: press Run to generate them again, with the same seed."
        images = "1 synthetic image was" if len(result) == 1 else f"{len(result)} synthetic images were"
        structure = self._config.structure and f", {self._config.structure}"
        return f"{images} generated by {self._model_name()}{structure}, seed {self._config.seed}."

    def _chosen_name(self) -> str:
        """Return the name of the chosen model, as in the name of the layer."""
        record = facts_to_generate(self.model.chosen(), self.job().settings)
        return record.name

    def _model_name(self) -> str:
        return "the model" if self._record is None else self._record.name

    def on_end(self) -> None:
        """Remove a half-denoised image if the run was stopped or failed."""
        if self._layer is not None and self._layer in self.viewer.layers and self._done:
            self._show(self._done)
        elif self._layer is not None and self._layer in self.viewer.layers and self._pixels is not None:
            self.viewer.layers.remove(self._layer)
        if self._layer is not None:
            ours = {key: value for key, value in own_metadata(self._layer).items() if key != "finished"}
            self._layer.metadata = {**self._layer.metadata, METADATA: ours}
        if self._layer is not None and self._layer in self.viewer.layers:
            self.save_results.set_layers([self._layer])
        # A reference would keep a deleted layer in memory.
        self._layer = self._pixels = None

    def on_close(self) -> None:
        """Keep the finished images."""
        self.on_end()

    def settings(self) -> dict[str, Any]:
        """Return the settings to remember."""
        structure = self.structure.remembered()
        return {"model": self.model.model(), **self.main.values(), **self.advanced.values(), **structure}

    def show_settings(self, values: dict[str, Any]) -> None:
        """Show remembered settings."""
        if values.get("model"):
            self.model.choose(str(values["model"]))
        self.main.show_values(values)
        self.advanced.show_values(values)
        self.structure.show_values(values)

    def choose_new(self, kind: str, name: str) -> None:
        """Choose a newly trained diffusion model."""
        if kind == "diffusion":
            self.model.choose(name)

    def show_interrupted(self, name: str) -> None:
        """Open the Train dock with the training of a model that was interrupted, to resume it."""
        _, dock = self.viewer.window.add_plugin_dock_widget("napari-smdiffusion", "Train diffusion model")
        dock.show_interrupted(name)

    def find_nearest(self) -> None:
        """Search the open training images for the generated image shown, and show the nearest patch beside it."""
        if self.running:
            return
        try:
            search = search_of(self.viewer)
        except ValueError as error:
            self.show_failure(sentence_of(error))
            return
        steps = partial(nearest_patch, search.patch, search.sources, search.training)
        self.start("searching for the nearest training patch", steps, partial(self._show_nearest, search))

    def _show_nearest(self, search: Search, found: NearestPatch) -> str:
        """Show the patches in the dock and as layers, and return the result in a sentence."""
        names = ("generated patch", f"{title_of(found)}: {search.sources[found.source].name}")
        self.pair.show_pair((search.patch, found.pixels), names, COLORS)
        sentence = show_nearest(self.viewer, search, found)
        self.area.show_top_of(self.pair)
        return sentence

    def _draw_seed(self) -> None:
        self.main.show_values({"seed": int(np.random.default_rng().integers(2**31))})

    def _put(self, index: int, image: npt.NDArray[np.float32]) -> None:
        """Store an image, finished or not, in the array of the run."""
        if self._pixels is not None:
            self._pixels[index] = image
            self._last = index + 1

    def _show(self, count: int) -> None:
        """Show the first `count` images."""
        pixels = self._pixels
        if pixels is None:
            return
        if self._layer is None:
            record = self._record
            size = None if record is None else record.pixel_size_nm
            pixel_size = {"pixel_size_nm": size} if size else {}
            provenance = self._provenance[0] if self._provenance else Provenance()
            self._layer = self.viewer.add_image(
                pixels[:count],
                name=_layer_name(self._model_name(), self._config),
                colormap="inferno",
                contrast_limits=None if record is None else _limits(record.scaling_of(self._config.structure)),
                metadata=layer_metadata({**provenance, "seed": self._config.seed}, **pixel_size),
                **free_place(self.viewer, size, 3),
            )
            bring_into_view(self.viewer, self._layer)
            look_at_plane(self.viewer, self._layer, count - 1)  # the slider may be at a plane of another stack
        elif self._layer in self.viewer.layers:
            grown = count != len(self._layer.data)
            following = plane_seen(self.viewer, self._layer) == len(self._layer.data) - 1
            if grown:
                self._layer.data = pixels[:count]
            else:
                self._layer.refresh()
            # The slider follows the newest image, unless the user has moved it to another one.
            if grown and following:
                look_at_plane(self.viewer, self._layer, count - 1)
        # Changed in place, without an event: the lists of layers need no refresh.
        self._layer.metadata[METADATA] = {**own_metadata(self._layer), "finished": self._done}


def _generate(job: GenerateJob, pixels: Pixels | None, provenances: list[Provenance], stop: Stop) -> Steps[Image]:
    """Generate into `pixels`, and put the provenance of the images into `provenances` before the first event."""
    from ...diffusion.generating import provenance
    from ...diffusion.model import DiffusionModel, load_diffusion_model

    model = job.model if isinstance(job.model, DiffusionModel) else load_diffusion_model(job.model)
    provenances.append(provenance(model, job.settings))
    return (yield from replace(job, model=model).steps(stop, pixels=pixels))


def _layer_name(model: str, settings: GenerateConfig) -> str:
    """Return the name of the layer of generated images; the kind comes first, as long names are cut."""
    structure = settings.structure and f", {settings.structure}"
    return f"synthetic: {model}{structure}, seed {settings.seed}"


def _limits(scaling: Scaling) -> tuple[float, float]:
    """Return contrast limits for all images of a model, from the statistics of its training images."""
    return scaling.low, min(scaling.high, scaling.mean + 6 * scaling.std)

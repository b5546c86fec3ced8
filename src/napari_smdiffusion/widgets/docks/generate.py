"""The dock that generates images with a diffusion model."""

from __future__ import annotations

import itertools
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from qtpy.QtWidgets import QPushButton

from ...base.errors import InputError, Stopped, sentence_of
from ...base.events import Event, Generated, Preview, Progress, Steps, Stop
from ...diffusion.settings import GenerateConfig
from ...images.image import empty_images
from ...images.patches import averaged, inverse_symmetry, symmetry
from ...images.provenance import EXPERIMENTAL, METADATA, SIMULATED, SYNTHETIC, Provenance, join_names, layer_metadata
from ...recipes.generate import GenerateJob, facts_to_generate
from ..frame.dock import Dock, heading
from ..frame.new_models import forget_model, subscribe
from ..frame.scripts import job_code
from ..parts.folded import Folded
from ..parts.forms import ConfigForm
from ..parts.model_box import ModelBox
from ..parts.model_card import ModelCardView
from ..parts.model_menu import ModelMenu
from ..parts.save_results import SaveResults
from ..viewer.layer_source import offset_in
from ..viewer.layers import free_place, image_layers, kind, layer_provenance, layer_source
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
    from ...images.provenance import TrainingImage
    from ...measure.nearest import Match
    from ..viewer.layer_source import LayerSource

_SHOWN = ("count", "height", "width", "seed")
_ADVANCED = ("steps", "solver", "batch", "device")
_SEARCHED = 128  # pixels; side of the patch that is searched for in the training images


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
        self._show_card()
        self.form.addWidget(heading("Images"))
        self.form.addWidget(self.main)
        self.form.addWidget(self.new_seed)
        self.form.addWidget(Folded("Advanced", self.advanced))
        self.form.addWidget(heading("Is it a copy?"))
        self.form.addWidget(self.nearest)
        self.save_results = SaveResults(self.viewer, self)
        self.results.addWidget(self.save_results)

    def _show_card(self) -> None:
        self.card.show_model(self.model.model() or "", "diffusion")

    def job(self) -> GenerateJob:
        """Return the generation that the form describes."""
        return GenerateJob(self.model.chosen(), GenerateConfig(**self.main.values(), **self.advanced.values()))

    def thread_steps(self, job: GenerateJob) -> Callable[[Stop], Steps[Image]]:
        """Return the generation, which fills the array of the layer."""
        return partial(_generate, job, self._pixels, self._provenance)

    def code(self) -> str:
        """Return Python code of the job, which also shows the images as a layer."""
        after = (
            "place = free_place(viewer, result.pixel_size, 3)\n"
            f'metadata = {{"{METADATA}": {{"provenance": dict(result.provenance)}}}}\n'
            f"name = {_layer_name(self._chosen_name(), self.main.values()['seed'])!r}\n"
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
        return f"{images} generated by {self._model_name()}, seed {self._config.seed}."

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
        return {"model": self.model.model(), **self.main.values(), **self.advanced.values()}

    def show_settings(self, values: dict[str, Any]) -> None:
        """Show remembered settings."""
        if values.get("model"):
            self.model.choose(str(values["model"]))
        self.main.show_values(values)
        self.advanced.show_values(values)

    def choose_new(self, kind: str, name: str) -> None:
        """Choose a newly trained diffusion model."""
        if kind == "diffusion":
            self.model.choose(name)

    def show_interrupted(self, name: str) -> None:
        """Open the Train dock with the training of a model that was interrupted, to resume it."""
        _, dock = self.viewer.window.add_plugin_dock_widget("napari-smdiffusion", "Train diffusion model")
        dock.show_interrupted(name)

    def find_nearest(self) -> None:
        """Search the open training images for the generated image shown, and show the nearest patch."""
        if self.running:
            return
        try:
            patch, sources, training = self._search_input()
        except ValueError as error:
            self.show_failure(sentence_of(error))
            return
        steps = _nearest_steps(patch, sources, training)
        self.start("searching for the nearest training patch", steps, self._show_nearest)

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
                name=_layer_name(self._model_name(), self._config.seed),
                colormap="inferno",
                contrast_limits=None if record is None else _limits(record.scaling),
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

    def _search_input(self) -> tuple[npt.NDArray[np.float32], list[LayerSource], tuple[TrainingImage, ...]]:
        """Return the centre of the synthetic image shown, the layers to search, and the training images."""
        layers = image_layers(self.viewer)
        synthetic = [layer for layer in layers if kind(layer) == SYNTHETIC and layer.ndim in (2, 3)]
        active = self.viewer.layers.selection.active
        if active in synthetic:
            synthetic = [active]
        if not synthetic:
            raise InputError("There is no synthetic image to search for: generate images first.")
        layer = synthetic[0]
        shown = layer.data
        if shown.ndim == 3:  # a stack on disk: only this plane is read
            shown = shown[int(np.clip(plane_seen(self.viewer, layer), 0, len(shown) - 1))]
        pixels = np.asarray(shown, np.float32)
        top, left = (max(0, (length - _SEARCHED) // 2) for length in pixels.shape)
        patch = pixels[top : top + _SEARCHED, left : left + _SEARCHED].copy()
        training = layer_provenance(layer).training_data or ()
        sources = []
        for other in layers:
            # Layers that no model can be trained on are left out.
            with suppress(ValueError, MemoryError):
                if kind(other) in (EXPERIMENTAL, SIMULATED) and min(other.data.shape[-2:]) >= max(patch.shape):
                    sources.append(layer_source(other))
        if not sources:
            raise InputError("There is no training image among the layers: open the training images of the model.")
        return patch, sources, training

    def _show_nearest(self, result: _Nearest) -> str:
        match, name = result.match, result.source.name
        layer = self.viewer.add_image(
            result.patch,
            name=f"nearest {'patch' if result.unseen else 'training patch'}: {name}",
            colormap="inferno",
            metadata=layer_metadata({"kind": "training patch", "correlation": match.correlation}),
            **free_place(self.viewer, result.source.pixel_size, 2),
        )
        bring_into_view(self.viewer, layer)
        place = (
            f"{name}, row {match.y}, column {match.x}. It correlates by {match.correlation:.2f}; a copy would reach 1."
        )
        if result.unseen:
            return (
                f"The training images of the model are not open ({result.unseen}): open them to look for copies. "
                f"The nearest patch in the open images is at {place}"
            )
        return f"The nearest patch in the training images is at {place}"


def _generate(job: GenerateJob, pixels: Pixels | None, provenances: list[Provenance], stop: Stop) -> Steps[Image]:
    """Generate into `pixels`, and put the provenance of the images into `provenances` before the first event."""
    from ...diffusion.generating import provenance
    from ...diffusion.model import DiffusionModel, load_diffusion_model

    model = job.model if isinstance(job.model, DiffusionModel) else load_diffusion_model(job.model)
    provenances.append(provenance(model, job.settings))
    return (yield from replace(job, model=model).steps(stop, pixels=pixels))


@dataclass(frozen=True)
class _Nearest:
    """The window that resembles a patch most, in the orientation of the patch, and its place.

    `unseen` names the training images if none of them is among the searched layers, and is "" otherwise.
    """

    match: Match
    patch: npt.NDArray[np.float32]
    source: LayerSource
    unseen: str


def _layer_name(model: str, seed: int) -> str:
    """Return the name of the layer of generated images; the kind comes first, as long names are cut."""
    return f"synthetic: {model}, seed {seed}"


def _limits(scaling: Scaling) -> tuple[float, float]:
    """Return contrast limits for all images of a model, from the statistics of its training images."""
    return scaling.low, min(scaling.high, scaling.mean + 6 * scaling.std)


def _nearest_steps(
    patch: Any, sources: Sequence[LayerSource], training: tuple[TrainingImage, ...]
) -> Callable[[Stop], Steps[_Nearest]]:
    """Return steps that search all planes for the window that resembles `patch` most.

    The window is turned into the orientation of the patch. If images of the training, or images that hold them, are
    among the sources, only these are searched, and of each only what was trained on.

    Averages of 2 × 2 pixels are compared: they keep the structure, and have half of the noise.
    """

    def steps(stop: Stop) -> Steps[_Nearest]:
        from ...measure.nearest import nearest_matches
        from ...report.training_data import known_parts

        best: _Nearest | None = None
        images = []
        for source in sources:
            with suppress(ValueError):  # for example NaN pixels: no training image has them
                images.append((source, source.read(stop)))
        exact = [(source, part) for source, image in images for part in known_parts(image, training)]
        exact = [(source, part) for source, part in exact if min(part.size) >= max(patch.shape)]
        planes = [
            (source, offset_in(source, image), plane) for source, image in exact or images for plane in image.pixels
        ]
        if not planes:
            names = join_names(source.name for source in sources)
            raise InputError(f"{names} cannot be searched: check for NaN pixels.")
        for i, (source, (top, left), plane) in enumerate(planes):
            yield Progress("searching", i, len(planes), float("inf"))
            if stop():
                break
            match = nearest_matches(averaged(patch[np.newaxis], 2), [averaged(plane, 2)])[0]
            if best is None or match.correlation > best.match.correlation:
                turned_patch = symmetry(patch, match.symmetry)
                match = _refined_match(match, turned_patch, plane)
                height, width = turned_patch.shape
                window = plane[match.y : match.y + height, match.x : match.x + width]
                oriented = np.ascontiguousarray(inverse_symmetry(window, match.symmetry))
                match = replace(match, y=match.y + top, x=match.x + left)
                unseen = "" if exact else join_names(dict.fromkeys(image.name for image in training))
                best = _Nearest(match, oriented, source, unseen)
        if best is None:
            raise Stopped("Stopped before any image was searched.")
        return best

    return steps


def _refined_match(match: Match, patch: npt.NDArray[np.float32], plane: npt.NDArray[np.float32]) -> Match:
    """Return a match on 2 × 2 averages at the accuracy of one pixel: a copy may start at an odd pixel."""
    (height, width), best = patch.shape, replace(match, y=2 * match.y, x=2 * match.x)
    for y, x in itertools.product((best.y - 1, best.y, best.y + 1), (best.x - 1, best.x, best.x + 1)):
        window = plane[max(y, 0) : y + height, max(x, 0) : x + width]
        if window.shape != patch.shape or not np.ptp(window):
            continue
        correlation = float(np.corrcoef(averaged(patch, 2).ravel(), averaged(window, 2).ravel())[0, 1])
        if correlation > best.correlation:
            best = replace(best, y=y, x=x, correlation=correlation)
    return best

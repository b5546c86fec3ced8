"""The row that chooses the part of the layers that a dock works on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QWidget

from ...base.errors import InputError
from ..viewer.regions import SEEN, WHOLE, Region, ShapesWatch, rectangles, shapes_layers
from .plain import plain_label

if TYPE_CHECKING:
    from napari.components import ViewerModel


class RegionRow(QWidget):
    """A choice of the whole image, what the view shows, or the rectangles of a Shapes layer, which updates itself.

    Parameters
    ----------
    viewer
        The viewer whose Shapes layers are listed.
    purpose
        What is done with the region, for the tooltip: "train on", for example.
    leave_out
        Whether rectangles can be left out too.
    """

    def __init__(self, viewer: ViewerModel, purpose: str, *, leave_out: bool = False) -> None:
        super().__init__()
        self._viewer, self._leave_out = viewer, leave_out
        self._regions: list[Region] = []
        self.box = QComboBox()
        self.box.setObjectName("region")
        self.box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.box.setMinimumContentsLength(14)
        self.box.setPlaceholderText("choose a region …")
        left_out = ", or to leave out" if leave_out else ""
        self.box.setToolTip(
            f"part of each layer to {purpose}{left_out}. To mark one, add a Shapes layer (napari's button above its "
            "list of layers) and draw rectangles in it"
        )
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(plain_label("Region", bold=True))
        row.addWidget(self.box, 1)
        watch = ShapesWatch(viewer, self.refresh)
        self.destroyed.connect(watch.disconnect)  # the events of the layers hold the watch

    def region(self) -> Region:
        """Return the chosen region; raises InputError if its Shapes layer was removed."""
        index = int(self.box.currentIndex())
        if not 0 <= index < len(self._regions):
            raise InputError("The Shapes layer of the region was removed: choose another region.")
        return self._regions[index]

    def choose(self, region: Region) -> None:
        """Choose a region that is listed."""
        self.box.setCurrentIndex(self._regions.index(region))

    def refresh(self) -> None:
        """Update the list. The chosen region stays; if its Shapes layer was removed, none is chosen."""
        index = int(self.box.currentIndex())
        chosen = self._regions[index] if 0 <= index < len(self._regions) else None
        if chosen is None and not self._regions:
            chosen = WHOLE
        entries = [(WHOLE, "whole image"), (SEEN, "what I see")]
        layers = [(layer, len(rectangles(layer))) for layer in shapes_layers(self._viewer)]
        for kind, words in (("inside", ""), *([("outside", "leave out: ")] if self._leave_out else [])):
            for layer, count in layers:
                region = Region("outside" if kind == "outside" else "inside", layer)
                if count or region == chosen:
                    number = "rectangle" if count == 1 else f"{count} rectangles" if count else "no rectangle"
                    entries.append((region, f"{words}{number} of {layer.name}"))
        with QSignalBlocker(self.box):
            self.box.clear()
            self._regions = [region for region, _ in entries]
            self.box.addItems([text for _, text in entries])
            self.box.setCurrentIndex(self._regions.index(chosen) if chosen in self._regions else -1)

"""The docks offer the additions of the examples in docs/extending.md."""

from qtpy.QtCore import Qt

from examples import added
from napari_smdiffusion import STRUCTURES


def _texts(box):
    return [box.itemText(i) for i in range(box.count())]


def test_a_new_structure_is_offered_to_train_an_enhancer_on(open_dock):
    with added("A structure") as name:
        box = open_dock("Enhance widefield").training.simulated
        assert _texts(box) == ["none", *STRUCTURES]
        tooltip = box.itemData(box.findText(name), Qt.ItemDataRole.ToolTipRole)
        assert tooltip.startswith("bulbs of 70 nm (Pelkmans")


def test_a_new_solver_is_offered_to_generate_with(open_dock):
    with added("A solver") as name:
        form = open_dock("Generate images").advanced
        form.show_values({"solver": name})
        assert form.values()["solver"] == name

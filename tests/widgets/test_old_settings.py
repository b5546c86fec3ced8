"""The docks show the settings that version 0.1.0 remembered."""

import json
import shutil
from pathlib import Path

import pytest

from napari_smdiffusion.base.folders import user_folder

OLD = Path(__file__).parents[1] / "data" / "old" / "docks.json"


@pytest.mark.parametrize(
    ("name", "key"),
    [("Train diffusion model", "train"), ("Generate images", "generate"), ("Enhance widefield", "enhance")],
)
def test_old_settings_are_shown(open_dock, name, key):
    user_folder().mkdir(parents=True, exist_ok=True)
    shutil.copy(OLD, user_folder() / "docks.json")
    stored = json.loads(OLD.read_text(encoding="utf-8"))[key]
    # No longer remembered: what replaces data, and what holds for the layers of one session.
    stored.pop("in_place", None)
    stored.get("training", {}).pop("pairs", None)
    # A later version may remember more.
    dock = open_dock(name)
    assert _common(dock.settings(), stored) == stored
    if key == "enhance":
        assert dock.new_layer.isChecked()
        assert not dock.training.pairs.isChecked()


def _common(settings, stored):
    """Return the entries of `settings` whose keys are in `stored`, also in nested entries."""
    if not isinstance(stored, dict):
        return json.loads(json.dumps(settings))
    return {key: _common(settings[key], stored[key]) for key in stored}

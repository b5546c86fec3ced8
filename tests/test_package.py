"""The order of the rooms, and what importing them loads."""

import ast
import subprocess
import sys
from pathlib import Path

import napari_smdiffusion

SOURCE = Path(napari_smdiffusion.__file__).parent

# Data flows down this list: each file imports only from files above it.
ROOMS = (
    "errors", "settings", "config", "progress", "localizations", "specks", "images", "files", "patches",
    "structures",
    "microscope", "compute", "matching", "memorization", "registration", "cards", "model_folder", "training",
    "unet_config", "unet", "solver", "denoiser", "sampling", "diffusion", "diffusion_training", "reference_checkpoint",
    "calibration", "enhancer_network", "enhancer", "enhancer_tasks", "enhancer_training", "bioimage_io",
    "filaments", "two_sample", "assess", "microscope_fit", "meanings", "restoration", "resolution",
    "models", "samples", "summary", "pictures", "enhanced_field", "comparison", "demo", "commands", "cli",
)  # fmt: skip


def _imported_rooms(path: Path) -> set[str]:
    """Return the rooms imported at run time when the module is loaded, or anywhere within it."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            rooms |= {node.module} if node.module else {alias.name for alias in node.names}
    return rooms - {"__version__"}


def test_every_room_has_its_place():
    assert {path.stem for path in SOURCE.glob("*.py")} - {"__init__"} == set(ROOMS)


def test_imports_go_one_way():
    for place, room in enumerate(ROOMS):
        # The classes' `train` and `load` methods are doors to the rooms that do it; nothing else looks down.
        doors = {"enhancer": {"enhancer_training", "models"}, "diffusion": {"diffusion_training", "models"}}.get(
            room, set()
        )
        below = _imported_rooms(SOURCE / f"{room}.py") - set(ROOMS[:place]) - doors
        assert not below, f"{room} imports {below}"


def _loaded(code: str) -> set[str]:
    """Return the top-level modules that are loaded after running `code` in a fresh process."""
    program = f"import sys\n{code}\nprint(' '.join({{name.split('.')[0] for name in sys.modules}}))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    assert not _loaded("import napari_smdiffusion") & {
        "torch",
        "numpy",
        "scipy",
        "diffusers",
        "qtpy",
        "napari",
        "pydantic",
    }


def test_command_line_help_loads_nothing_heavy():
    loaded = _loaded("from napari_smdiffusion.cli import _parser; _parser()")
    assert not loaded & {"torch", "numpy", "diffusers", "matplotlib", "pydantic"}


def test_generating_loads_no_more_than_it_needs():
    loaded = _loaded("import napari_smdiffusion.diffusion, napari_smdiffusion.models")
    assert "torch" in loaded
    assert not loaded & {"matplotlib", "pandas", "skimage", "pooch", "qtpy", "napari"}


def test_rooms_may_be_loaded_by_several_threads_at_once():
    # As docks do that are opened one after the other.
    rooms = ("enhancer_training", "diffusion", "reference_checkpoint")
    code = f"""
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
with ThreadPoolExecutor() as threads:
    list(threads.map(import_module, [f"napari_smdiffusion.{{room}}" for room in {rooms}]))
"""
    assert "torch" in _loaded(code)


def test_nothing_that_runs_needs_diffusers():
    """It is for tests alone: loading it takes as long as loading torch."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not {name.split(".")[0] for name in names} & {"diffusers", "huggingface_hub", "transformers"}, path


def test_core_is_free_of_qt_and_diffusers():
    imports = "\n".join(f"import napari_smdiffusion.{room}" for room in ROOMS)
    loaded = _loaded(imports)
    assert "torch" in loaded
    assert not loaded & {"qtpy", "PyQt5", "PyQt6", "PySide2", "PySide6", "napari", "magicgui", "superqt", "pyqtgraph"}
    assert not loaded & {"diffusers", "huggingface_hub", "transformers"}


def test_every_public_name_can_be_loaded_and_is_documented():
    page = (Path(__file__).parents[1] / "docs" / "api.md").read_text(encoding="utf-8")
    for name in napari_smdiffusion.__all__:
        assert getattr(napari_smdiffusion, name)
        assert name.startswith("__") or f"`{name}" in page, name
    assert set(dir(napari_smdiffusion)) == set(napari_smdiffusion.__all__)


def test_public_names_are_looked_up_once():
    for name in napari_smdiffusion.__all__:
        assert getattr(napari_smdiffusion, name) is vars(napari_smdiffusion)[name]


def test_type_checkers_see_the_same_names_as_python():
    tree = ast.parse((SOURCE / "__init__.py").read_text(encoding="utf-8"))
    seen = {
        (alias.asname, node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    }
    assert seen == set(napari_smdiffusion._ROOMS.items())

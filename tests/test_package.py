"""The modules that an import loads, and the public names."""

import ast
import importlib.util
import pkgutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import napari_smdiffusion
from napari_smdiffusion.cli.entry import command_parsers

DOCS = Path(__file__).parents[1] / "docs"
SOURCE = Path(napari_smdiffusion.__file__).parent
QT = {"qtpy", "PyQt5", "PyQt6", "PySide2", "PySide6", "napari", "magicgui", "superqt", "pyqtgraph"}


def _modules_outside_widgets() -> list[str]:
    """Return the modules of the package that must not load Qt."""
    names = [module.name for module in pkgutil.walk_packages([str(SOURCE)], "napari_smdiffusion.")]
    return [name for name in names if ".widgets" not in name and not name.endswith("__main__")]


def _loaded(code: str) -> set[str]:
    """Return the top-level modules that are loaded after running `code` in a fresh process."""
    program = f"import sys\n{code}\nprint(' '.join({{name.split('.')[0] for name in sys.modules}}))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    assert not _loaded("import napari_smdiffusion") & {"torch", "numpy", "scipy", "diffusers", "pydantic", *QT}


def test_command_line_help_loads_nothing_heavy():
    loaded = _loaded("from napari_smdiffusion.cli.entry import _parser; _parser()")
    # `email` is loaded by importlib.metadata, which would take a third of the time only to read the version.
    assert not loaded & {"torch", "numpy", "diffusers", "matplotlib", "pydantic", "email"}


def test_the_version_is_that_of_the_distribution():
    assert napari_smdiffusion.__version__ == version("napari-smdiffusion")


def test_the_diffusion_model_loads_no_unneeded_libraries():
    loaded = _loaded("import napari_smdiffusion.diffusion.model, napari_smdiffusion.store.catalogue")
    assert "torch" in loaded
    assert not loaded & {"matplotlib", "pandas", "skimage", "pooch", "diffusers", "qtpy", "napari"}


def test_rooms_may_be_loaded_by_several_threads_at_once():
    # Docks that are opened in quick succession load modules in several threads.
    rooms = ("enhance.training", "diffusion.model", "diffusion.imported")
    code = f"""
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
with ThreadPoolExecutor() as threads:
    list(threads.map(import_module, [f"napari_smdiffusion.{{room}}" for room in {rooms}]))
"""
    assert "torch" in _loaded(code)


def test_core_is_free_of_qt_and_diffusers():
    modules = _modules_outside_widgets()
    assert len(modules) > 60
    loaded = _loaded("\n".join(f"import {module}" for module in modules))
    assert "torch" in loaded
    assert not loaded & QT
    # Only tests use diffusers, which loads as slowly as torch.
    assert not loaded & {"diffusers", "huggingface_hub", "transformers"}


def test_every_public_name_can_be_loaded_and_is_documented():
    page = (Path(__file__).parents[1] / "docs" / "api.md").read_text(encoding="utf-8")
    for name in napari_smdiffusion.__all__:
        assert getattr(napari_smdiffusion, name)
        assert name.startswith("__") or f"`{name}" in page, name
    assert set(dir(napari_smdiffusion)) >= set(napari_smdiffusion.__all__)


def test_the_stub_lists_its_imports():
    # Type checkers use the imports of the stub, and readers its list of names.
    tree = ast.parse((SOURCE / "__init__.pyi").read_text(encoding="utf-8"))
    imported = [alias.asname for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(imported) == sorted(napari_smdiffusion.__all__)


def _docs_script(name):
    """Return a script of the documentation as a module."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_the_picture_of_the_rooms_shows_the_imports_of_today():
    draw_rooms = _docs_script("draw_rooms")
    folders = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").exists()}
    assert folders == set(draw_rooms.rooms())
    stored = (DOCS / "rooms.svg").read_text(encoding="utf-8")
    assert draw_rooms.svg() == stored, "draw the picture again: python docs/draw_rooms.py"


def test_the_reference_pages_show_the_cards_and_flags_of_today():
    script = _docs_script("draw_reference")
    assert script.models_page() == script.MODELS.read_text(encoding="utf-8"), "python docs/draw_reference.py"
    shown = script.COMMANDS.read_text(encoding="utf-8")
    for name, parser in command_parsers().items():
        assert f"## {name}\n" in shown
        for flag in (flag for action in parser._actions for flag in action.option_strings):
            assert flag in shown, "python docs/draw_reference.py"

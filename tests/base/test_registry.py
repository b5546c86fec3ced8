"""Registries: a module of a package registers its entry."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from napari_smdiffusion.base.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_smdiffusion.base.registry import Registry

REGISTRY = """
from napari_smdiffusion.base.registry import Registry
ANIMALS: Registry[type] = Registry("animal", "ANIMALS", __package__)
"""
ANIMAL = """
from .registry import ANIMALS

@ANIMALS.register("{name}")
class Animal:
    legs = {legs}
"""


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder of a package `zoo` whose modules register a dog and a cat."""
    folder = tmp_path / "zoo"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "registry.py").write_text(REGISTRY)
    (folder / "dog.py").write_text(ANIMAL.format(name="dog", legs=4))
    (folder / "cat.py").write_text(ANIMAL.format(name="cat", legs=4))
    (folder / "broken.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "zoo"]:
        del sys.modules[name]


def animals() -> Registry[type]:
    registry: Registry[type] = importlib.import_module("zoo.registry").ANIMALS
    return registry


def test_a_new_module_is_found_and_is_imported_at_its_first_use(zoo: Path) -> None:
    (zoo / "spider.py").write_text(ANIMAL.format(name="spider", legs=8))
    assert list(animals()) == ["cat", "dog", "spider"]
    assert len(animals()) == 3
    assert "spider" in animals()
    assert "zoo.spider" not in sys.modules
    assert animals()["spider"].legs == 8
    assert "zoo.dog" not in sys.modules
    assert [entry.legs for entry in animals().values()] == [4, 4, 8]


def test_an_unknown_name_is_refused_with_a_list_of_the_names(zoo: Path) -> None:
    with pytest.raises(InputError, match=r"^There is no animal 'fish': choose one of cat, dog\.$"):
        animals()["fish"]
    with pytest.raises(InputError, match="no animal 'fish'"):
        animals().check("fish")
    animals().check("dog")
    assert "zoo.dog" not in sys.modules
    assert animals().get("fish") is None
    assert "fish" not in animals()


def test_code_outside_the_package_registers_and_removes_entries_but_no_name_twice(zoo: Path) -> None:
    bird = animals().register("bird")(type("Bird", (), {"legs": 2}))
    assert animals()["bird"] is bird
    assert list(animals()) == ["bird", "cat", "dog"]
    for name in ("bird", "cat"):
        with pytest.raises(InputError, match=f"The animal '{name}' is registered already"):
            animals().register(name)(bird)
    animals().remove("bird")
    assert list(animals()) == ["cat", "dog"]
    with pytest.raises(InputError, match="no animal 'bird'"):
        animals().remove("bird")


def test_two_modules_with_one_name_are_refused(zoo: Path) -> None:
    (zoo / "hound.py").write_text(ANIMAL.format(name="dog", legs=4))
    with pytest.raises(InputError, match=r"Both zoo\.dog and zoo\.hound register the animal 'dog'"):
        list(animals())


def test_a_program_without_source_files_lists_the_same_names(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (zoo / "broken.py").unlink()
    monkeypatch.setattr("importlib.machinery.SourceFileLoader.get_source", lambda *_: None)
    assert list(animals()) == ["cat", "dog"]
    assert animals()["cat"].legs == 4


def test_a_registry_imports_nothing_heavy() -> None:
    code = "import sys, napari_smdiffusion.base.registry; print({'numpy', 'torch', 'scipy'} & set(sys.modules))"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "set()"

"""The benchmarks: their docstrings, their imports, and the message for missing images."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(
    path for path in (ROOT / "benchmarks").rglob("*.py") if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_docstring_of_a_benchmark_states_its_command(path):
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert f"python -m {module}" in doc


def test_missing_images_are_reported_in_one_sentence(tmp_path):
    command = [sys.executable, "-c", "from benchmarks.common import microtubules; microtubules()"]
    environment = {**os.environ, "SMDIFFUSION_DATA": str(tmp_path)}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith(f"There is no image {tmp_path / 'sfsrm' / 'microtubule_STORM.tif'}: put ")
    assert "Traceback" not in result.stderr


def test_names_that_benchmarks_import_exist():
    """Type checkers do not check code in strings."""
    pattern = re.compile(r"^ *from (napari_smdiffusion[\w.]*) import ([\w, ]+)$", re.MULTILINE)
    imports = [match for path in SCRIPTS for match in pattern.findall(path.read_text(encoding="utf-8"))]
    assert len(imports) > 20
    for module, names in imports:
        for name in (name.split(" as ")[0].strip() for name in names.split(",")):
            assert hasattr(importlib.import_module(module), name) or _is_module(f"{module}.{name}"), f"{module}.{name}"


def _is_module(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is no package
        return False

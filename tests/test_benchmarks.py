"""The benchmarks: each says how it is run, and all find the real images or say what is missing."""

import ast
import importlib
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
def test_a_benchmark_says_how_it_is_run(path):
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert f"python -m {module}" in doc


def test_missing_images_are_named_in_a_sentence(tmp_path):
    command = [sys.executable, "-c", "from benchmarks.common import microtubules; microtubules()"]
    environment = {**os.environ, "SMDIFFUSION_DATA": str(tmp_path)}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith(f"There is no image {tmp_path / 'sfsrm' / 'microtubule_STORM.tif'}: put ")
    assert "Traceback" not in result.stderr


def test_what_benchmarks_import_exists_also_in_the_code_of_their_processes():
    """Type checkers do not see code that is text."""
    pattern = re.compile(r"^ *from (napari_smdiffusion[\w.]*) import ([\w, ]+)$", re.MULTILINE)
    found = [match for path in SCRIPTS for match in pattern.findall(path.read_text(encoding="utf-8"))]
    assert len(found) > 20
    for module, names in found:
        for name in names.split(","):
            assert hasattr(importlib.import_module(module), name.split(" as ")[0].strip()), f"{module} has no {name}"

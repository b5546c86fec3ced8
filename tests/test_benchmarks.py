"""The benchmarks: each says how it is run, and all find the real images or say what is missing."""

import ast
import os
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

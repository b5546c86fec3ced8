"""Builds the packages of a release, checks them, and tries them in new environments, with and without Qt.

    python tools/check_release.py [--packages FOLDER] [--without-docks]

The wheel is tried with the docks, and the source package without them. Each step is a command as a user would type it.
The packages stay in `dist/`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# A model, and what it makes, in seconds.
COMMANDS = (
    "--version",
    "models",
    "models microtubules",
    "simulate microtubules --out storm.tif --size 128 --pixel-size 20",
    "generate microtubules --out generated.tif --count 1 --size 64 --steps 2",
    "share microtubules --kind enhancer --author Ada --license BSD-3-Clause",
    "get microtubules.enhancer.zip --name mine",
    "enhance mine storm.tif --out enhanced.tif --pixel-size 97 --region 0,48,0,48",
    "train storm.tif --out trained --steps 2 --patch 64 --batch 2 --start none --channels 16 32",
)
# The core must neither need nor bring Qt.
NO_QT = (
    "import importlib.util as u, napari_smdiffusion as n; "
    "found = [m for m in ('napari', 'PyQt6', 'PyQt5', 'PySide6') if u.find_spec(m)]; "
    "assert not found, found; "
    "[getattr(n, name) for name in n.__all__]; "
    "from napari_smdiffusion.base.folders import bundled_folder as b; assert (b() / 'docks.md').is_file()"
)


def run(*command: str | Path, folder: Path | None = None, **variables: str) -> None:
    """Print and run a command; end the program if it fails."""
    print("$", *command, flush=True)
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run([str(word) for word in command], cwd=folder, env={**environment, **variables}, check=False)
    if done.returncode:
        sys.exit(f"This command failed with exit code {done.returncode}.")


def build(packages: Path) -> tuple[Path, Path]:
    """Build the wheel, from the source package, into an empty folder; return the paths of both after their checks."""
    shutil.rmtree(packages, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", packages, ROOT)
    (wheel,), (source,) = packages.glob("*.whl"), packages.glob("*.tar.gz")
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, source)
    run(sys.executable, "-m", "check_wheel_contents", wheel, folder=ROOT)
    return wheel, source


def new_environment(folder: Path, requirement: str) -> Path:
    """Make an environment with a package and what it needs; return its folder of programs."""
    run(sys.executable, "-m", "venv", folder)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    python = programs / "python"
    # As the README states it: torch first, so that no other package chooses its build.
    run(python, "-m", "pip", "install", "--quiet", "torch")
    run(python, "-m", "pip", "install", "--quiet", requirement)
    run(python, "-m", "pip", "check")
    return programs


def try_commands(programs: Path, work: Path) -> None:
    """Run the commands in an empty folder."""
    work.mkdir()
    for command in COMMANDS:
        run(programs / "smdiffusion", *command.split(), folder=work, SMDIFFUSION_HOME=str(work / "home"))


def main() -> None:
    """Build, check and try."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, default=ROOT / "dist", help="folder for the packages (default dist)")
    parser.add_argument("--without-docks", action="store_true", help="leave out the environment with Qt")
    options = parser.parse_args()
    wheel, source = build(options.packages.absolute())
    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        place = Path(folder)
        programs = new_environment(place / "core", str(source))
        run(programs / "python", "-c", NO_QT, folder=place)
        try_commands(programs, place / "core work")
        if not options.without_docks:
            programs = new_environment(place / "docks", f"{wheel}[all]")
            run(programs / "npe2", "validate", "napari-smdiffusion", folder=place)
            home = {"SMDIFFUSION_HOME": str(place / "home"), "NAPARI_CONFIG": str(place / "napari.yaml")}
            run(programs / "python", ROOT / "tools" / "try_docks.py", folder=place, **home)
    print("The packages are complete, and work in new environments.")


if __name__ == "__main__":
    main()

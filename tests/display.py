"""The packages that tests of the docks need to draw windows on Linux: python tests/display.py installs them."""

import ctypes.util
import importlib.util
import os
import shutil
import subprocess
import sys

PACKAGES = (
    "xvfb", "xauth", "libgl1", "libegl1", "libglib2.0-0", "libdbus-1-3", "libfontconfig1", "libxkbcommon-x11-0",
    "libxcb-cursor0", "libxcb-icccm4", "libxcb-keysyms1", "libxcb-image0", "libxcb-randr0", "libxcb-render-util0",
    "libxcb-shape0", "libxcb-xinerama0", "libxcb-xkb1",
)  # fmt: skip
COMMAND = f"apt-get install -y --no-install-recommends {' '.join(PACKAGES)}"
_LIBRARIES = ("xcb-cursor", "xcb-icccm", "xcb-keysyms", "xkbcommon-x11", "EGL", "GL")


def problem() -> str | None:
    """Return why no window can be opened here, in a sentence that states what to do, or None."""
    if importlib.util.find_spec("napari") is None:
        return "napari is not installed: pip install 'napari-smdiffusion[all]'"
    lacking = _lacking()
    return f"what draws windows is missing ({', '.join(lacking)}): sudo {COMMAND}" if lacking else None


def _lacking() -> list[str]:
    if not sys.platform.startswith("linux"):
        return []
    lacking = [name for name in _LIBRARIES if ctypes.util.find_library(name) is None]
    return lacking if os.environ.get("DISPLAY") or shutil.which("Xvfb") else [*lacking, "Xvfb"]


def install() -> None:
    """Install what is missing, where that is allowed: as root, on Debian or Ubuntu."""
    if not _lacking() or shutil.which("apt-get") is None or os.geteuid() != 0:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in ("apt-get update -q", COMMAND):
        subprocess.run(command.split(), env=environment, check=False)


def start_screen() -> "subprocess.Popen[bytes] | None":
    """Start a virtual screen if there is none, and return its process."""
    if not sys.platform.startswith("linux") or os.environ.get("DISPLAY"):
        return None
    os.environ["QT_QPA_PLATFORM"] = "xcb"
    reading, writing = os.pipe()
    screen_options = ["-screen", "0", "1600x1000x24", "+extension", "GLX", "-nolisten", "tcp"]
    command = ["Xvfb", "-displayfd", str(writing), *screen_options]
    screen = subprocess.Popen(command, pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as answer:
        os.environ["DISPLAY"] = f":{answer.readline().strip()}"
    return screen


if __name__ == "__main__":
    install()

"""The version of the installed package."""

from importlib.metadata import PackageNotFoundError, version


def _installed_version() -> str:
    try:
        return version("napari-smdiffusion")
    except PackageNotFoundError:  # a source tree that was never installed
        return "0+unknown"


__version__ = _installed_version()

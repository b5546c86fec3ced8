"""The version of the package. The build reads it here; `importlib.metadata` would take a third of the start-up time."""

__version__ = "0.1.0"

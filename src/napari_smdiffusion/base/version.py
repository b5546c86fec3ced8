"""The version of the package, which the build reads from here: `importlib.metadata` takes a third of the start-up."""

__version__ = "0.1.0"

"""The napari docks. Nothing outside this folder knows of Qt or napari, and nothing in it computes."""

"""The napari docks. Only this folder uses Qt and napari; the computations are in the other folders."""

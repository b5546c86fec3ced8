"""Layers of the viewer: reading, writing, samples, enhanced layers, the view."""

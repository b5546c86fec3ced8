"""Layers of the viewer: reading, writing, samples, enhanced layers, side by side."""

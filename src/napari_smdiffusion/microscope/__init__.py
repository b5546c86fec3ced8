"""The simulated widefield microscope, and its fit to a real widefield image."""

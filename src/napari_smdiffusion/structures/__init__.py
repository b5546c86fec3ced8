"""Mathematical models of biological structures, from which super-resolution images are simulated."""

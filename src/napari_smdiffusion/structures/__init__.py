"""Mathematical models of biological structures, which simulate super-resolution images."""

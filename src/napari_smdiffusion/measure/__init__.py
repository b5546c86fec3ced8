"""From arrays to numbers: how alike images are, how sharp, and how often they repeat."""

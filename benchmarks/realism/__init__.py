"""How like experimental images generated ones are, and what they are measured with."""

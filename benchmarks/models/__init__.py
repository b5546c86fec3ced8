"""How the models of the package were made, and what others can start from."""

"""The jobs: each is described once, and the command, the dock and Python run that description."""

"""How time and memory grow with the size of an image, and with the number of processes."""

"""The four docks and the form that trains an enhancer."""

"""Reports: the measures of a comparison, their sentences and their picture."""

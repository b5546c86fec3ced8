"""From numbers to words and pictures: what a comparison says."""

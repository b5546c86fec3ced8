"""One training loop for any network."""

"""Training the posterior sampler of an enhancer, and drawing samples of widefield images with it."""

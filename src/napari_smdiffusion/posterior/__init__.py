"""Posterior samples: several sharp images that could all have made one widefield image.

A posterior sample is one image drawn from p(sharp | widefield). The denoiser of a diffusion model receives the
widefield image, and the estimate of an enhancer, beside the noisy image. Structure that is in all samples is certain;
structure that comes and goes is not.
"""

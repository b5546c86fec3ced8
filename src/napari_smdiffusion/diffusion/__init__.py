"""The diffusion model: network, denoiser, solver, training, generation."""

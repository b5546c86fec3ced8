"""An enhancer with a tiny sampler whose weights are random, so that the conditions and the noise change its results."""

from dataclasses import replace

import pytest


@pytest.fixture(scope="session")
def tiny_sampler(tiny_enhancer):
    """Return `tiny_enhancer` with a sampler that was not trained."""
    import torch

    from napari_smdiffusion.diffusion.network import for_sampling, make_unet, with_given_images
    from napari_smdiffusion.posterior.conditions import GIVEN
    from napari_smdiffusion.posterior.facts import SamplerFacts, SampleScale
    from napari_smdiffusion.posterior.sampler import PosteriorSampler

    torch.manual_seed(0)
    network = with_given_images(make_unet((16, 32)), GIVEN)
    with torch.no_grad():
        for weights in (network.conv_in.weight, network.conv_out.weight):
            weights += 0.05 * torch.randn(weights.shape)
    facts = SamplerFacts(SampleScale(0.3, 0.2), structure=0.3, steps=5, total_steps=5)
    return replace(tiny_enhancer, sampler=PosteriorSampler(for_sampling(network), facts))

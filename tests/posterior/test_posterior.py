"""Posterior samples: noise of fields, windows, conditions, and the network with further inputs."""

from itertools import pairwise

import pytest
import torch

from napari_smdiffusion import InputError
from napari_smdiffusion.diffusion.denoiser import EdmDenoiser
from napari_smdiffusion.diffusion.network import for_sampling, make_unet, with_given_images
from napari_smdiffusion.posterior.conditions import GIVEN, conditions
from napari_smdiffusion.posterior.facts import SamplerFacts, SampleScale
from napari_smdiffusion.posterior.field_noise import field_noise
from napari_smdiffusion.posterior.lattice import lattice
from napari_smdiffusion.posterior.sampler import read_sampler
from napari_smdiffusion.posterior.sampling import sample_window
from napari_smdiffusion.store.folder import WEIGHTS


@pytest.fixture(scope="module")
def unet():
    torch.manual_seed(0)
    network = make_unet((16, 32))
    torch.nn.init.normal_(network.conv_out.weight, std=0.1)
    return for_sampling(network)


def test_windows_that_overlap_have_the_same_noise():
    whole = field_noise(3, 1, slice(0, 300), slice(0, 280))
    torch.testing.assert_close(field_noise(3, 1, slice(90, 261), slice(100, 280)), whole[90:261, 100:280])
    assert abs(float(whole.mean())) < 0.02
    assert float(whole.std()) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("other", [{"seed": 4}, {"sample": 2}, {"plane": 1}])
def test_seeds_samples_and_planes_have_different_noise(other):
    place = {"rows": slice(0, 64), "columns": slice(0, 64)}
    first = field_noise(seed=3, sample=1, **place)
    second = field_noise(**{"seed": 3, "sample": 1, **place, **other})
    assert abs(float((first * second).mean())) < 0.1


@pytest.mark.parametrize("size", [(50, 64), (64, 65), (100, 127), (129, 300), (1000, 193)])
def test_the_weights_of_the_windows_have_the_sum_1(size):
    total = torch.zeros(size)
    for window in lattice(size, 64, 16, 8):
        assert window.rows.start % 8 == window.columns.start % 8 == 0
        assert window.rows.stop - window.rows.start < 64 + 8
        assert float(window.weights.min()) >= 0
        total[window.rows, window.columns] += window.weights
    torch.testing.assert_close(total, torch.ones(size))


@pytest.mark.parametrize(("length", "sides"), [(112, [64, 64]), (113, [48, 48, 49]), (120, [56, 56, 56]), (1000, None)])
def test_windows_overlap_as_much_as_they_must_and_hardly_more(length, sides):
    rows = [window.rows for window in lattice((length, 10), 64, 16, 8)]
    assert sides is None or [row.stop - row.start for row in rows] == sides
    assert all(16 <= before.stop - after.start < 16 + 2 * 8 for before, after in pairwise(rows))


def test_new_inputs_change_nothing_before_the_training(unet):
    wider = for_sampling(with_given_images(unet, GIVEN))
    random = torch.Generator().manual_seed(1)
    noisy, given = (torch.randn((2, n, 32, 48), generator=random) for n in (1, GIVEN))
    with torch.no_grad():
        expected = EdmDenoiser(unet)(noisy, 0.7)
        torch.testing.assert_close(EdmDenoiser(wider)(noisy, 0.7, given=given), expected, atol=1e-5, rtol=1e-4)


def test_a_sample_depends_on_its_own_noise_and_on_the_conditions(unet):
    wider = with_given_images(unet, GIVEN)
    torch.nn.init.normal_(wider.conv_in.weight, std=0.1)
    for_sampling(wider)
    random = torch.Generator().manual_seed(1)
    noise, given = torch.randn((3, 1, 37, 50), generator=random), torch.randn((1, GIVEN, 37, 50), generator=random)
    *_, samples = sample_window(wider, given, noise, steps=3)
    assert samples.shape == (3, 1, 37, 50)
    *_, alone = sample_window(wider, given, noise[1:2], steps=3)
    torch.testing.assert_close(samples[1:2], alone, atol=1e-4, rtol=1e-3)
    *_, others = sample_window(wider, given + 1, noise, steps=3)
    assert not torch.allclose(samples, others, atol=1e-2)


def test_the_scale_gives_the_spread_that_the_denoiser_assumes():
    sharp = torch.rand((4, 1, 20, 20), generator=torch.Generator().manual_seed(0)) * 3
    scale = SampleScale.of(sharp)
    scaled = scale.to_network(sharp)
    assert float(scaled.std()) == pytest.approx(0.5, abs=1e-3)
    torch.testing.assert_close(scale.to_local(scaled), sharp)
    assert float(scale.to_local(torch.full((1,), -100.0))) == 0


def test_the_conditions_lie_on_the_pixels_of_the_estimate():
    widefield = torch.zeros((1, 1, 8, 8))
    widefield[..., 3, 5] = 1
    given = conditions(widefield, torch.zeros((1, 1, 40, 40)), SampleScale(0.0, 1.0))
    assert given.shape == (1, GIVEN, 40, 40)
    brightest = divmod(int(given[0, 0].argmax()), 40)
    assert brightest == (17, 27)  # the centre of the widefield pixel


def test_the_network_of_a_diffusion_model_is_no_sampler(tiny_model, tmp_path):
    tiny_model.save(tmp_path / "m")
    with pytest.raises(InputError, match=r"config\.json states a network with other numbers of channels"):
        read_sampler(tmp_path / "m" / WEIGHTS, SamplerFacts())

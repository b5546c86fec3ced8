"""The search finds copies of any position and symmetry, and no other patches."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from curves import curves
from napari_smdiffusion import Image, Stopped, load_diffusion_model, simulate
from napari_smdiffusion.base.devices import generator, seeded
from napari_smdiffusion.diffusion.denoiser import EdmDenoiser
from napari_smdiffusion.diffusion.intensities import Scaling
from napari_smdiffusion.diffusion.network import make_unet
from napari_smdiffusion.diffusion.noise import sample_sigmas
from napari_smdiffusion.images.correlation import correlation_map
from napari_smdiffusion.images.patches import grid_patches, symmetry
from napari_smdiffusion.measure.copies import copy_report, look_for_copies
from napari_smdiffusion.measure.nearest import nearest_matches


@pytest.fixture(scope="module")
def fields():
    """Return simulated mitochondria: (4, 256, 256)."""
    return simulate("mitochondria", count=4, size=256, seed=0).pixels


def test_the_correlation_map_equals_its_definition(fields):
    plane = np.random.default_rng(0).random((40, 44))
    patch = np.random.default_rng(1).random((16, 12))
    correlations = correlation_map(plane, patch)
    assert correlations.shape == (25, 33)
    for y, x in ((0, 0), (24, 32), (11, 7)):
        expected = np.corrcoef(plane[y : y + 16, x : x + 12].ravel(), patch.ravel())[0, 1]
        assert correlations[y, x] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("background", [0.7, 100.3])
@pytest.mark.parametrize("empty", ["generated", "held out"])
def test_empty_patches_on_any_background_are_no_copies(background, empty):
    """float32 rounds these backgrounds, so that an empty patch minus its mean is not exactly 0."""
    generated, held_out = (
        grid_patches([curves(seed) + background for seed in seeds], 64)[:20] for seeds in ((1, 2), (3, 4))
    )
    (generated if empty == "generated" else held_out)[::2] = background
    report = copy_report(generated, [curves(5) + background], held_out)
    assert report.copies == report.held_out_copies == report.held_out_trained_on == 0
    assert report.threshold > 1


def test_the_search_finds_the_window_and_symmetry_of_copies(fields):
    rng = np.random.default_rng(0)
    copies = [0.3 * symmetry(fields[1][40:104, 90:154], k) + rng.normal(0, 0.1, (64, 64)) for k in (0, 3, 6)]
    for match, k in zip(nearest_matches(np.stack(copies), list(fields[:2])), (0, 3, 6), strict=True):
        assert match.plane == 1
        assert match.correlation > 0.8
        # The copy in the symmetry of the match is the window of the copy.
        turned = symmetry(copies[(0, 3, 6).index(k)], match.symmetry)
        window = fields[match.plane][match.y : match.y + 64, match.x : match.x + 64]
        assert np.corrcoef(turned.ravel(), window.ravel())[0, 1] == pytest.approx(match.correlation, abs=1e-3)


def test_copies_correlate_more_than_new_images(fields):
    training, held_out = list(fields[:2]), grid_patches(list(fields[2:]), 64)
    new = grid_patches(list(simulate("mitochondria", count=1, size=256, seed=5).pixels), 64)
    copies = np.stack([symmetry(plane[20:84, 30:94], k) for plane in training for k in (1, 5)])
    assert copy_report(new, training, held_out).fraction_above_held_out_99 < 0.3
    report = copy_report(copies, training, held_out)
    assert report.fraction_above_held_out_99 == 1.0
    assert report.generated_median > report.held_out_median + 0.2


@pytest.fixture(scope="module")
def filaments():
    """Return training planes, held-out patches and new patches of filaments filaments."""
    held_out, new = (grid_patches([curves(seed + i) for i in range(2)], 64) for seed in (10, 20))
    return [curves(0), curves(1)], held_out, new


def _with_copies(training, new, dim, noise):
    """Replace some new patches by turned or mirrored, dimmed and noisy copies; return all patches and their indices."""
    rng = np.random.default_rng(3)
    patches, indices = new.copy(), np.sort(rng.choice(len(new), 8, replace=False))
    for k, i in enumerate(indices):
        plane = training[k % len(training)]
        y, x = rng.integers(plane.shape[0] - 64, size=2)
        copy = symmetry(plane[y : y + 64, x : x + 64], k)
        patches[i] = dim * (copy + noise * plane.std() * rng.normal(size=copy.shape))
    return patches, set(indices.tolist())


@pytest.mark.parametrize(("dim", "noise"), [(1.0, 0.0), (0.3, 0.0), (0.3, 0.5), (1.0, 1.0)])
def test_the_search_finds_every_copy_and_no_other_patch(filaments, dim, noise):
    training, held_out, new = filaments
    patches, indices = _with_copies(training, new, dim, noise)
    report = copy_report(patches, training, held_out)
    assert {i for i, copied in enumerate(report.copied) if copied} == indices
    assert report.copies == 8
    assert report.verdict.startswith("Some images are copied: 8 of 32")


def test_the_verdict_on_new_images_and_on_copies_only(filaments):
    training, held_out, new = filaments
    assert copy_report(new, training, held_out).verdict.startswith("No sign of copying: none of 32")
    copies = grid_patches([training[0][8:200, 4:196]], 64)
    assert copy_report(copies, training, held_out).verdict.startswith("Most are copies: 9 of 9")


def test_a_held_out_patch_from_the_training_images_does_not_hide_copies(filaments):
    training, held_out, new = filaments
    patches, indices = _with_copies(training, new, 1.0, 0.5)
    leaked = np.concatenate([held_out, training[0][np.newaxis, 100:164, 30:94]])
    report = copy_report(patches, training, leaked)
    assert report.copies == len(indices)
    assert report.held_out_copies == 0
    assert report.held_out_trained_on == 1
    assert "1 more experimental patch is in the training images" in report.verdict
    without = copy_report(patches, training, held_out)
    for key in ("held_out_median", "fraction_above_held_out_99"):
        assert getattr(report, key) == getattr(without, key)


def test_many_held_out_patches_from_the_training_images_do_not_hide_copies(filaments):
    training, held_out, new = filaments
    trained_on = grid_patches([training[0][8:200, 4:196], training[1][8:200, 4:196]], 64)
    copies = grid_patches([training[0][30:222, 20:212]], 64)
    report = copy_report(np.concatenate([new, copies]), training, np.concatenate([held_out, trained_on]))
    assert report.copies == len(copies)
    assert report.verdict.startswith(f"Some images are copied: {len(copies)} of {len(new) + len(copies)}")


def _noisy_image(window, seed):
    """Return a second, noisier image of the same window."""
    noise = np.random.default_rng(seed).normal(0, 0.5 * window.std(), window.shape)
    return (window + noise).astype(np.float32)


def test_a_held_out_image_of_a_training_window_does_not_hide_copies(filaments):
    training, held_out, new = filaments
    copies = np.stack([training[0][y : y + 64, 20:84] for y in (10, 90, 150)])
    leaked = _noisy_image(training[1][50:114, 60:124], 0)
    report = copy_report(np.concatenate([new, copies]), training, np.concatenate([held_out, leaked[np.newaxis]]))
    assert report.copies == 3
    assert report.held_out_copies == 1
    assert report.held_out_trained_on == 0
    assert report.verdict.startswith("Not clear: 3 of 35 generated patches are in the training images, but 1 of")
    without = copy_report(np.concatenate([new, copies]), training, held_out)
    assert report.threshold == pytest.approx(without.threshold)
    assert without.verdict.startswith("Some images are copied: 3 of 35")


def test_held_out_images_of_the_training_field_are_refused(filaments):
    training, _, new = filaments
    held_out = grid_patches([_noisy_image(training[0], 1)], 64)
    with pytest.raises(ValueError, match="another image of the same field"):
        copy_report(new, training, held_out)


def test_an_empty_training_plane_does_not_change_the_report(filaments):
    training, held_out, new = filaments
    empty = np.zeros_like(training[0])
    with_empty, without = (copy_report(new, planes, held_out) for planes in ([*training, empty], training))
    assert with_empty == without


def test_the_search_finds_copies_of_symmetric_structures():
    # Each window shows one ring, which is equal in all symmetries: its margin is 0.
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64] - 31.5

    def rings(count):
        radii, widths = rng.uniform(8, 26, count), rng.uniform(1.5, 4, count)
        images = [np.exp(-(((np.hypot(y, x) - r) / w) ** 2)) for r, w in zip(radii, widths, strict=True)]
        return np.stack(images).astype(np.float32)

    training, held_out, new = rings(6), rings(24), rings(6)
    planes = [np.pad(ring, 30) for ring in training]
    report = copy_report(np.concatenate([training, new]), planes, held_out)
    assert sum(report.copied[:6]) >= 5
    assert not any(report.copied[6:])


def test_empty_held_out_patches_do_not_change_the_thresholds(filaments):
    training, held_out, new = filaments
    empty = np.concatenate([held_out[:12], np.zeros((20, 64, 64), np.float32)])
    assert copy_report(new, training, empty).verdict.startswith("No sign of copying: none of 32")


def test_held_out_patches_from_the_training_images_are_left_out(filaments):
    training, held_out, new = filaments
    patches, indices = _with_copies(training, new, 1.0, 0.0)
    trained_on = grid_patches([training[0]], 64)
    report = copy_report(patches, training, np.concatenate([held_out[:16], trained_on]))
    assert report.copies == len(indices)
    assert report.held_out_copies == 0
    assert report.held_out_trained_on == len(trained_on)
    with pytest.raises(ValueError, match="give other experimental images"):
        copy_report(patches, training, trained_on)


def test_a_patch_of_a_single_spot_is_no_copy(filaments):
    training, held_out, new = filaments
    spot = np.zeros((1, 64, 64), np.float32)
    spot[0, :4, :4] = 1
    planes = [np.pad(plane, 64) for plane in training]
    planes[0][10:14, 10:14] = 5
    report = copy_report(np.concatenate([new, spot]), planes, held_out)
    assert report.copies == 0


def test_units_do_not_matter(filaments):
    training, held_out, new = filaments
    patches, indices = _with_copies(training, new, 1.0, 0.5)
    small, small_held_out = (1e-6 * np.asarray(kind) for kind in (patches, held_out))
    assert copy_report(small, [1e-6 * plane for plane in training], small_held_out).copies == len(indices)


def test_the_search_finds_patches_in_all_its_blocks():
    plane = np.random.default_rng(0).gamma(0.3, 1, (1201, 701)).astype(np.float32)
    corners = [(0, 0), (1101, 0), (0, 641), (1101, 641), (448, 300), (470, 449), (700, 255)]
    patches = np.stack([symmetry(plane[y : y + 100, x : x + 60], 4) for y, x in corners])
    matches = nearest_matches(patches, [plane])
    assert [(match.y, match.x) for match in matches] == corners
    assert min(match.correlation for match in matches) > 0.9999
    turned = np.stack([symmetry(patch, 1) for patch in patches])
    assert [(match.y, match.x) for match in nearest_matches(turned, [plane])] == corners


def test_empty_borders_and_empty_patches_have_no_match(fields):
    plane = fields[0].copy()
    plane[:, 150:] = 0
    empty, dim = np.zeros((64, 64), np.float32), 1e-6 * fields[1][:64, :64]
    empty_match, dim_match = nearest_matches(np.stack([empty, dim]), [plane])
    assert empty_match.correlation == 0
    assert empty_match.margin == 0
    assert dim_match.correlation == pytest.approx(highest_correlation(dim, plane), abs=1e-3)


def highest_correlation(patch, plane):
    """Return the highest correlation in any symmetry, from the correlation maps."""
    return max(correlation_map(plane, symmetry(patch, k))[:, :140].max() for k in range(8))


def test_missing_held_out_patches_and_small_planes_are_refused(fields):
    with pytest.raises(ValueError, match="not trained on"):
        copy_report(fields, list(fields), fields[:0])
    with pytest.raises(ValueError, match="smaller than the patches"):
        nearest_matches(fields, [fields[0][:100]])


def test_the_search_for_copies_can_be_stopped(filaments):
    training, held_out, new = filaments
    with pytest.raises(Stopped, match="during the search"):
        look_for_copies(new, training, held_out, stop=lambda: True)


def test_the_report_detects_a_model_that_copies_its_two_training_patches():
    """A diffusion model copies when it is trained for long on few patches without the 8 symmetries."""
    simulated = simulate("microtubules", count=40, size=64, pixel_size=20.0, seed=1, organisation="random")
    training, held_out = simulated.pixels[:2], simulated.pixels[4:]
    start = replace(load_diffusion_model("microtubules"), scaling=Scaling.fit([Image(training)]))
    clean = torch.from_numpy(start.scaling.scale(training))[:, None]
    before = copy_report(start.generate(16, size=64).pixels, list(training), held_out)
    assert before.copies == 0
    with seeded(0):
        model = replace(start, unet=make_unet((32, 48)))  # a small network copies within seconds
    optimizer = torch.optim.AdamW(model.unet.parameters(), 3e-3, betas=(0.9, 0.99), fused=True)
    model.unet.train()
    for step in range(120):
        sigma, _ = sample_sigmas(2, generator(0, step), 1.2, 1.5)
        noise = torch.randn(clean.shape, generator=generator(1, step))
        optimizer.zero_grad()
        optimizer.param_groups[0]["lr"] = 3e-3 * (1 - step / 120)
        EdmDenoiser(model.unet).loss(clean, sigma, noise).mean().backward()
        torch.nn.utils.clip_grad_norm_(model.unet.parameters(), 1.0)
        optimizer.step()
    after = copy_report(model.generate(16, size=64).pixels, list(training), held_out)
    assert after.copies >= 8
    assert after.generated_median > before.generated_median
    assert "copied" in after.verdict or "copies" in after.verdict

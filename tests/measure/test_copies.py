"""Copies are found wherever they come from, and nothing else is called one."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from curves import curves
from napari_smdiffusion import Image, Stopped, load_diffusion_model, simulate
from napari_smdiffusion.base.devices import generator
from napari_smdiffusion.diffusion.denoiser import EdmDenoiser
from napari_smdiffusion.diffusion.intensities import Scaling
from napari_smdiffusion.diffusion.noise import sample_sigmas
from napari_smdiffusion.images.correlation import correlation_map
from napari_smdiffusion.images.patches import grid_patches, symmetry
from napari_smdiffusion.measure.copies import copy_report, look_for_copies
from napari_smdiffusion.measure.nearest import nearest_matches


@pytest.fixture(scope="module")
def fields():
    """Return simulated mitochondria: (4, 256, 256)."""
    return simulate("mitochondria", count=4, size=256, seed=0).pixels


def test_correlation_map_agrees_with_its_definition(fields):
    plane = np.random.default_rng(0).random((40, 44))
    patch = np.random.default_rng(1).random((16, 12))
    found = correlation_map(plane, patch)
    assert found.shape == (25, 33)
    for y, x in ((0, 0), (24, 32), (11, 7)):
        expected = np.corrcoef(plane[y : y + 16, x : x + 12].ravel(), patch.ravel())[0, 1]
        assert found[y, x] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("background", [0.7, 100.3])
@pytest.mark.parametrize("empty", ["generated", "held out"])
def test_empty_patches_are_no_copies_whatever_their_background(background, empty):
    """Of a constant that float32 does not hold, its mean leaves something over."""
    made, held_out = (
        grid_patches([curves(seed) + background for seed in seeds], 64)[:20] for seeds in ((1, 2), (3, 4))
    )
    (made if empty == "generated" else held_out)[::2] = background
    found = copy_report(made, [curves(5) + background], held_out)
    assert found["copies"] == found["held_out_copies"] == found["held_out_trained_on"] == 0
    assert found["threshold"] > 1


def test_planted_copies_are_found(fields):
    rng = np.random.default_rng(0)
    copies = [0.3 * symmetry(fields[1][40:104, 90:154], k) + rng.normal(0, 0.1, (64, 64)) for k in (0, 3, 6)]
    for match, k in zip(nearest_matches(np.stack(copies), list(fields[:2])), (0, 3, 6), strict=True):
        assert match.plane == 1
        assert match.correlation > 0.8
        # Turning the copy back by the symmetry that was found gives the window it came from.
        found = symmetry(copies[(0, 3, 6).index(k)], match.symmetry)
        window = fields[match.plane][match.y : match.y + 64, match.x : match.x + 64]
        assert np.corrcoef(found.ravel(), window.ravel())[0, 1] == pytest.approx(match.correlation, abs=1e-3)


def test_memorization_tells_copies_from_new_images(fields):
    training, held_out = list(fields[:2]), grid_patches(list(fields[2:]), 64)
    new = grid_patches(list(simulate("mitochondria", count=1, size=256, seed=5).pixels), 64)
    copies = np.stack([symmetry(f[20:84, 30:94], k) for f in training for k in (1, 5)])
    assert copy_report(new, training, held_out)["fraction_above_held_out_99"] < 0.3
    report = copy_report(copies, training, held_out)
    assert report["fraction_above_held_out_99"] == 1.0
    assert report["generated_median"] > report["held_out_median"] + 0.2


@pytest.fixture(scope="module")
def drawn():
    """Return training planes, held-out patches and new patches of one kind of filaments."""
    held_out, new = (grid_patches([curves(seed + i) for i in range(2)], 64) for seed in (10, 20))
    return [curves(0), curves(1)], held_out, new


def _planted(training, new, dim, noise):
    """Put copies of any place, turned or mirrored, dimmed and noisy, among new patches; return which they are."""
    rng = np.random.default_rng(3)
    patches, where = new.copy(), np.sort(rng.choice(len(new), 8, replace=False))
    for k, i in enumerate(where):
        plane = training[k % len(training)]
        y, x = rng.integers(plane.shape[0] - 64, size=2)
        copy = symmetry(plane[y : y + 64, x : x + 64], k)
        patches[i] = dim * (copy + noise * plane.std() * rng.normal(size=copy.shape))
    return patches, set(where.tolist())


@pytest.mark.parametrize(("dim", "noise"), [(1.0, 0.0), (0.3, 0.0), (0.3, 0.5), (1.0, 1.0)])
def test_every_planted_copy_is_found_and_no_other_patch(drawn, dim, noise):
    training, held_out, new = drawn
    patches, where = _planted(training, new, dim, noise)
    report = copy_report(patches, training, held_out)
    assert {i for i, copied in enumerate(report["copied"]) if copied} == where
    assert report["copies"] == 8
    assert report["verdict"].startswith("Some images are copied: 8 of 32")


def test_the_verdict_on_new_images_and_on_nothing_but_copies(drawn):
    training, held_out, new = drawn
    assert copy_report(new, training, held_out)["verdict"].startswith("No sign of copying: none of 32")
    copies = grid_patches([training[0][8:200, 4:196]], 64)
    assert copy_report(copies, training, held_out)["verdict"].startswith("Most are copies: 9 of 9")


def test_a_held_out_patch_that_was_trained_on_does_not_hide_the_copies(drawn):
    training, held_out, new = drawn
    patches, where = _planted(training, new, 1.0, 0.5)
    leaked = np.concatenate([held_out, training[0][np.newaxis, 100:164, 30:94]])
    report = copy_report(patches, training, leaked)
    assert report["copies"] == len(where)
    assert report["held_out_copies"] == 0
    assert report["held_out_trained_on"] == 1
    assert "1 more experimental patch is in the training images" in report["verdict"]
    without = copy_report(patches, training, held_out)
    for key in ("held_out_median", "fraction_above_held_out_99"):
        assert report[key] == without[key]


def test_copies_are_not_excused_by_experimental_patches_that_were_trained_on(drawn):
    training, held_out, new = drawn
    trained_on = grid_patches([training[0][8:200, 4:196], training[1][8:200, 4:196]], 64)
    copies = grid_patches([training[0][30:222, 20:212]], 64)
    report = copy_report(np.concatenate([new, copies]), training, np.concatenate([held_out, trained_on]))
    assert report["copies"] == len(copies)
    assert report["verdict"].startswith(f"Some images are copied: {len(copies)} of {len(new) + len(copies)}")


def _another_picture(window, seed):
    """Return a window as a second, noisier image of the same place would show it."""
    noise = np.random.default_rng(seed).normal(0, 0.5 * window.std(), window.shape)
    return (window + noise).astype(np.float32)


def test_another_picture_of_what_was_trained_on_excuses_no_copy(drawn):
    training, held_out, new = drawn
    copies = np.stack([training[0][y : y + 64, 20:84] for y in (10, 90, 150)])
    leaked = _another_picture(training[1][50:114, 60:124], 0)
    report = copy_report(np.concatenate([new, copies]), training, np.concatenate([held_out, leaked[np.newaxis]]))
    assert report["copies"] == 3
    assert report["held_out_copies"] == 1
    assert report["held_out_trained_on"] == 0
    assert report["verdict"].startswith("Not clear: 3 of 35 generated patches lie in the training images, but 1 of")
    without = copy_report(np.concatenate([new, copies]), training, held_out)
    assert report["threshold"] == pytest.approx(without["threshold"])
    assert without["verdict"].startswith("Some images are copied: 3 of 35")


def test_held_out_images_that_show_the_training_field_again_are_refused(drawn):
    training, _, new = drawn
    again = grid_patches([_another_picture(training[0], 1)], 64)
    with pytest.raises(ValueError, match="another picture of the same field"):
        copy_report(new, training, again)


def test_an_empty_training_plane_holds_no_copy(drawn):
    training, held_out, new = drawn
    empty = np.zeros_like(training[0])
    with_it, without = (copy_report(new, planes, held_out) for planes in ([*training, empty], training))
    assert with_it == without


def test_symmetric_structures_that_are_copied_are_found_too():
    # Each window shows one ring, which looks the same in all symmetries: there is no margin to go by.
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64] - 31.5

    def rings(count):
        radii, widths = rng.uniform(8, 26, count), rng.uniform(1.5, 4, count)
        found = [np.exp(-(((np.hypot(y, x) - r) / w) ** 2)) for r, w in zip(radii, widths, strict=True)]
        return np.stack(found).astype(np.float32)

    training, held_out, new = rings(6), rings(24), rings(6)
    planes = [np.pad(ring, 30) for ring in training]
    report = copy_report(np.concatenate([training, new]), planes, held_out)
    assert sum(report["copied"][:6]) >= 5
    assert not any(report["copied"][6:])


def test_empty_held_out_patches_do_not_set_the_bar(drawn):
    training, held_out, new = drawn
    empty = np.concatenate([held_out[:12], np.zeros((20, 64, 64), np.float32)])
    assert copy_report(new, training, empty)["verdict"].startswith("No sign of copying: none of 32")


def test_held_out_patches_that_were_trained_on_are_no_measure(drawn):
    training, held_out, new = drawn
    patches, where = _planted(training, new, 1.0, 0.0)
    seen = grid_patches([training[0]], 64)
    report = copy_report(patches, training, np.concatenate([held_out[:16], seen]))
    assert report["copies"] == len(where)
    assert report["held_out_copies"] == 0
    assert report["held_out_trained_on"] == len(seen)
    with pytest.raises(ValueError, match="give other experimental images"):
        copy_report(patches, training, seen)


def test_a_patch_of_a_single_spot_is_no_copy(drawn):
    training, held_out, new = drawn
    spot = np.zeros((1, 64, 64), np.float32)
    spot[0, :4, :4] = 1
    planes = [np.pad(plane, 64) for plane in training]
    planes[0][10:14, 10:14] = 5
    report = copy_report(np.concatenate([new, spot]), planes, held_out)
    assert report["copies"] == 0


def test_units_do_not_matter(drawn):
    training, held_out, new = drawn
    patches, where = _planted(training, new, 1.0, 0.5)
    small = [1e-6 * np.asarray(one) for one in (patches, held_out)]
    assert copy_report(small[0], [1e-6 * plane for plane in training], small[1])["copies"] == len(where)


def test_patches_are_found_beyond_a_block_of_the_search():
    plane = np.random.default_rng(0).gamma(0.3, 1, (1201, 701)).astype(np.float32)
    corners = [(0, 0), (1101, 0), (0, 641), (1101, 641), (448, 300), (470, 449), (700, 255)]
    patches = np.stack([symmetry(plane[y : y + 100, x : x + 60], 4) for y, x in corners])
    found = nearest_matches(patches, [plane])
    assert [(match.y, match.x) for match in found] == corners
    assert min(match.correlation for match in found) > 0.9999
    turned = np.stack([symmetry(patch, 1) for patch in patches])
    assert [(match.y, match.x) for match in nearest_matches(turned, [plane])] == corners


def test_empty_borders_and_empty_patches_match_nothing(fields):
    plane = fields[0].copy()
    plane[:, 150:] = 0
    empty, dim = np.zeros((64, 64), np.float32), 1e-6 * fields[1][:64, :64]
    found = nearest_matches(np.stack([empty, dim]), [plane])
    assert found[0].correlation == 0
    assert found[0].margin == 0
    assert found[1].correlation == pytest.approx(correlation_of_all(dim, plane), abs=1e-3)


def correlation_of_all(patch, plane):
    """Return the highest correlation in any symmetry, by definition."""
    return max(correlation_map(plane, symmetry(patch, k))[:, :140].max() for k in range(8))


def test_what_cannot_be_looked_up_is_refused(fields):
    with pytest.raises(ValueError, match="not trained on"):
        copy_report(fields, list(fields), fields[:0])
    with pytest.raises(ValueError, match="smaller than the patches"):
        nearest_matches(fields, [fields[0][:100]])


def test_looking_for_copies_can_be_stopped(drawn):
    training, held_out, new = drawn
    with pytest.raises(Stopped, match="looked up"):
        look_for_copies(new, training, held_out, stop=lambda: True)


def test_a_model_overfitted_to_four_patches_is_called_out():
    """Without the 8 symmetries, and far longer than it should: then a diffusion model copies, and it is said."""
    sim = simulate("microtubules", count=40, size=64, pixel_size=20.0, seed=1)
    few, held_out = sim.pixels[:4], sim.pixels[4:]
    start = load_diffusion_model("simulated-filaments")
    model = replace(start, scaling=Scaling.fit([Image(few)]))
    clean = torch.from_numpy(model.scaling.scale(few))[:, None]
    before = copy_report(model.generate(16, size=64).pixels, list(few), held_out)
    assert before["copies"] == 0
    optimizer = torch.optim.AdamW(model.unet.parameters(), 1e-3, betas=(0.9, 0.99), fused=True)
    model.unet.train()
    for step in range(600):
        sigma, _ = sample_sigmas(4, generator(0, step), 1.2, 1.5)
        noise = torch.randn(clean.shape, generator=generator(1, step))
        optimizer.zero_grad()
        optimizer.param_groups[0]["lr"] = 1e-3 * (1 - step / 600)
        EdmDenoiser(model.unet).loss(clean, sigma, noise).mean().backward()
        torch.nn.utils.clip_grad_norm_(model.unet.parameters(), 1.0)
        optimizer.step()
    after = copy_report(model.generate(16, size=64).pixels, list(few), held_out)
    assert after["copies"] >= 4
    assert after["generated_median"] > before["generated_median"]
    assert "copied" in after["verdict"] or "copies" in after["verdict"]

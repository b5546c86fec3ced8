"""The judge sees what people see."""

from dataclasses import asdict

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from curves import curves
from napari_smdiffusion import simulate
from napari_smdiffusion.images.patches import grid_patches, symmetry
from napari_smdiffusion.measure.filaments import compare_filaments
from napari_smdiffusion.measure.realism import frechet_difference, realism
from napari_smdiffusion.measure.spectrum import histograms, spectra
from napari_smdiffusion.report.meanings import all_meanings, meanings_of
from napari_smdiffusion.structures.registry import STRUCTURES, structure_model


@pytest.fixture(scope="module")
def fields():
    """Return simulated mitochondria: (4, 256, 256)."""
    return simulate("mitochondria", count=4, size=256, seed=0).pixels


def _clouds(seed):
    """Return patches of a texture that is far from any mathematical model of ours: (64, 64, 64)."""
    spots = np.random.default_rng(seed).gamma(0.2, 10, (4, 256, 256))
    return grid_patches(list(gaussian_filter(spots, (0, 2, 2)).astype(np.float32)), 64)


def test_grid_patches_do_not_overlap(fields):
    patches = grid_patches([fields[0]], 100)
    assert patches.shape == (4, 100, 100)
    np.testing.assert_array_equal(patches[3], fields[0, 100:200, 100:200])


def test_realism_grows_with_the_damage():
    experimental, fresh = _clouds(0), _clouds(1)
    damaged = (fresh, gaussian_filter(fresh, (0, 1, 1)), gaussian_filter(fresh, (0, 3, 3)), fresh + fresh.std())
    scores = [realism(patches, experimental)["score"] for patches in damaged]
    # A mathematical model is so far from clouds that all scores are small; it is their order that counts.
    assert 10 * abs(scores[0]) < scores[1] < scores[2]
    assert 10 * abs(scores[0]) < scores[3], "a wrong background must show"


def test_black_patches_and_patches_with_a_speck_are_alike():
    """A black patch has no direction, and must not be as far from one with a faint speck as from filaments."""
    experimental, generated = _clouds(0), _clouds(1)
    experimental[::4] = 0
    generated[::4] = 0
    black = realism(generated, experimental)["score"]
    generated[::4, 30:32, 30:32] = 0.02 * experimental.std()
    assert abs(realism(generated, experimental)["score"] - black) < 0.02


def test_realism_has_no_scale_where_the_mathematical_model_is_the_experiment():
    patches = grid_patches(list(simulate("mitochondria", count=16, size=256, seed=0).pixels), 64)
    assert realism(patches[::2], patches[1::2])["score"] is None


def test_a_structure_that_is_added_is_a_unit_of_the_realism_score():
    @STRUCTURES.register("spots")
    @structure_model("round spots of 30 nm", "a test")
    def spots(field, labelling, rng):
        middles = rng.uniform(0, field, (round(field**2 / 4e5), 2))
        return (middles[:, None] + rng.normal(0, 30, (len(middles), round(60 * labelling), 2))).reshape(-1, 2)

    assert STRUCTURES["spots"] is spots
    try:
        patches = grid_patches(list(simulate("spots", count=8, size=256, seed=0).pixels), 64)
        known = realism(patches[::2], patches[1::2])
    finally:
        STRUCTURES.remove("spots")
    unknown = realism(patches[::2], patches[1::2])
    # A model of the experiment's own structure leaves no scale.
    assert known["score"] is None
    assert unknown["score"] is not None
    assert known["frechet_mathematical_model"] < unknown["frechet_mathematical_model"] / 4


def test_realism_needs_enough_patches(fields):
    with pytest.raises(ValueError, match="at least 8 patches"):
        realism(fields[:3], fields)


def _filaments(seed, **damage):
    """Return patches of drawn filaments, far from any mathematical model of ours: (32, 64, 64)."""
    return grid_patches([curves(seed + i, **damage) for i in range(2)], 64)


def _shuffled(patches, block):
    """Return patches whose blocks are in random order."""
    rng, n = np.random.default_rng(0), 64 // block
    blocks = patches.reshape(len(patches), n, block, n, block).swapaxes(2, 3).reshape(len(patches), n * n, block, block)
    blocks = np.stack([one[rng.permutation(n * n)] for one in blocks])
    return blocks.reshape(len(patches), n, n, block, block).swapaxes(2, 3).reshape(patches.shape)


DAMAGED = {
    "shuffled": lambda: [_shuffled(_filaments(100), block) for block in (32, 16, 8)],
    "blurred": lambda: [gaussian_filter(_filaments(100), (0, s, s)) for s in (0.5, 1, 2)],
    "dashed": lambda: [_filaments(100, gap=gap) for gap in (0.4, 0.6, 0.8)],
    "wrongly bright": lambda: [_filaments(100) * factor for factor in (1.3, 1.6, 2.5)],
    "wrongly dark": lambda: [_filaments(100) * factor for factor in (0.75, 0.5, 0.25)],
}


@pytest.fixture(scope="module")
def experiment():
    return np.concatenate([_filaments(0), _filaments(2)])


@pytest.mark.parametrize("damage", DAMAGED)
def test_the_score_sees_what_people_see(damage, experiment):
    good = [realism(_filaments(seed), experiment) for seed in (100, 200)]
    bad = [realism(patches, experiment) for patches in DAMAGED[damage]()]
    scores = [one["score"] for one in bad]
    assert scores == sorted(scores), "a stronger damage must not score better"
    assert scores[0] > max(one["score_high"] for one in good)
    assert bad[0]["score_low"] > max(one["score"] for one in good)


def test_diversity_and_coverage_see_images_that_are_repeated(experiment):
    good = [realism(_filaments(seed), experiment) for seed in (100, 200)]
    bad = []
    for distinct in (16, 8, 2):
        # Each copy has noise of its own and another symmetry, as a collapsed model's would.
        patches = np.tile(_filaments(100)[:distinct], (32 // distinct, 1, 1))
        turned = np.stack([symmetry(patch, i % 8) for i, patch in enumerate(patches)])
        bad.append(realism(turned + np.random.default_rng(0).normal(0, 0.002, turned.shape), experiment))
    assert min(one["diversity"] for one in good) > 0.75
    diversity = [one["diversity"] for one in bad]
    assert diversity == sorted(diversity, reverse=True)
    assert diversity[0] < 0.5
    coverage = [one["coverage"] for one in bad]
    assert coverage == sorted(coverage, reverse=True)
    assert min(one["coverage"] for one in good) > coverage[0]


def test_curvature_sees_wavy_filaments_and_free_ends_dashed_ones():
    def sparse(first, count, **damage):
        return grid_patches([curves(first + i, number=14, **damage) for i in range(count)], 128)

    experiment = sparse(0, 12)
    good = [compare_filaments(sparse(seed, 6), experiment) for seed in (100, 200)]
    for name, kind, steps in (("curvature", "wave", (1, 2, 4)), ("free_ends", "gap", (0.3, 0.5, 0.7))):
        bad = [compare_filaments(sparse(100, 6, **{kind: step}), experiment)[name] for step in steps]
        assert bad[0].difference > 1.5 * max(one[name].difference for one in good)
        assert [one.difference for one in bad] == sorted(one.difference for one in bad)
        assert not bad[-1].inside
        assert all(one[name].inside for one in good)


def test_the_interval_holds_the_score_and_narrows_with_more_patches():
    few, many = (realism(_clouds(1)[:n], _clouds(0)[: 2 * n]) for n in (12, 32))
    for one in (few, many):
        assert one["score_low"] < one["score"] < one["score_high"]
    widths = [one["score_high"] - one["score_low"] for one in (few, many)]
    assert widths[1] < widths[0]


@pytest.mark.parametrize(("count", "unlike"), [(48, 0.0), (48, 0.5), (160, 0.0), (160, 0.5)])
def test_the_interval_is_as_wide_as_the_choice_of_patches_matters(count, unlike):
    """Of many draws from two populations nine in ten lie within it; where both are alike, as good as all may."""
    rng = np.random.default_rng(0)

    def drawn():
        made, real = rng.normal(unlike, 1 + unlike, (count, 6)), rng.normal(0, 1, (count, 6))
        return frechet_difference(made, real, rng)

    found = [drawn() for _ in range(25)]
    differences = np.array([one.near - one.floor for one in found])
    errors = np.array([one.error for one in found])
    inside = np.mean(np.abs(differences - differences.mean()) < 1.645 * errors)
    assert inside >= 0.8
    assert 0.7 < errors.mean() / differences.std() < (1.5 if unlike else 2.2)


def test_patches_that_come_twice_are_counted_however_many_there_are(experiment):
    fresh = _filaments(100)
    twice = np.concatenate([_filaments(100), _filaments(102), _filaments(104)])
    assert realism(fresh, experiment)["repeated"] == 0
    assert realism(np.concatenate([twice, twice[::-1]]), experiment)["repeated"] == 1


def test_as_many_empty_patches_as_the_experiment_has_are_no_repetition(experiment):
    def with_empty(patches, share):
        return np.where((np.arange(len(patches)) < share * len(patches))[:, None, None], 0, patches)

    sparse = with_empty(experiment, 0.25)
    assert realism(with_empty(_filaments(100), 0.25), sparse)["repeated"] == 0
    assert realism(with_empty(_filaments(100), 0.75), sparse)["repeated"] > 0.3


def test_features_that_never_vary_do_not_set_the_scale(experiment):
    # Half of the pixels are exactly 0, as in STORM images: the low quantiles are the same in all patches.
    dark, fresh = (np.maximum(patches - np.median(patches), 0) for patches in (experiment, _filaments(100)))
    lifted = fresh + np.abs(np.random.default_rng(0).normal(0, 0.01 * dark.std(), fresh.shape))
    said = [realism(patches, dark) for patches in (fresh, lifted)]
    assert all(0.5 < one["diversity"] < 2 for one in said)
    assert said[1]["coverage"] > 0.5 * said[0]["coverage"]


def test_few_patches_on_a_gradient_have_a_scale():
    # The left is crowded and the right is empty: halves of every second column would be one and the other.
    fields = [np.hstack([curves(seed, number=60)[:, :128], curves(seed, number=8)[:, :128]]) for seed in range(2)]
    patches = grid_patches(fields, 128)
    bright = simulate("mitochondria", count=8, size=128, seed=0).pixels
    said = [realism(one, patches) for one in (patches[::-1], bright)]
    assert all(one["score"] is not None for one in said)
    assert said[0]["score"] < 0.1 < said[1]["score"]


def _leaves(report, above=()):
    for key, value in report.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key)


def test_every_number_has_a_meaning(fields):
    patches = grid_patches(list(fields), 64)
    report = {
        "realism": realism(patches[::2], patches[1::2]),
        "spectrum": spectra(patches[::2], patches[1::2], 20.0),
        "histogram": histograms(patches[::2], patches[1::2], (0, 5)),
        "filaments": {key: asdict(one) for key, one in compare_filaments(patches, patches).items()},
    }
    assert {".".join(keys) for keys in _leaves(report)} <= set(meanings_of(report))
    assert all(sentence.endswith(".") for sentence in all_meanings().values())


def test_spectra_and_histograms_are_the_same_for_the_same_and_not_for_blurred_ones(fields):
    patches = grid_patches(list(fields), 64)
    blurred = gaussian_filter(patches, (0, 2, 2))
    same, other = (spectra(patches, one, 20.0) for one in (patches, blurred))
    assert same["log2_ratio"] == 0
    assert other["log2_ratio"] > 1
    assert same["frequency"][-1] < 25  # cycles per µm: half a cycle per pixel
    limits = (0.0, float(patches.max()))
    assert histograms(patches, patches, limits)["overlap"] == pytest.approx(1)
    # What lies outside counts at its end, also where that is no number of float32.
    inner = tuple(float(value) for value in np.percentile(patches.astype(np.float64), (30.1, 90.1)))
    for share in ("experimental_share", "generated_share"):
        assert sum(histograms(patches, blurred, inner)[share]) == pytest.approx(1)
    assert histograms(patches, blurred, limits)["overlap"] < 0.9
    # Of whole numbers no bin holds more than another by itself.
    counts = np.random.default_rng(0).integers(0, 200, (4, 200, 200)).astype(np.float32)
    share = np.array(histograms(counts, counts, (0.0, 199.0))["experimental_share"])
    assert share[:-1].max() < 1.1 * share[:-1].min()

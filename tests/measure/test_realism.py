"""The realism score and the other measures detect visible damage."""

from dataclasses import asdict

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from curves import curves
from napari_smdiffusion import simulate
from napari_smdiffusion.images.patches import grid_patches, symmetry
from napari_smdiffusion.measure import filaments
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
    """Return patches of a texture that differs from all mathematical models: (64, 64, 64)."""
    spots = np.random.default_rng(seed).gamma(0.2, 10, (4, 256, 256))
    return grid_patches(list(gaussian_filter(spots, (0, 2, 2)).astype(np.float32)), 64)


def test_grid_patches_do_not_overlap(fields):
    patches = grid_patches([fields[0]], 100)
    assert patches.shape == (4, 100, 100)
    np.testing.assert_array_equal(patches[3], fields[0, 100:200, 100:200])


def test_the_realism_score_grows_with_the_damage():
    experimental, new = _clouds(0), _clouds(1)
    damaged = (new, gaussian_filter(new, (0, 1, 1)), gaussian_filter(new, (0, 3, 3)), new + new.std())
    scores = [realism(patches, experimental).score for patches in damaged]
    # All scores are small, because the mathematical models are far from clouds; only the order counts.
    assert 10 * abs(scores[0]) < scores[1] < scores[2]
    assert 10 * abs(scores[0]) < scores[3], "a wrong background must raise the score"


def test_a_faint_spot_in_black_patches_hardly_changes_the_score():
    """A black patch has no direction: its features must be close to those of a patch with a faint spot."""
    experimental, generated = _clouds(0), _clouds(1)
    experimental[::4] = 0
    generated[::4] = 0
    black = realism(generated, experimental).score
    generated[::4, 30:32, 30:32] = 0.02 * experimental.std()
    assert abs(realism(generated, experimental).score - black) < 0.02


def test_there_is_no_score_if_the_mathematical_model_equals_the_experiment():
    patches = grid_patches(list(simulate("mitochondria", count=16, size=256, seed=0).pixels), 64)
    assert realism(patches[::2], patches[1::2]).score is None


def test_the_realism_score_uses_a_newly_registered_structure():
    @STRUCTURES.register("spots")
    @structure_model("round spots of 30 nm", "a test")
    def spots(field, labelling, rng):
        middles = rng.uniform(0, field, (round(field**2 / 4e5), 2))
        return (middles[:, None] + rng.normal(0, 30, (len(middles), round(60 * labelling), 2))).reshape(-1, 2)

    assert STRUCTURES["spots"] is spots
    try:
        patches = grid_patches(list(simulate("spots", count=8, size=256, seed=0).pixels), 64)
        with_model = realism(patches[::2], patches[1::2])
    finally:
        STRUCTURES.remove("spots")
    without_model = realism(patches[::2], patches[1::2])
    # The model of the experimental structure is too close to serve as a scale.
    assert with_model.score is None
    assert without_model.score is not None
    assert with_model.frechet_mathematical_model < without_model.frechet_mathematical_model / 4


def test_realism_needs_enough_patches(fields):
    with pytest.raises(ValueError, match="at least 8 patches"):
        realism(fields[:3], fields)


def _filaments(seed, **damage):
    """Return patches of drawn filaments, which differ from all mathematical models: (32, 64, 64)."""
    return grid_patches([curves(seed + i, **damage) for i in range(2)], 64)


def _shuffled(patches, block):
    """Return patches (N, 64, 64) with their blocks of `block` pixels in random order."""
    rng, n = np.random.default_rng(0), 64 // block
    blocks = patches.reshape(len(patches), n, block, n, block).swapaxes(2, 3).reshape(len(patches), n * n, block, block)
    blocks = np.stack([patch[rng.permutation(n * n)] for patch in blocks])
    return blocks.reshape(len(patches), n, n, block, block).swapaxes(2, 3).reshape(patches.shape)


DAMAGED = {
    "shuffled": lambda: [_shuffled(_filaments(100), block) for block in (32, 16, 8)],
    "blurred": lambda: [gaussian_filter(_filaments(100), (0, s, s)) for s in (0.5, 1, 2)],
    "dashed": lambda: [_filaments(100, gap=gap) for gap in (0.4, 0.6, 0.8)],
    "too bright": lambda: [_filaments(100) * factor for factor in (1.3, 1.6, 2.5)],
    "too dark": lambda: [_filaments(100) * factor for factor in (0.75, 0.5, 0.25)],
}


@pytest.fixture(scope="module")
def experiment():
    return np.concatenate([_filaments(0), _filaments(2)])


@pytest.fixture(scope="module")
def good(experiment):
    """Return the reports of two samples of undamaged patches."""
    return [realism(_filaments(seed), experiment) for seed in (100, 200)]


@pytest.mark.parametrize("damage", DAMAGED)
def test_the_score_detects_visible_damage(damage, experiment, good):
    bad = [realism(patches, experiment) for patches in DAMAGED[damage]()]
    scores = [report.score for report in bad]
    assert scores == sorted(scores), "a stronger damage must not score better"
    assert scores[0] > max(report.score_high for report in good)
    assert bad[0].score_low > max(report.score for report in good)


def test_repeated_images_lower_diversity_and_coverage(experiment, good):
    bad = []
    for distinct in (16, 8, 2):
        # Each repetition has its own noise and symmetry, as the images of a collapsed model have.
        patches = np.tile(_filaments(100)[:distinct], (32 // distinct, 1, 1))
        turned = np.stack([symmetry(patch, i % 8) for i, patch in enumerate(patches)])
        bad.append(realism(turned + np.random.default_rng(0).normal(0, 0.002, turned.shape), experiment))
    assert min(report.diversity for report in good) > 0.75
    diversity = [report.diversity for report in bad]
    assert diversity == sorted(diversity, reverse=True)
    assert diversity[0] < 0.5
    coverage = [report.coverage for report in bad]
    assert coverage == sorted(coverage, reverse=True)
    assert min(report.coverage for report in good) > coverage[0]


def test_curvature_detects_wavy_filaments_and_free_ends_detect_dashed_ones(monkeypatch):
    summaries, measured = filaments._summaries, {}

    def measured_once(patches, pixel_size):
        key = patches.tobytes()
        if key not in measured:
            measured[key] = summaries(patches, pixel_size)
        return measured[key]

    # The experiment is the same in all comparisons.
    monkeypatch.setattr(filaments, "_summaries", measured_once)

    def sparse(first, count, **damage):
        return grid_patches([curves(first + i, number=14, **damage) for i in range(count)], 128)

    experiment = sparse(0, 8)
    good = [compare_filaments(sparse(seed, 4), experiment) for seed in (100, 200)]
    for name, kind, steps in (("curvature", "wave", (1, 2, 4)), ("free_ends", "gap", (0.3, 0.5, 0.7))):
        bad = [compare_filaments(sparse(100, 4, **{kind: step}), experiment)[name] for step in steps]
        differences = [summary.difference for summary in bad]
        assert differences[0] > 1.5 * max(summaries[name].difference for summaries in good)
        assert differences == sorted(differences)
        assert not bad[-1].inside
        assert all(summaries[name].inside for summaries in good)


def test_the_interval_contains_the_score_and_narrows_with_more_patches():
    few, many = (realism(_clouds(1)[:n], _clouds(0)[: 2 * n]) for n in (12, 32))
    for report in (few, many):
        assert report.score_low < report.score < report.score_high
    widths = [report.score_high - report.score_low for report in (few, many)]
    assert widths[1] < widths[0]


@pytest.mark.parametrize(("count", "shift"), [(48, 0.0), (48, 0.5), (160, 0.0), (160, 0.5)])
def test_the_error_matches_the_variation_between_random_samples(count, shift):
    """The 90 % interval covers nine of ten samples of two populations, or more if both populations are equal."""
    rng = np.random.default_rng(0)

    def sample():
        generated, experimental = rng.normal(shift, 1 + shift, (count, 6)), rng.normal(0, 1, (count, 6))
        return frechet_difference(generated, experimental, rng)

    samples = [sample() for _ in range(25)]
    differences = np.array([difference.near - difference.floor for difference in samples])
    errors = np.array([difference.error for difference in samples])
    inside = np.mean(np.abs(differences - differences.mean()) < 1.645 * errors)
    assert inside >= 0.8
    assert 0.7 < errors.mean() / differences.std() < (1.5 if shift else 2.2)


def test_repeated_patches_are_counted(experiment):
    new = _filaments(100)
    twice = np.concatenate([_filaments(100), _filaments(102), _filaments(104)])
    assert realism(new, experiment).repeated == 0
    assert realism(np.concatenate([twice, twice[::-1]]), experiment).repeated == 1


def test_empty_patches_are_repetitions_only_beyond_their_share_in_the_experiment(experiment):
    def with_empty(patches, share):
        return np.where((np.arange(len(patches)) < share * len(patches))[:, None, None], 0, patches)

    sparse = with_empty(experiment, 0.25)
    assert realism(with_empty(_filaments(100), 0.25), sparse).repeated == 0
    assert realism(with_empty(_filaments(100), 0.75), sparse).repeated > 0.3


def test_constant_features_do_not_dominate_diversity_and_coverage(experiment):
    # Half of the pixels are exactly 0, as in STORM images: the low quantiles are equal in all patches.
    dark, new = (np.maximum(patches - np.median(patches), 0) for patches in (experiment, _filaments(100)))
    lifted = new + np.abs(np.random.default_rng(0).normal(0, 0.01 * dark.std(), new.shape))
    reports = [realism(patches, dark) for patches in (new, lifted)]
    assert all(0.5 < report.diversity < 2 for report in reports)
    assert reports[1].coverage > 0.5 * reports[0].coverage


def test_few_patches_with_a_density_gradient_have_a_score():
    # The left is dense and the right is sparse: halves of every second column would be all dense and all sparse.
    fields = [np.hstack([curves(seed, number=60)[:, :128], curves(seed, number=8)[:, :128]]) for seed in range(2)]
    patches = grid_patches(fields, 128)
    bright = simulate("mitochondria", count=8, size=128, seed=0).pixels
    scores = [realism(generated, patches).score for generated in (patches[::-1], bright)]
    assert all(score is not None for score in scores)
    assert scores[0] < 0.1 < scores[1]


def _leaves(report, above=()):
    for key, value in report.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key)


def test_every_number_has_a_meaning(fields):
    patches = grid_patches(list(fields), 64)
    report = {
        "realism": asdict(realism(patches[::2], patches[1::2])),
        "spectrum": asdict(spectra(patches[::2], patches[1::2], 20.0)),
        "histogram": asdict(histograms(patches[::2], patches[1::2], (0, 5))),
        "filaments": {key: asdict(summary) for key, summary in compare_filaments(patches, patches).items()},
    }
    assert {".".join(keys) for keys in _leaves(report)} <= set(meanings_of(report))
    assert all(sentence.endswith(".") for sentence in all_meanings().values())


def test_spectra_and_histograms_differ_for_blurred_patches_only(fields):
    patches = grid_patches(list(fields), 64)
    blurred = gaussian_filter(patches, (0, 2, 2))
    same, different = (spectra(patches, generated, 20.0) for generated in (patches, blurred))
    assert same.log2_ratio == 0
    assert different.log2_ratio > 1
    assert same.frequency[-1] < 25  # cycles per µm: half a cycle per pixel
    limits = (0.0, float(patches.max()))
    assert histograms(patches, patches, limits).overlap == pytest.approx(1)
    # Values outside the limits are counted in the outer bins, also if float32 cannot represent the limits.
    inner = tuple(float(value) for value in np.percentile(patches.astype(np.float64), (30.1, 90.1)))
    for share in ("experimental_share", "generated_share"):
        assert sum(getattr(histograms(patches, blurred, inner), share)) == pytest.approx(1)
    assert histograms(patches, blurred, limits).overlap < 0.9
    # For whole numbers all bins have the same number of values.
    counts = np.random.default_rng(0).integers(0, 200, (4, 200, 200)).astype(np.float32)
    share = np.array(histograms(counts, counts, (0.0, 199.0)).experimental_share)
    assert share[:-1].max() < 1.1 * share[:-1].min()

"""The settings of the labels do to simulated images what their names state."""

import numpy as np
import pytest

from napari_smdiffusion import STRUCTURES, InputError, LabellingConfig, TrainEnhancerJob, read_image, simulate
from napari_smdiffusion.cli import main
from napari_smdiffusion.images.patches import grid_patches
from napari_smdiffusion.measure.realism import realism
from napari_smdiffusion.structures.labelling import localize, unspecific_localizations
from napari_smdiffusion.structures.settings import BACKGROUND


def _rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("precision", [5.0, 20.0])
def test_localizations_scatter_by_the_precision(precision):
    localizations = localize(np.zeros((20_000, 2)), 0.0, 1.0, precision, _rng())
    np.testing.assert_allclose(localizations.std(0), precision, rtol=0.02)


def test_an_image_is_blurred_by_the_precision():
    sharp, blurred = (simulate("nuclear-pores", size=128, localization_precision=p).pixels[0] for p in (5.0, 25.0))
    assert sharp.std() > 2 * blurred.std()
    assert blurred.sum() == pytest.approx(sharp.sum(), rel=0.1)


@pytest.mark.parametrize("blinks", [1.0, 4.0, 12.0])
def test_a_label_is_localized_several_times(blinks):
    localizations = localize(np.arange(40_000.0).reshape(-1, 2), 0.0, blinks, 1e-9, _rng())
    _, counts = np.unique(localizations[:, 0].round(), return_counts=True)
    assert len(counts) == 20_000, "each label is localized at least once"
    assert counts.mean() == pytest.approx(blinks, rel=0.03)
    assert counts.var() == pytest.approx(blinks * (blinks - 1), rel=0.1)  # of the geometric distribution


def test_the_linkage_error_has_a_fixed_length_in_space():
    distances = np.linalg.norm(localize(np.zeros((20_000, 2)), 15.0, 1.0, 1e-9, _rng()), axis=1)
    assert distances.max() <= 15.001
    assert distances.mean() == pytest.approx(15 * np.pi / 4, rel=0.02)  # of a sphere, seen from one side


def test_blinks_of_one_label_have_one_linkage_error():
    localizations = localize(np.zeros((1, 2)), 15.0, 200.0, 1e-9, np.random.default_rng(1))
    assert len(localizations) > 1
    assert np.ptp(localizations, axis=0).max() < 1e-6


@pytest.mark.parametrize("structure", ["nuclear-pores", "clathrin-pits", "endoplasmic-reticulum", "synaptic-vesicles"])
def test_labelling_is_the_share_of_labelled_molecules(structure):
    few, all_of_them = (len(STRUCTURES[structure].draw_sites(5000.0, share, _rng())) for share in (0.25, 1.0))
    assert few / all_of_them == pytest.approx(0.25, rel=0.15)


@pytest.mark.parametrize("density", [0.0, BACKGROUND, 200.0])
def test_the_background_has_the_stated_density(density):
    count = np.mean([len(unspecific_localizations(10_000.0, density, np.random.default_rng(k))) for k in range(10)])
    assert count == pytest.approx(100 * density, rel=0.05, abs=0)


def test_the_provenance_has_the_settings_that_the_user_changed():
    assert "settings" not in simulate("vesicles", size=32).provenance
    changed = simulate("vesicles", size=32, labelling=0.3, blinks=2.0, unspecific_background=BACKGROUND)
    assert changed.provenance["settings"] == {"labelling": 0.3, "blinks": 2.0}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("labelling", 0.0),
        ("blinks", 0.5),
        ("linkage_error", -1.0),
        ("localization_precision", 0.0),
        ("unspecific_background", float("nan")),
    ],
)
def test_an_impossible_setting_is_refused_by_name(name, value):
    with pytest.raises(InputError, match=f"^{name} must be"):
        simulate("vesicles", size=32, **{name: value})


def test_the_command_has_the_settings(tmp_path):
    settings = {"labelling": 0.8, "linkage_error": 2.0, "blinks": 2.0, "localization_precision": 12.0}
    flags = [text for name, value in settings.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    flags += ["--unspecific-background", "0", "--size", "64", "--pixel-size", "10", "--seed", "3"]
    assert main(["simulate", "nuclear-pores", "--out", str(tmp_path / "pores.tif"), *flags]) == 0
    image = simulate("nuclear-pores", size=64, pixel_size=10.0, seed=3, unspecific_background=0.0, **settings)
    written = read_image(tmp_path / "pores.tif")
    np.testing.assert_array_equal(written.pixels, image.pixels)
    assert written.provenance["settings"] == image.provenance["settings"]


def test_simulated_training_images_have_the_labels_of_the_job():
    labels = LabellingConfig(linkage_error=20.0, blinks=2.0)
    job = TrainEnhancerJob(simulated=[("nuclear-pores", 1)], labels=labels, pixel_size=5.0)
    _, (image,) = job._with_simulated([], [])
    expected = simulate("nuclear-pores", 8, 512, 5.0, linkage_error=20.0, blinks=2.0)
    np.testing.assert_array_equal(image.pixels, expected.pixels)


def test_structures_of_the_package_leave_the_unit_of_the_realism_score_as_it_was():
    """A model of the experiment itself would be too near to be a unit, and there would be no score."""
    assert [name for name, model in STRUCTURES.items() if model.realism_unit] == ["microtubules", "mitochondria"]
    patches = grid_patches(list(simulate("actin-cortex", 4, 128, seed=0).pixels), 32)
    assert realism(patches[::2], patches[1::2]).score is not None


def test_the_unit_of_the_realism_score_can_be_the_model_of_a_structure():
    patches = grid_patches(list(simulate("actin-cortex", 4, 128, seed=0).pixels), 32)
    far, itself = (realism(patches[::2], patches[1::2], baseline=name) for name in ("nuclear-pores", "actin-cortex"))
    assert itself.score is None
    assert far.score is not None
    assert far.frechet_mathematical_model > 10 * itself.frechet_mathematical_model
    with pytest.raises(InputError, match="There is no structure 'cortex'"):
        realism(patches[::2], patches[1::2], baseline="cortex")
